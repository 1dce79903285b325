//! The proxy inside a program of one's own: two accounts in memory, the fake OpenAI as backend, one request.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::{error::Error, sync::Arc};

use codex_auth_core::{
    Clock, Entropy, LoginState, OfficialLogins, RotationSettings, SettingsSource, StoreError, Timestamp,
    testing::{ManualClock, MemoryBook, MemoryPolicies, MemoryStore, ScriptedIssuer, SeededEntropy, pool},
};
use codex_auth_net::Network;
use codex_auth_proxy::{Leases, Listeners, Ports, Proxy, ProxyConfig, ReqwestUpstream, mint, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};

/// No home is leased in this example.
#[derive(Debug)]
struct NoLogins;

impl OfficialLogins for NoLogins {
    fn login(&self, _codex_home: &str) -> Result<LoginState, StoreError> {
        Ok(LoginState::Absent)
    }
}

#[derive(Debug)]
struct Defaults;

impl SettingsSource for Defaults {
    fn stamp(&self) -> u64 {
        0
    }

    fn rotation(&self) -> Result<RotationSettings, StoreError> {
        Ok(RotationSettings::default())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    // No proxy and no authority of its own; a real program looks HTTPS_PROXY and the like up here.
    let network = Arc::new(Network::from_values(|_| None));
    let ports = Ports {
        store: Arc::new(MemoryStore::holding(pool(2))),
        issuer: Arc::new(ScriptedIssuer::default()),
        upstream: Arc::new(ReqwestUpstream::over(network)),
        settings: Arc::new(Defaults),
        policy: Arc::new(MemoryPolicies::default()),
        book: Arc::new(MemoryBook::default()),
        entropy: entropy.clone(),
        clock,
    };
    let token = mint(entropy.as_ref());
    let leases = Leases::new(Arc::new(NoLogins), token.clone());
    // Nothing listens there: the answer shows what the proxy says when no account reaches its backend.
    let config = ProxyConfig::against("http://127.0.0.1:9/backend-api".parse()?);
    let proxy = Proxy::ready(ports, config, leases).await?;
    let listeners = Listeners::bind(0)?;
    let port = listeners.port();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(proxy, listeners, stopped));

    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
        token.expose()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("{}", answer.lines().next().unwrap_or_default());
    println!("{}", answer.lines().last().unwrap_or_default());
    stop.send_replace(true);
    serving.await??;
    Ok(())
}
