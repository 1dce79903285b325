//! Every decision of a request is in the log when the agent has ended, also a refusal, and no request waits for it.

use std::sync::{Arc, atomic::Ordering};

use codex_auth_core::{AccountStore, RecordId, record::Reader};
use codex_auth_proxy::{Attached, attach};
use http::Method;
use serde_json::Value;

use crate::support::{
    agents::{Place, Running},
    client::Ask,
    upstream::{Upstream, json, served},
    within,
};

/// The first account's backend fails; the second one's serves.
async fn place() -> (Upstream, Arc<Place>, Running, Attached) {
    let upstream = Upstream::answering(|seen| if seen.account() == 1 { json(500, "{}") } else { served() }).await;
    let place = Place::before(&upstream);
    let agent = place.start(1, None).await.unwrap();
    let attached = attach(&place.client(), &Place::request(), &|| panic!("an agent runs")).await.unwrap();
    (upstream, place, agent, attached)
}

async fn turn(attached: &Attached) -> u16 {
    let ask = Ask::stranger("POST", "/v1/responses").bearer(attached.token.expose());
    ask.header("session_id", "my-own-session").send(attached.port).await.status()
}

/// Who was chosen at each decision, and after how many others.
fn chosen(place: &Place) -> Vec<(Option<RecordId>, usize)> {
    let entries = place.decisions.entries.lock().unwrap();
    let mut reader = Reader::default();
    let mut all = Vec::new();
    for entry in entries.iter() {
        assert!(!String::from_utf8_lossy(entry).contains("my-own-session"));
        let Some(recorded) = reader.take(entry).unwrap() else { continue };
        assert!(recorded.is_same(&recorded.replay()));
        assert!(recorded.session().is_some());
        all.push((recorded.choice().map(|(record, _)| record.clone()), recorded.tried()));
    }
    all
}

fn record(n: usize) -> Option<RecordId> {
    RecordId::parse(&format!("record:{n}"))
}

#[tokio::test]
async fn every_attempt_and_every_refusal_is_recorded() {
    let (_upstream, place, agent, attached) = place().await;
    assert_eq!(turn(&attached).await, 200);
    let off =
        |pool: &mut codex_auth_core::SavedPool| pool.accounts.iter_mut().for_each(|held| held.account.enabled = false);
    place.store.edit(Box::new(off)).await.unwrap();
    let nobody = async {
        while place.client().ask(Method::POST, "/v1/decide", &Value::Null).await.unwrap()["account"] != Value::Null {
            tokio::task::yield_now().await;
        }
    };
    within("the accounts to be off", nobody).await;
    assert!(turn(&attached).await >= 400);
    agent.stop().await.unwrap();
    assert_eq!(chosen(&place), [(record(1), 0), (record(2), 1), (None, 0)]);
}

#[tokio::test]
async fn a_log_without_room_keeps_no_request_waiting() {
    let (_upstream, place, agent, attached) = place().await;
    place.decisions.is_full.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(turn(&attached).await, 200);
    }
    agent.stop().await.unwrap();
    assert_eq!(chosen(&place), []);
}
