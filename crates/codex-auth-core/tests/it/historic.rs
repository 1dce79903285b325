//! Faults the predecessors had once, each as the day on which it showed. `docs/historic-bugs.md` names them all; those
//! that another room's tests show are not told again here.

use std::sync::Arc;

use codex_auth_core::{
    AccessToken, AccountStore as _, Cause, Claims, CredentialKeeper, Edit, Granted, KeepError, Outcome, Query,
    QuotaSnapshot, QuotaWindow, RecordId, RefreshError, RefreshReason, RefreshToken, RestPolicy, Rotation, SavedPool,
    SessionKey, Settled, Source, Strategy, Timestamp, UserId,
    testing::{ManualClock, MemoryStore, ScriptedIssuer, held, pool},
};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const LATER: Timestamp = Timestamp::from_secs(1_003_600);

fn record(number: usize) -> RecordId {
    held(number).account.record
}

fn rotation(pool: SavedPool, strategy: Strategy) -> Rotation {
    Rotation::new(pool, strategy, RestPolicy::default())
}

fn asked_in(session: &str) -> Query {
    Query { session: SessionKey::parse(session), ..Query::default() }
}

/// One attempt, and who made it.
fn attempt(rotation: &Rotation, query: &Query, outcome: &Outcome) -> RecordId {
    let lease = rotation.acquire(query, NOW).expect("somebody can serve");
    let served = lease.held.account.record.clone();
    let _: Settled = rotation.settle(lease, outcome, false, NOW);
    served
}

/// Runs what never has to wait.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut jobs = std::pin::pin!(work);
    match jobs.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("this had to wait"),
    }
}

/// Renews account 1, whose issuer answers so; what the renewal came to, and what is kept of the account.
fn renewal(answer: Result<Granted, RefreshError>) -> (Result<codex_auth_core::Held, KeepError>, codex_auth_core::Held) {
    let (store, issuer) = (MemoryStore::holding(pool(1)), ScriptedIssuer::answering([answer]));
    let keeper = CredentialKeeper::new(Arc::new(store.clone()), Arc::new(issuer), Arc::new(ManualClock::at(NOW)));
    let came_to = at_once(keeper.renew(&record(1), &held(1).credential, RefreshReason::Forced));
    let kept = at_once(store.read()).expect("memory obeys").accounts.remove(0);
    (came_to, kept)
}

/// Reads what somebody else wrote.
fn adopt(rotation: &Rotation, pool: SavedPool, strategy: Strategy) {
    rotation.reading();
    rotation.adopt(pool, strategy, NOW);
}

#[test]
fn a_rest_follows_its_account_through_a_reorder() {
    let rotation = rotation(pool(3), Strategy::Sequential);
    assert_eq!(attempt(&rotation, &Query::default(), &Outcome::ServerFault { status: 503 }), record(1));
    let mut turned = pool(3);
    turned.accounts.reverse();
    adopt(&rotation, turned, Strategy::Sequential);
    let ready = |decision: codex_auth_core::Decision| -> Vec<RecordId> {
        decision
            .standings
            .into_iter()
            .filter(codex_auth_core::Standing::is_ready)
            .map(|standing| standing.record)
            .collect()
    };
    assert_eq!(ready(rotation.decide(&Query::default(), NOW)), [record(3), record(2)]);
}

#[test]
fn a_switch_reaches_the_sessions_of_a_running_agent() {
    let rotation = rotation(pool(2), Strategy::Hybrid);
    let bound = attempt(&rotation, &asked_in("s"), &Outcome::Served);
    let other = if bound == record(1) { record(2) } else { record(1) };
    let switched = |pin| SavedPool { pin, affinity_generation: 1, ..pool(2) };
    adopt(&rotation, switched(Some(other.clone())), Strategy::Hybrid);
    assert_eq!(attempt(&rotation, &asked_in("s"), &Outcome::Cancelled), other);
    // Without the pin, too: the decision ended what was before it.
    adopt(&rotation, SavedPool { affinity_generation: 2, ..switched(None) }, Strategy::Hybrid);
    assert_eq!(rotation.bound(&SessionKey::parse("s").expect("a name"), NOW), None);
}

#[test]
fn a_removed_account_leaves_no_pin_on_its_neighbour() {
    let mut fewer = pool(3);
    fewer.pin = Some(record(2));
    let removed = |pool: &mut SavedPool| pool.accounts.retain(|held| held.account.record != record(2));
    let edit: Edit = Box::new(removed);
    edit(&mut fewer);
    let refusal = rotation(fewer, Strategy::Hybrid).acquire(&Query::default(), NOW).expect_err("a pin never spills");
    assert_eq!(refusal.cause, Cause::Pinned { record: record(2), until: None });
}

#[test]
fn the_fifty_first_request_is_served_too() {
    let rotation = rotation(pool(1), Strategy::Hybrid);
    let leases: Vec<_> = (0..200).map(|_| rotation.acquire(&Query::default(), NOW).expect("no local limit")).collect();
    assert_eq!(rotation.in_flight(&record(1)), 200);
    for lease in leases {
        let _: Settled = rotation.settle(lease, &Outcome::Served, false, NOW);
    }
    assert_eq!(rotation.in_flight(&record(1)), 0);
}

