//! When the agent renews credentials that nobody waits for: which account next, and not before when.
//!
//! Ahead of the official client's window, so that a client that shares a login finds a fresh pair in its file and never
//! presents the old one. Slowly, for the issuer's sake: far apart, in no step with one another, and only accounts in use.

use std::time::Duration;

use crate::{Account, Credential, Held, REFRESH_AHEAD, RENEW_AT_AGE, RecordId, RestScope, SavedPool, Timestamp};

/// The least time between two presentations that nobody waits for.
pub const APART: Duration = Duration::from_secs(5);

/// An account that nobody used for so long is left alone.
pub const IN_USE_FOR: Duration = Duration::from_hours(7 * 24);

/// A pair that was bought a moment ago is not renewed for nobody, however short its life: a token that ends at once would
/// be renewed without an end.
pub const RESTS_AFTER_RENEWAL: Duration = Duration::from_secs(30);

/// How far ahead of the official client's window renewals begin at the latest, and over which span they spread.
const MARGIN: Duration = Duration::from_mins(1);
const SPREAD: Duration = Duration::from_mins(5);

/// What the plan depends on besides the pool.
#[derive(Clone, Copy)]
pub struct Pace<'a> {
    /// When a token was last presented for nobody, by any process of this machine.
    pub last: Option<Timestamp>,
    /// Accounts that stand in an `auth.json`: some client may use them without telling us.
    pub logged_in: &'a [RecordId],
    /// Until when an account is left alone because its last renewal failed.
    pub quiet: &'a dyn Fn(&RecordId) -> Option<Timestamp>,
    /// Each agent has its own, so that two of them do not walk in step.
    pub seed: u64,
}

/// The renewal that is due next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose.
    pub record: RecordId,
    /// Not before this instant; in the past, or now, when it is due.
    pub at: Timestamp,
}

/// Plans the next renewal; `None` when no account needs one. During a wave all of them wait for its end.
pub fn next_turn(pool: &SavedPool, pace: Pace<'_>, now: Timestamp) -> Option<Turn> {
    let wave = crate::wave(pool.accounts.iter().map(|held| &held.account), now);
    let floor = [wave.map(|wave| wave.until), pace.last.map(|last| last.min(now).after(APART))];
    let floor = floor.into_iter().flatten().max();
    let turns = pool.accounts.iter().filter(|held| may_be_renewed(held, pace, now)).filter_map(|held| {
        let record = &held.account.record;
        let due = due(&held.credential, share_of(record, pace.seed))?;
        let rests = held.account.rests.iter().filter(|rest| rest.scope == RestScope::Account && rest.holds(now));
        let rested = rests.filter(|rest| rest.reason.is_in_memory()).map(|rest| rest.until).max();
        let at = [Some(due), floor, rested, (pace.quiet)(record)].into_iter().flatten().max()?;
        Some(Turn { record: record.clone(), at })
    });
    turns.min_by(|left, right| (left.at, left.record.as_str()).cmp(&(right.at, right.record.as_str())))
}

fn may_be_renewed(held: &Held, pace: Pace<'_>, now: Timestamp) -> bool {
    let Account { record, enabled, needs_login, provenance, seen, .. } = &held.account;
    let is_in_use = pace.logged_in.contains(record) || now.since(seen.last_used_at.max(seen.added_at)) < IN_USE_FOR;
    // Whoever else holds the token of an imported sign-in would be signed out by our renewal; a request may need that,
    // the clock does not.
    let is_shared = provenance.as_ref().is_some_and(|from| from.shared);
    *enabled && needs_login.is_none() && !is_shared && is_in_use && !held.credential.refresh.is_blank()
}

