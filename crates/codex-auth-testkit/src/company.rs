//! Owns a company's network of our own: a forward proxy that asks for a password or opens encrypted connections, and
//! a fake's address by https behind it. Names are looked up in a table, so nothing leaves the machine.

mod authority;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

pub use self::authority::{Authority, pem};
pub use self::tls::TlsFront;

use crate::fake::StartError;
use crate::server::{Listeners, Serving};

/// Longest request head that is read.
const HEAD_LIMIT: usize = 64 << 10;

/// What a proxy is like. The default lets everybody through to nobody.
#[derive(Clone, Debug, Default)]
pub struct CompanySetup {
    /// Where `host:port` really is: a port on this machine.
    pub names: Vec<(String, u16)>,
    /// User and password it asks for.
    pub sign_in: Option<(String, String)>,
    /// Opens encrypted connections: shows certificates of the first authority, believes the second.
    pub opens: Option<(Authority, Authority)>,
    /// Answers everybody with this status.
    pub refuses: Option<u16>,
}

/// One request to be let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// `host:port` as it was asked for.
    pub target: String,
    /// What it was answered.
    pub status: u16,
    /// Whether it came with any credentials.
    pub had_credentials: bool,
}

/// A running forward proxy. Dropping it stops it.
#[derive(Debug)]
pub struct CompanyProxy {
    port: u16,
    passages: Arc<Mutex<Vec<Passage>>>,
    serving: Option<Serving>,
}

impl CompanyProxy {
    /// Listens on a loopback port.
    pub fn start(setup: CompanySetup) -> Result<Self, StartError> {
        let listeners = Listeners::bind(0).map_err(|source| StartError::Listen { port: 0, source })?;
        let port = listeners.port;
        let passages = Arc::new(Mutex::new(Vec::new()));
        let (setup, book) = (Arc::new(setup), Arc::clone(&passages));
        let serve = move |stream| {
            let (setup, book) = (Arc::clone(&setup), Arc::clone(&book));
            // A caller that breaks off is its own affair.
            async move { drop(passage(stream, &setup, &book).await) }
        };
        let serving = Serving::start("company-proxy", listeners, serve).map_err(StartError::Thread)?;
        Ok(Self { port, passages, serving: Some(serving) })
    }

    /// `127.0.0.1:P`, for `HTTPS_PROXY`.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Everything asked of it, in order.
    pub fn passages(&self) -> Vec<Passage> {
        self.passages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for CompanyProxy {
    fn drop(&mut self) {
        drop(self.serving.take());
    }
}

async fn passage(mut stream: TcpStream, setup: &CompanySetup, book: &Mutex<Vec<Passage>>) -> std::io::Result<()> {
    let head = read_head(&mut stream).await?;
    let mut words = head.split(' ');
    let is_tunnel = words.next() == Some("CONNECT");
    let target = words.next().unwrap_or_default().to_owned();
    let credentials = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
    });
    let place = setup.names.iter().find(|(name, _)| *name == target).map(|(_, port)| *port);
    let (status, to) = match (setup.refuses, place) {
        (Some(status), _) => (status, None),
        (None, _) if !setup.admits(credentials.as_deref()) => (407, None),
        (None, Some(port)) if is_tunnel => (200, Some(port)),
        (None, Some(_)) => (405, None),
        (None, None) => (502, None),
    };
    let passage = Passage { target: target.clone(), status, had_credentials: credentials.is_some() };
    book.lock().unwrap_or_else(PoisonError::into_inner).push(passage);
    let Some(port) = to else {
        let asks = if status == 407 { "proxy-authenticate: Basic realm=\"company\"\r\n" } else { "" };
        let refusal = format!("HTTP/1.1 {status} No\r\n{asks}content-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(refusal.as_bytes()).await?;
        return stream.shutdown().await;
    };
    let mut behind = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    stream.write_all(b"HTTP/1.1 200 Go on\r\n\r\n").await?;
    match &setup.opens {
        Some((company, believed)) => {
            let host = target.rsplit_once(':').map_or(target.as_str(), |(host, _)| host);
            let mut open = company.acceptor(host).accept(stream).await?;
            let mut behind = believed.connector().connect(tls::name(host)?, behind).await?;
            copy_bidirectional(&mut open, &mut behind).await.map(drop)
        }
        None => copy_bidirectional(&mut stream, &mut behind).await.map(drop),
    }
}

impl CompanySetup {
    fn admits(&self, credentials: Option<&str>) -> bool {
        self.sign_in.as_ref().is_none_or(|(user, password)| {
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            credentials == Some(&format!("Basic {basic}"))
        })
    }
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    // Byte by byte, so that nothing of what comes behind the head is taken away.
    while head.len() < HEAD_LIMIT && !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
