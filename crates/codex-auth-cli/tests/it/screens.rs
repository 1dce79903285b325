//! Every screen asks the same evaluator, so over many small pools no two of them disagree.

use serde_json::{Value, json};

use crate::world::{World, in_millis, row, row_with};

/// What may ail an account.
fn ailing(n: usize, ail: usize) -> Value {
    match ail {
        0 => row(n),
        1 => row_with(n, &json!({ "enabled": false })),
        2 => row_with(n, &json!({ "coolingDownUntil": in_millis(3_600_000), "cooldownReason": "rate-limit" })),
        3 => row_with(n, &json!({ "rateLimitResetTimes": { "gpt-5.5": in_millis(3_600_000) } })),
        _ => row_with(n, &json!({ "accountId": "org-123" })),
    }
}

/// Who would serve, and of every account: whether it may, pin aside, and the command that helps.
fn told(chosen: &Value, accounts: &Value) -> (Value, Vec<(Value, bool)>) {
    let accounts = accounts.as_array().expect("accounts").iter();
    (chosen.clone(), accounts.map(|account| (account["recordId"].clone(), account["ready"] == true)).collect())
}

#[track_caller]
fn agree(world: &World, story: &str) {
    let document = |typed: &str| {
        let said = world.run(typed);
        serde_json::from_str::<Value>(&said.out).unwrap_or_else(|_| panic!("{story}: {said}"))
    };
    let (list, status) = (document("list --json"), document("status --json"));
    let (rotation, why) = (document("rotation status --json"), document("why-selected --json"));
    let of_list = told(&list["recommendedNumber"], &list["accounts"]);
    assert_eq!(told(&status["recommendedNumber"], &status["accounts"]), of_list, "{story}");
    assert_eq!(told(&list["recommendedNumber"], &rotation["accounts"]), of_list, "{story}");
    let forecast = &document("forecast --json")["recommendation"]["recommendedIndex"];
    assert_eq!(forecast.as_i64().map(|index| index + 1), of_list.0.as_i64(), "{story}");
    if why["ok"] == true {
        assert_eq!(why["selected"]["number"], of_list.0, "{story}: {why}");
    } else if !of_list.0.is_null() {
        // Nobody serves: what is named is the account that does first, by mere waiting.
        let number = |candidate: &&Value| candidate["number"] == of_list.0;
        let first = why["candidates"].as_array().expect("candidates").iter().find(number).expect("a candidate");
        let ends = first["blockers"].as_array().expect("blockers").iter().map(|blocker| &blocker["until"]);
        assert_eq!(ends.max_by_key(|until| until.as_i64()), Some(&why["errorInfo"]["retryAt"]), "{story}: {why}");
    }
    let is_pin = |blocker: &Value| blocker["code"] == "not-pinned";
    let of_why = why["candidates"].as_array().expect("candidates").iter().map(|candidate| {
        let blockers = candidate["blockers"].as_array().expect("blockers");
        for blocker in blockers {
            assert!(blocker["scope"].is_string(), "{story}: {blocker}");
            assert!(
                blocker["until"].is_i64() || blocker["command"].is_string(),
                "{story}: a blocker without an exit: {blocker}"
            );
        }
        (candidate["recordId"].clone(), blockers.iter().all(is_pin))
    });
    assert_eq!(of_why.collect::<Vec<_>>(), of_list.1, "{story}");
}

#[test]
fn no_two_screens_disagree_over_many_small_pools() {
    for (number, strategy) in (0_usize..30).zip(["hybrid", "sequential", "manual"].into_iter().cycle()) {
        let ails = [number % 5, number / 5 % 5, (number * 7 + 3) % 5];
        let rows: Vec<_> = ails.iter().zip(1..).map(|(ail, n)| ailing(n, *ail)).collect();
        let mut world = World::holding(&rows);
        world.set("CODEX_AUTH_SCHEDULING_STRATEGY", strategy);
        if number % 4 == 1 {
            // A pin on an account that cannot serve is refused; then there is none.
            let _may_fail = world.run("switch 2");
        }
        agree(&world, &format!("pool {number} of {ails:?}, {strategy}"));
    }
}
