//! Owns which of two credentials of one account was granted later.
//!
//! The issuer's own word comes first (`iat` of the access token): a file's `last_refresh` may lie, because the
//! predecessor writes the end of the access token there.

use codex_auth_core::{Credential, Held, Rest, RestReason, RestScope, Timestamp};

use crate::claims::issued_at;

/// Whether `theirs` was granted after `ours`. When nothing tells, `ours` stays.
pub(crate) fn is_newer(theirs: &Credential, ours: &Credential, now: Timestamp) -> bool {
    let issued = |credential: &Credential| credential.access.as_ref().and_then(issued_at);
    let obtained = |credential: &Credential| credential.obtained_at.filter(|at| *at <= now);
    let told =
        [(issued(theirs), issued(ours)), (obtained(theirs), obtained(ours)), (theirs.expires_at, ours.expires_at)];
    let decided = told.into_iter().find_map(|pair| match pair {
        (Some(theirs), Some(ours)) if theirs != ours => Some(theirs > ours),
        _ => None,
    });
    decided.unwrap_or_else(|| ours.access.is_none() && theirs.access.is_some())
}

/// Which of several sign-ins of one account has the newest credential. Each word of the issuer or of a file rules out
/// those that it shows to be older; where nothing tells, the one used last is meant, then the one added later, then the
/// later one. Of two, it is the one [`is_newer`] means.
pub(crate) fn newest(all: &[&Held], now: Timestamp) -> usize {
    let mut left: Vec<usize> = (0..all.len()).collect();
    let mut rule_out = |word: &dyn Fn(&Credential) -> Option<Timestamp>| {
        let told: Vec<_> = left.iter().map(|index| word(&all[*index].credential)).collect();
        let latest = told.iter().flatten().max().copied();
        let mut told = told.into_iter();
        left.retain(|_| told.next().flatten().is_none_or(|at| Some(at) == latest));
    };
    rule_out(&|credential| credential.access.as_ref().and_then(issued_at));
    rule_out(&|credential| credential.obtained_at.filter(|at| *at <= now));
    rule_out(&|credential| credential.expires_at);
    if left.iter().any(|index| all[*index].credential.access.is_some()) {
        left.retain(|index| all[*index].credential.access.is_some());
    }
    let use_of = |index: &usize| {
        let seen = all[*index].account.seen;
        (seen.last_used_at, seen.added_at, *index)
    };
    left.into_iter().max_by_key(use_of).expect("every rule leaves somebody")
}

/// Puts a newer credential in the place of an older one: what stood in the way because of the old one is gone.
/// What the user decided (enabled, alias, pin) is not touched.
pub(crate) fn replace(held: &mut Held, fresh: Credential) {
    let generation = fresh.generation.max(held.credential.generation + 1);
    held.credential = Credential { generation, ..fresh };
    held.account.needs_login = None;
    held.account.incident = held.account.incident.take().filter(|incident| !incident.ends_with_a_grant());
    held.account.rests.retain(|rest: &Rest| !(rest.reason == RestReason::Auth && rest.scope == RestScope::Account));
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{AccessToken, testing::held};
    use serde_json::json;

    use super::*;
    use crate::testing::jwt;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    /// A credential issued, obtained and ending at these seconds; zero means unknown.
    fn credential(issued: i64, obtained: i64, expires: i64) -> Credential {
        let known = |seconds: i64| (seconds > 0).then(|| Timestamp::from_secs(seconds));
        let claims = if issued > 0 { json!({ "iat": issued }) } else { json!({}) };
        Credential {
            access: Some(AccessToken::new(jwt(&claims))),
            obtained_at: known(obtained),
            expires_at: known(expires),
            ..held(1).credential
        }
    }

    #[track_caller]
    fn check(theirs: (i64, i64, i64), ours: (i64, i64, i64), expect: bool) {
        let (theirs, ours) = (credential(theirs.0, theirs.1, theirs.2), credential(ours.0, ours.1, ours.2));
        assert_eq!(is_newer(&theirs, &ours, NOW), expect);
    }

    #[test]
    fn the_issuers_word_comes_first() {
        check((20, 10, 10), (10, 20, 20), true);
        check((10, 20, 20), (20, 10, 10), false);
    }

    #[test]
    fn then_when_it_was_obtained_unless_that_lies_in_the_future() {
        check((0, 20, 10), (0, 10, 20), true);
        check((0, 2000, 10), (0, 10, 20), false);
    }

    #[test]
    fn then_when_the_access_token_ends() {
        check((0, 20, 30), (0, 0, 20), true);
        check((0, 20, 20), (0, 0, 30), false);
        check((0, 0, 0), (0, 0, 0), false);
    }

    #[test]
    fn an_access_token_is_better_than_none() {
        let none = Credential { access: None, ..credential(0, 0, 0) };
        assert!(is_newer(&credential(0, 0, 0), &none, NOW));
    }
}
