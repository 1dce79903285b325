//! `check`: what the backend says about every account, and what is left of its quota.

use codex_auth_core::{QuotaSnapshot, QuotaWindow, Timestamp};
use serde::Serialize;

use crate::{
    named::Named,
    screen::Screen,
    wait::{age, left},
    words::{Lines, plain},
};

/// How an account answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckOutcome {
    /// Signed in, and quota is left.
    Available,
    /// Signed in, and its quota is spent.
    Exhausted,
    /// Signed in, but the backend told nothing about its quota.
    SignedInOnly,
    /// Only a new sign-in helps.
    NeedsLogin,
    /// Out of service; not asked.
    Disabled,
}

/// One account's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    /// The account.
    #[serde(flatten)]
    pub account: Named,
    /// How it answered.
    pub outcome: CheckOutcome,
    /// What is wrong, where something is.
    pub detail: Option<String>,
    /// Plan as the backend spells it.
    pub plan: Option<String>,
    /// What is left.
    pub quota: Option<QuotaView>,
}

/// The quota windows of one account.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaView {
    /// The short window.
    pub primary: Option<WindowView>,
    /// The long window.
    pub secondary: Option<WindowView>,
}

/// One quota window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowView {
    /// Share used, in percent.
    pub used_percent: f64,
    /// Share left, in percent.
    pub left_percent: f64,
    /// Length in minutes, where told.
    pub window_minutes: Option<u64>,
    /// When it starts anew, in milliseconds since the epoch, where told.
    pub resets_at: Option<i64>,
}

impl QuotaView {
    /// The windows as they stand at `now`.
    pub fn of(quota: &QuotaSnapshot, now: Timestamp) -> Self {
        let window = |window: QuotaWindow| WindowView {
            used_percent: window.used_percent,
            left_percent: window.left_percent(now),
            window_minutes: window.window_minutes,
            resets_at: window.resets_at.map(Timestamp::as_millis),
        };
        Self { primary: quota.primary.map(window), secondary: quota.secondary.map(window) }
    }

    /// `5h 88% left (resets in 2h 5m)`, one for each window that tells anything.
    pub fn told(&self, now: Timestamp) -> Vec<String> {
        let windows = [self.primary, self.secondary].into_iter().flatten();
        windows.filter_map(|window| window.words(now)).collect()
    }
}

/// A quota as it was told some time ago.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaTold {
    /// What was told, as it stands now.
    #[serde(flatten)]
    pub quota: QuotaView,
    /// When, in milliseconds since the epoch.
    pub told_at: i64,
}

impl QuotaTold {
    /// The windows as they stand at `now`.
    pub fn of(quota: &QuotaSnapshot, now: Timestamp) -> Self {
        Self { quota: QuotaView::of(quota, now), told_at: quota.seen_at.as_millis() }
    }

    /// `5h 88% left (resets in 2h 5m); told 3m 0s ago`; nothing when no window tells anything.
    pub(crate) fn words(&self, now: Timestamp) -> Option<String> {
        let words = self.quota.told(now);
        let told = age(Timestamp::from_millis(self.told_at), now);
        (!words.is_empty()).then(|| format!("{}; told {told} ago", words.join(", ")))
    }
}

impl WindowView {
    /// `5h 88% left (resets in 2h 5m)`; nothing for a window that tells nothing.
    fn words(self, now: Timestamp) -> Option<String> {
        let Self { left_percent, window_minutes, resets_at, .. } = self;
        if window_minutes.is_none() && resets_at.is_none() && left_percent >= 100.0 {
            return None;
        }
        let length = match window_minutes {
            Some(minutes) if minutes > 0 && minutes % 1440 == 0 => format!("{}d", minutes / 1440),
            Some(minutes) if minutes > 0 && minutes % 60 == 0 => format!("{}h", minutes / 60),
            Some(minutes) => format!("{minutes}m"),
            None => "quota".to_owned(),
        };
        let reset = resets_at
            .map(Timestamp::from_millis)
            .filter(|at| *at > now)
            .map(|at| format!(" (resets in {})", left(at, now)));
        Some(format!("{length} {left_percent:.0}% left{}", reset.unwrap_or_default()))
    }
}

/// Every account's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    #[serde(skip)]
    now: Timestamp,
    summary: Summary,
    accounts: Vec<CheckRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    total: usize,
    available: usize,
    exhausted: usize,
    signed_in_only: usize,
    needs_login: usize,
    disabled: usize,
}

impl Checked {
    /// The answers, in pool order.
    pub fn new(accounts: Vec<CheckRow>, now: Timestamp) -> Self {
        let mut summary = Summary { total: accounts.len(), ..Summary::default() };
        for row in &accounts {
            *match row.outcome {
                CheckOutcome::Available => &mut summary.available,
                CheckOutcome::Exhausted => &mut summary.exhausted,
                CheckOutcome::SignedInOnly => &mut summary.signed_in_only,
                CheckOutcome::NeedsLogin => &mut summary.needs_login,
                CheckOutcome::Disabled => &mut summary.disabled,
            } += 1;
        }
        Self { now, summary, accounts }
    }

