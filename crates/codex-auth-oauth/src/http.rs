//! The port for small requests with whole answers: tokens and account metadata, never model traffic.
//!
//! Its error says whether anything was sent, because that decides if a single-use token may be presented again.

use std::fmt::Debug;

use async_trait::async_trait;
use http::{Request, Response};

/// The largest answer that is read, in bytes; token answers are a few kilobytes.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// Sends one request and reads its whole answer. Implementations follow no redirect and send nothing twice.
#[async_trait]
pub trait HttpClient: Debug + Send + Sync {
    /// Sends `request`; any status is an answer, not an error. An answer longer than [`BODY_LIMIT`] is an error.
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError>;
}

/// Why there is no answer. The texts name what failed, without URL, header or body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection was made, or the request could not be built: nothing was sent.
    #[error("nothing was sent: {why}")]
    Unsent {
        /// What failed.
        why: String,
    },
    /// Something may have been sent and no whole answer came: the other side may have acted on it.
    #[error("the answer broke off: {why}")]
    BrokeOff {
        /// What failed.
        why: String,
    },
}
