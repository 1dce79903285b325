//! `why-selected`: who serves the next request, and why not the others.

use codex_auth_core::{Decision, Reason, SavedPool, Standing, Strategy, Timestamp};
use serde::Serialize;

use crate::{named::Named, row::reason, screen::Screen, words::Lines};

/// Which selection was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WhyMode {
    /// The one a request would meet now.
    Now,
    /// The last one. None is kept yet, so it is made once more.
    Last,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DecidedBy {
    /// The running agent, which knows what is in flight and what rests for moments only.
    Agent,
    /// This command, from the files alone: no agent is running.
    Files,
}

/// One account and what keeps it from serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The account.
    #[serde(flatten)]
    pub account: Named,
    /// The number once more, under the predecessor's key.
    pub one_based_index: usize,
    /// Whether the user lets it serve.
    pub enabled: bool,
    /// Whether it may serve.
    pub available: bool,
    /// Everything that keeps it away.
    pub blockers: Vec<CandidateBlocker>,
    /// The same in words, with the command that helps.
    pub reason: Option<String>,
}

/// One thing that keeps an account away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CandidateBlocker {
    /// Its code.
    pub code: &'static str,
    /// When it ends by itself, in milliseconds since the epoch.
    pub until: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Selected {
    #[serde(flatten)]
    candidate: Candidate,
    selection_reason: &'static str,
}

/// The selection with every account's standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhySelected {
    mode: WhyMode,
    ok: bool,
    decided_by: DecidedBy,
    strategy: &'static str,
    available_count: usize,
    total_count: usize,
    selected: Option<Selected>,
    candidates: Vec<Candidate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_info: Option<ErrorInfo>,
}

/// Why nobody was selected, as every document of an error has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorInfo {
    code: &'static str,
    account: Option<usize>,
    hint: &'static str,
    retry_at: Option<i64>,
}

impl WhySelected {
    /// The decision over a pool; both are in pool order.
    pub fn new(asked: (WhyMode, DecidedBy, Strategy), pool: &SavedPool, decision: &Decision, now: Timestamp) -> Self {
        let (mode, decided_by, strategy) = asked;
        let accounts = pool.accounts.iter().map(|held| &held.account).zip(&decision.standings);
        let candidates: Vec<Candidate> = accounts
            .enumerate()
            .map(|(index, (account, standing))| candidate(Named::at(index, account), account.enabled, standing, now))
            .collect();
        let chosen = decision.choice.as_ref();
        let selected = chosen.and_then(|(record, why): &(_, Reason)| {
            let number = pool.number_of(record)?;
            Some(Selected { candidate: candidates.get(number - 1)?.clone(), selection_reason: why.as_str() })
        });
        let failure = match (&selected, candidates.is_empty()) {
            (Some(_), _) => None,
            (None, true) => Some(("no accounts configured", "no_accounts", "Run `codex-multi-auth login` to sign in.")),
            (None, false) => {
                Some(("no account can serve", "none_available", "The reasons of the candidates name what helps."))
            }
        };
        let error_info = failure.map(|(_, code, hint)| ErrorInfo {
            code,
            account: None,
            hint,
            retry_at: decision.ready_at().map(Timestamp::as_millis),
        });
        Self {
            mode,
            ok: selected.is_some(),
            decided_by,
            strategy: strategy.as_str(),
            available_count: candidates.iter().filter(|candidate| candidate.available).count(),
            total_count: candidates.len(),
            selected,
            candidates,
            error: failure.map(|(error, ..)| error),
            error_info,
        }
    }

    /// Whether somebody can serve.
    pub fn is_ok(&self) -> bool {
        self.ok
    }
}

fn candidate(account: Named, enabled: bool, standing: &Standing, now: Timestamp) -> Candidate {
    let Standing { blockers, .. } = standing;
    let reasons: Vec<_> = blockers.iter().map(|blocker| reason(blocker, account.number, now)).collect();
    let code = |blocker: &codex_auth_core::Blocker| CandidateBlocker {
        code: blocker.code(),
        until: blocker.until().map(Timestamp::as_millis),
    };
    Candidate {
        one_based_index: account.number,
        enabled,
        available: standing.is_ready(),
        blockers: blockers.iter().map(code).collect(),
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        account,
    }
}

impl Screen for WhySelected {
    fn command(&self) -> &'static str {
        "why-selected"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        let what = match self.mode {
            WhyMode::Now => "Selection right now",
            WhyMode::Last => "Last selection (made once more; no past decision is kept yet)",
        };
        let by = match self.decided_by {
            DecidedBy::Agent => "the running agent",
            DecidedBy::Files => "the files; no agent is running",
        };
        lines.line(&format!("why-selected: {what}"));
        lines.line(&format!("Decided by: {by}"));
        lines.line(&format!("Strategy: {}", self.strategy));
        lines.line(&format!("Available: {} of {} account(s)", self.available_count, self.total_count)).gap();
        match &self.selected {
            Some(Selected { candidate, selection_reason }) => {
                lines.line(&format!("Selected: {}", candidate.account.label));
                lines.line(&format!("  reason: {selection_reason}"));
            }
            None => {
                lines.line(if self.candidates.is_empty() {
                    "No accounts configured."
                } else {
                    "No account can serve."
                });
            }
        }
        if !self.candidates.is_empty() {
            lines.gap().line("Candidates:");
        }
        let chosen = self.selected.as_ref().map(|selected| selected.candidate.account.index);
        for Candidate { account, available, reason, .. } in &self.candidates {
            let mark = match (chosen == Some(account.index), available) {
                (true, _) => "*",
                (false, true) => "-",
                (false, false) => "x",
            };
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            lines.hang(4, &format!("  {mark} {}{reason}", account.label));
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codex_auth_core::{Query, Rest, RestPolicy, RestReason, Rotation, testing};

    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn why(pool: &SavedPool) -> WhySelected {
        let rotation = Rotation::new(pool.clone(), Strategy::Sequential, RestPolicy::default());
        let decision = rotation.decide(&Query::default(), NOW);
        WhySelected::new((WhyMode::Now, DecidedBy::Files, Strategy::Sequential), pool, &decision, NOW)
    }

    fn first_rests() -> SavedPool {
        let mut pool = testing::pool(3);
        let until = NOW.after(Duration::from_secs(3552));
        pool.accounts[0].account.rest(Rest::of_account(RestReason::UsageLimit, until, NOW));
        pool
    }

    #[test]
    fn the_second_serves_while_the_first_rests() {
        let why = why(&first_rests());
        insta::assert_snapshot!(format!("{}\n{}", why.text(80), document(&why)));
    }

    #[test]
    fn a_pinned_account_that_rests_is_waited_for() {
        let mut pool = first_rests();
        pool.pin = Some(pool.accounts[0].account.record.clone());
        let why = why(&pool);
        assert!(!why.is_ok());
        insta::assert_snapshot!(why.text(80));
    }

    #[test]
    fn an_empty_pool_selects_nobody() {
        insta::assert_snapshot!(document(&why(&SavedPool::default())));
    }
}
