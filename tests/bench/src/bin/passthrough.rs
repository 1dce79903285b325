//! A bare pass-through as the libraries suggest it: hyper on both sides, body in, body out, the client's connection in
//! a task of its own. It checks nothing and rotates nothing; it is what "just a proxy" costs.
//! Takes the backend's port as its argument, prints its own and ends with its input.
#![allow(clippy::print_stdout, reason = "standard output is its answer")]

use std::error::Error;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

type Failure = Box<dyn Error + Send + Sync>;
type Kept = Mutex<Option<client::SendRequest<Incoming>>>;

fn main() -> Result<(), Failure> {
    let backend = std::env::args().nth(1).ok_or("the backend's port is missing")?.parse()?;
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(accept(backend))
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

async fn accept(backend: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let kept = Arc::new(Kept::default());
        let service = service_fn(move |request| pass(request, backend, kept.clone()));
        // A client that leaves ends its connection with an error, which concerns nobody else.
        tokio::spawn(async move { drop(server::Builder::new().serve_connection(TokioIo::new(stream), service).await) });
    }
}

/// One backend connection per client connection, which asks one thing at a time.
async fn pass(request: Request<Incoming>, backend: u16, kept: Arc<Kept>) -> Result<Response<Incoming>, Failure> {
    let mut kept = kept.lock().await;
    let mut sender = match kept.take() {
        Some(sender) if !sender.is_closed() => sender,
        Some(_) | None => connect(backend).await?,
    };
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    *kept = Some(sender);
    Ok(answer)
}

async fn connect(backend: u16) -> Result<client::SendRequest<Incoming>, Failure> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, backend)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
