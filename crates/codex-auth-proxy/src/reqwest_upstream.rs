//! The reqwest form of the upstream port: TLS, HTTP/2 and the system's proxies.

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::{
    body::{BodyStream, StreamError},
    upstream::{Upstream, UpstreamError},
};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// An upstream over reqwest. The client is built at the first request: its root store costs half a start.
#[derive(Debug, Default)]
pub struct ReqwestUpstream {
    client: OnceLock<reqwest::Client>,
}

impl ReqwestUpstream {
    fn client(&self) -> Result<&reqwest::Client, UpstreamError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // A second installation is refused, which is as good as the first: ring is the only backend of the tree.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let built = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(256)
            .build()
            .map_err(|error| UpstreamError::Unsent(error.without_url().to_string()))?;
        Ok(self.client.get_or_init(|| built))
    }
}

#[async_trait]
impl Upstream for ReqwestUpstream {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<BodyStream>, UpstreamError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|error| UpstreamError::Unsent(error.without_url().to_string()))?;
        let answer = self.client()?.execute(request).await.map_err(|error| {
            let unsent = error.is_connect() || error.is_builder();
            let why = cause(&error.without_url());
            if unsent { UpstreamError::Unsent(why) } else { UpstreamError::Broken(why) }
        })?;
        Ok(http::Response::from(answer).map(|body| body.map_err(|_| StreamError::BrokeOff).boxed_unsync()))
    }
}

/// The innermost reason, which is the one a person can act on ("connection refused").
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
