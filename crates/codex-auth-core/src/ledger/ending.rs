//! How a request ended. A client that leaves has cancelled, a refusal that is passed on is a failure, and an answer that
//! began well may still end in one: the terminal event decides, and after it nothing counts any more.

use crate::{Cause, Outcome};

use super::UsageOutcome;

/// The terminal event of a stream of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// `response.completed`.
    Completed,
    /// `response.incomplete`.
    Incomplete,
    /// `response.failed`.
    Failed,
}

/// How the bytes of an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The answer is whole.
    Whole,
    /// The backend broke off, or was silent for too long.
    BrokeOff,
    /// The client left before the end.
    Left,
    /// The capability it was answered under was revoked.
    Revoked,
}

/// All there is to know of the end of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// HTTP status of the answer.
    pub status: u16,
    /// Whether it was a stream of events, which ends with a terminal one.
    pub is_events: bool,
    /// The terminal event, where one was seen.
    pub terminal: Option<Terminal>,
    /// How the bytes ended.
    pub finish: Finish,
}

impl Ending {
    /// How the request ended.
    pub fn outcome(self) -> UsageOutcome {
        if self.status >= 400 {
            return UsageOutcome::Failure;
        }
        match (self.terminal, self.finish) {
            // Events that merely stop are an answer that broke off without saying so.
            (None, Finish::Whole) if self.is_events => UsageOutcome::Failure,
            (Some(Terminal::Completed), _) | (None, Finish::Whole) => UsageOutcome::Success,
            (Some(Terminal::Incomplete | Terminal::Failed), _) | (None, Finish::BrokeOff) => UsageOutcome::Failure,
            (None, Finish::Left) => UsageOutcome::Cancelled,
            (None, Finish::Revoked) => UsageOutcome::Blocked,
        }
    }

    /// A word for what went wrong where the answer itself gave none.
    pub fn code(self) -> Option<&'static str> {
        match (self.terminal, self.finish) {
            (None, Finish::Whole) if self.is_events => Some("stream_without_end"),
            (Some(Terminal::Completed), _) | (None, Finish::Whole) => None,
            (Some(Terminal::Incomplete), _) => Some("response_incomplete"),
            (Some(Terminal::Failed), _) => Some("response_failed"),
            (None, Finish::BrokeOff) => Some("stream_broke_off"),
            (None, Finish::Left) => Some("client_left"),
            (None, Finish::Revoked) => Some("capability_revoked"),
        }
    }
}

impl UsageOutcome {
    /// How a request ended that was refused before anybody was asked: by a rule of the user, or because nobody can serve.
    pub fn of_refusal(cause: &Cause) -> Self {
        match cause {
            Cause::Denied(_) => Self::Blocked,
            Cause::NoAccounts
            | Cause::NeedsUser
            | Cause::UsageLimited { .. }
            | Cause::Unreachable { .. }
            | Cause::Pinned { .. }
            | Cause::NothingSelected
            | Cause::NoModel { .. } => Self::Failure,
        }
    }

    /// How an attempt ended that gave no answer to pass on.
    pub fn of_attempt(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Cancelled => Self::Cancelled,
            // An answer that the account gave in good order may still be a refusal of the request: its status tells.
            Outcome::Served
            | Outcome::Refused { .. }
            | Outcome::UsageLimited { .. }
            | Outcome::RateLimited { .. }
            | Outcome::ModelLimited { .. }
            | Outcome::LacksModel
            | Outcome::Unauthorized
            | Outcome::TokenInvalidated { .. }
            | Outcome::Deactivated { .. }
            | Outcome::PolicyRefused
            | Outcome::ForeignCiphertext
            | Outcome::ServerFault { .. }
            | Outcome::Overloaded { .. }
            | Outcome::NetworkFault
            | Outcome::Stalled => Self::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, terminal: Option<Terminal>, finish: Finish, expect: UsageOutcome) {
        let ending = Ending { status, is_events: true, terminal, finish };
        assert_eq!(ending.outcome(), expect, "{ending:?}");
        assert_eq!(ending.code().is_none(), expect == UsageOutcome::Success || status >= 400, "{ending:?}");
    }

    #[test]
    fn the_terminal_event_decides() {
        check(200, Some(Terminal::Completed), Finish::Whole, UsageOutcome::Success);
        // The official client hangs up once it has seen the terminal event.
        check(200, Some(Terminal::Completed), Finish::Left, UsageOutcome::Success);
        check(200, Some(Terminal::Completed), Finish::BrokeOff, UsageOutcome::Success);
        check(200, Some(Terminal::Failed), Finish::Whole, UsageOutcome::Failure);
        check(200, Some(Terminal::Incomplete), Finish::Left, UsageOutcome::Failure);
    }

    #[test]
    fn without_one_it_is_who_went_first() {
        check(200, None, Finish::Left, UsageOutcome::Cancelled);
        check(200, None, Finish::BrokeOff, UsageOutcome::Failure);
        check(200, None, Finish::Whole, UsageOutcome::Failure);
        check(200, None, Finish::Revoked, UsageOutcome::Blocked);
        let document = Ending { status: 200, is_events: false, terminal: None, finish: Finish::Whole };
        assert_eq!((document.outcome(), document.code()), (UsageOutcome::Success, None));
    }

    #[test]
    fn every_refusal_that_is_passed_on_is_a_failure() {
        for status in 400..600 {
            for finish in [Finish::Whole, Finish::BrokeOff, Finish::Left] {
                let ending = Ending { status, is_events: false, terminal: None, finish };
                assert_eq!(ending.outcome(), UsageOutcome::Failure, "{status}");
            }
        }
    }
}
