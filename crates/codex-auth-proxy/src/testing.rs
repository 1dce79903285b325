//! The request path without a socket, behind the feature `testing`: for simulations in which time is virtual; and
//! the reading of a stream, to count what it costs.

use std::sync::Arc;

use bytes::Bytes;
use codex_auth_core::{StateDir, UsageOperation};
use http::{HeaderMap, HeaderValue, Method, Response, header};

use crate::{
    body::BodyStream, call::Call, forward::forward, handler, leases::Caller, observe::Observer, proxy::Proxy, sessions,
};

/// Asks a model as a program does that read our client token, and writes it down. Dropping the future, or the answer's
/// body, is what a client does that leaves.
pub async fn ask(proxy: &Arc<Proxy>, headers: HeaderMap, body: Bytes) -> Response<BodyStream> {
    let (method, path, caller) = (Method::POST, "/codex/responses".to_owned(), Caller::Client);
    let tab = handler::open(proxy, &headers, UsageOperation::Responses, &caller);
    let call = Call { method, path, query: None, headers, body, caller, tab: Some(tab.clone()) };
    let answer = forward(proxy, &call).await;
    handler::close(&tab, &answer);
    answer
}

/// Takes in the sessions that an earlier agent wrote down in this directory, and writes them down from now on. Must be
/// called within a tokio runtime.
pub fn remember_sessions(proxy: &Arc<Proxy>, directory: Arc<dyn StateDir>) {
    drop(sessions::remember(proxy.rotation.clone(), directory, proxy.ports.clock.clone()));
}

/// Reads a stream of events that comes in pieces of this size, as the relay does; whether its end was seen.
pub fn has_end(stream: &[u8], pieces: usize) -> bool {
    let head = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))]);
    let mut observer = Observer::of(&head);
    stream.chunks(pieces.max(1)).for_each(|piece| observer.see(piece));
    observer.end();
    observer.seen().is_over()
}
