//! How long a call may take. No call is without an end.

use std::time::Duration;

/// The ends of one sort of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until the connection stands: name looked up, proxy asked, TLS agreed.
    pub connect: Duration,
    /// Until the whole answer is here.
    pub total: Option<Duration>,
    /// Longest silence of the other side, before the head of its answer and inside it.
    pub silence: Option<Duration>,
}

impl Limits {
    /// Small requests with whole answers.
    pub const SMALL: Self =
        Self { connect: Duration::from_secs(10), total: Some(Duration::from_secs(30)), silence: None };

    /// Answers that come bit by bit. A model may think for minutes before its first event; the official client itself
    /// gives up after 300 s of silence.
    pub const STREAMING: Self =
        Self { connect: Duration::from_secs(10), total: None, silence: Some(Duration::from_mins(5)) };
}
