//! Faults: every way an answer can be wrong, late, cut or missing.

use std::time::Duration;

use codex_auth_testkit::{Act, Denial, Ending, FakeOpenAi, Fault, Malformed, Route, Script, Setup, Who};
use serde_json::json;

use crate::client::{Answer, End, access, event_types, events, get, refresh, refresh_of, start, turn};

const ONE: Who = Who::Account(1);
const LIMIT: Duration = Duration::from_secs(20);
/// A silence this long is a stall: everything here is on loopback.
const SILENCE: Duration = Duration::from_millis(250);

fn ask(fake: &FakeOpenAi) -> Answer {
    turn().bearer(&access(fake, ONE)).silence(SILENCE).send(fake)
}

/// What one turn comes to under a fault: status, end, and how the log says it ended.
#[track_caller]
fn check(act: Act, expect: (u16, End, Ending)) {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Responses, act));
    let answer = ask(&fake);
    let logged = |records: &std::collections::VecDeque<codex_auth_testkit::Record>| {
        records.front().is_some_and(|record| record.answer.as_ref().is_some_and(|seen| seen.ending == expect.2))
    };
    assert_eq!((answer.status, answer.end), (expect.0, expect.1));
    assert!(fake.wait_for_log(LIMIT, logged), "{:?}", fake.log()[0].answer);
    assert_eq!(ask(&fake).end, End::Complete, "the next turn is whole");
}

#[test]
fn nothing_comes() {
    check(Act::DropBeforeHeaders, (0, End::Cut, Ending::Cut));
    check(Act::LoseAnswer, (0, End::Cut, Ending::Cut));
    check(Act::Reset, (0, End::Reset, Ending::Reset));
    check(Act::Hang, (0, End::Silence, Ending::ClientLeft));
    check(Act::HoldBeforeHeaders, (0, End::Silence, Ending::ClientLeft));
}

#[test]
fn only_part_comes() {
    check(Act::StallAfter { bytes: 100 }, (200, End::Silence, Ending::ClientLeft));
    check(Act::CutAfter { bytes: 100 }, (200, End::Cut, Ending::Cut));
    check(Act::ResetAfter { bytes: 100 }, (200, End::Reset, Ending::Reset));
    check(Act::Hold { after_events: 2 }, (200, End::Silence, Ending::ClientLeft));
}

#[test]
fn something_else_comes() {
    let answer = |status| Act::Answer { status, headers: [].into(), body: json!({}) };
    for status in [400, 402, 404, 429, 500, 502, 503] {
        check(answer(status), (status, End::Complete, Ending::Complete));
    }
    check(Act::Delay { ms: 30 }, (200, End::Complete, Ending::Complete));
}

#[test]
fn a_stream_can_be_cut_at_every_byte() {
    let fake = start(&Setup::default());
    fake.script(Script { times: None, ..Script::events(vec![json!({ "type": "a" }), json!({ "type": "b" })]) });
    let whole = ask(&fake).body;
    assert_eq!(whole.len(), 58);
    for bytes in 0..whole.len() {
        fake.fault(Fault::once(Route::Responses, Act::CutAfter { bytes }));
        let answer = ask(&fake);
        assert_eq!((answer.end, answer.body.as_slice()), (End::Cut, &whole[..bytes]));
    }
    fake.fault(Fault::once(Route::Responses, Act::CutAfter { bytes: whole.len() + 1 }));
    assert_eq!(ask(&fake).end, End::Complete);
}

#[test]
fn a_big_stream_is_cut_exactly() {
    let fake = start(&Setup::default());
    let body = crate::client::TURN;
    fake.script(Script::text(format!("{} ", "x".repeat(9_999)).repeat(300)));
    fake.fault(Fault::once(Route::Responses, Act::CutAfter { bytes: 9_000_000 }));
    let answer = crate::client::post("/backend-api/codex/responses", body).bearer(&access(&fake, ONE)).send(&fake);
    assert_eq!((answer.body.len(), answer.end), (9_000_000, End::Cut));
}

#[test]
fn what_precedes_a_reset_arrives() {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Responses, Act::ResetAfter { bytes: 1_000 }));
    let answer = ask(&fake);
    assert_eq!((answer.body.len(), answer.end), (1_000, End::Reset));
}

#[test]
fn an_answer_that_is_no_stream_is_held_whole() {
    let fake = start(&Setup { exhausted: vec![1], ..Setup::default() });
    fake.fault(Fault::once(Route::Responses, Act::Hold { after_events: 1 }));
    assert_eq!(ask(&fake).end, End::Silence);
    assert_eq!(ask(&fake).status, 429);
}

#[test]
fn answers_with_a_length_can_be_cut_too() {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Models, Act::CutAfter { bytes: 5 }));
    let answer = get("/backend-api/codex/models").bearer(&access(&fake, ONE)).send(&fake);
    assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, r#"{"mod"#, End::Cut));
}

