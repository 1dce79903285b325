//! What a caller of the plugin's callback port is answered (plugin 5.5).

use std::net::{IpAddr, Ipv6Addr};

use http::{Method, Request, StatusCode, Uri};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    pending::{Desk, HandedOver},
    success::{SUCCESS_PATH, setup_address},
};
use crate::{
    authorize::{Brought, CALLBACK_PATH, CANCEL_PATH, is_from_a_page},
    callback::{Page, Reply},
    error::LoginError,
    events::{LoginEvent, LoginEvents},
};

const FORBIDDEN: Reply = Reply::Word(StatusCode::FORBIDDEN, "Forbidden");
const NOT_FOUND: Reply = Reply::Word(StatusCode::NOT_FOUND, "Not found");
const CANCELLED: Reply = Reply::Word(StatusCode::OK, "Login cancelled");
const INVALID_CANCEL: Reply = Reply::Word(StatusCode::BAD_REQUEST, "Invalid cancel state");

/// Whether an address is this machine's own, also where IPv6 carries IPv4.
pub fn is_loopback(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(peer) => peer.is_loopback(),
        IpAddr::V6(peer) => peer == Ipv6Addr::LOCALHOST || peer.to_ipv4_mapped().is_some_and(|peer| peer.is_loopback()),
    }
}

/// Answers a request. Only a callback with the right state ends the sign-in that is waited for, or a cancel with it.
pub(super) async fn answer<B>(desk: &Desk, events: &dyn LoginEvents, peer: IpAddr, request: Request<B>) -> Reply {
    if !is_loopback(peer) {
        events.happened(LoginEvent::CallbackRejectedNonLoopback, json!({ "peer": peer.to_string() }));
        return FORBIDDEN;
    }
    if request.method() != Method::GET {
        return Reply::NOT_GET;
    }
    match request.uri().path() {
        CALLBACK_PATH => callback(desk, events, request.uri()).await,
        SUCCESS_PATH => {
            events.happened(LoginEvent::CallbackSuccessPage, json!({}));
            Reply::Page(Page::of_success(setup_address(request.uri())))
        }
        CANCEL_PATH => cancel(desk, events, &request),
        _ => NOT_FOUND,
    }
}

async fn callback(desk: &Desk, events: &dyn LoginEvents, uri: &Uri) -> Reply {
    let brought = Brought::by(uri);
    let tail = brought.state_tail();
    events.happened(LoginEvent::CallbackHit, json!({ "path": CALLBACK_PATH, "stateTail": tail }));
    let refused = |why: &str| events.happened(LoginEvent::CallbackError, json!({ "stateTail": tail, "error": why }));
    let Some((state, hand_over)) = desk.take(|expected| brought.is_of(expected)) else {
        let again = if brought.is_error() { desk.remembered(|failed| brought.is_of(failed)) } else { None };
        refused(if again.is_some() { "the same failure once more" } else { "invalid state" });
        return Reply::Page(again.unwrap_or(Page::INVALID_STATE));
    };
    let (was_refused, result) = (brought.is_error(), brought.result());
    let (show, shown) = oneshot::channel();
    let page = result.as_ref().err().map(|error| {
        refused(&error.to_string());
        match error {
            LoginError::MissingCode => {
                Page::of_host(error, StatusCode::BAD_REQUEST, Some("Missing authorization code"))
            }
            _ => Page::of_host(error, StatusCode::OK, None),
        }
    });
    if let Some(page) = page.as_ref().filter(|_| was_refused) {
        desk.remember(state, page.clone());
    }
    let is_heard = hand_over.send(HandedOver { result, show }).is_ok();
    match page {
        Some(page) => Reply::Page(page),
        // The sign-in buys the tokens before the browser hears anything.
        None if is_heard => shown.await.unwrap_or(Reply::Page(Page::TOO_LATE)),
        None => Reply::Page(Page::TOO_LATE),
    }
}

fn cancel<B>(desk: &Desk, events: &dyn LoginEvents, request: &Request<B>) -> Reply {
    let brought = Brought::by(request.uri());
    let meta = json!({ "stateTail": brought.state_tail() });
    let taken = if is_from_a_page(request.headers()) { None } else { desk.take(|expected| brought.is_of(expected)) };
    let Some((_, hand_over)) = taken else {
        events.happened(LoginEvent::CallbackCancelRejected, meta);
        return INVALID_CANCEL;
    };
    events.happened(LoginEvent::CallbackCancel, meta);
    let (show, _) = oneshot::channel();
    // A sign-in that ended in this moment needs no cancel.
    let _ = hand_over.send(HandedOver { result: Err(LoginError::Cancelled), show });
    CANCELLED
}
