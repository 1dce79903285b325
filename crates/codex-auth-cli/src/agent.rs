//! What a running agent says of itself, as values. Nobody is asked, and no runtime started, where no agent is.

use codex_auth_core::{
    Binding, Blocker, Decision, Hold, Reason, RestReason, RestScope, SavedPool, Standing, Timestamp,
};
use codex_auth_proxy::{AgentClient, ControlError};
use codex_auth_view::{AgentView, SessionRow};
use http::Method;
use serde_json::Value;

use crate::{assemble::Product, error::CliError};

/// Asks the agent for a document; `None` when no agent is running.
pub(crate) fn ask(product: &Product, method: Method, path: &str) -> Result<Option<Value>, CliError> {
    let socket = product.socket();
    if !socket.exists() {
        return Ok(None);
    }
    let answer = Product::runtime()?.block_on(AgentClient::at(socket).ask(method, path, &Value::Null));
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

/// The agent's decision about a pool, as `/v1/decide` tells. `None` when the agent knows another pool than we read: it
/// is a moment behind a change.
pub(crate) fn decision_of(document: &Value, pool: &SavedPool) -> Option<Decision> {
    let told = document["standings"].as_array()?;
    if told.len() != pool.accounts.len() {
        return None;
    }
    let standings = pool.accounts.iter().zip(told).map(|(held, standing)| {
        let blockers = standing["blockers"].as_array()?.iter().map(|blocker| blocker_of(blocker, pool, held));
        Some(Standing { record: held.account.record.clone(), blockers: blockers.collect::<Option<_>>()? })
    });
    let standings = standings.collect::<Option<Vec<_>>>()?;
    let chosen = document["account"].as_u64().and_then(|number| usize::try_from(number).ok());
    let choice = match (chosen, document["reason"].as_str()) {
        (Some(number), Some(reason)) => {
            Some((pool.accounts.get(number.checked_sub(1)?)?.account.record.clone(), reason_of(reason)?))
        }
        (_, _) => None,
    };
    Some(Decision { choice, standings })
}

fn reason_of(told: &str) -> Option<Reason> {
    let all = [Reason::Pinned, Reason::SameSession, Reason::FirstInOrder, Reason::MostHeadroom, Reason::Selected];
    all.into_iter().find(|reason| reason.as_str() == told)
}

/// A blocker by its code; what the code leaves out is in the pool.
fn blocker_of(told: &Value, pool: &SavedPool, held: &codex_auth_core::Held) -> Option<Blocker> {
    let code = told["code"].as_str()?;
    let until = told["until"].as_i64().map(Timestamp::from_millis).unwrap_or_default();
    let resting = |reason| Blocker::Resting { until, reason, scope: RestScope::Account };
    let needs_login = held.account.needs_login.as_ref().map_or("unknown", |needs| needs.code.as_str());
    let all = [
        Blocker::Disabled,
        Blocker::NeedsLogin { code: needs_login.to_owned() },
        resting(RestReason::UsageLimit),
        resting(RestReason::Auth),
        resting(RestReason::Network),
        resting(RestReason::Server),
        Blocker::NotPinned {
            pin: pool.pin.clone().unwrap_or_else(|| held.account.record.clone()),
            by: Binding::Switch,
        },
        Blocker::Held { hold: Hold::Paused },
        Blocker::QuotaSpent { until },
        Blocker::LacksModel { until },
        Blocker::Burst { until },
        Blocker::AlreadyTried,
        Blocker::NoWorkspace,
    ];
    all.into_iter().find(|blocker| blocker.code() == code)
}

#[cfg(test)]
mod tests {
    use codex_auth_core::RecordId;
    use serde_json::json;

    use super::*;

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
        let told = json!({ "account": 2, "reason": Reason::FirstInOrder.as_str(), "standings": [
            { "account": 1, "ready": false, "blockers": [{ "code": "rate-limited", "until": 9000 }] },
            { "account": 2, "ready": true, "blockers": [] },
        ]});
        let decision = decision_of(&told, &pool()).expect("a decision");
        let second = RecordId::parse("record:2").expect("not blank");
        assert_eq!(decision.choice, Some((second, Reason::FirstInOrder)));
        assert_eq!(decision.standings[0].ready_at(), Some(Timestamp::from_millis(9000)));
    }

    #[test]
    fn an_agent_that_is_behind_is_not_believed() {
        let told = json!({ "account": null, "reason": null, "standings": [] });
        assert_eq!(decision_of(&told, &pool()), None);
        let strange = json!({ "standings": [
            { "blockers": [{ "code": "abducted" }] }, { "blockers": [] },
        ]});
        assert_eq!(decision_of(&strange, &pool()), None);
    }
}
