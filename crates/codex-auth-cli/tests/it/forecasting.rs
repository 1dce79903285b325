//! `forecast` and `best`: the evaluator's decision with its reasons, from files alone and with the backend asked.

use codex_auth_testkit::{PoolKnobs, Route, Setup};
use serde_json::{Value, json};

use crate::world::{World, in_millis};

/// A pool of two whose first account has this much of its short window used, as the cache remembers.
fn cached(used: f64) -> World {
    let row = |n: usize| {
        json!({
            "accountId": format!("ws-{n}"), "recordId": format!("record:{n}"), "email": format!("person{n}@example.test"),
            "refreshToken": format!("R{n}"), "accessToken": format!("A{n}"), "idToken": "x.y.z",
            "expiresAt": in_millis(3_600_000), "addedAt": 1, "lastUsed": in_millis(-1000), "enabled": true,
        })
    };
    let world = World::holding(&[row(1), row(2)]);
    let entry = json!({
        "updatedAt": in_millis(-60_000), "status": 200, "model": "codex",
        "primary": { "usedPercent": used, "windowMinutes": 300, "resetAtMs": in_millis(3_540_500) },
        "secondary": { "usedPercent": 40, "windowMinutes": 10080, "resetAtMs": in_millis(432_000_000) },
    });
    let cache = json!({ "version": 1, "byRecordId": { "record:1": entry }, "byAccountId": {}, "byEmail": {} });
    std::fs::write(world.root().join("quota-cache.json"), cache.to_string()).expect("written");
    world
}

fn account(document: &Value, index: usize) -> &Value {
    &document["accounts"][index]
}

#[test]
fn what_is_exhausted_is_named_by_nobody() {
    let world = cached(100.0);
    let before = world.files();
    let forecast = world.run("forecast --json").ok().document();
    assert_eq!(forecast["recommendation"]["recommendedIndex"], json!(1), "{forecast:#}");
    assert_eq!(forecast["recommendation"]["reason"], json!("Lowest risk ready account (low, score 0)."));
    assert_eq!(forecast["summary"]["delayed"], json!(1));
    let spent = account(&forecast, 0);
    assert_eq!(spent["availability"], json!("delayed"));
    assert_eq!(spent["primaryReason"], json!("quota cache exhausted"));
    assert_eq!(spent["windows"][0]["runsOut"]["kind"], json!("spent"));
    // The week's end is nobody's wait.
    assert!(spent["waitMs"].as_i64().is_some_and(|wait| wait <= 3_540_500), "{spent:#}");
    assert_eq!(world.files(), before, "a forecast changes nothing");
    assert_eq!(world.run("list --json").ok().document()["recommendedIndex"], json!(1));
    let best = world.run("best --json").ok().document();
    assert_eq!(best["accountIndex"], json!(2), "{best:#}");
    assert_eq!(world.pool()["activeIndex"], json!(1));
    assert_eq!(
        world.run("best --json").ok().document()["message"],
        json!("Already on best account 2: Account 2 (person2@example.test, id:ws-2)")
    );
}

#[test]
fn how_long_what_is_left_lasts_is_told_with_its_interval() {
    let world = cached(60.0);
    let document = world.run("forecast --json --explain").ok().document();
    let window = &account(&document, 0)["windows"][0];
    assert_eq!((&window["window"], &window["leftPercent"]), (&json!("5h"), &json!(40.0)), "{document:#}");
    assert_eq!(document["explanation"]["considered"].as_array().map(Vec::len), Some(2));
    assert_eq!(document["next"]["number"], json!(document["recommendation"]["recommendedNumber"]));
    let text = world.run("forecast").ok().out;
    assert!(text.contains("   5h 40% left: "), "{text}");
    assert!(text.contains("pe***@***.test") && !text.contains("person1@"), "{text}");
    assert!(text.contains("Work: now, on account "), "{text}");
}

/// A pool of two that both rest, each for so long.
fn waiting(first: i64, second: i64) -> World {
    let world = cached(10.0);
    let mut pool = world.pool();
    for (place, wait) in [first, second].into_iter().enumerate() {
        pool["accounts"][place]["coolingDownUntil"] = json!(in_millis(wait));
        pool["accounts"][place]["cooldownReason"] = json!("rate-limit");
    }
    world.write_pool(&pool);
    world
}

