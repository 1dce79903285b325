//! The accept loop: is there room for another connection, and what happens to open ones at the end?

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{handler::handle, lanes::Lanes, listen::Listeners, proxy::Proxy};

/// How long a client may take to send a request head.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Small buffers bound the memory of an open stream; larger ones gained nothing when measured.
const BUFFER: usize = 16 * 1024;

/// How long open answers may take to end once we are asked to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// Serves until `stop` turns true. Open answers then get a short while to end.
pub async fn serve(proxy: Arc<Proxy>, listeners: Listeners, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let port = listeners.port();
    let room = Arc::new(Semaphore::new(proxy.config.most_connections));
    let lanes = Arc::new(Lanes::start(proxy.config.threads)?);
    let mut accepting = JoinSet::new();
    for socket in listeners.duplicate()?.into_sockets() {
        let socket = TcpListener::from_std(socket)?;
        let door = Door { proxy: proxy.clone(), socket, port, room: room.clone(), lanes: lanes.clone() };
        accepting.spawn(accept(door, stop.clone()));
    }
    stopped(&mut stop).await;
    let drained = tokio::time::timeout(DRAIN_WITHIN, async { while accepting.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::info!("open answers were cut off at the end");
    }
    Ok(())
}

/// One listening socket and what stands behind it.
struct Door {
    proxy: Arc<Proxy>,
    socket: TcpListener,
    port: u16,
    room: Arc<Semaphore>,
    lanes: Arc<Lanes>,
}

async fn accept(door: Door, stop: watch::Receiver<bool>) {
    let Door { proxy, socket, port, room, lanes } = door;
    let mut connections = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        let stream = tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, mostly: give open connections a moment to end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            () = stopped(&mut stopping) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        // Beyond the limit one connection per address waits here, and the others in the system's queue.
        let place = tokio::select! {
            Ok(place) = room.clone().acquire_owned() => place,
            () = stopped(&mut stopping) => break,
        };
        // A socket belongs to the event loop it was made in; it goes on without one and is taken in by its lane's.
        let Ok(stream) = stream.into_std() else { continue };
        let (proxy, stop) = (proxy.clone(), stop.clone());
        let lane = lanes.emptiest();
        let places = (place, lane.take_place());
        let served = async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => converse(proxy, stream, port, stop).await,
                Err(error) => tracing::warn!(%error, "a connection could not be taken in"),
            }
            drop(places);
        };
        connections.spawn_on(served, lane.runtime());
    }
    while connections.join_next().await.is_some() {}
}

async fn converse(proxy: Arc<Proxy>, stream: TcpStream, port: u16, mut stop: watch::Receiver<bool>) {
    // Lone events must not wait for an acknowledgement; failing to say so costs time, not correctness.
    let _unsupported = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        // In a box the whole way of a request is gone when its answer begins; as it is it would stay with the
        // connection, some kilobytes for every open stream.
        let answer = Box::pin(handle(proxy.clone(), port, request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = stopped(&mut stop), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Returns when asked to stop. The sender lives as long as the agent; its end means the same.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
