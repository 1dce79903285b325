//! What a running agent says of itself, as values. Nobody is asked, and no runtime started, where no agent is.

use codex_auth_core::{Decision, SavedPool};
use codex_auth_proxy::{AgentClient, ControlError};
use codex_auth_view::{AgentView, DecidedBy, SessionRow};
use http::Method;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{assemble::Product, error::CliError};

/// Asks the agent for a document; `None` when no agent is running.
pub(crate) fn ask(product: &Product, method: Method, path: &str) -> Result<Option<Value>, CliError> {
    asked(product, method, path, &Value::Null)
}

fn asked(product: &Product, method: Method, path: &str, body: &Value) -> Result<Option<Value>, CliError> {
    let socket = product.socket();
    if !socket.exists() {
        return Ok(None);
    }
    let answer = Product::runtime()?.block_on(AgentClient::at(socket).ask(method, path, body));
    match answer {
        Ok(document) => Ok(Some(document)),
        // A socket that an agent left behind leads nowhere.
        Err(ControlError::NotRunning | ControlError::Broke(_)) => Ok(None),
        Err(
            error @ (ControlError::NotOurs
            | ControlError::NotUp
            | ControlError::NotStarted(_)
            | ControlError::Refused { .. }),
        ) => {
            Err(CliError::new(codex_auth_core::Kind::Internal, "agent", crate::error::capitalised(&error.to_string())))
        }
    }
}

/// The agent and its sessions, as `/v1/status` tells.
pub(crate) fn status_of(document: &Value) -> (AgentView, Vec<SessionRow>) {
    let number = |value: &Value| value.as_u64();
    let agent = AgentView {
        pid: number(&document["pid"]).unwrap_or(0),
        port: number(&document["port"]),
        version: document["version"].as_str().unwrap_or("unknown").to_owned(),
    };
    let session = |session: &Value| SessionRow {
        pid: number(&session["pid"]).unwrap_or(0),
        cwd: session["cwd"].as_str().unwrap_or_default().to_owned(),
        account: number(&session["account"]),
        since: session["since"].as_i64().unwrap_or(0),
        requests: number(&session["requests"]).unwrap_or(0),
    };
    (agent, document["sessions"].as_array().into_iter().flatten().map(session).collect())
}

/// Where every account of a pool stands, for every screen: the agent says it where one runs, because it knows what is
/// in flight and what rests for moments only; else the same evaluator works on the files.
pub(crate) fn decided(product: &Product, pool: &SavedPool) -> Result<(DecidedBy, Decision), CliError> {
    // A project may bind its requests to accounts: what is shown is what a request from here would meet.
    let here = json!({ "cwd": Product::working_directory() });
    let told = asked(product, Method::POST, "/v1/decide", &here)?.and_then(|document| decision_of(&document, pool));
    Ok(told.map_or_else(|| (DecidedBy::Files, product.decide(pool)), |decision| (DecidedBy::Agent, decision)))
}

/// The agent's decision about a pool, as `/v1/decide` tells. `None` when the agent knows another pool than we read: it
/// is a moment behind a change. Or it is of another version, and knows words that we do not.
fn decision_of(document: &Value, pool: &SavedPool) -> Option<Decision> {
    let decision = Decision::deserialize(&document["decision"]).ok()?;
    let told = decision.standings.iter().map(|standing| &standing.record);
    told.eq(pool.accounts.iter().map(|held| &held.account.record)).then_some(decision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex_auth_core::{Reason, RecordId, Timestamp};

    fn pool() -> SavedPool {
        let path = camino::Utf8Path::new("pool");
        let document = json!({ "version": 3, "activeIndex": 0, "accounts": [
            { "accountId": "ws-1", "refreshToken": "R1", "recordId": "record:1", "addedAt": 1, "lastUsed": 1 },
            { "accountId": "ws-2", "refreshToken": "R2", "recordId": "record:2", "addedAt": 2, "lastUsed": 2 },
        ]});
        codex_auth_store::import::from_document(path, document.to_string().as_bytes(), Timestamp::default())
            .expect("a pool")
    }

    #[test]
    fn what_the_agent_tells_is_a_decision() {
        let told = json!({ "decision": { "choice": ["record:2", "firstInOrder"], "standings": [
            { "record": "record:1", "blockers": [
                { "resting": { "until": 9000, "reason": "usageLimit", "scope": { "quotaKey": "codex" } } },
            ]},
            { "record": "record:2", "blockers": [] },
        ]}});
        let decision = decision_of(&told, &pool()).expect("a decision");
        let second = RecordId::parse("record:2").expect("not blank");
        assert_eq!(decision.choice, Some((second, Reason::FirstInOrder)));
        assert_eq!(decision.standings[0].ready_at(), Some(Timestamp::from_millis(9000)));
    }

    #[test]
    fn an_agent_that_is_behind_is_not_believed() {
        let told = json!({ "decision": { "choice": null, "standings": [] } });
        assert_eq!(decision_of(&told, &pool()), None);
        let strange = json!({ "decision": { "choice": null, "standings": [
            { "record": "record:1", "blockers": ["abducted"] },
            { "record": "record:2", "blockers": [] },
        ]}});
        assert_eq!(decision_of(&strange, &pool()), None);
    }
}
