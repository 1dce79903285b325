//! Owns whoever calls the callback port: their number, their time and their heads are bounded, and with too many of them
//! the oldest goes, so that the browser is always heard.

use std::{collections::VecDeque, convert::Infallible, future::Future, time::Duration};

use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    task::{AbortHandle, JoinSet},
};

/// How long a caller may take to say what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest request head, in bytes.
pub(super) const HEADER_LIMIT: usize = 16 * 1024;
/// Callers at one time; a browser opens a handful.
pub(super) const CALLERS: usize = 32;

/// Everybody who is connected. Dropping it sends them away.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Callers {
    /// Lets a caller in; what it asks is answered by `answer`.
    pub(crate) fn admit<F, A>(&mut self, stream: TcpStream, answer: F)
    where
        F: Fn(Request<Incoming>) -> A + Send + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        self.make_room();
        self.oldest_first.push_back(self.tasks.spawn(serve(stream, answer)));
    }

    /// The tasks of all callers.
    pub(crate) fn into_tasks(self) -> JoinSet<()> {
        self.tasks
    }

    fn make_room(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.oldest_first.retain(|caller| !caller.is_finished());
        if self.oldest_first.len() >= CALLERS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
    }
}

async fn serve<F, A>(stream: TcpStream, answer: F)
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    // A caller that breaks off, dawdles or speaks no HTTP is nobody we wait for.
    let _ = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
