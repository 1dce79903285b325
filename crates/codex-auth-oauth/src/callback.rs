//! The loopback listener the browser comes back to: one answer of one attempt, then it is gone.
//!
//! Whoever else calls gets a short answer and changes nothing: the number of callers, their time and their headers are
//! bounded, and with too many of them the oldest goes, so that the real one is always heard.

mod bind;
mod page;

use std::{collections::VecDeque, convert::Infallible, time::Duration};

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
    sync::{mpsc, oneshot},
    task::{self, AbortHandle, JoinSet},
    time::timeout,
};

use crate::{
    authorize::{AuthorizationCode, Call, read_call},
    error::LoginError,
    pkce::State,
};

pub(crate) use bind::CallbackListener;
pub(crate) use page::Page;

/// How long a caller may take to say what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest request head, in bytes.
const HEADER_LIMIT: usize = 16 * 1024;
/// Callers at one time; a browser opens a handful.
const CALLERS: usize = 32;
/// How long the last page may take to be delivered.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of an attempt.
#[derive(Debug)]
pub(crate) struct Return {
    /// The code, or why there is none.
    pub result: Result<AuthorizationCode, LoginError>,
    /// The browser, which waits until it is shown a page.
    pub browser: Waiting,
}

/// The caller that ended the attempt, among all that are still connected.
#[derive(Debug)]
pub(crate) struct Waiting {
    show: oneshot::Sender<Page>,
    caller: task::Id,
    callers: JoinSet<()>,
}

impl Waiting {
    /// Delivers the page and closes every connection. A browser that left is no error.
    pub(crate) async fn show(mut self, page: Page) {
        if self.show.send(page).is_err() {
            return;
        }
        let delivered = async {
            while let Some(ended) = self.callers.join_next_with_id().await {
                if ended.map_or_else(|error| error.id(), |(id, ())| id) == self.caller {
                    return;
                }
            }
        };
        let _ = timeout(PAGE_TIMEOUT, delivered).await;
    }
}

impl CallbackListener {
    /// Waits for the end of the attempt that `expected` belongs to. Nobody is listened to afterwards.
    pub(crate) async fn wait(self, expected: &State) -> Return {
        let (ends, mut ended) = mpsc::channel(1);
        let mut callers = JoinSet::new();
        let mut oldest_first = VecDeque::new();
        loop {
            tokio::select! {
                biased;
                Some(End { result, show, caller }) = ended.recv() => {
                    return Return { result, browser: Waiting { show, caller, callers } };
                }
                stream = self.accept() => {
                    make_room(&mut callers, &mut oldest_first);
                    oldest_first.push_back(callers.spawn(serve(stream, expected.clone(), ends.clone())));
                }
            }
        }
    }
}

struct End {
    result: Result<AuthorizationCode, LoginError>,
    show: oneshot::Sender<Page>,
    caller: task::Id,
}

fn make_room(callers: &mut JoinSet<()>, oldest_first: &mut VecDeque<AbortHandle>) {
    while callers.try_join_next().is_some() {}
    oldest_first.retain(|caller| !caller.is_finished());
    if oldest_first.len() >= CALLERS
        && let Some(oldest) = oldest_first.pop_front()
    {
        oldest.abort();
    }
}

async fn serve(stream: TcpStream, expected: State, ends: mpsc::Sender<End>) {
    let service = service_fn(|request| answer(request, &expected, &ends));
    // A caller that breaks off, dawdles or speaks no HTTP is nobody we wait for.
    let _ = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    expected: &State,
    ends: &mpsc::Sender<End>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let page = match read_call(&request, expected) {
        Call::NotGet => Page::NOT_GET,
        Call::Elsewhere => Page::NOT_FOUND,
        Call::OtherState => Page::OTHER_SIGN_IN,
        Call::End(result) => end(result, ends).await,
    };
    Ok(page.response())
}

/// Reports the end and waits for what to show. Only the first one is heard.
async fn end(result: Result<AuthorizationCode, LoginError>, ends: &mpsc::Sender<End>) -> Page {
    let (show, shown) = oneshot::channel();
    if ends.try_send(End { result, show, caller: task::id() }).is_err() {
        return Page::TOO_LATE;
    }
    shown.await.unwrap_or(Page::TOO_LATE)
}

#[cfg(test)]
mod tests;
