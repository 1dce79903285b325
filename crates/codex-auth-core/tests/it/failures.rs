//! Each class of failure and all that follows from it: the page people read is the table the product goes by.

use std::{fmt::Write as _, time::Duration};

use codex_auth_core::{
    BURST_LASTS, Blocker, Cause, Fallback, LACKS_MODEL_FOR, Lease, Mark, Outcome, Query, Reaction, RestPolicy,
    RestReason, Resting, Rotation, Routing, Strategy, TREATMENTS, Timestamp, testing::pool,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Nothing stands in the way.
const FREE: Vec<&str> = Vec::new();

fn rotation(accounts: usize) -> Rotation {
    Rotation::new(pool(accounts), Strategy::Sequential, RestPolicy::default())
}

fn of_model(model: &str) -> Query {
    Query { quota_key: Some(format!("gpt-5-codex:{model}")), ..Query::default() }
}

fn settle(rotation: &Rotation, lease: Lease, outcome: &Outcome, now: Timestamp) {
    let _settled = rotation.settle(lease, outcome, false, now);
}

/// What keeps each account from a request, by code.
fn blockers(rotation: &Rotation, query: &Query, now: Timestamp) -> Vec<Vec<&'static str>> {
    let standings = rotation.decide(query, now).standings;
    standings.iter().map(|standing| standing.blockers.iter().map(Blocker::code).collect()).collect()
}

#[test]
fn the_page_is_the_table() {
    let policy = RestPolicy::default();
    let mut page =
        String::from("| Class | Told by | Next | Rests | Remembered | A burst |\n|---|---|---|---|---|---|\n");
    for row in TREATMENTS {
        let next = |reaction| match reaction {
            Reaction::Relay => "relayed as it came",
            Reaction::RefreshAndRetry => "renewed, asked once more",
            Reaction::RewriteAndRetry => "asked once more without the ciphertext",
            Reaction::TryAnother => "another account",
            Reaction::MarkAndTryOne => "marked first, then one other account",
            Reaction::Stop => "nothing",
        };
        let long = |reason: RestReason| match reason {
            RestReason::UsageLimit => format!("until the told reset, else {} s", policy.of(reason).as_secs()),
            RestReason::Auth | RestReason::Network | RestReason::Server => format!("{} s", policy.of(reason).as_secs()),
        };
        let after = if row.after_renewal == row.reaction {
            String::new()
        } else {
            format!("; right after a renewal: {}", next(row.after_renewal))
        };
        let rests = match row.resting {
            Resting::Nothing => "nobody".to_owned(),
            Resting::Account(reason) => format!("the account, {}", long(reason)),
            Resting::Model(reason) => format!("the model on that account, {}", long(reason)),
        };
        let mark = match row.mark {
            Mark::Nothing => "–".to_owned(),
            Mark::NeedsLogin => "a new sign-in is needed".to_owned(),
            Mark::Disabled => "out of service until enabled".to_owned(),
            Mark::LacksModel => {
                format!("lacks the model, {} min or until it serves it", LACKS_MODEL_FOR.as_secs() / 60)
            }
        };
        let burst = if row.is_of_backend { "counts" } else { "–" };
        let (class, told, next) = (row.class, row.told_by, next(row.reaction));
        writeln!(page, "| {class} | {told} | {next}{after} | {rests} | {mark} | {burst} |").expect("memory");
    }
    let kept = include_str!("../../../../docs/failures.md");
    assert!(kept.contains(&page), "docs/failures.md is to contain:\n{page}");
}

#[test]
fn a_models_limit_rests_that_model_and_nothing_else() {
    let rotation = rotation(1);
    let lease = rotation.acquire(&of_model("spark"), NOW).expect("it can");
    settle(&rotation, lease, &Outcome::ModelLimited { until: None }, NOW);
    let later = NOW.after(Duration::from_secs(1));
    assert_eq!(blockers(&rotation, &of_model("spark"), later), [vec!["rate-limited"]]);
    assert_eq!(blockers(&rotation, &of_model("gpt-5.3-codex"), later), [FREE]);
    assert_eq!(blockers(&rotation, &Query::default(), later), [FREE]);
}

#[test]
fn the_limit_of_a_model_that_nobody_named_keeps_nobody_away() {
    let rotation = rotation(1);
    let lease = rotation.acquire(&Query::default(), NOW).expect("it can");
    settle(&rotation, lease, &Outcome::ModelLimited { until: None }, NOW);
    assert_eq!(blockers(&rotation, &Query::default(), NOW), [FREE]);
}

#[test]
fn an_account_that_lacks_a_model_is_asked_for_others() {
    let rotation = rotation(2);
    let lease = rotation.acquire(&of_model("spark"), NOW).expect("they can");
    settle(&rotation, lease, &Outcome::LacksModel, NOW);
    assert_eq!(blockers(&rotation, &of_model("spark"), NOW), [vec!["unsupported-model"], FREE]);
    assert_eq!(blockers(&rotation, &of_model("gpt-5"), NOW), [FREE, FREE]);
    assert_eq!(blockers(&rotation, &of_model("spark"), NOW.after(LACKS_MODEL_FOR)), [FREE, FREE]);
}

#[test]
fn a_success_ends_what_was_remembered_of_a_model() {
    let rotation = rotation(1);
    let [one, two] = [(); 2].map(|()| rotation.acquire(&of_model("spark"), NOW).expect("it can"));
    settle(&rotation, one, &Outcome::LacksModel, NOW);
    settle(&rotation, two, &Outcome::Served, NOW);
    assert_eq!(blockers(&rotation, &of_model("spark"), NOW), [FREE]);
}

