//! The other workspaces of whoever just signed in: looked up once, briefly, and only to be named.

use std::time::Duration;

use codex_auth_core::{Held, SavedPool, WorkspaceId};
use codex_auth_oauth::HttpClient;
use codex_auth_view::OtherWorkspace;
use http::{HeaderValue, Request, header};
use serde_json::Value;
use tokio::time::timeout;

use crate::assemble::Product;

/// Nobody waits longer than this for something they did not ask for.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than anybody has; a longer list is not shown.
const MOST: usize = 20;

/// The workspaces of this sign-in's person that the pool does not have. Nothing where nobody tells them in time.
pub(super) fn others(product: &Product, held: &Held, pool: &SavedPool) -> Vec<OtherWorkspace> {
    let Some(request) = product.backend().ok().and_then(|backend| question(&backend.to_string(), held)) else {
        return Vec::new();
    };
    let http = product.http();
    let asked = async { timeout(PATIENCE, http.send(request)).await };
    let Ok(Ok(Ok(answer))) = Product::runtime().map(|runtime| runtime.block_on(asked)) else { return Vec::new() };
    if !answer.status().is_success() {
        return Vec::new();
    }
    missing(listed(answer.body()), held, pool)
}

fn question(backend: &str, held: &Held) -> Option<Request<Vec<u8>>> {
    let access = held.credential.access.as_ref()?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access.expose())).ok()?;
    bearer.set_sensitive(true);
    Request::get(format!("{}/wham/accounts/check", backend.trim_end_matches('/')))
        .header(header::AUTHORIZATION, bearer)
        .header("chatgpt-account-id", held.account.owner.workspace.as_ref()?.as_str())
        .header(header::ACCEPT, "application/json")
        .body(Vec::new())
        .ok()
}

/// The workspaces of an answer, in its order: a list, or a map from id to `{account: …}` with an order beside it.
fn listed(body: &[u8]) -> Vec<OtherWorkspace> {
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let entry = |id: Option<&str>, entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let id = text("id").or_else(|| text("account_id")).or(id)?;
        let id = WorkspaceId::parse(id).filter(|id| !id.is_platform_organisation())?;
        // It will stand in a command that somebody copies.
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        if !id.as_str().chars().all(is_plain) {
            return None;
        }
        Some(OtherWorkspace::new(id.as_str(), text("name"), text("plan_type")))
    };
    match document.get("accounts") {
        Some(Value::Array(all)) => all.iter().filter_map(|one| entry(None, one)).collect(),
        Some(Value::Object(all)) => {
            let order = document.get("account_ordering").and_then(Value::as_array).into_iter().flatten();
            let ids: Vec<&str> = order.filter_map(Value::as_str).chain(all.keys().map(String::as_str)).collect();
            let mut seen = Vec::new();
            for id in ids {
                if let Some(one) = all.get(id).filter(|_| !seen.iter().any(|(known, _)| *known == id)) {
                    seen.push((id, entry(Some(id), one.get("account").unwrap_or(one))));
                }
            }
            seen.into_iter().filter_map(|(_, found)| found).collect()
        }
        _ => Vec::new(),
    }
}

/// Those of them that are no account of this person in the pool.
fn missing(listed: Vec<OtherWorkspace>, held: &Held, pool: &SavedPool) -> Vec<OtherWorkspace> {
    let is_known = |workspace: &OtherWorkspace| {
        pool.accounts.iter().chain([held]).any(|known| {
            let owner = &known.account.owner;
            let is_somebody_elses = owner.user.is_some() && owner.user != held.account.owner.user;
            !is_somebody_elses && owner.workspace.as_ref().is_some_and(|known| known.as_str() == workspace.id())
        })
    };
    let mut others: Vec<OtherWorkspace> = listed.into_iter().filter(|workspace| !is_known(workspace)).collect();
    others.truncate(MOST);
    others
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{Credential, Owner, RefreshToken, Timestamp, UserId};
    use codex_auth_store::import::from_sign_in;

    use super::*;

    #[track_caller]
    fn check(body: &str, expect: &[&str]) {
        let found = listed(body.as_bytes());
        assert_eq!(found.iter().map(OtherWorkspace::id).collect::<Vec<_>>(), expect, "{body}");
    }

    #[test]
    fn both_shapes_are_read_in_their_order() {
        check(r#"{"accounts":[{"id":"ws-b","name":"B"},{"id":"ws-a"}]}"#, &["ws-b", "ws-a"]);
        check(
            r#"{"accounts":{"ws-a":{"account":{"account_id":"ws-a","name":"A"}},"ws-b":{"account":{}},"ws-c":{}},
                "account_ordering":["ws-b","ws-a","ws-b"]}"#,
            &["ws-b", "ws-a", "ws-c"],
        );
        check(r#"{"accounts":[{"id":"ws-1; rm -rf ~"},{"id":"org-1"},{"name":"without an id"},7]}"#, &[]);
        check(r#"{"accounts":7}"#, &[]);
        check("<html>", &[]);
    }

    fn signed_in(user: Option<&str>, workspace: &str) -> Held {
        let credential = Credential {
            access: None,
            refresh: RefreshToken::new(format!("refresh of {workspace}")),
            id: None,
            expires_at: None,
            obtained_at: None,
            generation: 0,
        };
        let (user, workspace) = (user.and_then(UserId::parse), WorkspaceId::parse(workspace));
        from_sign_in(Owner { user, workspace, ..Owner::default() }, credential, None, Timestamp::default())
    }

    #[test]
    fn only_what_this_person_lacks_is_named() {
        let held = signed_in(Some("me"), "ws-own");
        let known = [(Some("me"), "ws-mine"), (Some("somebody"), "ws-elses"), (None, "ws-old")];
        let accounts = known.map(|(user, workspace)| signed_in(user, workspace)).into();
        let pool = SavedPool { accounts, ..SavedPool::default() };
        let listed = ["ws-own", "ws-mine", "ws-elses", "ws-old", "ws-new"];
        let listed = listed.map(|id| OtherWorkspace::new(id, None, None)).into();
        let named = missing(listed, &held, &pool);
        assert_eq!(named.iter().map(OtherWorkspace::id).collect::<Vec<_>>(), ["ws-elses", "ws-new"]);
    }
}