#[test]
fn where_all_wait_the_soonest_is_named_by_everybody() {
    let world = waiting(7_200_000, 3_600_000);
    let forecast = world.run("forecast --json").ok().document();
    assert_eq!(forecast["recommendation"]["recommendedIndex"], json!(1), "{forecast:#}");
    assert_eq!(forecast["next"]["number"], json!(2));
    // Somebody named that end, so the interval is a point.
    assert_eq!(forecast["next"]["readyAt"], forecast["next"]["latestAt"]);
    assert_eq!(forecast["pool"]["runsOut"]["kind"], json!("spent"));
    for command in ["list --json", "status --json"] {
        let document = world.run(command).ok().document();
        assert_eq!(document["recommendedIndex"], json!(1), "{command}: {document:#}");
        let reason = document["recommendationReason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("no account can serve now; it is ready in "), "{command}: {reason}");
    }
    let best = world.run("best --json").ok().document();
    assert_eq!(best["accountIndex"], json!(2), "{best:#}");
}

#[test]
fn a_wait_that_nobody_named_is_told_as_a_guess() {
    let text = waiting(30_000, 7_200_000).run("forecast").ok().out;
    assert!(text.contains(", on account 1; a guess, "), "{text}");
    assert!(!text.contains("Pool: "), "a pool that is spent has nothing to run out of: {text}");
}

#[test]
fn the_pool_says_when_all_of_it_is_spent() {
    let world = cached(96.0);
    let lone = |enabled: bool| {
        let mut pool = world.pool();
        pool["accounts"][1]["enabled"] = json!(enabled);
        world.write_pool(&pool);
        world.run("forecast --json").ok().document()["pool"].clone()
    };
    // What was used of one window in four hours is used up soon; a second account, of which nothing is known, adds all
    // of its own.
    let (one, two) = (lone(false), lone(true));
    assert_eq!(one["runsOut"]["kind"], json!("between"), "{one:#}");
    let soon = |pool: &Value| pool["runsOut"]["likely"].as_i64();
    assert!(soon(&one).is_some_and(|at| at < in_millis(3_600_000)), "{one:#}");
    assert!(soon(&two).is_none_or(|at| Some(at) > soon(&one)), "{two:#}");
    assert!(one["until"].as_i64().is_some_and(|until| until > in_millis(80_000_000)), "{one:#}");
    let text = world.run("forecast").ok().out;
    assert!(text.contains("\nPool: "), "{text}");
}

#[test]
fn a_pin_goes_with_the_best_account() {
    let world = cached(10.0);
    world.run("switch 2").ok();
    let text = world.run("best").ok().out;
    assert!(text.contains("(manual pin cleared)\nReason: "), "{text}");
    assert_eq!(world.pool().get("pinnedAccountIndex").filter(|pin| !pin.is_null()), None);
}

#[test]
fn nobody_is_there() {
    let world = World::holding(&[]);
    let forecast = world.run("forecast --json");
    assert_eq!((forecast.code, &forecast.ok().document()["summary"]["total"]), (Some(0), &json!(0)));
    assert_eq!(world.run("best").code, Some(1));
    assert_eq!(world.run("best --model gpt-5.5").code, Some(1));
    let report = world.run("forecast --calibration").ok().out;
    assert!(report.starts_with("Intervals are to hold 90 times in 100.\nNothing came due yet"), "{report}");
}

#[test]
fn a_past_that_cannot_be_used_is_said() {
    let world = cached(60.0);
    let path = world.root().join("forecast.json");
    std::fs::write(&path, "{ torn").expect("written");
    let report = world.run("forecast --calibration").ok();
    assert!(report.out.contains("forecast.json") && report.out.contains("made anew"), "{}", report.out);
    assert!(report.out.contains("Nothing came due yet"), "{}", report.out);
    assert!(world.run("forecast --calibration --json").ok().document()["note"].is_string());
    // What the cache knows is told all the same.
    assert!(world.run("forecast").ok().out.contains("   5h 40% left: "));
    std::fs::write(&path, json!({ "version": 99, "scores": {} }).to_string()).expect("written");
    let newer = world.run("forecast --calibration").ok().out;
    assert!(newer.contains("Note: ") && newer.contains("forecast.json"), "{newer}");
    let fresh = json!({ "version": 1, "windows": [], "scores": {
        "300": { "outside": 0.85, "said": 0, "held": 0, "lasting": 0, "lasted": 0 } } });
    std::fs::write(&path, fresh.to_string()).expect("written");
    let fresh = world.run("forecast --calibration").ok().out;
    assert!(fresh.ends_with("5-hour windows: nothing that was said came due yet.\n"), "{fresh}");
}

#[test]
fn the_backend_is_asked_for_its_usage_and_for_nothing_else() {
    let setup = Setup { accounts: 3, exhausted: vec![1], ..Setup::default() };
    let world = World::with_pool(&setup, &PoolKnobs { needs_login: vec![3], ..PoolKnobs::default() });
    let before = world.pool();
    let document = world.run("forecast --live --json").ok().document();
    assert_eq!(document["recommendation"]["recommendedIndex"], json!(1), "{document:#}");
    assert_eq!(account(&document, 1)["liveQuota"]["status"], json!(200));
    assert_eq!(account(&document, 2)["availability"], json!("unavailable"));
    assert!(world.fake().log().iter().all(|record| record.asked.route == Route::Usage));
    assert_eq!(world.pool(), before);
    let best = world.run("best --live --json").ok().document();
    assert_eq!(best["accountIndex"], json!(2), "{best:#}");
}

#[test]
fn what_is_low_is_noted_on_the_list_until_its_window_ends() {
    let world = cached(91.0);
    let alert = |resets_in| {
        json!({ "version": 1, "reached": [], "last": [{
            "recordId": "record:1", "windowMinutes": 300, "usedPercent": 90, "threshold": 10,
            "seenAt": in_millis(-60_000), "resetsAt": in_millis(resets_in),
        }]})
    };
    let path = world.root().join("alerts.json");
    std::fs::write(&path, alert(3_540_500).to_string()).expect("written");
    let text = world.run("list").ok().out;
    assert!(text.contains("account 1: less than 10% of its 5h quota is left; it starts anew in 59m"), "{text}");
    // Of one window only the last is said.
    let mut alerts = alert(3_540_500);
    let mut earlier = alerts["last"][0].clone();
    (earlier["threshold"], earlier["seenAt"]) = (json!(25), json!(in_millis(-120_000)));
    alerts["last"].as_array_mut().expect("a list").insert(0, earlier);
    std::fs::write(&path, alerts.to_string()).expect("written");
    assert_eq!(world.run("list").ok().out.matches("quota is left").count(), 1);
    std::fs::write(&path, alert(-1).to_string()).expect("written");
    assert!(!world.run("list").ok().out.contains("less than 10%"));
}
