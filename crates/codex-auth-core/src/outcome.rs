//! What an answer of the backend means for the account that was asked, and what to do next.

use crate::{RestPolicy, RestReason, Timestamp, breaker::is_sign};

/// The parts of an answer that the classification looks at. Bodies are looked at for refusals only.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnswerFacts<'a> {
    /// HTTP status.
    pub status: u16,
    /// `error.code`, `error.type`, `detail.code` or `code` of a JSON body, in that order of preference.
    pub code: Option<&'a str>,
    /// `error.type` of a JSON body.
    pub kind: Option<&'a str>,
    /// Message text of a JSON body, for the one signal that comes as prose only.
    pub message: Option<&'a str>,
    /// When the answer asks to come back, already parsed by [`retry_at`](crate::retry_at).
    pub retry_at: Option<Timestamp>,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is the client's, good or bad: the account did its part.
    Served,
    /// The account's quota is spent.
    UsageLimited {
        /// When it starts anew, as the answer names it.
        until: Option<Timestamp>,
    },
    /// The token was refused and may only have grown old.
    Unauthorized,
    /// The token was revoked at the issuer; the code is kept for the durable marker.
    TokenInvalidated {
        /// The backend's code.
        code: String,
    },
    /// The workspace is gone for this account.
    Deactivated {
        /// The backend's code.
        code: String,
    },
    /// The vendor's policy refused the content, or an admin the workspace; no second account may be asked.
    PolicyRefused,
    /// The request carries reasoning that another account's backend encrypted.
    ForeignCiphertext,
    /// The backend failed.
    ServerFault {
        /// Its status.
        status: u16,
    },
    /// The connection failed or broke off before an answer.
    NetworkFault,
    /// The client left.
    Cancelled,
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Pass the answer on.
    Relay,
    /// Refresh this account's credential and ask it once more.
    RefreshAndRetry,
    /// Ask this account once more, without what another account's backend encrypted.
    RewriteAndRetry,
    /// Ask another account.
    TryAnother,
    /// Mark the account durably, then ask at most one other account in this request.
    MarkAndTryOne,
    /// Nobody waits for an answer any more.
    Stop,
}

impl Reaction {
    /// Whether the same account is to be asked once more.
    pub fn is_again(self) -> bool {
        match self {
            Self::RefreshAndRetry | Self::RewriteAndRetry => true,
            Self::Relay | Self::TryAnother | Self::MarkAndTryOne | Self::Stop => false,
        }
    }
}

/// Reads an answer. Source: `contracts` on observed answers of the backend; structured codes only, prose never disables.
pub fn classify(facts: AnswerFacts<'_>) -> Outcome {
    let says = |words: &[&str]| {
        [facts.code, facts.kind]
            .into_iter()
            .flatten()
            .any(|said| words.iter().any(|word| said.eq_ignore_ascii_case(word)))
    };
    if says(&POLICY) {
        return Outcome::PolicyRefused;
    }
    match facts.status {
        400 if says(&["invalid_encrypted_content"]) => Outcome::ForeignCiphertext,
        429 => Outcome::UsageLimited { until: facts.retry_at },
        402 if says(&["deactivated_workspace"]) => deactivated(facts),
        403 if says(&DEACTIVATED) => deactivated(facts),
        401 if [facts.code, facts.kind].into_iter().flatten().any(is_sign)
            || facts.message.is_some_and(tells_invalidation) =>
        {
            Outcome::TokenInvalidated { code: sign_of(facts).to_owned() }
        }
        401 => Outcome::Unauthorized,
        500..=599 => Outcome::ServerFault { status: facts.status },
        _ => Outcome::Served,
    }
}

/// Refusals by somebody's decision: the vendor's about the content, an admin's about the workspace. Whoever was refused
/// hears it; no second account is asked.
const POLICY: [&str; 6] = [
    "cyber_policy",
    "cyber_policy_violation",
    "policy_violation",
    "content_policy_violation",
    "workspace_disabled",
    "organization_disabled",
];
const DEACTIVATED: [&str; 4] = ["workspace_expired", "workspace_terminated", "account_disabled", "account_expired"];

