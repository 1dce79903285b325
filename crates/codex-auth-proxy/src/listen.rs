//! The listening sockets: both loopback addresses, one port.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

/// How often another port is tried when the one the system chose for IPv4 is taken on IPv6.
const TRIES: usize = 16;

/// Listening sockets on `127.0.0.1` and, where the machine has it, `[::1]`, with the same port.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
    port: u16,
}

impl Listeners {
    /// Binds `port` on both addresses; 0 lets the system choose. Loopback is all this can bind.
    pub fn bind(port: u16) -> io::Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            let chosen = v4.local_addr()?.port();
            match TcpListener::bind((Ipv6Addr::LOCALHOST, chosen)) {
                Ok(v6) => return Self::of(vec![v4, v6]),
                Err(error) if !has_ipv6(&error) => return Self::of(vec![v4]),
                Err(error) if port != 0 => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse)))
    }

    /// Takes over sockets that somebody else bound.
    pub fn of(sockets: Vec<TcpListener>) -> io::Result<Self> {
        let first = sockets.first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let port = first.local_addr()?.port();
        for socket in &sockets {
            if !socket.local_addr()?.ip().is_loopback() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a loopback socket"));
            }
            socket.set_nonblocking(true)?;
        }
        Ok(Self { sockets, port })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sockets, for handing duplicates of them on.
    pub fn sockets(&self) -> &[TcpListener] {
        &self.sockets
    }

    /// The sockets themselves.
    pub(crate) fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }

    /// Duplicates that listen on the same queue.
    pub fn duplicate(&self) -> io::Result<Self> {
        let sockets = self.sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { sockets, port: self.port })
    }

    /// The address programs are told.
    pub fn url(&self) -> String {
        format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }
}

fn has_ipv6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}
