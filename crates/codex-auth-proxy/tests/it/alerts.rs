//! Answers whose headers tell of less and less quota: whoever asks the agent hears of each threshold once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use codex_auth_core::{Alert, QuotaDiary, testing::pool};
use codex_auth_proxy::{Attached, attach};
use http::Method;
use serde_json::Value;

use crate::support::{
    agents::Place,
    client::Ask,
    upstream::{Act, LAST, Upstream, event, stream_head},
    within,
    world::NOW,
};

/// Percent used of the five hours, and in which run of them, as each answer tells.
const TOLD: [(u64, i64); 12] = [
    (60, 1),
    (76, 1),
    (77, 1),
    (81, 1),
    (91, 1),
    (92, 1),
    // The window starts anew.
    (1, 2),
    (50, 2),
    (80, 2),
    (80, 2),
    (96, 2),
    (99, 2),
];

const CODES: [&str; 6] = ["25", "20", "10", "20", "5", "2_5"];

fn codes(percents: &[&str]) -> Vec<String> {
    percents.iter().map(|percent| format!("quota_5h_remaining_below_{percent}pct")).collect()
}

/// A place whose backend tells so, answer by answer.
async fn place() -> (Upstream, Arc<Place>) {
    let next = AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_seen| {
        let (used, run) = TOLD[next.fetch_add(1, Ordering::SeqCst).min(TOLD.len() - 1)];
        let resets_at = NOW.as_millis() / 1000 + run * 18_000;
        let headers = format!(
            "x-codex-primary-used-percent: {used}\r\nx-codex-primary-window-minutes: 300\r\n\
             x-codex-primary-reset-at: {resets_at}\r\n"
        );
        vec![Act::Send([stream_head(&headers), event("one"), LAST.to_vec()].concat())]
    });
    let upstream = upstream.await;
    let place = Place::holding(&upstream, pool(1));
    (upstream, place)
}

async fn turn(attached: &Attached) {
    let ask = Ask::stranger("POST", "/v1/responses").bearer(attached.token.expose());
    assert_eq!(ask.send(attached.port).await.status(), 200);
}

async fn attached(place: &Place) -> Attached {
    attach(&place.client(), &Place::request(), &|| panic!("an agent runs")).await.unwrap()
}

/// What the agent's status says, as soon as it says so much.
async fn told(place: &Place, count: usize) -> Vec<Value> {
    let asked = async {
        loop {
            let status = place.client().ask(Method::GET, "/v1/status", &Value::Null).await.unwrap();
            let alerts = status["alerts"].as_array().cloned().unwrap_or_default();
            if alerts.len() >= count {
                return alerts;
            }
            tokio::task::yield_now().await;
        }
    };
    within("the alerts", asked).await
}

fn of(alerts: &[Value], key: &str) -> Vec<String> {
    alerts.iter().map(|alert| alert[key].as_str().unwrap_or_default().to_owned()).collect()
}

fn kept(place: &Place) -> Vec<String> {
    place.diary.alerts().unwrap().iter().map(Alert::code).collect()
}

#[tokio::test]
async fn each_threshold_is_told_once_in_each_run_of_a_window_and_a_restart_repeats_none() {
    let (_upstream, place) = place().await;
    let agent = place.start(1, None).await.unwrap();
    let client = attached(&place).await;
    for _ in 0..9 {
        turn(&client).await;
    }
    let alerts = told(&place, 4).await;
    assert_eq!(of(&alerts, "code"), codes(&CODES[..4]));
    let toast = &alerts[2]["toast"];
    assert_eq!(toast["message"], "Heads up, you have less than 10% of your 5h quota left.");
    agent.stop().await.unwrap();
    assert_eq!(kept(&place), codes(&CODES[..4]), "each was told once");

    // Another agent goes on: what was told is not told again, what comes is.
    let agent = place.start(2, None).await.unwrap();
    let client = attached(&place).await;
    let before = told(&place, 4).await;
    assert_eq!(of(&before, "id"), of(&alerts, "id"));
    for _ in 0..3 {
        turn(&client).await;
    }
    assert_eq!(of(&told(&place, 6).await, "code"), codes(&CODES));
    agent.stop().await.unwrap();
    assert_eq!(kept(&place), codes(&CODES));
}