/// The code by which the account is marked: the answer's own where it is a known one.
fn sign_of(facts: AnswerFacts<'_>) -> &str {
    [facts.code, facts.kind].into_iter().flatten().find(|said| is_sign(said)).unwrap_or("token_invalidated")
}

fn deactivated(facts: AnswerFacts<'_>) -> Outcome {
    Outcome::Deactivated { code: facts.code.unwrap_or("deactivated_workspace").to_owned() }
}

/// The backend tells an invalidation in prose in some answers; these are the four known wordings.
fn tells_invalidation(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "invalidated oauth token",
        "authentication token has been invalidated",
        "oauth token has been invalidated",
        "token has been invalidated",
    ]
    .iter()
    .any(|phrase| message.contains(phrase))
}

impl Outcome {
    /// What to do next; `refreshed` tells that this account's credential was already renewed for this request.
    pub fn reaction(&self, refreshed: bool) -> Reaction {
        match self {
            Self::Served | Self::PolicyRefused => Reaction::Relay,
            Self::UsageLimited { .. } | Self::ServerFault { .. } | Self::NetworkFault | Self::Deactivated { .. } => {
                Reaction::TryAnother
            }
            Self::Unauthorized if refreshed => Reaction::TryAnother,
            Self::Unauthorized => Reaction::RefreshAndRetry,
            Self::TokenInvalidated { .. } => Reaction::MarkAndTryOne,
            Self::ForeignCiphertext => Reaction::RewriteAndRetry,
            Self::Cancelled => Reaction::Stop,
        }
    }

    /// How long, and why, the account rests after this.
    pub fn rest(&self, policy: RestPolicy, now: Timestamp) -> Option<(RestReason, Timestamp)> {
        match self {
            Self::UsageLimited { until } => {
                Some((RestReason::UsageLimit, until.unwrap_or_else(|| now.after(policy.usage))))
            }
            Self::Unauthorized => Some((RestReason::Auth, now.after(policy.auth))),
            Self::ServerFault { .. } => Some((RestReason::Server, now.after(policy.server))),
            Self::NetworkFault => Some((RestReason::Network, now.after(policy.network))),
            Self::Served
            | Self::TokenInvalidated { .. }
            | Self::Deactivated { .. }
            | Self::PolicyRefused
            | Self::ForeignCiphertext
            | Self::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, code: Option<&str>, expect: &Outcome) {
        assert_eq!(&classify(AnswerFacts { status, code, ..AnswerFacts::default() }), expect);
    }

    #[test]
    fn statuses_mean_what_the_contract_says() {
        check(200, None, &Outcome::Served);
        check(400, Some("invalid_encrypted_content"), &Outcome::ForeignCiphertext);
        check(400, Some("invalid_prompt"), &Outcome::Served);
        check(429, Some("usage_limit_reached"), &Outcome::UsageLimited { until: None });
        check(401, None, &Outcome::Unauthorized);
        check(401, Some("token_invalidated"), &Outcome::TokenInvalidated { code: "token_invalidated".into() });
        check(402, Some("payment_required"), &Outcome::Served);
        check(402, Some("deactivated_workspace"), &Outcome::Deactivated { code: "deactivated_workspace".into() });
        check(403, Some("account_expired"), &Outcome::Deactivated { code: "account_expired".into() });
        check(403, None, &Outcome::Served);
        check(503, None, &Outcome::ServerFault { status: 503 });
    }

    #[test]
    fn a_policy_refusal_is_never_taken_to_another_account() {
        check(400, Some("cyber_policy"), &Outcome::PolicyRefused);
        check(403, Some("workspace_disabled"), &Outcome::PolicyRefused);
        assert_eq!(Outcome::PolicyRefused.reaction(false), Reaction::Relay);
    }

    #[test]
    fn prose_invalidation_counts() {
        let facts = AnswerFacts {
            status: 401,
            message: Some("Your OAuth token has been invalidated."),
            ..AnswerFacts::default()
        };
        assert_eq!(classify(facts), Outcome::TokenInvalidated { code: "token_invalidated".into() });
    }

    #[test]
    fn a_second_401_moves_on() {
        assert_eq!(Outcome::Unauthorized.reaction(false), Reaction::RefreshAndRetry);
        assert_eq!(Outcome::Unauthorized.reaction(true), Reaction::TryAnother);
    }
}
