//! How the plugin names itself at the device endpoints (plugin 5.7, 9.1): in each request, and beside nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use codex_auth_oauth::{HttpClient, HttpError};
use http::{HeaderValue, Request, Response, header};

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("opencode-codex-auth/", env!("CARGO_PKG_VERSION"));

/// Sends requests with a name of its own.
#[derive(Debug, Clone)]
pub(crate) struct Identified {
    http: Arc<dyn HttpClient>,
    user_agent: HeaderValue,
}

impl Identified {
    /// A name that no header can hold is none; ours stands in.
    pub(crate) fn new(http: Arc<dyn HttpClient>, user_agent: &str) -> Self {
        let user_agent = HeaderValue::from_str(user_agent).unwrap_or(HeaderValue::from_static(USER_AGENT));
        Self { http, user_agent }
    }
}

#[async_trait]
impl HttpClient for Identified {
    async fn send(&self, mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let headers = request.headers_mut();
        headers.remove(header::ACCEPT);
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        self.http.send(request).await
    }
}
