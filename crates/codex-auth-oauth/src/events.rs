//! What happens during a sign-in, told to whoever keeps a log of it (plugin 5.9).

use std::fmt::Debug;

use serde_json::Value;

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the log")]
pub enum LoginEvent {
    ServerStarting,
    ServerStarted,
    ServerReuse,
    ServerListenAttemptFailed,
    ServerStartError,
    ServerStopScheduled,
    ServerStopTimerFired,
    ServerStopping,
    ServerStopped,
    CallbackHit,
    CallbackError,
    CallbackRejectedNonLoopback,
    CallbackSuccessPage,
    CallbackCancel,
    CallbackCancelRejected,
    CallbackWaitStart,
    CallbackWaitResolved,
    CallbackWaitRejected,
    CallbackWaitTimeout,
    TokenExchangeStart,
    TokenExchangeSuccess,
    TokenExchangeError,
    BrowserOpenAttempt,
    BrowserOpenSuccess,
    BrowserOpenFailure,
    BrowserOpenBlocked,
}

impl LoginEvent {
    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerStarting => "server_starting",
            Self::ServerStarted => "server_started",
            Self::ServerReuse => "server_reuse",
            Self::ServerListenAttemptFailed => "server_listen_attempt_failed",
            Self::ServerStartError => "server_start_error",
            Self::ServerStopScheduled => "server_stop_scheduled",
            Self::ServerStopTimerFired => "server_stop_timer_fired",
            Self::ServerStopping => "server_stopping",
            Self::ServerStopped => "server_stopped",
            Self::CallbackHit => "callback_hit",
            Self::CallbackError => "callback_error",
            Self::CallbackRejectedNonLoopback => "callback_rejected_non_loopback",
            Self::CallbackSuccessPage => "callback_success_page",
            Self::CallbackCancel => "callback_cancel",
            Self::CallbackCancelRejected => "callback_cancel_rejected",
            Self::CallbackWaitStart => "callback_wait_start",
            Self::CallbackWaitResolved => "callback_wait_resolved",
            Self::CallbackWaitRejected => "callback_wait_rejected",
            Self::CallbackWaitTimeout => "callback_wait_timeout",
            Self::TokenExchangeStart => "token_exchange_start",
            Self::TokenExchangeSuccess => "token_exchange_success",
            Self::TokenExchangeError => "token_exchange_error",
            Self::BrowserOpenAttempt => "browser_open_attempt",
            Self::BrowserOpenSuccess => "browser_open_success",
            Self::BrowserOpenFailure => "browser_open_failure",
            Self::BrowserOpenBlocked => "browser_open_blocked",
        }
    }
}

/// Hears what happens. Called on the way of a sign-in, so an implementation is quick and never fails it.
pub trait LoginEvents: Debug + Send + Sync {
    /// `meta` says more, as an object; whoever keeps it redacts it first.
    fn happened(&self, event: LoginEvent, meta: Value);
}

/// Nobody who listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl LoginEvents for NoEvents {
    fn happened(&self, _event: LoginEvent, _meta: Value) {}
}
