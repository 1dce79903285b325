//! Our own form of the upstream port, for a backend spoken to over plain HTTP/1.1: a connection is driven inside the
//! task of the request that uses it, and what is ready is gathered into few writes.
//!
//! A client whose connections live in tasks of their own hands every chunk of a stream over to another task and
//! writes it out alone, some forty writes for a small answer; and one that makes a value of every chunk spends on them
//! a fifth of what a small answer costs. Here nothing is spawned on the way of a request, the body is taken out of what
//! was read in one pass, and a small answer leaves in one write. The budgets of `docs/benchmarks.md` ask for it.
//!
//! It serves `http://` only. The vendor's backend speaks HTTP/2 over TLS, where all streams share one connection and
//! none of them can drive it; the system's proxies and its root store matter there too. All of that is reqwest's.
//! Plain HTTP is admitted on loopback only, where no proxy stands in between, so none is looked for here.

mod framing;
mod gather;
mod head;
mod idle;
mod line;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, uri::Authority};
use http_body_util::BodyExt;

use self::{
    gather::Gather,
    head::Head,
    idle::Idle,
    line::{Failed, Line},
};
use crate::{
    body::{BodyStream, whole},
    upstream::{Upstream, UpstreamError},
};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// An upstream at one address, over kept-alive connections.
pub struct InlineUpstream {
    authority: Authority,
    host: HeaderValue,
    /// `host:port`, as connecting wants it.
    address: String,
    idle: Arc<Idle>,
}

impl InlineUpstream {
    /// An upstream for requests to this backend; `None` when it is not spoken to over plain HTTP.
    pub fn towards(backend: &Uri) -> Option<Self> {
        if backend.scheme() != Some(&http::uri::Scheme::HTTP) {
            return None;
        }
        let authority = backend.authority()?.clone();
        // Credentials in an address have no place in a `Host`.
        if authority.as_str().contains('@') {
            return None;
        }
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Some(Self { authority, host, address, idle: Arc::default() })
    }

    async fn connect(&self) -> Result<Line, UpstreamError> {
        match tokio::time::timeout(CONNECT_WITHIN, Line::connect(&self.address)).await {
            Ok(connected) => connected,
            Err(_) => Err(UpstreamError::Unsent("no connection in time".into())),
        }
    }

    /// The answer with its connection, which goes on at once when there is no body to bring it back.
    fn received(&self, Head { parts, framing, .. }: Head, line: Line) -> Response<BodyStream> {
        if !framing.is_over() {
            return Response::from_parts(parts, Gather::new(framing, line, self.idle.clone()).boxed_unsync());
        }
        self.idle.park(line);
        Response::from_parts(parts, whole(Bytes::new()))
    }
}

impl fmt::Debug for InlineUpstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InlineUpstream").field("authority", &self.authority).finish_non_exhaustive()
    }
}

#[async_trait]
impl Upstream for InlineUpstream {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<BodyStream>, UpstreamError> {
        if request.uri().authority() != Some(&self.authority) {
            return Err(UpstreamError::Unsent("the address is not the backend's".into()));
        }
        let mut request = request;
        loop {
            let kept = self.idle.take();
            let is_kept = kept.is_some();
            let mut line = match kept {
                Some(line) => line,
                None => self.connect().await?,
            };
            match line.exchange(request, &self.host).await {
                Ok(answer) => return Ok(self.received(answer, line)),
                // The peer closed a kept connection before a byte went out; another one serves. Whatever else
                // happened to it, the request may have been carried out, and the caller decides.
                Err(Failed::Unsent(unsent, _)) if is_kept => request = *unsent,
                Err(Failed::Unsent(_, why)) => return Err(UpstreamError::Unsent(why)),
                Err(Failed::Broken(why)) => return Err(UpstreamError::Broken(why)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
