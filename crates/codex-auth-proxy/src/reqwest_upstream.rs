//! The reqwest form of the upstream port: TLS, HTTP/2 and a company's proxy. The client itself, its proxies,
//! authorities and limits are codex-auth-net's.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use codex_auth_net::{Caller, Failure, Network};
use http_body_util::BodyExt as _;

use crate::{
    body::{BodyStream, StreamError},
    upstream::{Upstream, UpstreamError},
};

/// An upstream over reqwest. The client is built at the first request: its root store costs half a start.
#[derive(Debug)]
pub struct ReqwestUpstream(Caller);

impl ReqwestUpstream {
    /// An upstream that goes out by `network`.
    pub fn over(network: Arc<Network>) -> Self {
        Self(Caller::streaming(network))
    }
}

#[async_trait]
impl Upstream for ReqwestUpstream {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<BodyStream>, UpstreamError> {
        let answer = self.0.send(request).await?;
        Ok(answer.map(|body| body.map_err(|_| StreamError::BrokeOff).boxed_unsync()))
    }
}

impl From<Failure> for UpstreamError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsent { why } => Self::Unsent(why),
            Failure::BrokeOff { why } => Self::Broken(why),
        }
    }
}
