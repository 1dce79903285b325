//! `why-selected`: who serves the next request, and why not the others.

use codex_auth_core::{Blocker, Decision, MovePrice, Reason, SavedPool, Standing, Strategy, Timestamp};
use serde::Serialize;

use crate::{
    named::Named,
    row::reason,
    screen::Screen,
    wait::age,
    words::{Lines, plain},
};

/// Which selection was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WhyMode {
    /// The one a request would meet now.
    Now,
    /// The last one that the agent made, made once more from its record.
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
    /// The agent, at that time; its record was asked.
    Log,
}

/// Which decision a record is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recalled {
    /// When it was made, in milliseconds since the epoch.
    pub at: i64,
    /// A hash of the session, where the request named one.
    pub session: Option<String>,
    /// The quota key of its model, where known.
    pub quota_key: Option<String>,
    /// The model that the client named, where another one was asked for in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// How many accounts the request had tried before.
    pub tried: usize,
    /// Whether this version, asked once more, comes to the same decision.
    pub same_again: bool,
    /// Who was chosen then, where this version chooses otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_then: Option<String>,
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
    /// Whether the pool no longer has it; then its number is the one it had.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// One thing that keeps an account away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CandidateBlocker {
    /// Its code.
    pub code: &'static str,
    /// What it keeps the account away from: `account`, `quota:<key>`, `model`, `request` or `everybody`.
    pub scope: String,
    /// When it ends by itself, in milliseconds since the epoch.
    pub until: Option<i64>,
    /// What the user runs to end it; nothing where it ends by itself or with the request.
    pub command: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Recalled>,
    #[serde(skip)]
    now: Timestamp,
    available_count: usize,
    total_count: usize,
    selected: Option<Selected>,
    /// What a move of the session cost and saved, in prompt tokens, where it had an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<MovePrice>,
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
    /// The decision as it would be now.
    pub fn new(asked: (DecidedBy, Strategy), pool: &SavedPool, decision: &Decision, now: Timestamp) -> Self {
        let (decided_by, strategy) = asked;
        Self::of((WhyMode::Now, decided_by, strategy), pool, decision, now)
    }

    /// A decision of the past; waits are counted from when it was made.
    pub fn last(
        recorded: Recalled,
        strategy: Strategy,
        (pool, decision): (&SavedPool, &Decision),
        now: Timestamp,
    ) -> Self {
        let at = Timestamp::from_millis(recorded.at);
        let past = Self::of((WhyMode::Last, DecidedBy::Log, strategy), pool, decision, at);
        Self { recorded: Some(recorded), now, ..past }
    }

    fn of(asked: (WhyMode, DecidedBy, Strategy), pool: &SavedPool, decision: &Decision, now: Timestamp) -> Self {
        let (mode, decided_by, strategy) = asked;
        let standings = decision.standings.iter().enumerate();
        let candidates: Vec<Candidate> =
            standings.map(|(place, standing)| candidate(place, standing, pool, now)).collect();
        let selected = decision.choice.as_ref().and_then(|(record, why): &(_, Reason)| {
            let candidate = candidates.iter().find(|candidate| candidate.account.record_id == record.as_str())?;
            Some(Selected { candidate: candidate.clone(), selection_reason: why.as_str() })
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
            recorded: None,
            now,
            available_count: candidates.iter().filter(|candidate| candidate.available).count(),
            total_count: candidates.len(),
            selected,
            price: decision.price,
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

fn candidate(place: usize, standing: &Standing, pool: &SavedPool, now: Timestamp) -> Candidate {
    let Standing { record, blockers } = standing;
    let known = Named::of(pool, record);
    let gone = known.is_none();
    let account = known.unwrap_or_else(|| Named {
        index: place,
        number: place + 1,
        record_id: record.to_string(),
        alias: None,
        label: format!("an account that is gone ({record})"),
    });
    let reasons: Vec<_> = blockers.iter().map(|blocker| reason(blocker, account.number, now)).collect();
    let blocker = |blocker: &Blocker| CandidateBlocker {
        code: blocker.code(),
        scope: blocker.reach().to_string(),
        until: blocker.until().map(Timestamp::as_millis),
        command: blocker.exit().command(account.number),
    };
    Candidate {
        one_based_index: account.number,
        enabled: !blockers.contains(&Blocker::Disabled),
        available: standing.is_ready(),
        blockers: blockers.iter().map(blocker).collect(),
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        gone,
        account,
    }
}

impl Recalled {
    fn write(&self, lines: &mut Lines, now: Timestamp) {
        let ago = age(Timestamp::from_millis(self.at), now);
        let session = self.session.as_ref().map(|hash| format!("session {}", plain(hash)));
        let model = self.quota_key.as_ref().map(|key| format!("quota key {}", plain(key)));
        let tried = (self.tried > 0).then(|| format!("after {} other account(s)", self.tried));
        let about: Vec<_> = session.into_iter().chain(model).chain(tried).collect();
        let about = if about.is_empty() { "a request that named no session".to_owned() } else { about.join(", ") };
        lines.line(&format!("Made: {ago} ago, for {about}"));
        if let Some(own) = &self.instead_of {
            let own = plain(own);
            lines.line(&format!("Another model in the place of {own}, which no account that may serve has."));
        }
        if !self.same_again {
            let then = self.chosen_then.as_deref().unwrap_or("nobody was chosen");
            lines.line(&format!("This version decides otherwise. Then: {}.", plain(then)));
        }
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
            WhyMode::Last => "Last selection",
        };
        let by = match self.decided_by {
            DecidedBy::Agent => "the running agent",
            DecidedBy::Files => "the files; no agent is running",
            DecidedBy::Log => "the agent, at that time; made once more from its log",
        };
        lines.line(&format!("why-selected: {what}"));
        lines.line(&format!("Decided by: {by}"));
        if let Some(recorded) = &self.recorded {
            recorded.write(&mut lines, self.now);
        }
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
        let chosen = self.selected.as_ref().map(|selected| &selected.candidate.account.record_id);
        for Candidate { account, available, reason, .. } in &self.candidates {
            let mark = match (chosen == Some(&account.record_id), available) {
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
        WhySelected::new((DecidedBy::Files, Strategy::Sequential), pool, &decision, NOW)
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
    fn a_past_selection_says_when_and_for_whom() {
        let mut pool = first_rests();
        pool.accounts[0].account.enabled = false;
        let rotation = Rotation::new(pool.clone(), Strategy::Sequential, RestPolicy::default());
        let decision = rotation.decide(&Query::default(), NOW);
        pool.accounts.remove(2);
        let recorded = Recalled {
            at: NOW.as_millis(),
            session: Some("1a2b3c4d".to_owned()),
            quota_key: Some("gpt-5.2:gpt-5.5".to_owned()),
            instead_of: Some("gpt-5.5-pro".to_owned()),
            tried: 1,
            same_again: false,
            chosen_then: Some("Account 1 (person1@example.test, id:ws-1), most quota left and least in use".to_owned()),
        };
        let later = NOW.after(Duration::from_secs(125));
        let why = WhySelected::last(recorded, Strategy::Sequential, (&pool, &decision), later);
        insta::assert_snapshot!(format!("{}\n{}", why.text(80), document(&why)));
    }

    #[test]
    fn an_empty_pool_selects_nobody() {
        insta::assert_snapshot!(document(&why(&SavedPool::default())));
    }
}
