//! The model that is asked for in place of one that nobody who may serve has, where the user wants that.
//!
//! By default nothing is (`strict`): what was asked for goes out as it came, to another account at most. With
//! `unsupportedCodexPolicy` at `fallback` the next model of a chain is taken, but only when the refusal is for want of
//! the model: every account that may serve is known to lack it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Blocker, RecordId, Refusal, RestReason, Standing};

/// Models that one request asks for at most, its own included.
pub const MOST_MODELS: usize = 4;

/// What comes after a model, where the user says nothing of it.
const BUILT_IN: [(&str, &[&str]); 11] = [
    ("gpt-5", &["gpt-5.5"]),
    ("gpt-5.5", &["gpt-5.4"]),
    ("gpt-5-pro", &["gpt-5.5-pro"]),
    ("gpt-5.5-pro", &["gpt-5.4"]),
    ("gpt-5.3-codex-spark", &["gpt-5.3-codex", OLDER]),
    ("gpt-5-codex", &["gpt-5.3-codex", OLDER]),
    ("gpt-5.3-codex", &[OLDER]),
    (OLDER, NEWER),
    ("gpt-5.1-codex", NEWER),
    ("codex-max", NEWER),
    ("gpt-5.1-codex-max", NEWER),
];
/// The one that a setting of its own takes out of these chains (`fallbackToGpt52OnUnsupportedGpt53`).
const OLDER: &str = "gpt-5.2-codex";
const NEWER: &[&str] = &["gpt-5.3-codex"];
/// What the small ones end with; [`NEWER`] comes after each of them.
const SMALL: &str = "-mini";

/// Whether another model may be asked for, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fallback(Option<Arc<Chains>>);

#[derive(Debug, PartialEq, Eq)]
struct Chains {
    /// By the model's plain name; an entry stands instead of a built-in one.
    own: BTreeMap<String, Vec<String>>,
    goes_to_older: bool,
}

impl Fallback {
    /// Never another model.
    pub fn strict() -> Self {
        Self(None)
    }

