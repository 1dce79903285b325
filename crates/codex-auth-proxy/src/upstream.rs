//! The port to the far service: streaming, and an error that says whether anything was sent.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

use crate::body::BodyStream;

/// Sends requests to the backend.
#[async_trait]
pub trait Upstream: Debug + Send + Sync {
    /// Sends a request whose body is at hand and returns as soon as the response head is there.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<BodyStream>, UpstreamError>;
}

/// Why there is no response. Messages hold no URL, since those may carry secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No connection was made; the request was certainly not carried out.
    #[error("the backend could not be reached: {0}")]
    Unsent(String),
    /// The connection broke before the response head.
    #[error("the backend broke off before answering: {0}")]
    Broken(String),
}