    /// The code of `check --exit-code`: 0 when every enabled account is available, 2 when one needs a sign-in, 3 when
    /// none has quota left, 4 when one could not be asked.
    pub fn exit_code(&self) -> u8 {
        let Summary { available, exhausted, signed_in_only, needs_login, .. } = self.summary;
        match (needs_login, available, exhausted, signed_in_only) {
            (1.., _, _, _) => 2,
            (0, 0, 1.., _) => 3,
            (0, _, _, 1..) => 4,
            (0, _, _, 0) => 0,
        }
    }
}

impl CheckRow {
    fn write(&self, lines: &mut Lines, now: Timestamp) {
        let mark = match self.outcome {
            CheckOutcome::Available => "✓",
            CheckOutcome::Exhausted | CheckOutcome::SignedInOnly => "!",
            CheckOutcome::NeedsLogin => "✗",
            CheckOutcome::Disabled => "-",
        };
        let mut said: Vec<String> = match self.outcome {
            CheckOutcome::Available | CheckOutcome::NeedsLogin => Vec::new(),
            CheckOutcome::Exhausted => vec!["quota-exhausted".to_owned()],
            CheckOutcome::SignedInOnly => vec!["signed in".to_owned()],
            CheckOutcome::Disabled => vec!["disabled, not asked".to_owned()],
        };
        said.extend(self.detail.clone());
        said.extend(self.quota.iter().flat_map(|quota| quota.told(now)));
        said.extend(self.plan.as_deref().map(|plan| format!("plan:{}", plain(plan))));
        lines.hang(4, &format!("  {mark} {} | {}", self.account.label, said.join(", ")));
    }
}

impl Screen for Checked {
    fn command(&self) -> &'static str {
        "check"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.accounts.is_empty() {
            lines.line("No accounts configured.");
            return lines.finish();
        }
        for row in &self.accounts {
            row.write(&mut lines, self.now);
        }
        let Summary { available, exhausted, signed_in_only, needs_login, disabled, .. } = self.summary;
        let disabled = if disabled > 0 { format!(" | {disabled} disabled") } else { String::new() };
        lines.gap().line(&format!(
            "Result: {available} Codex available | {exhausted} quota exhausted | {signed_in_only} signed in only | \
             {needs_login} need re-login{disabled}"
        ));
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing;

    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn window(used_percent: f64, minutes: u64, resets_in: i64) -> QuotaWindow {
        let resets_at = Some(Timestamp::from_secs(1_800_000_000 + resets_in));
        QuotaWindow { used_percent, window_minutes: Some(minutes), resets_at }
    }

    fn row(number: usize, outcome: CheckOutcome) -> CheckRow {
        let account = Named::at(number - 1, &testing::account(number));
        CheckRow { account, outcome, detail: None, plan: None, quota: None }
    }

    fn with_quota(row: CheckRow, used_percent: f64) -> CheckRow {
        let quota = QuotaSnapshot {
            primary: Some(window(used_percent, 300, 7500)),
            secondary: Some(window(33.0, 10_080, 300_000)),
            seen_at: NOW,
        };
        CheckRow { quota: Some(QuotaView::of(&quota, NOW)), plan: Some("plus".to_owned()), ..row }
    }

    fn motley() -> Checked {
        let dead = CheckRow {
            detail: Some("refresh_token_reused: codex-multi-auth login --account 4".to_owned()),
            ..row(4, CheckOutcome::NeedsLogin)
        };
        let mute =
            CheckRow { detail: Some("usage not told: HTTP 403".to_owned()), ..row(3, CheckOutcome::SignedInOnly) };
        let rows = vec![
            with_quota(row(1, CheckOutcome::Available), 12.0),
            with_quota(row(2, CheckOutcome::Exhausted), 100.0),
            mute,
            dead,
            row(5, CheckOutcome::Disabled),
        ];
        Checked::new(rows, NOW)
    }

    #[test]
    fn every_answer() {
        insta::assert_snapshot!(motley().text(80));
    }

    #[test]
    fn every_answer_as_a_document() {
        insta::assert_snapshot!(document(&motley()));
    }

    #[track_caller]
    fn check(outcomes: &[CheckOutcome], code: u8) {
        let rows = outcomes.iter().map(|outcome| row(1, *outcome)).collect();
        assert_eq!(Checked::new(rows, NOW).exit_code(), code);
    }

    #[test]
    fn scripts_can_tell_the_cases_apart() {
        use CheckOutcome::{Available, Disabled, Exhausted, NeedsLogin, SignedInOnly};
        check(&[], 0);
        check(&[Available, Disabled], 0);
        check(&[Available, Exhausted], 0);
        check(&[Available, NeedsLogin], 2);
        check(&[Exhausted, Exhausted], 3);
        check(&[Available, SignedInOnly], 4);
    }
}
