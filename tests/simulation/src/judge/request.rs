//! One request as the far side and the client see it: what came of its last attempt, and how it must be written down.

use codex_auth_core::{RecordId, Timestamp, TokenUse, UsageOutcome};

use crate::stream::Failure;

/// One request under way.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that was seen or not")]
pub(super) struct Open {
    pub(super) began: Timestamp,
    pub(super) model: Option<String>,
    /// How often people had changed the files by then.
    pub(super) edits: u64,
    /// How many requests of that hour had counted towards the budget by then.
    pub(super) counted: u64,
    pub(super) asked: Vec<RecordId>,
    pub(super) is_forbidden: bool,
    /// After that at most one other account is asked.
    pub(super) met_a_sign_out: bool,
    /// What the backend made of the last attempt.
    pub(super) status: Option<u16>,
    pub(super) end: Option<End>,
    /// What the client has seen so far.
    pub(super) has_begun: bool,
    pub(super) saw: Option<(u16, String)>,
    pub(super) is_broken: bool,
}

/// The end of an answer as the backend told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With so many tokens, under this name.
    Completed(String, TokenUse),
    /// It failed, with its first event and so soon that nothing can have been passed on.
    FailedAtOnce,
    /// It failed later.
    Failed(Failure),
    /// It broke off.
    BrokeOff,
}

/// How a request must be written down.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) request: String,
    pub(super) at: Timestamp,
    pub(super) asked: Vec<RecordId>,
    pub(super) outcome: UsageOutcome,
    pub(super) status: Option<u16>,
    pub(super) completed: Option<(String, TokenUse)>,
    /// The code that the client was refused with.
    pub(super) code: Option<String>,
}

impl Open {
    /// A new attempt begins.
    pub(super) fn ask(&mut self, record: &RecordId) {
        self.asked.push(record.clone());
        (self.status, self.end) = (None, None);
    }

    /// Whether the client has the answer of the last attempt, and not an earlier one that was kept for want of a better.
    pub(super) fn is_answered_by_the_last(&self) -> bool {
        self.has_begun && self.status.is_some_and(|status| status < 400) && self.end != Some(End::FailedAtOnce)
    }

    /// Whether it counts towards a budget: it was answered, or given up by its client.
    pub(super) fn counts(&self) -> bool {
        matches!(self.outcome(), UsageOutcome::Success | UsageOutcome::Cancelled)
    }

    /// How it ended, now that nothing follows.
    fn outcome(&self) -> UsageOutcome {
        if let Some(End::Completed(..)) = self.end {
            return UsageOutcome::Success;
        }
        if let Some((_, code)) = &self.saw {
            return if code == super::OVER_BUDGET { UsageOutcome::Blocked } else { UsageOutcome::Failure };
        }
        let has_failed = self.is_broken || matches!(self.end, Some(End::Failed(_) | End::BrokeOff));
        let is_an_older_one = self.has_begun && !self.is_answered_by_the_last();
        if has_failed || is_an_older_one { UsageOutcome::Failure } else { UsageOutcome::Cancelled }
    }

    pub(super) fn expected(self, request: &str, at: Timestamp) -> Expected {
        let outcome = self.outcome();
        let completed = match self.end {
            Some(End::Completed(response, usage)) => Some((response, usage)),
            Some(End::FailedAtOnce | End::Failed(_) | End::BrokeOff) | None => None,
        };
        let (status, code) = self.saw.unzip();
        let status = status.or(completed.is_some().then_some(200));
        let code = code.filter(|code| !code.is_empty());
        Expected { request: request.to_owned(), at, asked: self.asked, outcome, status, completed, code }
    }
}
