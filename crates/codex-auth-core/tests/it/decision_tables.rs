//! Rules whose modules hold no table of their own: what an attempt leaves behind, what a renewal keeps, who is refused
//! for what when a pin or a strategy decides.

use codex_auth_core::{
    AccessToken, Cause, Credential, Granted, Outcome, Query, Reaction, RefreshToken, RestPolicy, Rotation, SavedPool,
    Strategy, Timestamp,
    testing::{held, pool},
};

const NOW: Timestamp = Timestamp::from_secs(1000);

/// Settles one attempt of account 1 and looks at what stands in its way afterwards, here and on disk.
#[track_caller]
fn check_settled(outcome: &Outcome, reaction: Reaction, here: &[&str], on_disk: &[&str]) {
    let rotation = Rotation::new(pool(2), Strategy::Sequential, RestPolicy::default());
    let lease = rotation.acquire(&Query::default(), NOW).expect("two can serve");
    let settled = rotation.settle(lease, outcome, true, NOW);
    assert_eq!(settled.reaction, reaction, "{outcome:?}");
    let mut disk = pool(2);
    assert_eq!(settled.is_urgent, matches!(outcome, Outcome::TokenInvalidated { .. }), "{outcome:?}");
    if let Some((edit, _)) = settled.edit {
        edit(&mut disk);
    }
    assert_eq!(blockers(&rotation), here, "{outcome:?} here");
    let reread = Rotation::new(disk, Strategy::Sequential, RestPolicy::default());
    assert_eq!(blockers(&reread), on_disk, "{outcome:?} on disk");
}

/// What keeps account 1 from serving a moment later.
fn blockers(rotation: &Rotation) -> Vec<&'static str> {
    let decision = rotation.decide(&Query::default(), Timestamp::from_secs(1001));
    decision.standings[0].blockers.iter().map(codex_auth_core::Blocker::code).collect()
}

#[test]
fn what_an_attempt_leaves_behind() {
    let limited = Outcome::UsageLimited { until: Some(Timestamp::from_secs(2000)) };
    check_settled(&Outcome::Served, Reaction::Relay, &[], &[]);
    check_settled(&Outcome::PolicyRefused, Reaction::Relay, &[], &[]);
    check_settled(&Outcome::Cancelled, Reaction::Stop, &[], &[]);
    check_settled(&Outcome::ForeignCiphertext, Reaction::RewriteAndRetry, &[], &[]);
    check_settled(&limited, Reaction::TryAnother, &["rate-limited"], &["rate-limited"]);
    let unknown = Outcome::UsageLimited { until: None };
    check_settled(&unknown, Reaction::TryAnother, &["rate-limited"], &["rate-limited"]);
    check_settled(&Outcome::ServerFault { status: 503 }, Reaction::TryAnother, &["cooling-down:server-error"], &[]);
    check_settled(&Outcome::NetworkFault, Reaction::TryAnother, &["cooling-down:network-error"], &[]);
    check_settled(&Outcome::Unauthorized, Reaction::TryAnother, &["cooling-down:auth-failure"], &[]);
    let gone = Outcome::Deactivated { code: "deactivated_workspace".into() };
    check_settled(&gone, Reaction::TryAnother, &["disabled"], &["disabled"]);
    let signed_out = Outcome::TokenInvalidated { code: "token_invalidated".into() };
    let mark = "token-invalid — re-login needed";
    check_settled(&signed_out, Reaction::MarkAndTryOne, &[mark], &[mark]);
}

#[test]
fn a_mark_is_for_the_token_that_was_worn() {
    let rotation = Rotation::new(pool(1), Strategy::Sequential, RestPolicy::default());
    let lease = rotation.acquire(&Query::default(), NOW).expect("one can serve");
    let signed_out = Outcome::TokenInvalidated { code: "token_invalidated".into() };
    let (edit, _) = rotation.settle(lease, &signed_out, false, NOW).edit.expect("a mark");
    let mut signed_in_anew = pool(1);
    signed_in_anew.accounts[0].credential.access = Some(AccessToken::new("anew"));
    edit(&mut signed_in_anew);
    assert_eq!(signed_in_anew.accounts[0].account.needs_login, None);
}

/// A credential that ends at second 1, succeeded by a grant with these parts.
#[track_caller]
fn check_succession(access: Option<&str>, refresh: Option<&str>, ends: Option<i64>, expect: (&str, &str, Option<i64>)) {
    let before = Credential { expires_at: Some(Timestamp::from_secs(1)), ..held(1).credential };
    let granted = Granted {
        access: access.map(AccessToken::new),
        refresh: refresh.map(RefreshToken::new),
        expires_at: ends.map(Timestamp::from_secs),
        ..Granted::default()
    };
    let after = before.succeeded_by(granted, NOW);
    let access = after.access.as_ref().map(AccessToken::expose).unwrap_or_default();
    assert_eq!(
        (access, after.refresh.expose(), after.expires_at),
        (expect.0, expect.1, expect.2.map(Timestamp::from_secs))
    );
    assert_eq!((after.generation, after.obtained_at), (before.generation + 1, Some(NOW)));
}

#[test]
fn what_the_issuer_leaves_out_is_kept() {
    check_succession(Some("a2"), Some("r2"), Some(9), ("a2", "r2", Some(9)));
    check_succession(Some("a2"), None, Some(9), ("a2", "refresh-1", Some(9)));
    check_succession(None, Some("r2"), None, ("access-1", "r2", Some(1)));
    // The end of the old token says nothing about the new one.
    check_succession(Some("a2"), Some("r2"), None, ("a2", "r2", None));
}

#[track_caller]
fn check_refused(strategy: Strategy, ail: impl Fn(&mut SavedPool), expect: &Cause) {
    let mut pool = pool(2);
    ail(&mut pool);
    let rotation = Rotation::new(pool, strategy, RestPolicy::default());
    assert_eq!(&rotation.acquire(&Query::default(), NOW).expect_err("nobody may serve").cause, expect);
}

#[test]
fn a_pin_and_a_strategy_that_never_moves_fail_closed() {
    let record = |number| held(number).account.record;
    let disable = |pool: &mut SavedPool, index: usize| pool.accounts[index].account.enabled = false;
    let pinned = |number| Cause::Pinned { record: record(number), until: None };
    let pin = |pool: &mut SavedPool, number| pool.pin = Some(record(number));
    for strategy in [Strategy::Hybrid, Strategy::Sequential, Strategy::Manual] {
        check_refused(strategy, |pool| (pin(pool, 2), disable(pool, 1)).1, &pinned(2));
        check_refused(strategy, |pool| pin(pool, 9), &pinned(9));
        check_refused(strategy, |pool| pool.accounts.clear(), &Cause::NoAccounts);
    }
    check_refused(Strategy::Manual, |pool| disable(pool, 0), &Cause::NothingSelected);
    check_refused(Strategy::Manual, |pool| pool.active = None, &Cause::NothingSelected);
    check_refused(Strategy::Hybrid, |pool| (0..2).for_each(|index| disable(pool, index)), &Cause::NeedsUser);
}
