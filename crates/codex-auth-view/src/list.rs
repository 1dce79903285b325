//! `list` and `status`: the accounts, who would serve next, and where it all is kept.

use codex_auth_core::{Decision, Prospect, QuotaSnapshot, Recommendation, RecordId, SavedPool, Timestamp};
use serde::Serialize;

use crate::{added::PREDECESSOR_STOPS_AT, check::QuotaTold, row::AccountRow, screen::Screen, wait::left, words::Lines};

/// Under which of its two names the list was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListName {
    /// `list`
    List,
    /// `status`
    Status,
}

/// Where the pool is kept and how that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Path of the accounts file.
    pub path: String,
    /// What is found there.
    pub health: StorageHealth,
}

/// What is found where the pool is kept; the words are the predecessor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageHealth {
    /// Accounts.
    Healthy,
    /// Nothing yet.
    Empty,
    /// Nothing, on purpose.
    IntentionalReset,
    /// Rows, but none that can be used.
    Corrupt,
    /// Nothing, but copies made earlier lie beside it.
    Recoverable,
}

impl StorageHealth {
    fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Empty => "empty",
            Self::IntentionalReset => "intentional-reset",
            Self::Corrupt => "corrupt",
            Self::Recoverable => "recoverable",
        }
    }

    /// Why there are no accounts.
    fn remark(self) -> &'static str {
        match self {
            Self::Healthy | Self::Empty => "",
            Self::IntentionalReset => " Storage was intentionally reset.",
            Self::Corrupt => " Storage appears corrupted.",
            Self::Recoverable => " Recovery artifacts are available.",
        }
    }
}

/// Whose pool is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum ScopeView {
    /// The user's.
    #[default]
    Global,
    /// That of one project, which its worktrees share.
    Project {
        /// What people call the project.
        name: String,
        /// The name of its pool below `projects/`.
        key: String,
        /// The main worktree.
        root: String,
    },
}

/// The accounts and the next choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountList {
    #[serde(skip)]
    name: ListName,
    #[serde(skip)]
    now: Timestamp,
    storage_path: String,
    storage_health: StorageHealth,
    scope: ScopeView,
    account_count: usize,
    active_index: Option<usize>,
    active_number: Option<usize>,
    pinned_account_index: Option<usize>,
    pinned_number: Option<usize>,
    recommended_index: Option<usize>,
    recommended_number: Option<usize>,
    recommendation_reason: Option<String>,
    /// The predecessor's key; which account serves a session is told by `rotation status`.
    runtime_in_use_index: Option<usize>,
    accounts: Vec<AccountRow>,
    /// Accounts out of the pool until somebody signs in to them again; `None` when nobody knows.
    parked_count: Option<usize>,
    notes: Vec<String>,
}

impl AccountList {
    /// The list of a pool under this decision about its next request.
    pub fn new(name: ListName, pool: &SavedPool, decision: &Decision, storage: Storage, now: Timestamp) -> Self {
        let number = |record: Option<&RecordId>| record.and_then(|record| pool.number_of(record));
        let index = |number: Option<usize>| number.map(|number| number - 1);
        let active = number(pool.active.as_ref());
        let pinned = number(pool.pin.as_ref());
        let prospects = pool.accounts.iter().zip(&decision.standings).map(|(held, standing)| {
            let is_current = pool.active.as_ref() == Some(&held.account.record);
            Prospect::of(&held.account, standing, &[], None, (is_current, now))
        });
        let recommendation = Recommendation::of(decision, &prospects.collect::<Vec<_>>());
        let recommended = number(recommendation.record());
        let count = pool.accounts.len();
        let notes = (count > PREDECESSOR_STOPS_AT).then(|| {
            format!(
                "codex-multi-auth 2.x stops at {PREDECESSOR_STOPS_AT} accounts; opened there, this file would lose {}.",
                count - PREDECESSOR_STOPS_AT
            )
        });
        Self {
            name,
            now,
            storage_path: storage.path,
            storage_health: storage.health,
            scope: ScopeView::Global,
            account_count: count,
            active_index: index(active),
            active_number: active,
            pinned_account_index: index(pinned),
            pinned_number: pinned,
            recommended_index: index(recommended),
            recommended_number: recommended,
            recommendation_reason: why(pool, decision, recommended, now),
            runtime_in_use_index: None,
            accounts: AccountRow::all(pool, &decision.standings, now),
            parked_count: Some(0),
            notes: notes.into_iter().collect(),
        }
    }

    /// The same, of the pool of this scope.
    #[must_use]
    pub fn in_scope(self, scope: ScopeView) -> Self {
        Self { scope, ..self }
    }

