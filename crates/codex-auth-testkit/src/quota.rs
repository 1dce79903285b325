//! Owns each account's quota windows: the numbers in headers and in `wham/usage`, and when an account is used up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::people::Who;

const SHORT_MINUTES: u64 = 300;
const LONG_MINUTES: u64 = 10_080;
/// How long an account stays used up when nobody says otherwise.
const DEFAULT_REST: Duration = Duration::from_hours(1);

/// Used shares of an account's two windows, in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// The five-hour window.
    pub primary: f64,
    /// The weekly window.
    pub secondary: f64,
}

#[derive(Clone, Debug, Default)]
struct Account {
    used: Option<Used>,
    exhausted_until_ms: Option<i64>,
    turns: u32,
    reset_credits: u32,
    cached: BTreeMap<String, u64>,
}

/// All accounts' quotas.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    accounts: BTreeMap<Who, Account>,
    percent_per_turn: f64,
    exhaust_first: bool,
    asked: BTreeSet<Who>,
    epoch_ms: i64,
}

impl Quotas {
    /// Windows count from `epoch_ms`, the start of the fake.
    pub(crate) fn new(percent_per_turn: f64, exhaust_first: bool, epoch_ms: i64) -> Self {
        Self { percent_per_turn, exhaust_first, epoch_ms, ..Self::default() }
    }

    pub(crate) fn exhaust(&mut self, who: Who, rest: Option<Duration>, now_ms: i64) {
        let rest = i64::try_from(rest.unwrap_or(DEFAULT_REST).as_millis()).unwrap_or(i64::MAX);
        self.account(who).exhausted_until_ms = Some(now_ms.saturating_add(rest));
    }

    /// Ends the rest of one account, or of all.
    pub(crate) fn restore(&mut self, who: Option<Who>) {
        let chosen = self.accounts.iter_mut().filter(|(of, _)| who.is_none_or(|who| who == **of));
        for (_, account) in chosen {
            account.exhausted_until_ms = None;
            account.turns = 0;
            account.used = account.used.filter(|used| used.primary < 100.0 && used.secondary < 100.0);
        }
    }

    pub(crate) fn set_used(&mut self, who: Who, used: Used) {
        self.account(who).used = Some(used);
    }

    pub(crate) fn set_reset_credits(&mut self, who: Who, credits: u32) {
        self.account(who).reset_credits = credits;
    }

    pub(crate) fn reset_credits(&self, who: Who) -> u32 {
        self.accounts.get(&who).map_or(0, |account| account.reset_credits)
    }

    /// Spends a reset credit; `false` without one.
    pub(crate) fn spend_reset_credit(&mut self, who: Who) -> bool {
        let account = self.account(who);
        if account.reset_credits == 0 {
            return false;
        }
        account.reset_credits -= 1;
        self.restore(Some(who));
        true
    }

    /// Somebody asks for a turn. The answer is the instant the account rests until, if it does.
    pub(crate) fn ask(&mut self, who: Who, now_ms: i64) -> Option<i64> {
        let first = matches!(who, Who::Account(_)) && self.asked.is_empty();
        if matches!(who, Who::Account(_)) {
            self.asked.insert(who);
        }
        if self.exhaust_first && first {
            self.exhaust(who, None, now_ms);
        }
        self.resting_until(who, now_ms)
    }

    /// Counts a served turn, and answers how much of its prompt this account had in its cache.
    pub(crate) fn serve(&mut self, who: Who, cache_key: Option<&str>, prompt_tokens: u64) -> u64 {
        let account = self.account(who);
        account.turns = account.turns.saturating_add(1);
        let Some(key) = cache_key else { return 0 };
        account.cached.insert(key.to_owned(), prompt_tokens).unwrap_or(0).min(prompt_tokens)
    }

    /// Until when an account rests: told to, or because its shorter window is full.
    pub(crate) fn resting_until(&self, who: Who, now_ms: i64) -> Option<i64> {
        let account = self.accounts.get(&who)?;
        let told = account.exhausted_until_ms.filter(|until| *until > now_ms);
        let full = self.shares(who).primary >= 100.0 || self.shares(who).secondary >= 100.0;
        told.or_else(|| full.then(|| self.window_end(SHORT_MINUTES, now_ms)))
    }

    /// The `x-codex-*` headers of an answer for this account.
    pub(crate) fn headers(&self, who: Who, now_ms: i64) -> Vec<(&'static str, String)> {
        let (used, primary_end, secondary_end) = self.standing(who, now_ms);
        vec![
            ("x-codex-primary-used-percent", used.primary.to_string()),
            ("x-codex-primary-window-minutes", SHORT_MINUTES.to_string()),
            ("x-codex-primary-reset-at", (primary_end / 1000).to_string()),
            ("x-codex-secondary-used-percent", used.secondary.to_string()),
            ("x-codex-secondary-window-minutes", LONG_MINUTES.to_string()),
            ("x-codex-secondary-reset-at", (secondary_end / 1000).to_string()),
        ]
    }

    /// `rate_limit` of `wham/usage`.
    pub(crate) fn usage(&self, who: Who, now_ms: i64) -> Value {
        let (used, primary_end, secondary_end) = self.standing(who, now_ms);
        let window = |percent: f64, minutes: u64, end: i64| {
            json!({
                "used_percent": whole(percent), "limit_window_seconds": minutes * 60,
                "reset_after_seconds": (end - now_ms).max(0) / 1000, "reset_at": end / 1000,
            })
        };
        let resting = self.resting_until(who, now_ms).is_some();
        json!({
            "allowed": !resting, "limit_reached": resting,
            "primary_window": window(used.primary, SHORT_MINUTES, primary_end),
            "secondary_window": window(used.secondary, LONG_MINUTES, secondary_end),
        })
    }

    fn standing(&self, who: Who, now_ms: i64) -> (Used, i64, i64) {
        let mut used = self.shares(who);
        let resting = self.resting_until(who, now_ms);
        if resting.is_some() {
            used.primary = 100.0;
        }
        let primary_end = resting.unwrap_or_else(|| self.window_end(SHORT_MINUTES, now_ms));
        (used, primary_end, self.window_end(LONG_MINUTES, now_ms))
    }

    fn shares(&self, who: Who) -> Used {
        let account = self.accounts.get(&who);
        let start = account.and_then(|account| account.used).unwrap_or_else(|| default_used(who));
        let turns = account.map_or(0, |account| account.turns);
        Used { primary: (start.primary + self.percent_per_turn * f64::from(turns)).min(100.0), ..start }
    }

    /// The end of the running window of this length, as windows follow one another from the start of the fake.
    fn window_end(&self, minutes: u64, now_ms: i64) -> i64 {
        let length = i64::try_from(minutes * 60_000).unwrap_or(i64::MAX);
        let elapsed = (now_ms - self.epoch_ms).max(0);
        self.epoch_ms + (elapsed / length + 1) * length
    }

    fn account(&mut self, who: Who) -> &mut Account {
        self.accounts.entry(who).or_default()
    }
}

/// Different for every account, so that a screen shows whose numbers it has.
fn default_used(who: Who) -> Used {
    match who {
        Who::Account(number) => {
            let step = u32::try_from(number % 8).unwrap_or(0);
            Used { primary: f64::from(step * 10), secondary: f64::from(step * 5) }
        }
        Who::Outsider => Used { primary: 1.0, secondary: 2.0 },
    }
}

/// `wham/usage` states whole per cents.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100 first")]
fn whole(percent: f64) -> u64 {
    percent.clamp(0.0, 100.0).round() as u64
}
