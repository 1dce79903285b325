//! Owns what time the fake believes it is: the machine's, or one a test moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which time token expiry, quota resets and the log go by. Delays of a fault always take real time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockKind {
    /// The machine's clock.
    #[default]
    Real,
    /// A clock that moves only when told to.
    Manual {
        /// Where it starts, in milliseconds since the epoch.
        start_ms: i64,
    },
}

/// A clock shared by every part of one fake.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    pub(crate) fn new(kind: ClockKind) -> Self {
        match kind {
            ClockKind::Real => Self(None),
            ClockKind::Manual { start_ms } => Self(Some(Arc::new(AtomicI64::new(start_ms)))),
        }
    }

    /// Milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        match &self.0 {
            Some(manual) => manual.load(Ordering::SeqCst),
            None => real_now_ms(),
        }
    }

    /// Moves a manual clock forward; a real one cannot be moved and says so with `false`.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let Some(manual) = &self.0 else { return false };
        manual.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        true
    }
}

/// The machine's time in milliseconds since the epoch.
pub(crate) fn real_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
