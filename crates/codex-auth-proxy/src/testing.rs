//! The request path without a socket, behind the feature `testing`: for simulations in which time is virtual.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};

use crate::{body::BodyStream, call::Call, forward::forward, leases::Caller, proxy::Proxy};

/// Asks a model as a program does that read our client token. Dropping the future, or the answer's body, is what a
/// client does that leaves.
pub async fn ask(proxy: &Arc<Proxy>, headers: HeaderMap, body: Bytes) -> Response<BodyStream> {
    let (method, path) = (Method::POST, "/codex/responses".to_owned());
    forward(proxy, &Call { method, path, query: None, headers, body, caller: Caller::Client }).await
}
