//! Getting the port the issuer sends the browser to, the way the official client does (protocol 2.3): ask whoever
//! holds it to give way once, try for two seconds, then take the next port.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::{authorize::CANCEL_PATH, error::LoginError};

const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// How long the holder may take to answer `/cancel`.
const CANCEL_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause after a failed accept, which means that the process is out of descriptors.
const AFTER_FAULT: Duration = Duration::from_millis(50);

/// A port of this machine on every loopback address it has.
#[derive(Debug)]
pub(crate) struct CallbackListener {
    v4: TcpListener,
    v6: Option<TcpListener>,
    port: u16,
}

impl CallbackListener {
    /// Takes the first of `ports` that can be had; 0 takes any free one. Only the first is asked for.
    pub(crate) async fn bind(ports: &[u16]) -> Result<Self, LoginError> {
        Self::bind_telling(ports, |_, _| {}).await
    }

    /// The same; `tell` hears of each port that could not be had.
    pub(crate) async fn bind_telling(ports: &[u16], mut tell: impl FnMut(u16, &io::Error)) -> Result<Self, LoginError> {
        let mut failed = LoginError::Listen { port: 0, why: "no port was given".to_owned() };
        for (index, &port) in ports.iter().enumerate() {
            let bound = if index == 0 { take_over(port).await } else { both(port).await };
            let error = match bound {
                Ok(listener) => return Ok(listener),
                Err(error) => error,
            };
            tell(port, &error);
            if error.kind() != ErrorKind::AddrInUse {
                return Err(LoginError::Listen { port, why: error.to_string() });
            }
            failed = LoginError::PortBusy { port };
        }
        Err(failed)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next caller, and where it calls from.
    pub(crate) async fn accept(&self) -> (TcpStream, IpAddr) {
        loop {
            let accepted = match &self.v6 {
                Some(v6) => tokio::select! {
                    accepted = self.v4.accept() => accepted,
                    accepted = v6.accept() => accepted,
                },
                None => self.v4.accept().await,
            };
            match accepted {
                Ok((stream, peer)) => return (stream, peer.ip()),
                Err(_) => sleep(AFTER_FAULT).await,
            }
        }
    }
}

async fn take_over(port: u16) -> io::Result<CallbackListener> {
    let mut last = both(port).await;
    for tried in 1..TRIES {
        if !last.as_ref().is_err_and(|error| error.kind() == ErrorKind::AddrInUse) {
            break;
        }
        if tried == 1 && port != 0 {
            // Whoever holds the port may be no sign-in at all; it owes us nothing.
            let _ = timeout(CANCEL_TIMEOUT, ask_to_cancel(port)).await;
        }
        sleep(BETWEEN_TRIES).await;
        last = both(port).await;
    }
    last
}

async fn ask_to_cancel(port: u16) -> io::Result<()> {
    let mut holder = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let request = format!("GET {CANCEL_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    holder.write_all(request.as_bytes()).await?;
    holder.read(&mut [0; 64]).await.map(drop)
}

/// Both loopback addresses, so that no other program is called in our place; IPv6 only where it exists.
async fn both(port: u16) -> io::Result<CallbackListener> {
    let v4 = listen(Ipv4Addr::LOCALHOST.into(), port).await?;
    let port = v4.local_addr()?.port();
    let v6 = match listen(Ipv6Addr::LOCALHOST.into(), port).await {
        Ok(v6) => Some(v6),
        Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
        Err(_) => None,
    };
    Ok(CallbackListener { v4, v6, port })
}

async fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(address, port)).await
}
