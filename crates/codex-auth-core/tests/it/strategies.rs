//! The strategies as a user knows them, asked through the agent's own rotation.

use std::time::Duration;

use codex_auth_core::{
    Ask, Bond, Expiring, Headroom, Lease, Outcome, Prompt, Query, Reason, RestPolicy, Rotation, Routing, Seat,
    SessionKey, Standards, Strategy, Terms, Timestamp, Usage, pick,
    testing::{account, pool},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn agent(accounts: usize, strategy: Strategy) -> Rotation {
    Rotation::new(pool(accounts), strategy, RestPolicy::default())
}

fn asks(session: &str, tokens: u64) -> Query {
    Query { session: SessionKey::parse(session), tokens, ..Query::default() }
}

/// The number of an account.
fn number(lease: &Lease) -> usize {
    pool(9).number_of(&lease.held.account.record).expect("of the pool")
}

/// Serves a request at a moment, and says who did.
fn serve(agent: &Rotation, query: &Query, now: Timestamp) -> usize {
    let lease = agent.acquire(query, now).expect("somebody can");
    let number = number(&lease);
    agent.answering(&lease, now);
    agent.answered(&lease, Usage { prompt_tokens: query.tokens, cached_tokens: query.tokens / 2 });
    let _settled = agent.settle(lease, &Outcome::Served, false, now);
    number
}

/// An account refuses until a moment.
fn refuses(agent: &Rotation, query: &Query, until: i64) -> usize {
    let lease = agent.acquire(query, NOW).expect("somebody can");
    let number = number(&lease);
    let limited = Outcome::UsageLimited { until: Some(NOW.after(Duration::from_secs(until.unsigned_abs()))) };
    let _settled = agent.settle(lease, &limited, false, NOW);
    number
}

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

#[test]
fn sequential_stays_with_the_next_and_does_not_go_back() {
    let agent = agent(3, Strategy::Sequential);
    assert_eq!(refuses(&agent, &asks("a", 0), 60), 1);
    assert_eq!(serve(&agent, &asks("a", 0), NOW), 2);
    assert_eq!(serve(&agent, &asks("b", 0), later(100)), 2, "the first one is back, and the second in use");
}

#[test]
fn round_robin_goes_round() {
    let agent = agent(3, Strategy::RoundRobin);
    let served: Vec<_> = (0..4).map(|_| serve(&agent, &asks("a", 50_000), NOW)).collect();
    assert_eq!(served, [2, 3, 1, 2], "the next after the selected one, whatever a cache holds");
}

#[test]
fn sticky_keeps_a_session_and_sends_new_ones_round() {
    let spread = agent(3, Strategy::Sticky);
    let first = serve(&spread, &asks("a", 0), NOW);
    let second = serve(&spread, &asks("b", 0), NOW);
    assert_ne!(first, second);
    assert_eq!(serve(&spread, &asks("a", 90_000), later(600)), first, "also where it is cold");
    let routing = Routing { strategy: Strategy::Sticky, spread: false, ..Routing::default() };
    let packed = Rotation::new(pool(3), routing, RestPolicy::default());
    assert_eq!([serve(&packed, &asks("a", 0), NOW), serve(&packed, &asks("b", 0), NOW)], [1, 1]);
}

#[test]
fn hybrid_puts_sessions_together_where_their_beginning_is_cached() {
    let agent = agent(4, Strategy::Hybrid);
    let first = serve(&agent, &asks("a", 20_000), NOW);
    let lease = agent.acquire(&asks("b", 20_000), later(10)).expect("somebody can");
    assert_eq!((number(&lease), lease.reason), (first, Reason::WarmCache));
    drop(agent.settle(lease, &Outcome::Cancelled, false, later(10)));
}

#[test]
fn a_pool_that_is_low_starts_the_windows_that_have_not_begun() {
    // Of two accounts one is in use and has the beginning of every prompt cached.
    let serves = |left_percent: f64| {
        let accounts = [account(1), account(2)];
        let under_way = Expiring { left_percent, at: later(3600) };
        let used = Headroom { left_percent, expiring: Some(under_way), ..Headroom::UNKNOWN };
        let week = Expiring { left_percent: 90.0, at: later(100 * 3600) };
        let untouched = Headroom { plan_size: 1.2, expiring: Some(week), ..Headroom::UNKNOWN };
        let seats = [
            Seat { headroom: used, cached_tokens: 14_000, ..Seat::of(&accounts[0]) },
            Seat { headroom: untouched, ..Seat::of(&accounts[1]) },
        ];
        let ask = Ask { prompt: Prompt { tokens: 20_000, later_tokens: 20_000 }, ..Ask::default() };
        pick(&seats, Standards::default(), ask, NOW).map(|pick| (pick.place, pick.reason))
    };
    assert_eq!(serves(81.0), Some((0, Reason::WarmCache)), "more than enough is left");
    assert_eq!(serves(79.0), Some((1, Reason::StartsWindow)));
}

#[test]
fn a_session_stays_and_its_price_is_kept() {
    let agent = agent(3, Strategy::Hybrid);
    let home = serve(&agent, &asks("a", 60_000), NOW);
    let lease = agent.acquire(&asks("a", 62_000), later(30)).expect("somebody can");
    assert_eq!((number(&lease), lease.reason), (home, Reason::SameSession));
    assert!(lease.price.expect("it had an account").lost_tokens > 40_000);
    let decided = agent.decide(&asks("a", 62_000), later(30));
    assert!(!decided.price.expect("it had an account").pays());
    drop(agent.settle(lease, &Outcome::Cancelled, false, later(30)));
}

#[test]
fn a_failure_does_not_unbind_a_session() {
    let agent = agent(2, Strategy::Hybrid);
    let home = serve(&agent, &asks("a", 60_000), NOW);
    let lease = agent.acquire(&asks("a", 61_000), later(5)).expect("somebody can");
    drop(agent.settle(lease, &Outcome::NetworkFault, false, later(5)));
    let bound = agent.bound(&SessionKey::parse("a").expect("not blank"), later(5)).expect("as before");
    assert_eq!(pool(2).number_of(&bound), Some(home));
    assert_eq!(serve(&agent, &asks("a", 61_000), later(20)), home, "its rest of six seconds is over");
}

#[test]
fn nobody_is_bound_before_an_answer_begins() {
    let agent = agent(2, Strategy::Hybrid);
    let lease = agent.acquire(&asks("a", 60_000), NOW).expect("somebody can");
    let session = SessionKey::parse("a").expect("not blank");
    assert_eq!(agent.bound(&session, NOW), None);
    drop(agent.settle(lease, &Outcome::NetworkFault, false, NOW));
    assert_eq!(agent.bound(&session, NOW), None);
}

#[test]
fn a_session_that_just_moved_stays_and_holds_nobody_else() {
    let accounts = [account(1), account(2)];
    let empty = Headroom { left_percent: 0.1, ..Headroom::UNKNOWN };
    let seats = [Seat { headroom: empty, cached_tokens: 1024, ..Seat::of(&accounts[0]) }, Seat::of(&accounts[1])];
    let prompt = Prompt { tokens: 50_000, later_tokens: 50_000 };
    let choice = |just_moved| {
        let ask = Ask { bound: Some(&accounts[0].record), just_moved, prompt, ..Ask::default() };
        pick(&seats, Standards::default(), ask, NOW).map(|pick| (pick.place, pick.reason))
    };
    assert_eq!(choice(true), Some((0, Reason::SameSession)));
    assert_eq!(choice(false), Some((1, Reason::WorthMoving)));
    // Another session has not moved: its stamp is its own.
    let agent = agent(2, Strategy::Hybrid);
    serve(&agent, &asks("a", 50_000), NOW);
    let bond =
        |session: &str| agent.affinity().bonds().find(|(key, _)| key.as_str() == session).map(|(_, b)| b.clone());
    let first: Bond = bond("a").expect("bound");
    serve(&agent, &asks("a", 51_000), later(50));
    assert_eq!(bond("a").expect("bound").came_at, first.came_at, "an answer is no move");
    assert_eq!(bond("b"), None);
}

#[test]
fn a_reserve_and_weight_nought_come_last_and_never_block() {
    let accounts = [account(1), account(2), account(3)];
    let terms = [
        Terms { weight: 0.0, ..Terms::default() },
        Terms { reserve_percent: 30.0, ..Terms::default() },
        Terms::default(),
    ];
    let headroom = Headroom { left_percent: 20.0, ..Headroom::UNKNOWN };
    let seats: Vec<Seat<'_>> = accounts
        .iter()
        .zip(terms)
        .map(|(account, terms)| Seat { terms, headroom, cached_tokens: 40_000, ..Seat::of(account) })
        .collect();
    let prompt = Prompt { tokens: 50_000, later_tokens: 50_000 };
    for strategy in [Strategy::Hybrid, Strategy::Sequential, Strategy::RoundRobin, Strategy::DrainFirst] {
        let standards = Standards { strategy, ..Standards::default() };
        for left in 1..=3 {
            let ask = Ask { bound: Some(&accounts[0].record), prompt, ..Ask::default() };
            let pick = pick(&seats[..left], standards, ask, NOW).expect("the last one serves");
            assert_eq!(pick.place, left - 1, "{strategy}");
        }
    }
}

#[test]
fn a_new_account_is_no_favourite_and_ties_go_by_the_seed() {
    let mut accounts: Vec<_> = (1..=6).map(account).collect();
    accounts[..5].iter_mut().for_each(|account| account.seen.last_used_at = NOW);
    let chosen = |seed| {
        let seats: Vec<Seat<'_>> = accounts.iter().map(Seat::of).collect();
        pick(&seats, Standards { seed, ..Standards::default() }, Ask::default(), NOW).expect("all can").place
    };
    let places: std::collections::BTreeSet<usize> = (0..64).map(chosen).collect();
    assert!(places.len() >= 5, "processes begin at different accounts, not all at the new one: {places:?}");
    assert_eq!(chosen(7), chosen(7));
}

#[test]
fn what_expires_first_is_drained_first_in_proportion_to_its_plan() {
    let accounts = [account(1), account(2), account(3)];
    let window = |hours: u64, plan_size: f64| Headroom {
        left_percent: 50.0,
        expiring: Some(Expiring { left_percent: 50.0, at: later(hours * 3600) }),
        plan_size,
        ..Headroom::UNKNOWN
    };
    let choice = |headrooms: [Headroom; 3]| {
        let seats: Vec<Seat<'_>> =
            accounts.iter().zip(headrooms).map(|(account, headroom)| Seat { headroom, ..Seat::of(account) }).collect();
        let standards = Standards { strategy: Strategy::DrainFirst, ..Standards::default() };
        pick(&seats, standards, Ask::default(), NOW).map(|pick| (pick.place, pick.reason))
    };
    assert_eq!(choice([window(4, 1.0), window(1, 1.0), window(3, 1.0)]), Some((1, Reason::ExpiresFirst)));
    assert_eq!(choice([window(4, 10.0), window(1, 1.0), window(3, 1.0)]), Some((0, Reason::ExpiresFirst)));
}
