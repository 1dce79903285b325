//! One request: may it come in, what does it ask, who answers?

use std::sync::Arc;

use codex_auth_core::UsageOperation;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;

use crate::{
    accounting::{Accounted, Asked, Tab},
    call::Call,
    face, forward, guard,
    inbound::{BodyRefused, Route, bearer_of, model_of, read_body, route, session_of},
    leases::Caller,
    models, own,
    permits::{Permits, door},
    proxy::Proxy,
    respond::{self, Answer},
    token_door,
};

/// Bodies that carry their own credential are read before it is known, so they must be small.
const LARGEST_UNKNOWN: usize = 64 * 1024;

/// Answers a request that arrived on `port`.
pub(crate) async fn handle(proxy: Arc<Proxy>, port: u16, request: Request<Incoming>) -> Answer {
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut answer = admit(proxy, port, request).await;
    if is_chunked {
        // A length that stood beside the coding is gone by now. Such a request may hide another one behind its body,
        // so nothing more is read from its connection (RFC 9112, 6.3).
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn admit(proxy: Arc<Proxy>, port: u16, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    if guard::is_addressed_to_us(&head.uri, &head.headers, port).is_err() {
        return respond::unauthorized();
    }
    let asked = route(&head.method, head.uri.path(), &head.headers);
    if matches!(asked, Route::Token | Route::Mcp) {
        return match read_body(body, &head.headers, LARGEST_UNKNOWN).await {
            Ok(body) if asked == Route::Token => token_door::renew_login(&proxy, &body).await,
            Ok(body) => own::mcp(&body),
            Err(BodyRefused::TooLarge) => respond::too_large(LARGEST_UNKNOWN),
            Err(BodyRefused::Broken) => respond::unauthorized(),
        };
    }
    let Ok(caller) = guard::caller(&head.headers, &proxy.leases, proxy.ports.clock.now()).await else {
        return denied(&head.headers);
    };
    if !serves(&caller, &asked) {
        return respond::unauthorized();
    }
    let operation = asked.operation();
    let path = match asked {
        Route::AccountsCheck => return own::accounts_check(&head.headers, &caller, &proxy.leases),
        Route::WebSocket => return respond::upgrade_required(),
        Route::Revoke => return own::revoke(),
        Route::Health => return own::health(),
        Route::Unknown | Route::Token | Route::Mcp => return respond::not_found(),
        Route::Model(path) | Route::Face(path) => path,
        Route::Models => "/codex/models".to_owned(),
        Route::Usage => "/wham/usage".to_owned(),
    };
    let tab = open(&proxy, &head.headers, operation, &caller);
    let answer = serve(&proxy, (head, body), (path, operation), (caller, tab.clone())).await;
    close(&tab, &answer);
    answer
}

/// The client has this answer, as far as its head goes.
pub(crate) fn close(tab: &Tab, answer: &Answer) {
    tab.answered(answer.status().as_u16(), answer.extensions().get::<Accounted>());
}

/// Opens the account of a request.
pub(crate) fn open(proxy: &Arc<Proxy>, headers: &http::HeaderMap, operation: UsageOperation, caller: &Caller) -> Tab {
    let asked =
        Asked { operation, model: model_of(headers), session: session_of(headers), cwd: proxy.leases.cwd_of(caller) };
    Tab::open(proxy, asked)
}

async fn serve(
    proxy: &Arc<Proxy>,
    (head, body): (http::request::Parts, Incoming),
    (path, operation): (String, UsageOperation),
    (caller, tab): (Caller, Tab),
) -> Answer {
    let body = match read_body(body, &head.headers, proxy.config.largest_body).await {
        Ok(body) => body,
        Err(BodyRefused::TooLarge) => return respond::too_large(proxy.config.largest_body),
        Err(BodyRefused::Broken) => {
            return respond::error(StatusCode::BAD_REQUEST, "request_incomplete", "The request body broke off.");
        }
    };
    let query = head.uri.query().map(str::to_owned);
    let call = Call { method: head.method, path, query, headers: head.headers, body, caller, tab: Some(tab) };
    match (operation.asks_a_model(), call.path.as_str()) {
        (true, _) => match &call.caller {
            Caller::Permit(holder) => door::serve(proxy, &call, holder).await,
            Caller::Client | Caller::Lease(_) | Caller::Home(_) => forward::forward(proxy, &call).await,
        },
        (false, "/codex/models") => models::models(proxy, &call).await,
        (false, "/wham/usage") => face::usage(proxy, &call).await,
        (false, _) => face::relay_as_face(proxy, &call).await,
    }
}

/// Whoever shows a capability that is none any more learns what it was, and nothing of whether it ever was one.
fn denied(headers: &http::HeaderMap) -> Answer {
    if bearer_of(headers).is_some_and(Permits::is_one) { respond::permit_ended() } else { respond::unauthorized() }
}

/// A lease's token opens model routes only; it sits in a child's environment. A capability opens no more.
fn serves(caller: &Caller, asked: &Route) -> bool {
    match caller {
        Caller::Client | Caller::Home(_) => true,
        Caller::Lease(_) | Caller::Permit(_) => {
            matches!(asked, Route::Model(_) | Route::Models | Route::WebSocket | Route::Health)
        }
    }
}
