//! The one place that builds an HTTP client: TLS provider, authorities, proxy, limits, and how its errors are sorted.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::{Request, Response};
use http_body_util::{BodyExt as _, combinators::MapErr};
use reqwest::{Certificate, Client, redirect, retry};

use crate::{
    diagnosis::{Circumstances, diagnosis},
    failure::Failure,
    limits::Limits,
    network::{Network, Way},
    roots::Roots,
};

/// The body of an answer, as it comes.
pub type Answered = MapErr<reqwest::Body, fn(reqwest::Error) -> Failure>;

/// How many connections to one host wait for further streams.
const KEPT_FOR_STREAMS: usize = 256;

/// Sends requests over the [`Network`]. Costs nothing until its first request; follows no redirect.
pub struct Caller {
    network: Arc<Network>,
    sort: Sort,
    limits: Limits,
    /// One client for each way that was taken.
    clients: [OnceLock<Client>; 4],
}

/// What the calls are.
#[derive(Debug)]
enum Sort {
    /// Small requests, in the name of this user agent.
    Small(String),
    /// Requests of others, passed on under their own names.
    Streaming,
}

impl Caller {
    /// For small requests with whole answers. Each has a connection of its own, and none is sent twice.
    pub fn small(network: Arc<Network>, user_agent: impl Into<String>) -> Self {
        Self { network, sort: Sort::Small(user_agent.into()), limits: Limits::SMALL, clients: Default::default() }
    }

    /// For answers that come bit by bit, over kept connections.
    pub fn streaming(network: Arc<Network>) -> Self {
        Self { network, sort: Sort::Streaming, limits: Limits::STREAMING, clients: Default::default() }
    }

    /// Sends `request` and returns as soon as the head of the answer is there.
    pub async fn send<B: Into<reqwest::Body>>(&self, request: Request<B>) -> Result<Response<Answered>, Failure> {
        let way = self.network.way(request.uri())?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let client = self.client(way)?;
        let request = reqwest::Request::try_from(request).map_err(|error| self.sorted(error, way, &host))?;
        let answer = client.execute(request).await.map_err(|error| self.sorted(error, way, &host))?;
        Ok(Response::from(answer).map(|body| body.map_err(broke_off as fn(reqwest::Error) -> Failure)))
    }

    fn client(&self, way: Way) -> Result<&Client, Failure> {
        let slot = &self.clients[way as usize];
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let built = self.build(way)?;
        Ok(slot.get_or_init(|| built))
    }

    fn build(&self, way: Way) -> Result<Client, Failure> {
        // Without a process default the builder panics. A second installation is refused, which is as good as the first.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let refused = |error: reqwest::Error| Failure::Unsent { why: error.without_url().to_string() };
        // The client must not look for proxies by itself.
        let builder =
            Client::builder().no_proxy().redirect(redirect::Policy::none()).connect_timeout(self.limits.connect);
        let builder = match &self.sort {
            Sort::Small(user_agent) => builder
                .user_agent(user_agent)
                .retry(retry::never())
                // A kept connection may be dead without our knowing, and a token would be lost with it.
                .pool_max_idle_per_host(0),
            // What HTTP/2 says it did not begin is sent again by the client; everything else is the caller's decision.
            Sort::Streaming => builder.tcp_nodelay(true).pool_max_idle_per_host(KEPT_FOR_STREAMS),
        };
        let builder = match self.limits.total {
            Some(total) => builder.timeout(total),
            None => builder,
        };
        let builder = match self.limits.silence {
            Some(silence) => builder.read_timeout(silence),
            None => builder,
        };
        let builder = match (way, self.network.proxy()) {
            (Way::Proxied, Some(proxy)) => builder.proxy(reqwest::Proxy::all(proxy.address()).map_err(refused)?),
            (Way::Plain | Way::Near | Way::Far | Way::Proxied, _) => builder,
        };
        // Plain http needs no authorities; reading the platform's takes time, and fails where there are none.
        let roots = if way == Way::Plain { Roots::These(Vec::new()) } else { self.network.roots()? };
        let certificates = |ders: Vec<rustls::pki_types::CertificateDer<'static>>| {
            ders.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>().map_err(refused)
        };
        let builder = match roots {
            Roots::PlatformAnd(extra) => builder.tls_certs_merge(certificates(extra)?),
            Roots::These(all) => builder.tls_certs_only(certificates(all)?),
        };
        builder.build().map_err(refused)
    }

    /// Only an error before the connection stood is certain to have sent nothing.
    fn sorted(&self, error: reqwest::Error, way: Way, host: &str) -> Failure {
        let is_unsent = error.is_connect() || error.is_builder();
        let known = Circumstances {
            host,
            proxy: self.network.proxy().filter(|_| way == Way::Proxied),
            bundle: self.network.bundle(),
            is_connecting: is_unsent,
            is_late: error.is_timeout(),
        };
        let why = diagnosis(&error.without_url(), known);
        if is_unsent { Failure::Unsent { why } } else { Failure::BrokeOff { why } }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Caller").field("network", &self.network).field("sort", &self.sort).finish_non_exhaustive()
    }
}

/// An answer that had begun is never whole without its end.
fn broke_off(error: reqwest::Error) -> Failure {
    let is_late = error.is_timeout();
    let known = Circumstances { host: "", proxy: None, bundle: None, is_connecting: false, is_late };
    Failure::BrokeOff { why: diagnosis(&error.without_url(), known) }
}

#[cfg(test)]
mod tests;
