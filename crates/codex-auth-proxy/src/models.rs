//! The model catalogue: the union over the accounts that can serve, so that no account's plan hides a model.

use std::sync::Arc;

use bytes::Bytes;
use codex_auth_core::{Finish, Held, Query, UsageOutcome, Whose};
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::{
    accounting::Accounted,
    asking::Asking,
    call::Call,
    forward::is_usable,
    headers::{Wearing, outbound},
    leases::Caller,
    proxy::Proxy,
    respond::{Answer, document, rules_unavailable},
};

/// The client waits five seconds for its catalogue; we answer sooner with what has come.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(4);

/// Catalogues are some hundred kilobytes; a larger answer is not one.
const LARGEST: usize = 8 * 1024 * 1024;

/// At most this many accounts are asked; plans repeat.
const ASKED: usize = 8;

/// Answers `GET …/models`.
pub(crate) async fn models(proxy: &Arc<Proxy>, call: &Call) -> Answer {
    let now = proxy.ports.clock.now();
    let origin = proxy.leases.origin(&call.caller, &call.headers);
    let ruling = match proxy.rules.for_free(&origin) {
        Ok(ruling) => ruling,
        Err(unjudged) => return rules_unavailable(&unjudged.to_string()),
    };
    let query = Query { only: call.only().cloned(), ruling, ..Query::default() };
    let decision = proxy.rotation.decide(&query, now);
    let pool = proxy.rotation.pool();
    let able = pool
        .accounts
        .iter()
        .zip(&decision.standings)
        .filter(|(held, standing)| standing.is_ready() && is_usable(held, now));
    let mut asked = JoinSet::new();
    for (place, (held, _)) in able.take(ASKED).enumerate() {
        let list = of_account(proxy.clone(), call.clone_head(), held.clone());
        asked.spawn(async move { (place, list.await) });
    }
    // A client that leaves takes the set along, and nobody is asked any more.
    let mut lists = Vec::new();
    while let Some(list) = asked.join_next().await {
        lists.extend(list);
    }
    lists.sort_by_key(|(place, _)| *place);
    let is_told = lists.iter().any(|(_, list)| list.is_some());
    let mut union = Vec::new();
    lists.into_iter().filter_map(|(_, list)| list).flatten().for_each(|model| add(&mut union, model));
    if let Caller::Permit(holder) = &call.caller
        && !holder.models.is_empty()
    {
        union.retain(|model| name_of(model).is_some_and(|name| holder.models.iter().any(|known| known == name)));
    }
    let body = json!({ "models": union });
    let etag = format!("\"{}\"", short_hash(body.to_string().as_bytes()));
    let mut answer = document(StatusCode::OK, &body);
    if let Ok(etag) = HeaderValue::try_from(etag) {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    if !is_told {
        // An empty list is what the client can live with; it is no success.
        let code = Some("no_list".to_owned());
        answer.extensions_mut().insert(Accounted { outcome: UsageOutcome::Failure, code });
    }
    answer
}

async fn of_account(proxy: Arc<Proxy>, call: Call, held: Held) -> Option<Vec<Value>> {
    let access = held.credential.access.as_ref()?;
    let wearing = Wearing { access, workspace: held.account.owner.workspace.as_ref(), keeps_turn_state: false };
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = proxy.config.backend_url("/codex/models", call.query.as_deref())?;
    *request.headers_mut() = outbound(&call.headers, wearing)?;
    request.headers_mut().remove(header::IF_NONE_MATCH);
    let mut asking = Asking::begin(&proxy, call.tab.clone(), Whose::of(&held.account));
    let fetched = tokio::time::timeout(WITHIN, fetch(&proxy, request, &mut asking)).await;
    match fetched.unwrap_or(Err(Some("no_answer_in_time"))) {
        Ok(models) => {
            asking.ended(Finish::Whole);
            Some(models)
        }
        Err(code) => {
            asking.failed(code);
            None
        }
    }
}

/// One account's list, or a word for why there is none where its status does not tell.
async fn fetch(
    proxy: &Proxy,
    request: http::Request<Bytes>,
    asking: &mut Asking,
) -> Result<Vec<Value>, Option<&'static str>> {
    let answer = proxy.ports.upstream.send(request).await.map_err(|_unreached| None)?;
    asking.answered(answer.status().as_u16());
    if !answer.status().is_success() {
        return Err(None);
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|_broken| Some("stream_broke_off"))?;
    let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    body.get("models").and_then(Value::as_array).cloned().ok_or(Some("unreadable_answer"))
}

/// What a model is called.
fn name_of(model: &Value) -> Option<&str> {
    model.get("slug").or_else(|| model.get("id"))?.as_str()
}

/// Adds a model unless one of its name is there already; the first account's entry stands.
fn add(union: &mut Vec<Value>, model: Value) {
    let name = |entry: &Value| entry.get("slug").or_else(|| entry.get("id")).cloned();
    if name(&model).is_none() || !union.iter().any(|known| name(known) == name(&model)) {
        union.push(model);
    }
}

fn short_hash(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_one_name_are_one() {
        let mut union = Vec::new();
        for slug in ["a", "b", "a"] {
            add(&mut union, json!({ "slug": slug }));
        }
        assert_eq!(union.len(), 2);
    }
}
