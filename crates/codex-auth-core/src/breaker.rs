//! The cascade breaker: when two accounts were signed out within ten minutes, nobody shows a refresh token for a while.
//!
//! A rule over what is durable, the marks of the accounts, so it holds in every process and after every restart. A
//! sign-in takes its account's mark away, and with it the account out of the count.

use std::time::Duration;

use crate::{Account, RecordId, Timestamp};

/// Two signs within this span are a wave, which lasts as long after the later one.
pub const WAVE: Duration = Duration::from_mins(10);

/// Codes by which the issuer or the backend ends a whole sign-in, not one token that grew old. A refresh token that was
/// used before ends its family too: of two accounts at once, that tells of old tokens being shown, by us or by others.
const SIGNS: [&str; 4] = ["token_invalidated", "token_revoked", "refresh_token_invalidated", "refresh_token_reused"];

/// A wave that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// The accounts that were hit, in the order of the pool.
    pub hit: Vec<RecordId>,
    /// When refresh tokens may be shown again.
    pub until: Timestamp,
}

/// Whether an account's mark with this code is a sign of a wave.
pub fn is_sign(code: &str) -> bool {
    SIGNS.iter().any(|sign| code.eq_ignore_ascii_case(sign))
}

/// The wave that is on at `now`, if one is. Several records of one identity are one account.
pub fn wave<'a>(accounts: impl IntoIterator<Item = &'a Account>, now: Timestamp) -> Option<Wave> {
    let mut hit: Vec<(&Account, Timestamp)> = Vec::new();
    for account in accounts {
        let Some(needs) = account.needs_login.as_ref().filter(|needs| is_sign(&needs.code)) else { continue };
        // A mark from further ahead than a wave lasts was made by a clock that has been set back since.
        let is_known = hit.iter().any(|(known, _)| is_same(known, account));
        if !is_known && needs.at <= now.after(WAVE) {
            hit.push((account, needs.at));
        }
    }
    let mut times: Vec<Timestamp> = hit.iter().map(|(_, at)| *at).collect();
    times.sort_unstable();
    let is_close = |pair: &[Timestamp]| pair[1].since(pair[0]) < WAVE;
    let last = times.windows(2).rposition(is_close)?;
    let until = times[last + 1].after(WAVE);
    if until <= now {
        return None;
    }
    let first = times[..=last + 1].windows(2).rposition(|pair| !is_close(pair)).map_or(0, |gap| gap + 1);
    let belongs = |at: &Timestamp| times[first] <= *at && *at <= times[last + 1];
    let hit = hit.iter().filter(|(_, at)| belongs(at)).map(|(account, _)| account.record.clone()).collect();
    Some(Wave { hit, until })
}

fn is_same(left: &Account, right: &Account) -> bool {
    left.record == right.record
        || matches!((left.owner.identity(), right.owner.identity()), (Some(left), Some(right)) if left == right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NeedsLogin, testing::account};

    const MINUTE: i64 = 60;

    /// Marks of accounts 1, 2, … by code and minute, asked about at a minute: who was hit, and until which minute.
    #[track_caller]
    fn check(marks: &[(&str, i64)], now: i64, expect: Option<(&[usize], i64)>) {
        let accounts: Vec<_> = marks
            .iter()
            .enumerate()
            .map(|(index, (code, at))| {
                let needs = NeedsLogin { code: (*code).to_owned(), at: Timestamp::from_secs(at * MINUTE) };
                Account { needs_login: (!code.is_empty()).then_some(needs), ..account(index + 1) }
            })
            .collect();
        let expect = expect.map(|(hit, until)| Wave {
            hit: hit.iter().map(|n| account(*n).record).collect(),
            until: Timestamp::from_secs(until * MINUTE),
        });
        assert_eq!(wave(&accounts, Timestamp::from_secs(now * MINUTE)), expect, "{marks:?} at {now}");
    }

    #[test]
    fn two_accounts_within_ten_minutes_open_it_for_ten_minutes_after_the_second() {
        let two = [("token_invalidated", 100), ("token_revoked", 109)];
        check(&two, 109, Some((&[1, 2], 119)));
        check(&two, 118, Some((&[1, 2], 119)));
        check(&two, 119, None);
        check(&[("token_invalidated", 109), ("refresh_token_invalidated", 100)], 110, Some((&[1, 2], 119)));
        check(&[("token_invalidated", 100), ("token_invalidated", 110)], 111, None);
        check(&[("token_invalidated", 100)], 100, None);
        check(&[], 100, None);
    }

    #[test]
    fn a_reused_token_is_a_sign_and_one_that_grew_old_is_not() {
        check(&[("refresh_token_reused", 100), ("Refresh_Token_Reused", 101)], 102, Some((&[1, 2], 111)));
        for code in ["refresh_token_expired", "token_expired", "invalid_grant", "http_401", "refresh_answer_lost", ""] {
            check(&[("token_invalidated", 100), (code, 101)], 102, None);
        }
    }

    #[test]
    fn it_goes_on_while_others_follow() {
        let three = [("token_revoked", 100), ("token_revoked", 108), ("token_revoked", 115)];
        check(&three, 124, Some((&[1, 2, 3], 125)));
        check(&three, 125, None);
    }

    #[test]
    fn marks_from_before_do_not_belong_to_it() {
        check(&[("token_revoked", 10), ("token_revoked", 100), ("token_revoked", 101)], 102, Some((&[2, 3], 111)));
        check(&[("token_revoked", 100), ("token_revoked", 101), ("token_revoked", 180)], 105, Some((&[1, 2], 111)));
    }

    #[test]
    fn a_clock_that_was_set_back_holds_it_open_no_longer_than_it_lasts() {
        check(&[("token_revoked", 104), ("token_revoked", 105)], 100, Some((&[1, 2], 115)));
        check(&[("token_revoked", 500), ("token_revoked", 501)], 100, None);
    }

    #[test]
    fn two_records_of_one_identity_are_one_account() {
        let marked = |n: usize| {
            let needs = NeedsLogin { code: "token_revoked".into(), at: Timestamp::default() };
            Account { needs_login: Some(needs), ..account(n) }
        };
        let twin = Account { record: account(9).record, ..marked(1) };
        assert_eq!(wave(&[marked(1), twin.clone()], Timestamp::default()), None);
        let wave = wave(&[marked(1), twin, marked(2)], Timestamp::default()).expect("two accounts");
        assert_eq!(wave.hit, [account(1).record, account(2).record]);
    }
}