#[test]
fn the_last_percents_of_the_last_account_are_served() {
    let rotation = rotation(pool(1), Strategy::Hybrid);
    let window = QuotaWindow { used_percent: 99.6, window_minutes: Some(10_080), resets_at: Some(LATER) };
    let told = QuotaSnapshot { primary: Some(window), secondary: None, seen_at: NOW };
    rotation.saw_quota(&record(1), &told.report(Source::Headers, None));
    assert_eq!(attempt(&rotation, &Query::default(), &Outcome::Served), record(1));
}

#[test]
fn every_account_of_fifty_is_tried() {
    let rotation = rotation(pool(50), Strategy::Sequential);
    let limited = Outcome::UsageLimited { until: Some(LATER) };
    let mut tried: Vec<RecordId> = Vec::new();
    while let Ok(lease) = rotation.acquire(&Query { tried: tried.clone(), ..Query::default() }, NOW) {
        tried.push(lease.held.account.record.clone());
        let _: Settled = rotation.settle(lease, &limited, false, NOW);
    }
    assert_eq!(tried.len(), 50);
}

#[test]
fn an_older_pair_never_replaces_a_newer_one() {
    let rotation = rotation(pool(1), Strategy::Hybrid);
    let generation = |generation| {
        let mut held = held(1);
        held.credential.access = Some(AccessToken::new(format!("access of generation {generation}")));
        held.credential.generation = generation;
        held
    };
    rotation.renewed(&generation(1));
    // Written by somebody else after ours; what was learnt here is older now.
    let mut newer = pool(1);
    newer.accounts[0] = generation(2);
    rotation.adopt(newer, Strategy::Hybrid, NOW);
    assert_eq!(rotation.pool().accounts[0].credential.generation, 2);
}

#[test]
fn a_pinned_account_after_a_fault_is_not_called_limited() {
    let mut pinned = pool(2);
    pinned.pin = Some(record(1));
    let rotation = rotation(pinned, Strategy::Hybrid);
    attempt(&rotation, &Query::default(), &Outcome::NetworkFault);
    let refusal = rotation.acquire(&Query::default(), NOW).expect_err("it rests");
    let until = Some(NOW.after(RestPolicy::default().network));
    assert_eq!(refusal.cause, Cause::Unreachable { until });
}

#[test]
fn a_short_wait_of_the_backend_is_kept_and_ends_when_it_said() {
    let until = NOW.after(std::time::Duration::from_secs(2));
    let rotation = rotation(pool(1), Strategy::Hybrid);
    let lease = rotation.acquire(&Query::default(), NOW).expect("it can serve");
    let settled = rotation.settle(lease, &Outcome::UsageLimited { until: Some(until) }, false, NOW);
    let (edit, _) = settled.edit.expect("it is kept");
    let mut disk = pool(1);
    edit(&mut disk);
    assert_eq!(disk.accounts[0].account.longest_rest(NOW).map(|rest| rest.until), Some(until));
    assert_eq!(rotation.acquire(&Query::default(), NOW).expect_err("not yet").cause, Cause::UsageLimited { until });
    assert!(rotation.acquire(&Query::default(), until).is_ok());
}

#[test]
fn an_account_that_comes_while_the_agent_runs_serves() {
    let mut first = pool(2);
    let late = first.accounts.pop().expect("two");
    let rotation = rotation(first.clone(), Strategy::Hybrid);
    attempt(&rotation, &Query::default(), &Outcome::UsageLimited { until: Some(LATER) });
    assert!(rotation.acquire(&Query::default(), NOW).is_err());
    first.accounts.push(late);
    adopt(&rotation, first, Strategy::Hybrid);
    assert_eq!(attempt(&rotation, &Query::default(), &Outcome::Served), record(2));
}

#[test]
fn a_final_rejection_is_marked_at_once() {
    let code = "refresh_token_invalidated".to_owned();
    let (came_to, kept) = renewal(Err(RefreshError::Refused { code: code.clone() }));
    assert_eq!(came_to, Err(KeepError::NeedsLogin { code: code.clone() }));
    assert_eq!(kept.account.needs_login.map(|mark| mark.code), Some(code));
}

#[test]
fn tokens_of_somebody_else_are_not_kept() {
    let granted = Granted {
        access: Some(AccessToken::new("access of somebody else")),
        refresh: Some(RefreshToken::new("refresh of somebody else")),
        claims: Claims { user: UserId::parse("somebody else"), ..Claims::default() },
        ..Granted::default()
    };
    let (came_to, kept) = renewal(Ok(granted));
    assert!(came_to.is_err());
    assert_eq!(kept.credential, held(1).credential);
}

#[test]
fn requests_at_one_time_are_spread() {
    let rotation = rotation(pool(4), Strategy::Hybrid);
    let leases: Vec<_> = (0..4).map(|_| rotation.acquire(&Query::default(), NOW).expect("all can serve")).collect();
    let busy: Vec<u32> = (1..=4).map(|number| rotation.in_flight(&record(number))).collect();
    assert_eq!(busy, [1, 1, 1, 1]);
    for lease in leases {
        let _: Settled = rotation.settle(lease, &Outcome::Served, false, NOW);
    }
}
