//! Calls that concern the account the client believes to be: they go out with that account's own credential,
//! never with another's.

use std::sync::Arc;

use bytes::Bytes;
use codex_auth_core::{AccessToken, Finish, Whose, WorkspaceId};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::{
    asking::Asking,
    body::BodyStream,
    call::Call,
    forward::is_usable,
    headers::{Wearing, inbound, outbound},
    leases::Caller,
    own::face_of,
    proxy::Proxy,
    relay::bounded,
    respond::{self, Answer},
    upstream::UpstreamError,
};

/// The credential of one account, for one call.
struct Worn {
    access: AccessToken,
    workspace: Option<WorkspaceId>,
    whose: Whose,
}

/// Relays a call as the face account; 404 when we hold no credential of it.
pub(crate) async fn relay_as_face(proxy: &Arc<Proxy>, call: &Call) -> Answer {
    let Some(worn) = face_credential(proxy, call) else { return respond::not_found() };
    match ask(proxy, call, worn).await {
        Ok((answer, asking)) if answer.status() == http::StatusCode::UNAUTHORIZED => {
            asking.failed(None);
            respond::not_found()
        }
        Ok((answer, asking)) => {
            let (head, body) = answer.into_parts();
            let mut passed = http::Response::new(asking.relayed(bounded(body, proxy.config.silence)));
            *passed.status_mut() = head.status;
            *passed.headers_mut() = inbound(&head.headers);
            passed
        }
        Err(_) => respond::unreachable_backend(),
    }
}

/// Quotas of the account that serves this client, wearing the face account's ids, so that its screens agree with
/// what it will be served.
pub(crate) async fn usage(proxy: &Arc<Proxy>, call: &Call) -> Answer {
    let Some(serving) = serving_credential(proxy, call) else { return relay_as_face(proxy, call).await };
    let Ok((answer, asking)) = ask(proxy, call, serving).await else { return respond::unreachable_backend() };
    if !answer.status().is_success() {
        asking.failed(None);
        return relay_as_face(proxy, call).await;
    }
    let Ok(body) = bounded(answer.into_body(), proxy.config.silence).collect().await else {
        asking.ended(Finish::BrokeOff);
        return respond::unreachable_backend();
    };
    let Ok(mut usage) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        asking.failed(Some("unreadable_answer"));
        return respond::not_found();
    };
    asking.ended(Finish::Whole);
    let face = face_of(&call.headers, &call.caller, &proxy.leases);
    let login = crate::inbound::bearer_of(&call.headers).and_then(|bearer| proxy.leases.login_of(bearer));
    if let (Some(face), Some(object)) = (face, usage.as_object_mut()) {
        let owner = login.map(|login| login.owner).unwrap_or_default();
        wear(object, "account_id", Some(face.as_str()));
        wear(object, "user_id", owner.user.as_ref().map(codex_auth_core::UserId::as_str));
        wear(object, "email", owner.email.as_deref());
    }
    respond::document(http::StatusCode::OK, &usage)
}

/// Replaces an id that is there; what cannot be replaced is left out rather than shown for another account.
fn wear(object: &mut serde_json::Map<String, Value>, key: &str, face: Option<&str>) {
    if object.contains_key(key) {
        match face {
            Some(text) => object.insert(key.to_owned(), text.into()),
            None => object.remove(key),
        };
    }
}

/// Sends the call under this credential; the question goes on as long as its answer does.
async fn ask(
    proxy: &Arc<Proxy>,
    call: &Call,
    worn: Worn,
) -> Result<(http::Response<BodyStream>, Asking), UpstreamError> {
    let unsendable = || UpstreamError::Unsent("the request cannot be expressed".into());
    let wearing = Wearing { access: &worn.access, workspace: worn.workspace.as_ref(), keeps_turn_state: false };
    let mut request = http::Request::<Bytes>::new(call.body.clone());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = proxy.config.backend_url(&call.path, call.query.as_deref()).ok_or_else(unsendable)?;
    *request.headers_mut() = outbound(&call.headers, wearing).ok_or_else(unsendable)?;
    let mut asking = Asking::begin(proxy, call.tab.clone(), worn.whose);
    let sent = tokio::time::timeout(proxy.config.headers_within, proxy.ports.upstream.send(request)).await;
    match sent.unwrap_or_else(|_| Err(UpstreamError::Broken("no answer in time".into()))) {
        Ok(answer) => {
            asking.answered(answer.status().as_u16());
            Ok((answer, asking))
        }
        Err(error) => {
            asking.failed(None);
            Err(error)
        }
    }
}

/// The face account's own credential: the pool's when it is in the pool, else the login the client itself showed.
fn face_credential(proxy: &Proxy, call: &Call) -> Option<Worn> {
    let Caller::Home(_) = &call.caller else { return None };
    let face = face_of(&call.headers, &call.caller, &proxy.leases)?;
    let login = proxy.leases.login_of(crate::inbound::bearer_of(&call.headers)?)?;
    let now = proxy.ports.clock.now();
    let pool = proxy.rotation.pool();
    let mut own = pool.accounts.iter().filter(|held| held.account.owner.agrees_with(&login.owner));
    let held = own.find(|held| held.account.owner.workspace.as_ref() == Some(&face) && is_usable(held, now));
    match held {
        Some(held) => {
            let (access, whose) = (held.credential.access.clone()?, Whose::of(&held.account));
            Some(Worn { access, workspace: Some(face), whose })
        }
        None if login.owner.workspace.as_ref() == Some(&face) => {
            let whose = Whose { record: None, owner: login.owner };
            Some(Worn { access: login.credential.access?, workspace: Some(face), whose })
        }
        None => None,
    }
}

/// The account that served this client last, or would serve it next.
fn serving_credential(proxy: &Proxy, call: &Call) -> Option<Worn> {
    let now = proxy.ports.clock.now();
    let pool = proxy.rotation.pool();
    let last = proxy.leases.last_served(&call.caller);
    let next = || proxy.rotation.decide(&codex_auth_core::Query::default(), now).choice.map(|(record, _)| record);
    let held = pool.find(&last.or_else(next)?)?;
    if !is_usable(held, now) {
        return None;
    }
    let (access, workspace) = (held.credential.access.clone()?, held.account.owner.workspace.clone());
    Some(Worn { access, workspace, whose: Whose::of(&held.account) })
}
