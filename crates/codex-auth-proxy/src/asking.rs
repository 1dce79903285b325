//! One question to one account, as a value: it is written down beside its request exactly once, however it ends. A
//! question takes no tokens and says nothing about an account's standing, so it needs no lease.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use codex_auth_core::{Ending, Finish, Timestamp, UsageOutcome, Whose};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};

use crate::{
    accounting::{Tab, attempt_of},
    body::{BodyStream, StreamError},
    proxy::Proxy,
};

/// A question under way. Dropped before its end, it was left by the client.
#[derive(Debug)]
pub(crate) struct Asking {
    proxy: Arc<Proxy>,
    tab: Option<Tab>,
    whose: Whose,
    began: Timestamp,
    status: Option<u16>,
}

impl Asking {
    /// The question is about to be sent.
    pub(crate) fn begin(proxy: &Arc<Proxy>, tab: Option<Tab>, whose: Whose) -> Self {
        let began = proxy.ports.clock.now();
        Self { proxy: proxy.clone(), tab, whose, began, status: None }
    }

    /// The head of its answer is here.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Its answer has ended like this.
    pub(crate) fn ended(mut self, finish: Finish) {
        let ending = self.ending(finish);
        self.note(ending.outcome(), ending.code());
    }

    /// It came to nothing.
    pub(crate) fn failed(mut self, code: Option<&str>) {
        self.note(UsageOutcome::Failure, code);
    }

    /// Its answer is passed on, and ends the request with it.
    pub(crate) fn relayed(self, body: BodyStream) -> BodyStream {
        if let (Some(tab), Some(status)) = (&self.tab, self.status) {
            tab.relaying(status);
        }
        let mut passed = Passed { body, asking: Some(self) };
        passed.look();
        passed.boxed_unsync()
    }

    fn ending(&self, finish: Finish) -> Ending {
        Ending { status: self.status.unwrap_or(200), is_events: false, terminal: None, finish }
    }

    fn note(&mut self, outcome: UsageOutcome, code: Option<&str>) {
        let Some(tab) = self.tab.take() else { return };
        let now = self.proxy.ports.clock.now();
        tab.attempted(attempt_of(self.whose.clone(), (self.began, now), (outcome, self.status, code)));
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.note(UsageOutcome::Cancelled, None);
    }
}

/// An answer on its way to the client, with the question it answers.
#[derive(Debug)]
struct Passed {
    body: BodyStream,
    asking: Option<Asking>,
}

impl Passed {
    fn end(&mut self, finish: Finish) {
        let Some(asking) = self.asking.take() else { return };
        let (tab, ending) = (asking.tab.clone(), asking.ending(finish));
        asking.ended(finish);
        if let Some(tab) = tab {
            tab.ended(ending, None);
        }
    }

    /// A body of known length is not asked again after its last frame.
    fn look(&mut self) {
        if self.body.is_end_stream() {
            self.end(Finish::Whole);
        }
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        let polled = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &polled {
            Some(Ok(_frame)) => this.look(),
            Some(Err(_broken)) => this.end(Finish::BrokeOff),
            None => this.end(Finish::Whole),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