    /// The user's chains over the built-in ones. `goes_to_older`: whether the built-in ones may come to
    /// `gpt-5.2-codex`.
    pub fn along(own: impl IntoIterator<Item = (String, Vec<String>)>, goes_to_older: bool) -> Self {
        let listed = |names: Vec<String>| {
            let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        let own = own.into_iter().map(|(model, names)| (plain(&model), listed(names))).collect();
        Self(Some(Arc::new(Chains { own, goes_to_older })))
    }

    /// The user's own chains, and whether the built-in ones may come to `gpt-5.2-codex`; `None` where no other model is
    /// ever asked for.
    pub fn chains(&self) -> Option<(&BTreeMap<String, Vec<String>>, bool)> {
        self.0.as_deref().map(|chains| (&chains.own, chains.goes_to_older))
    }

    /// The model to ask for after this refusal of the last of `asked`, which are all that the request has asked for, its
    /// own first. One that `admits` says no to is passed over: a chain is no way round a rule.
    pub fn next(&self, refusal: &Refusal, asked: &[String], admits: impl Fn(&str) -> bool) -> Option<String> {
        let chains = self.0.as_deref().filter(|_| refusal.wants_model && asked.len() < MOST_MODELS)?;
        let mut seen: Vec<&str> = asked.iter().map(String::as_str).collect();
        loop {
            let is_new = |name: &&str| !seen.iter().any(|known| plain(known) == plain(name));
            // What comes after the last model goes first, then what is left of the chains before it.
            let next = seen.iter().rev().flat_map(|model| chains.after(model)).find(is_new)?;
            if admits(next) {
                return Some(next.to_owned());
            }
            seen.push(next);
        }
    }
}

impl Chains {
    fn after(&self, model: &str) -> Vec<&str> {
        let name = plain(model);
        let general = undated(&name);
        if let Some(own) = self.own.get(&name).or_else(|| self.own.get(general)) {
            return own.iter().map(String::as_str).collect();
        }
        let known = BUILT_IN.iter().find(|(model, _)| *model == general).map(|(_, after)| *after);
        let after = known.or_else(|| general.ends_with(SMALL).then_some(NEWER)).unwrap_or_default();
        after.iter().copied().filter(|name| self.goes_to_older || *name != OLDER).collect()
    }
}

/// A model's name without a vendor before it, in small letters.
fn plain(model: &str) -> String {
    model.rsplit('/').next().unwrap_or(model).trim().to_lowercase()
}

/// A name without the date of its snapshot (`-YYYY-MM-DD`).
fn undated(name: &str) -> &str {
    let Some((general, date)) = name.len().checked_sub("-2026-01-31".len()).and_then(|at| name.split_at_checked(at))
    else {
        return name;
    };
    let is_date = date.bytes().zip("-0000-00-00".bytes()).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    if is_date && !general.is_empty() { general } else { name }
}

/// Whether nobody serves for want of the model alone: somebody who may serve lacks it, and nobody who may is only
/// failing for the moment. `only` is the one account that comes into question, where there is one.
pub(crate) fn wants_model(standings: &[Standing], only: Option<&RecordId>) -> bool {
    let mut found = false;
    for standing in standings.iter().filter(|standing| only.is_none_or(|only| standing.record == *only)) {
        let mut lacks = false;
        if standing.blockers.iter().any(|blocker| is_away(blocker, &mut lacks)) {
            continue;
        }
        if !lacks {
            return false;
        }
        found = true;
    }
    found
}

/// Whether it keeps the account out of question, whatever the model; what passes in moments does not.
fn is_away(blocker: &Blocker, lacks: &mut bool) -> bool {
    match blocker {
        Blocker::LacksModel { .. } => {
            *lacks = true;
            false
        }
        Blocker::AlreadyTried
        | Blocker::Burst { .. }
        | Blocker::Resting { reason: RestReason::Auth | RestReason::Network | RestReason::Server, .. } => false,
        Blocker::Resting { reason: RestReason::UsageLimit, .. }
        | Blocker::QuotaSpent { .. }
        | Blocker::Disabled
        | Blocker::NeedsLogin { .. }
        | Blocker::NoWorkspace
        | Blocker::Held { .. }
        | Blocker::NotPinned { .. }
        | Blocker::Denied(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Denial, DeniedBy, RestScope, Timestamp, testing::account};

    const SOON: Timestamp = Timestamp::from_millis(9000);
    const LACKS: Blocker = Blocker::LacksModel { until: SOON };

    fn refusal(wants_model: bool) -> Refusal {
        Refusal { cause: Cause::NoModel { until: SOON }, standings: Vec::new(), wants_model }
    }

    /// The models asked for when nobody has any, joined by spaces.
    fn walked(fallback: &Fallback, model: &str, admits: impl Fn(&str) -> bool) -> String {
        let mut asked = vec![model.to_owned()];
        while let Some(next) = fallback.next(&refusal(true), &asked, &admits) {
            asked.push(next);
        }
        asked.join(" ")
    }

    #[track_caller]
    fn check(own: &[(&str, &[&str])], goes_to_older: bool, expect: &str) {
        let own = own.iter().map(|(model, names)| {
            ((*model).to_owned(), names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        });
        let model = expect.split(' ').next().unwrap_or_default();
        assert_eq!(walked(&Fallback::along(own, goes_to_older), model, |_| true), expect);
    }

    #[test]
    fn built_in_chains_are_walked_to_their_end() {
        check(&[], true, "gpt-5 gpt-5.5 gpt-5.4");
        check(&[], true, "gpt-5.5 gpt-5.4");
        check(&[], true, "gpt-5-pro gpt-5.5-pro gpt-5.4");
        check(&[], true, "gpt-5.3-codex-spark gpt-5.3-codex gpt-5.2-codex");
        check(&[], true, "gpt-5-codex gpt-5.3-codex gpt-5.2-codex");
        check(&[], true, "gpt-5.3-codex gpt-5.2-codex");
        check(&[], true, "gpt-5.2-codex gpt-5.3-codex");
        check(&[], true, "gpt-5.1-codex gpt-5.3-codex gpt-5.2-codex");
        check(&[], true, "codex-max gpt-5.3-codex gpt-5.2-codex");
        check(&[], true, "gpt-5.1-codex-max gpt-5.3-codex gpt-5.2-codex");
        check(&[], true, "gpt-5.1-codex-mini gpt-5.3-codex gpt-5.2-codex");
        check(&[], true, "gpt-5.4");
        check(&[], true, "o3");
    }

    #[test]
    fn the_toggle_takes_the_older_one_out_of_built_in_chains_only() {
        check(&[], false, "gpt-5.3-codex");
        check(&[], false, "gpt-5.3-codex-spark gpt-5.3-codex");
        check(&[], false, "gpt-5-codex gpt-5.3-codex");
        check(&[("gpt-5.3-codex", &["gpt-5.2-codex"])], false, "gpt-5.3-codex gpt-5.2-codex");
    }

    #[test]
    fn a_chain_of_the_users_stands_instead_of_the_built_in_one() {
        check(&[("gpt-5.5", &["b", "c"])], true, "gpt-5.5 b c");
        check(&[("gpt-5.5", &[])], true, "gpt-5.5");
        check(&[("GPT-5.5 ", &[" ", " b "])], true, "gpt-5.5 b");
        check(&[("gpt-5.5", &["gpt-5"]), ("b", &["x"])], true, "gpt-5.5 gpt-5");
        check(&[("a", &["b", "c"]), ("b", &["d"])], true, "a b d c");
    }

    #[test]
    fn no_chain_goes_round_and_none_is_longer_than_four() {
        check(&[("a", &["b"]), ("b", &["a"])], true, "a b");
        check(&[("a", &["a"])], true, "a");
        check(&[("a", &["A", "x/a", "b"])], true, "a b");
        check(&[("a", &["b", "c", "d", "e", "f"])], true, "a b c d");
    }

    #[test]
    fn a_dated_name_has_the_chain_of_its_model() {
        check(&[], true, "gpt-5.5-2026-04-23 gpt-5.4");
        check(&[], true, "openai/gpt-5.5-pro-2026-04-23 gpt-5.4");
        check(&[("gpt-5.5-2026-04-23", &["b"])], true, "gpt-5.5-2026-04-23 b");
        check(&[("gpt-5.5", &["gpt-5.5-2026-04-23"])], true, "gpt-5.5 gpt-5.5-2026-04-23");
        check(&[], true, "gpt-5.5-2026-04-2x");
        check(&[], true, "-2026-04-23");
    }

    #[test]
    fn what_is_not_admitted_is_passed_over() {
        let fallback = Fallback::along([], true);
        assert_eq!(walked(&fallback, "gpt-5", |name| name != "gpt-5.5"), "gpt-5 gpt-5.4");
        assert_eq!(walked(&fallback, "gpt-5.2-codex", |_| false), "gpt-5.2-codex");
    }

    #[test]
    fn strict_is_strict_and_another_refusal_is_no_want_of_a_model() {
        for model in ["gpt-5.3-codex-spark", "gpt-5.5", "gpt-5"] {
            assert_eq!(walked(&Fallback::strict(), model, |_| true), model);
            assert_eq!(Fallback::along([], true).next(&refusal(false), &[model.to_owned()], |_| true), None);
        }
    }

    #[track_caller]
    fn wanting(accounts: &[&[Blocker]], only: Option<usize>, expect: bool) {
        let standing = |(at, blockers): (usize, &&[Blocker])| Standing {
            record: account(at + 1).record,
            blockers: blockers.to_vec(),
        };
        let standings: Vec<_> = accounts.iter().enumerate().map(standing).collect();
        let only = only.map(|number| account(number).record);
        assert_eq!(wants_model(&standings, only.as_ref()), expect, "{standings:?}");
    }

    #[test]
    fn a_model_is_wanting_when_all_who_may_serve_lack_it() {
        let resting = |reason| Blocker::Resting { until: SOON, reason, scope: RestScope::Account };
        let denied = Blocker::Denied(Denial { by: DeniedBy::Policy, reason: "no".into(), until: None });
        wanting(&[&[LACKS], &[LACKS, Blocker::AlreadyTried]], None, true);
        wanting(&[&[LACKS], &[Blocker::Disabled]], None, true);
        wanting(&[&[LACKS], &[resting(RestReason::UsageLimit)], &[Blocker::QuotaSpent { until: SOON }]], None, true);
        wanting(&[&[LACKS], &[Blocker::NeedsLogin { code: "x".into() }]], None, true);
        wanting(&[&[LACKS], &[Blocker::AlreadyTried]], None, false);
        wanting(&[&[LACKS], &[resting(RestReason::Server)]], None, false);
        wanting(&[&[LACKS], &[resting(RestReason::Network)]], None, false);
        wanting(&[&[LACKS], &[resting(RestReason::Auth)]], None, false);
        wanting(&[&[LACKS, Blocker::Burst { until: SOON }], &[Blocker::Burst { until: SOON }]], None, false);
        wanting(&[&[LACKS, denied.clone()], &[denied]], None, false);
        wanting(&[&[LACKS, resting(RestReason::UsageLimit)]], None, false);
        wanting(&[&[Blocker::Disabled]], None, false);
        wanting(&[], None, false);
    }

    #[test]
    fn a_pin_counts_alone() {
        let stranger = Blocker::NotPinned { pin: account(1).record, by: crate::Binding::Switch };
        wanting(&[&[LACKS], std::slice::from_ref(&stranger)], Some(1), true);
        wanting(&[&[Blocker::Disabled], &[LACKS, stranger]], Some(1), false);
        wanting(&[&[LACKS], &[]], Some(1), true);
    }
}