/// Lets so many accounts fail one after the other; the blockers of the last one afterwards.
fn burst_after(failures: usize, outcome: &Outcome) -> (Rotation, Vec<&'static str>) {
    let rotation = rotation(5);
    let mut query = Query::default();
    for _ in 0..failures {
        let lease = rotation.acquire(&query, NOW).expect("somebody can");
        query.tried.push(lease.held.account.record.clone());
        settle(&rotation, lease, outcome, NOW);
    }
    let last = blockers(&rotation, &query, NOW).pop().expect("five accounts");
    (rotation, last)
}

#[test]
fn faults_of_several_accounts_in_a_row_are_the_backends() {
    for outcome in [Outcome::ServerFault { status: 502 }, Outcome::Overloaded { status: 503 }, Outcome::NetworkFault] {
        assert_eq!(burst_after(2, &outcome).1, [""; 0]);
        assert_eq!(burst_after(3, &outcome).1, ["server-burst"], "{outcome:?}");
    }
    let spent = Outcome::UsageLimited { until: None };
    assert_eq!(burst_after(4, &spent).1, [""; 0], "spent quotas are no burst");
}

#[test]
fn after_a_burst_one_tries_and_its_answer_lets_everybody_in() {
    let (rotation, _) = burst_after(3, &Outcome::NetworkFault);
    let later = NOW.after(BURST_LASTS);
    let lease = rotation.acquire(&Query::default(), later).expect("one tries");
    assert!(rotation.acquire(&Query::default(), later).is_err(), "the others wait for it");
    rotation.answering(&lease, later);
    let other = rotation.acquire(&Query::default(), later).expect("everybody is asked");
    settle(&rotation, lease, &Outcome::Served, later);
    settle(&rotation, other, &Outcome::Served, later);
}

#[test]
fn a_refusal_of_the_request_is_neutral() {
    let rotation = rotation(1);
    let lease = rotation.acquire(&Query::default(), NOW).expect("it can");
    let settled = rotation.settle(lease, &Outcome::Refused { status: 400 }, false, NOW);
    assert_eq!(settled.reaction, Reaction::Relay);
    assert!(settled.edit.is_none(), "nothing is noted, not even that it was used");
    assert_eq!(blockers(&rotation, &Query::default(), NOW), [FREE]);
}

/// The models that are asked for when every account lacks each, from this one on.
fn walked(rotation: &Rotation, query: Query, (first, is_known): (&str, bool)) -> (Vec<String>, Cause) {
    let (mut query, mut models) = (query, vec![first.to_owned()]);
    loop {
        let model = models.last().cloned().unwrap_or_default();
        query.quota_key = is_known.then(|| format!("gpt-5.2:{model}"));
        (query.tried, query.lacking) = (Vec::new(), Vec::new());
        let refusal = loop {
            let lease = match rotation.acquire(&query, NOW) {
                Ok(lease) => lease,
                Err(refusal) => break refusal,
            };
            query.tried.push(lease.held.account.record.clone());
            query.lacking.push(lease.held.account.record.clone());
            settle(rotation, lease, &Outcome::LacksModel, NOW);
        };
        match rotation.fallback().next(&refusal, &models, |_| true) {
            Some(next) => models.push(next),
            None => return (models, refusal.cause),
        }
    }
}

#[test]
fn a_model_that_nobody_has_gives_way_to_the_next_of_its_chain() {
    let until = NOW.after(LACKS_MODEL_FOR);
    let (all, own) = (["gpt-5", "gpt-5.5", "gpt-5.4"].map(str::to_owned).to_vec(), vec!["gpt-5".to_owned()]);
    for is_known in [true, false] {
        for (strategy, pin, only) in [
            (Strategy::Sequential, None, None),
            (Strategy::Manual, None, None),
            (Strategy::Sequential, Some(1), None),
            (Strategy::Sequential, Some(1), Some(0)),
        ] {
            let mut pool = pool(2);
            let record = |place: usize| pool.accounts[place].account.record.clone();
            let query = Query { only: only.map(record), ..Query::default() };
            (pool.pin, pool.active) = (pin.map(record), Some(record(0)));
            for (fallback, expect) in [(Fallback::along([], true), &all), (Fallback::strict(), &own)] {
                let routing = Routing { fallback, ..strategy.into() };
                let rotation = Rotation::new(pool.clone(), routing, RestPolicy::default());
                let (models, cause) = walked(&rotation, query.clone(), ("gpt-5", is_known));
                assert_eq!(&models, expect, "{strategy:?} {pin:?} {only:?}");
                let is_choosy = strategy == Strategy::Manual;
                assert_eq!(cause, if is_choosy { Cause::NothingSelected } else { Cause::NoModel { until } });
            }
        }
    }
}

#[test]
fn the_page_of_rules_shows_the_built_in_chains() {
    let mut page = String::from("| Nobody has | Then |\n|---|---|\n");
    for model in [
        "gpt-5",
        "gpt-5.5",
        "gpt-5-pro",
        "gpt-5.5-pro",
        "gpt-5.3-codex-spark",
        "gpt-5-codex",
        "gpt-5.3-codex",
        "gpt-5.2-codex",
        "gpt-5.1-codex",
        "gpt-5.1-codex-max",
        "codex-max",
        "gpt-5.1-codex-mini",
    ] {
        let routing = Routing { fallback: Fallback::along([], true), ..Strategy::Sequential.into() };
        let rotation = Rotation::new(pool(1), routing, RestPolicy::default());
        let models = walked(&rotation, Query::default(), (model, true)).0;
        let then: Vec<_> = models[1..].iter().map(|model| format!("`{model}`")).collect();
        writeln!(page, "| `{model}` | {} |", then.join(", ")).expect("memory");
    }
    let kept = include_str!("../../../../docs/policy.md");
    assert!(kept.contains(&page), "docs/policy.md is to contain:\n{page}");
}