#[test]
fn a_held_stream_goes_on_when_released() {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Responses, Act::Hold { after_events: 2 }));
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| turn().bearer(&access(&fake, ONE)).send(&fake));
        assert!(fake.wait_until_held(1, LIMIT));
        assert_eq!((fake.state().held, fake.log()[0].answer.is_none()), (1, true));
        assert_eq!(fake.release(), 1);
        asking.join().unwrap()
    });
    assert_eq!(answer.end, End::Complete);
    assert_eq!(event_types(&answer).last().map(String::as_str), Some("response.completed"));
    assert_eq!(fake.state().held, 0);
}

#[test]
fn a_client_that_leaves_a_held_stream_is_no_longer_held() {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Responses, Act::Hold { after_events: 1 }));
    assert_eq!(ask(&fake).end, End::Silence);
    let left = |records: &std::collections::VecDeque<codex_auth_testkit::Record>| records[0].answer.is_some();
    assert!(fake.wait_for_log(LIMIT, left));
    assert_eq!(fake.state().held, 0);
}

#[test]
fn a_stream_can_end_with_another_event() {
    let fake = start(&Setup::default());
    let event = json!({ "type": "response.failed", "response": { "error": { "code": "rate_limit_exceeded" } } });
    fake.fault(Fault::once(Route::Responses, Act::EndWith { after_events: 1, event: event.clone() }));
    assert_eq!(events(&ask(&fake)).last(), Some(&event));
}

#[test]
fn a_paced_stream_has_the_size_and_the_number_of_events_asked_for() {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Responses, Act::Pace { events: 7, gap_ms: 1, total_bytes: 1000 }));
    let answer = ask(&fake);
    let deltas: Vec<String> =
        events(&answer).iter().filter_map(|event| event["delta"].as_str().map(str::to_owned)).collect();
    assert_eq!((deltas.len(), deltas.concat().len(), answer.end), (7, 1000, End::Complete));
}

#[test]
fn kinds_of_401() {
    let fake = start(&Setup::default());
    let code = |denial| {
        fake.fault(Fault::once(Route::Responses, Act::Unauthorized(denial)));
        let answer = ask(&fake);
        (answer.status, answer.code())
    };
    assert_eq!(code(Denial::Plain), (401, "Unauthorized".to_owned()));
    assert_eq!(code(Denial::TokenInvalidated), (401, "token_invalidated".to_owned()));
    assert_eq!(code(Denial::TokenExpired), (401, "token_expired".to_owned()));
}

#[test]
fn a_busy_token_endpoint_spends_nothing() {
    let fake = start(&Setup::default());
    let headers = [("Retry-After".to_owned(), "3".to_owned())].into();
    fake.fault(Fault::once(Route::Token, Act::Answer { status: 429, headers, body: json!({ "error": "slow_down" }) }));
    let token = refresh_of(&fake, ONE);
    let busy = refresh(&fake, &token);
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("3")));
    assert_eq!(refresh(&fake, &token).status, 200);
    assert_eq!(fake.state().account(ONE).unwrap().counts.presentations, 2);
}

#[test]
fn a_lost_answer_has_spent_the_token() {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Token, Act::LoseAnswer).of(ONE));
    let token = refresh_of(&fake, ONE);
    assert_eq!(refresh(&fake, &refresh_of(&fake, Who::Account(2))).status, 200, "the fault is account 1's");
    assert_eq!(refresh(&fake, &token).end, End::Cut);
    assert_eq!(refresh(&fake, &token).code(), "refresh_token_reused");
}

#[test]
fn a_dropped_connection_has_not() {
    let fake = start(&Setup::default());
    fake.fault(Fault::once(Route::Token, Act::DropBeforeHeaders));
    let token = refresh_of(&fake, ONE);
    assert_eq!(refresh(&fake, &token).end, End::Cut);
    assert_eq!(refresh(&fake, &token).status, 200);
}

#[test]
fn useless_token_answers() {
    let fake = start(&Setup::default());
    let under = |form| {
        fake.fault(Fault::once(Route::Token, Act::MalformedTokens(form)));
        refresh(&fake, &refresh_of(&fake, ONE))
    };
    assert!(under(Malformed::Html).text().starts_with("<!doctype"));
    assert!(under(Malformed::Empty).body.is_empty());
    assert!(serde_json::from_str::<serde_json::Value>(&under(Malformed::CutJson).text()).is_err());
    assert!(under(Malformed::NoAccessToken).json().get("access_token").is_none());
    assert!(under(Malformed::NoRefreshToken).json().get("refresh_token").is_none());
    assert!(under(Malformed::NoIdToken).json().get("id_token").is_none());
    let foreign = under(Malformed::WrongAccount).json();
    turn().bearer(foreign["access_token"].as_str().unwrap()).send(&fake);
    assert_eq!(fake.log().pop().unwrap().caller.account, Some(Who::Account(2)));
}
