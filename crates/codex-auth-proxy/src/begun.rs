//! An answer whose beginning is looked at before any of it is sent on, so that a stream that fails with its first event
//! can still be asked of another account.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use codex_auth_core::{Ending, Finish, Terminal};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};

use crate::{
    accounting::Copied,
    body::{BodyStream, StreamError},
    observe::{EventKind, Observed, Observer},
};

/// What is held back at most while the first event is awaited, in bytes and in time. A stream says with its first event
/// whether it failed, and the head goes out with the first bytes anyway, so a healthy one is not held for a moment; one
/// that says nothing so soon is passed on.
const HELD: usize = 16 * 1024;
const HELD_FOR: Duration = Duration::from_millis(300);

type Piece = Result<Frame<Bytes>, StreamError>;

/// An upstream body, with what was received of it already.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What was received and not handed on; the observer has seen it.
    held: VecDeque<Piece>,
    upstream: BodyStream,
    /// The upstream said that it has ended or broken, and is not asked again.
    is_ended: bool,
    observer: Observer,
    copied: Copied,
}

impl Begun {
    /// Waits for the first event of a stream; of anything else for nothing.
    pub(crate) async fn awaited(upstream: BodyStream, headers: &HeaderMap) -> Self {
        let mut begun = Self { observer: Observer::of(headers), copied: Copied::of(headers), ..Self::unseen(upstream) };
        if begun.observer.is_looking() {
            // What was received stays in `held`, whenever the wait is over.
            let _in_time = tokio::time::timeout(HELD_FOR, begun.first_event()).await;
        }
        begun
    }

    /// An answer that nobody looks at.
    pub(crate) fn unseen(upstream: BodyStream) -> Self {
        Self {
            held: VecDeque::new(),
            upstream,
            is_ended: false,
            observer: Observer::blind(),
            copied: Copied::default(),
        }
    }

    async fn first_event(&mut self) {
        let mut size = 0;
        while self.observer.seen().first.is_none() && size < HELD && !self.is_ended {
            let Some(piece) = self.upstream.frame().await else {
                self.is_ended = true;
                return;
            };
            self.is_ended = piece.is_err() || self.upstream.is_end_stream();
            if let Some(bytes) = piece.as_ref().ok().and_then(Frame::data_ref) {
                size += bytes.len();
                self.observer.see(bytes);
                self.copied.see(bytes);
            }
            self.held.push_back(piece);
        }
    }

    /// What comes next, looked at.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        if let Some(piece) = self.held.pop_front() {
            return Poll::Ready(Some(piece));
        }
        if self.is_ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.upstream).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.observer.see(bytes);
            self.copied.see(bytes);
        }
        polled
    }

    /// Whether nothing follows, and nobody need ask.
    pub(crate) fn is_over(&self) -> bool {
        self.held.is_empty() && (self.is_ended || self.upstream.is_end_stream())
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> &Observed {
        self.observer.seen()
    }

    /// What was seen in all, since nothing follows.
    pub(crate) fn end(&mut self) -> &Observed {
        self.observer.end();
        self.observer.seen()
    }

    /// How the answer with this status ended, and its last words: its terminal event, or what was copied of a document.
    pub(crate) fn ending(&mut self, status: u16, finish: Finish) -> (Ending, Option<Vec<u8>>) {
        let is_events = self.observer.is_stream();
        let event = self.observer.take_terminal();
        let terminal = event.as_ref().and_then(|event| match event.kind {
            EventKind::Completed => Some(Terminal::Completed),
            EventKind::Incomplete => Some(Terminal::Incomplete),
            EventKind::Failed => Some(Terminal::Failed),
            EventKind::Error | EventKind::Limits | EventKind::Other => None,
        });
        let last_words = event.map(|event| event.data).or_else(|| self.copied.take());
        (Ending { status, is_events, terminal, finish }, last_words)
    }

    /// The length of what follows, as far as it is known.
    pub(crate) fn size_hint(&self) -> SizeHint {
        let data = self.held.iter().flatten().filter_map(Frame::data_ref);
        let held: u64 = data.map(|bytes| bytes.len() as u64).sum();
        let rest = self.upstream.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}
