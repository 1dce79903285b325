//! Owns the encrypted door of a fake: whoever comes in by TLS is led to its plain port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustls::pki_types::ServerName;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::Authority;
use crate::fake::StartError;
use crate::server::{Listeners, Serving};

/// A running door. Dropping it closes it.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    serving: Option<Serving>,
}

impl TlsFront {
    /// Shows a certificate for `host` signed by `authority`, and leads to `port` on this machine.
    pub fn start(authority: &Authority, host: &str, port: u16) -> Result<Self, StartError> {
        let listeners = Listeners::bind(0).map_err(|source| StartError::Listen { port: 0, source })?;
        let front = listeners.port;
        let acceptor = authority.acceptor(host);
        let serve = move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut open) = acceptor.accept(stream).await else { return };
                if let Ok(mut behind) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
                    // Either side may break off.
                    drop(copy_bidirectional(&mut open, &mut behind).await);
                }
            }
        };
        let serving = Serving::start("tls-front", listeners, serve).map_err(StartError::Thread)?;
        Ok(Self { port: front, serving: Some(serving) })
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        drop(self.serving.take());
    }
}

pub(super) fn name(host: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}
