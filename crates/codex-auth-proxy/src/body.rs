//! The one body type of the proxy: frames as they come, or a whole answer of our own.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

/// Bytes on their way; an error breaks the connection instead of ending the message cleanly.
pub type BodyStream = UnsyncBoxBody<Bytes, StreamError>;

/// Why a stream broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The upstream closed or reset the connection before the end.
    #[error("the upstream broke off")]
    BrokeOff,
    /// The capability it was answered under was revoked.
    #[error("the capability was revoked")]
    Revoked,
    /// The upstream sent nothing for too long.
    #[error("the upstream fell silent")]
    Silent,
}

/// A whole body of our own.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> BodyStream {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}
