//! Why a sign-in by device code signed nobody in. Capitalised sentences are the predecessor's, which people look up
//! (domain 3.6).

use std::{fmt, time::Duration};

use codex_auth_core::Kind;

/// Why a sign-in by device code ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The issuer has no such sign-in, or the workspace does not allow it.
    #[error("Device auth login is not enabled for this Codex server. Use browser login or --manual.")]
    Disabled,
    /// The issuer gave no code.
    #[error("Device code request failed with status {status}{}", Detail(code.as_deref()))]
    CodeRefused {
        /// HTTP status.
        status: u16,
        /// OAuth error code, where there was one.
        code: Option<String>,
    },
    /// The issuer's answer holds no code.
    #[error("Device code request response failed schema validation")]
    CodeUnusable,
    /// Somebody, or a rule of the workspace, said no to the code.
    #[error("the device sign-in was denied: {code}")]
    Denied {
        /// Which denial.
        code: &'static str,
    },
    /// The code ended before somebody used it.
    #[error("the device code expired before it was used")]
    Expired,
    /// The issuer answered a poll in a way that ends the sign-in.
    #[error("Device auth failed with status {status}{}", Detail(code.as_deref()))]
    Refused {
        /// HTTP status.
        status: u16,
        /// OAuth error code, where there was one.
        code: Option<String>,
    },
    /// The code was used, but the issuer's answer lacks what buys the tokens.
    #[error("Device auth response failed schema validation")]
    GrantUnusable,
    /// Nobody used the code in time.
    #[error("Device auth timed out after {}", Span(*waited))]
    TimedOut {
        /// How long it was waited for.
        waited: Duration,
    },
    /// No answer came, at the end or from the beginning.
    #[error("the issuer did not answer the device sign-in: {why}")]
    Unanswered {
        /// What failed, without URL or body.
        why: String,
    },
}

impl DeviceError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::CodeUnusable | Self::GrantUnusable | Self::Unanswered { .. } => Kind::Network,
            Self::Disabled
            | Self::CodeRefused { .. }
            | Self::Denied { .. }
            | Self::Expired
            | Self::Refused { .. }
            | Self::TimedOut { .. } => Kind::NeedsLogin,
        }
    }

    /// The next thing to do, with the exact command.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Disabled => {
                "allow device code authorization in ChatGPT's security settings or ask the workspace's admin for it, or \
                 run `codex-multi-auth login`, or `codex-multi-auth login --manual` where no browser can come back"
            }
            Self::Denied { .. } => {
                "if nobody said no, ask the workspace's admin to allow device code authorization, or run \
                 `codex-multi-auth login --manual`"
            }
            Self::Expired | Self::TimedOut { .. } => {
                "run `codex-multi-auth login --device-auth` and type the new code on the page it names"
            }
            Self::Unanswered { .. } => "check the connection, then run `codex-multi-auth login --device-auth`",
            Self::CodeRefused { .. } | Self::CodeUnusable | Self::Refused { .. } | Self::GrantUnusable => {
                "run `codex-multi-auth login --device-auth` again, or `codex-multi-auth login --manual`"
            }
        }
    }
}

/// A code behind a colon, if there is one.
struct Detail<'a>(Option<&'a str>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |code| write!(out, ": {code}"))
    }
}

/// Minutes, as far as they are whole.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds >= 60 && seconds.is_multiple_of(60) {
            write!(out, "{} min", seconds / 60)
        } else {
            write!(out, "{seconds} s")
        }
    }
}