    /// The same with more to say below the rows.
    #[must_use]
    pub fn noting(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The same beside so many parked accounts; `None` when nobody knows.
    #[must_use]
    pub fn beside_parked(mut self, count: Option<usize>) -> Self {
        self.parked_count = count;
        let said = count.filter(|count| *count > 0).map(|count| {
            let (accounts, it) = if count == 1 { ("account is", "it") } else { ("accounts are", "one") };
            format!("{count} {accounts} parked; `codex-multi-auth login` brings {it} back.")
        });
        self.notes.extend(said);
        self
    }

    /// Adds what was last told of each account's quota.
    #[must_use]
    pub fn quotas(mut self, pool: &SavedPool, told: impl Fn(&RecordId) -> Option<QuotaSnapshot>) -> Self {
        for (row, held) in self.accounts.iter_mut().zip(&pool.accounts) {
            row.quota = told(&held.account.record).map(|quota| QuotaTold::of(&quota, self.now));
        }
        self
    }

    /// The rows.
    pub fn accounts(&self) -> &[AccountRow] {
        &self.accounts
    }
}

/// Why the next choice is what it is; `None` without accounts.
fn why(pool: &SavedPool, decision: &Decision, recommended: Option<usize>, now: Timestamp) -> Option<String> {
    if let Some((_, reason)) = &decision.choice {
        return Some(reason.as_str().to_owned());
    }
    if pool.accounts.is_empty() {
        return None;
    }
    if decision.standings.iter().any(codex_auth_core::Standing::is_ready) {
        return Some("the strategy is manual and the selected account cannot serve".to_owned());
    }
    let next = decision.standings.iter().filter_map(|standing| Some((standing.ready_at()?, &standing.record)));
    let Some((at, record)) = next.min_by_key(|(at, _)| *at) else {
        return Some("no account can serve; see the reasons below".to_owned());
    };
    let who = match pool.number_of(record).filter(|number| Some(*number) != recommended) {
        Some(number) => format!("account {number}"),
        None => "it".to_owned(),
    };
    Some(format!("no account can serve now; {who} is ready in {}", left(at, now)))
}

impl Screen for AccountList {
    fn command(&self) -> &'static str {
        match self.name {
            ListName::List => "list",
            ListName::Status => "status",
        }
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.accounts.is_empty() {
            lines.line(&format!("No accounts configured.{}", self.storage_health.remark()));
        } else {
            lines.line(&format!("Accounts ({})", self.account_count));
        }
        lines.whole(&format!("Storage: {}", self.storage_path));
        if let ScopeView::Project { name, .. } = &self.scope {
            lines.line(&format!("Scope: project {name} (shared by its worktrees)"));
        }
        if let Some(reason) = &self.recommendation_reason {
            let who = self.recommended_number.map_or_else(|| "none".to_owned(), |number| format!("account {number}"));
            lines.line(&format!("Selection reason: {who} ({reason})"));
        }
        lines.line(&format!("Storage health: {}", self.storage_health.as_str()));
        if let Some(number) = self.pinned_number {
            lines.line(&format!("Pinned: account {number} (set by switch)"));
        }
        lines.gap();
        for row in &self.accounts {
            row.write(&mut lines, self.now);
        }
        if self.accounts.is_empty() {
            lines.line("Sign in with `codex-multi-auth login`, or add codex's own login with");
            lines.line("`codex-multi-auth import-current`.");
        }
        for note in &self.notes {
            lines.gap().line(&format!("Note: {note}"));
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codex_auth_core::{
        NeedsLogin, Query, QuotaWindow, Rest, RestPolicy, RestReason, RestScope, Rotation, Strategy, testing,
    };

    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn list(pool: &SavedPool, health: StorageHealth) -> AccountList {
        let rotation = Rotation::new(pool.clone(), Strategy::Hybrid, RestPolicy::default());
        let decision = rotation.decide(&Query::default(), NOW);
        let path = "/home/a/.codex/multi-auth/openai-codex-accounts.json".to_owned();
        AccountList::new(ListName::List, pool, &decision, Storage { path, health }, NOW)
    }

    /// One account of every sort.
    fn motley() -> SavedPool {
        let mut pool = testing::pool(6);
        let [_, resting, dead, off, faulty, models] = pool.accounts.as_mut_slice() else {
            panic!("six accounts were made above")
        };
        let rest = |secs, reason| Rest::of_account(reason, NOW.after(Duration::from_secs(secs)), NOW);
        resting.account.rest(rest(3552, RestReason::UsageLimit));
        resting.account.seen.last_used_at = Timestamp::from_secs(1_800_000_000 - 3600);
        resting.account.alias = Some("work".to_owned());
        dead.account.needs_login = Some(NeedsLogin { code: "refresh_token_reused".to_owned(), at: NOW });
        off.account.enabled = false;
        faulty.account.rest(rest(4, RestReason::Server));
        let scope = RestScope::QuotaKey("gpt-5.2".to_owned());
        models.account.rest(Rest { scope, ..rest(90_000, RestReason::UsageLimit) });
        pool
    }

    #[test]
    fn every_sort_of_account() {
        insta::assert_snapshot!(list(&motley(), StorageHealth::Healthy).text(80));
    }

    #[test]
    fn every_sort_of_account_as_a_document() {
        let mut pool = motley();
        pool.pin = pool.accounts.first().map(|held| held.account.record.clone());
        insta::assert_snapshot!(document(&list(&pool, StorageHealth::Healthy)));
    }

    #[test]
    fn a_quota_that_was_told_is_shown_with_its_age() {
        let pool = testing::pool(2);
        let window = |used_percent, minutes| QuotaWindow {
            used_percent,
            window_minutes: Some(minutes),
            resets_at: Some(NOW.after(Duration::from_mins(125))),
        };
        let told = QuotaSnapshot {
            primary: Some(window(12.0, 300)),
            secondary: Some(window(33.0, 10_080)),
            seen_at: Timestamp::from_secs(1_800_000_000 - 180),
        };
        let first = pool.accounts[0].account.record.clone();
        let list = list(&pool, StorageHealth::Healthy).quotas(&pool, |record| (*record == first).then_some(told));
        let text = list.text(100);
        let expect = "   quota: 5h 88% left (resets in 2h 5m), 7d 67% left (resets in 2h 5m); told 3m 0s ago\n";
        assert_eq!((text.matches("quota:").count(), text.contains(expect)), (1, true), "{text}");
        let document: serde_json::Value = serde_json::from_str(&document(&list)).expect("JSON");
        assert_eq!(document["accounts"][0]["quota"]["primary"]["leftPercent"], serde_json::json!(88.0));
        assert_eq!(document["accounts"][1].get("quota"), None);
    }

    #[test]
    fn nobody_can_serve() {
        let mut pool = motley();
        pool.accounts.drain(..1);
        pool.accounts.drain(2..);
        insta::assert_snapshot!(list(&pool, StorageHealth::Healthy).text(80));
    }

    #[test]
    fn nobody_is_there() {
        insta::assert_snapshot!(list(&SavedPool::default(), StorageHealth::Recoverable).text(80));
    }

    #[test]
    fn a_pool_of_a_project_is_named() {
        let key = "shop-ccb63d3ec83c".to_owned();
        let scope = ScopeView::Project { name: "shop".into(), key, root: "/home/a/shop".into() };
        let list = list(&testing::pool(1), StorageHealth::Healthy).in_scope(scope).noting(["Something moved.".into()]);
        let text = list.text(80);
        assert!(text.contains("\nScope: project shop (shared by its worktrees)\n"), "{text}");
        assert!(text.ends_with("\nNote: Something moved.\n"), "{text}");
        let document: serde_json::Value = serde_json::from_str(&document(&list)).expect("JSON");
        assert_eq!(
            (&document["scope"]["kind"], &document["scope"]["root"]),
            (&"project".into(), &"/home/a/shop".into())
        );
    }

    #[track_caller]
    fn check_parked(count: Option<usize>, note: Option<&str>) {
        let list = list(&testing::pool(1), StorageHealth::Healthy).beside_parked(count);
        let document: serde_json::Value = serde_json::from_str(&document(&list)).expect("JSON");
        assert_eq!(document["parkedCount"], serde_json::json!(count));
        assert_eq!(document["notes"], serde_json::json!(note.into_iter().collect::<Vec<_>>()));
    }

    #[test]
    fn parked_accounts_are_counted_with_the_way_back() {
        check_parked(None, None);
        check_parked(Some(0), None);
        check_parked(Some(1), Some("1 account is parked; `codex-multi-auth login` brings it back."));
        check_parked(Some(3), Some("3 accounts are parked; `codex-multi-auth login` brings one back."));
    }

    #[test]
    fn the_predecessors_limit_is_said_once() {
        let text = list(&testing::pool(23), StorageHealth::Healthy).text(200);
        assert_eq!(text.matches("stops at 20 accounts; opened there, this file would lose 3.").count(), 1);
        assert!(!list(&testing::pool(20), StorageHealth::Healthy).text(80).contains("Note"));
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        for line in list(&motley(), StorageHealth::Healthy).text(80).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
