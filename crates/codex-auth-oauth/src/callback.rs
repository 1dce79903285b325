//! The loopback listener the browser comes back to: one answer of one attempt, then it is gone.
//!
//! Whoever else calls gets a short answer and changes nothing: the number of callers, their time and their headers are
//! bounded, and with too many of them the oldest goes, so that the real one is always heard.

mod bind;
mod callers;
mod failure;
mod page;
mod reply;

use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, JoinSet},
    time::timeout,
};

use crate::{
    authorize::{AuthorizationCode, Call, read_call},
    error::LoginError,
    pkce::State,
};

pub(crate) use bind::CallbackListener;
pub(crate) use callers::Callers;
pub(crate) use page::Page;
pub(crate) use reply::Reply;

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
        let mut callers = Callers::default();
        loop {
            tokio::select! {
                biased;
                Some(End { result, show, caller }) = ended.recv() => {
                    return Return { result, browser: Waiting { show, caller, callers: callers.into_tasks() } };
                }
                (stream, _) = self.accept() => {
                    let (expected, ends) = (expected.clone(), ends.clone());
                    callers.admit(stream, move |request| answer(request, expected.clone(), ends.clone()));
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

async fn answer(request: Request<Incoming>, expected: State, ends: mpsc::Sender<End>) -> Response<Full<Bytes>> {
    let page = match read_call(&request, &expected) {
        Call::NotGet => Page::NOT_GET,
        Call::Elsewhere => Page::NOT_FOUND,
        Call::OtherState => Page::OTHER_SIGN_IN,
        Call::End(result) => end(result, &ends).await,
    };
    Reply::Page(page).response()
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