/// When a credential is to be renewed. Short lives are never cut by more than half.
fn due(credential: &Credential, share: f64) -> Option<Timestamp> {
    let jitter = SPREAD.mul_f64(share);
    credential.access.as_ref()?;
    match (credential.expires_at, credential.obtained_at) {
        (Some(end), obtained) => {
            let ahead = before(end, REFRESH_AHEAD + MARGIN + jitter);
            let half = obtained.filter(|at| *at < end).map(|at| at.after(end.since(at) / 2));
            let floor = obtained.map(|at| at.min(end).after(RESTS_AFTER_RENEWAL));
            [half, floor].into_iter().flatten().chain([ahead]).max()
        }
        (None, Some(obtained)) => Some(before(obtained.after(RENEW_AT_AGE), jitter)),
        (None, None) => None,
    }
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

/// A share in `0..1` that is the account's own (FNV-1a over its name, mixed with the seed).
fn share_of(record: &RecordId, seed: u64) -> f64 {
    let hash = record
        .as_str()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NeedsLogin, Provenance, Rest, RestReason, testing::pool};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn never(_: &RecordId) -> Option<Timestamp> {
        None
    }

    const CALM: Pace<'_> = Pace { last: None, logged_in: &[], quiet: &never, seed: 7 };

    /// A pool whose accounts were used a moment ago and whose tokens end at these seconds from now.
    fn ending(secs: &[i64]) -> SavedPool {
        let mut pool = pool(secs.len());
        for (held, secs) in pool.accounts.iter_mut().zip(secs) {
            held.credential.expires_at = Some(Timestamp::from_millis(NOW.as_millis() + secs * 1000));
            held.credential.obtained_at = Some(before(NOW, 24 * HOUR));
            held.account.seen.last_used_at = NOW;
        }
        pool
    }

    /// The number of the next account and its seconds from now.
    fn planned(pool: &SavedPool, pace: Pace<'_>) -> Option<(usize, i64)> {
        let turn = next_turn(pool, pace, NOW)?;
        Some((pool.number_of(&turn.record)?, (turn.at.as_millis() - NOW.as_millis()).div_euclid(1000)))
    }

    #[test]
    fn a_renewal_comes_before_the_official_clients_window() {
        for seed in 0..50 {
            let (_, at) = planned(&ending(&[3600]), Pace { seed, ..CALM }).expect("it is in use");
            let left = 3600 - at;
            assert!((360..=661).contains(&left), "{left} s before its end");
        }
    }

    #[test]
    fn accounts_that_end_together_are_not_renewed_together() {
        let pool = ending(&[3600; 20]);
        let mut at: Vec<_> = pool
            .accounts
            .iter()
            .map(|held| due(&held.credential, share_of(&held.account.record, 3)).expect("it ends").as_millis())
            .collect();
        at.sort_unstable();
        at.dedup();
        assert_eq!(at.len(), 20);
        assert!(at[19] - at[0] > 120_000, "they spread over {} ms", at[19] - at[0]);
    }

    #[test]
    fn a_short_life_is_cut_by_half_at_most() {
        let mut pool = ending(&[300]);
        pool.accounts[0].credential.obtained_at = Some(before(NOW, Duration::from_mins(3)));
        assert_eq!(planned(&pool, CALM), Some((1, 60)), "it lives for eight minutes");
    }

    #[test]
    fn a_token_that_ends_at_once_is_not_renewed_again_and_again() {
        let mut pool = ending(&[10]);
        pool.accounts[0].credential.obtained_at = Some(NOW);
        assert_eq!(planned(&pool, CALM), Some((1, 30)));
        pool.accounts[0].credential.obtained_at = Some(NOW.after(HOUR));
        assert_eq!(planned(&pool, CALM), Some((1, 40)), "the clock was set back since");
    }

    #[test]
    fn a_token_without_an_end_goes_by_its_age() {
        let mut pool = ending(&[0]);
        let credential = &mut pool.accounts[0].credential;
        (credential.expires_at, credential.obtained_at) = (None, Some(before(NOW, RENEW_AT_AGE)));
        assert!(planned(&pool, CALM).is_some_and(|(_, at)| at <= 0));
        pool.accounts[0].credential.obtained_at = None;
        assert_eq!(planned(&pool, CALM), None, "nobody knows how old it is");
    }

    #[test]
    fn two_are_apart_and_whoever_is_due_first_comes_first() {
        let pool = ending(&[-50, -100]);
        assert!(planned(&pool, CALM).is_some_and(|(number, at)| number == 2 && at < 0));
        let after = |secs: u64| planned(&pool, Pace { last: Some(before(NOW, Duration::from_secs(secs))), ..CALM });
        assert_eq!(after(0).map(|(_, at)| at), Some(5));
        assert_eq!(after(2).map(|(_, at)| at), Some(3));
        assert_eq!(planned(&pool, Pace { last: Some(NOW.after(HOUR)), ..CALM }).map(|(_, at)| at), Some(5));
    }

    /// Whether account 1, whose token has ended, is planned for after a change to the pool.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Held), expect: bool) {
        let mut pool = ending(&[-1]);
        change(&mut pool.accounts[0]);
        assert_eq!(planned(&pool, CALM).is_some(), expect);
    }

    #[test]
    fn only_accounts_in_use_are_renewed() {
        check(|_| {}, true);
        check(|held| held.account.enabled = false, false);
        check(|held| held.account.seen.last_used_at = before(NOW, IN_USE_FOR.saturating_sub(HOUR)), true);
        check(|held| held.account.seen.last_used_at = before(NOW, IN_USE_FOR), false);
        check(|held| (held.account.seen.last_used_at, held.account.seen.added_at) = (Timestamp::default(), NOW), true);
        check(|held| held.account.needs_login = Some(NeedsLogin { code: "x".into(), at: NOW }), false);
        check(|held| held.credential.refresh = crate::RefreshToken::new(""), false);
        check(|held| held.credential.access = None, false);
        let from = |shared| Some(Provenance { path: "p".into(), format: "opencode".into(), at: NOW, shared });
        check(|held| held.account.provenance = from(true), false);
        check(|held| held.account.provenance = from(false), true);
    }

    #[test]
    fn a_login_counts_as_used() {
        let mut pool = ending(&[-1]);
        pool.accounts[0].account.seen.last_used_at = Timestamp::default();
        let logged_in = [pool.accounts[0].account.record.clone()];
        assert_eq!(planned(&pool, CALM), None);
        assert!(planned(&pool, Pace { logged_in: &logged_in, ..CALM }).is_some());
    }

    #[test]
    fn a_wave_a_rest_and_a_failure_are_waited_for() {
        let mut pool = ending(&[-1, -1, -1]);
        let quiet = |_: &RecordId| Some(NOW.after(HOUR));
        assert_eq!(planned(&pool, Pace { quiet: &quiet, ..CALM }).map(|(_, at)| at), Some(3600));
        for held in &mut pool.accounts {
            held.account.rest(Rest::of_account(RestReason::Network, NOW.after(Duration::from_secs(6)), NOW));
            // A spent quota is no reason to let a sign-in end.
            held.account.rest(Rest::of_account(RestReason::UsageLimit, NOW.after(HOUR), NOW));
        }
        assert_eq!(planned(&pool, CALM).map(|(_, at)| at), Some(6));
        for held in &mut pool.accounts[..2] {
            held.account.needs_login = Some(NeedsLogin { code: "token_revoked".into(), at: NOW });
        }
        assert_eq!(planned(&pool, CALM), Some((3, 600)));
    }
}
