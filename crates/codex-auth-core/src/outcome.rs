//! What an answer of the backend means for the account that was asked. What follows from it is one table: `reaction`.

use crate::{Limit, Timestamp, breaker::is_sign};

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
    /// Header `x-codex-active-limit`: which limit a refusal is about.
    pub active_limit: Option<&'a str>,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A good answer: the account did its part.
    Served,
    /// The request's own fault: the answer is the client's, and says nothing about the account.
    Refused {
        /// Its status; 200 when a stream told it.
        status: u16,
    },
    /// The account's quota is spent.
    UsageLimited {
        /// When it starts anew, as the answer names it.
        until: Option<Timestamp>,
    },
    /// The account was asked too often for the moment.
    RateLimited {
        /// When to come back, as the answer names it.
        until: Option<Timestamp>,
    },
    /// The limit of the model is reached, and only that.
    ModelLimited {
        /// When to come back, as the answer names it.
        until: Option<Timestamp>,
    },
    /// The account has no access to the model, by its plan or otherwise.
    LacksModel,
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
    /// The backend has too much to do.
    Overloaded {
        /// Its status; 200 when a stream told it.
        status: u16,
    },
    /// The connection failed or broke off before an answer.
    NetworkFault,
    /// The answer began and fell silent.
    Stalled,
    /// The client left.
    Cancelled,
}

/// Reads an answer. Source: the contracts on observed answers of the backend; structured codes only, prose never disables.
pub fn classify(facts: AnswerFacts<'_>) -> Outcome {
    let status = facts.status;
    if facts.says(&POLICY) {
        return Outcome::PolicyRefused;
    }
    match status {
        400 if facts.says(&["invalid_encrypted_content"]) => Outcome::ForeignCiphertext,
        400 | 403 | 404 | 429 if facts.lacks_model() => Outcome::LacksModel,
        404 if facts.mentions(&["usage_limit", "rate_limit_exceeded"]) => limited(facts),
        429 => limited(facts),
        402 if facts.says(&["deactivated_workspace"]) => deactivated(facts),
        403 if facts.says(&DEACTIVATED) => deactivated(facts),
        401 if [facts.code, facts.kind].into_iter().flatten().any(is_sign)
            || facts.message.is_some_and(tells_invalidation) =>
        {
            Outcome::TokenInvalidated { code: sign_of(facts).to_owned() }
        }
        401 => Outcome::Unauthorized,
        503 | 529 if status == 529 || facts.says(&OVERLOAD) => Outcome::Overloaded { status },
        408 | 500..=599 => Outcome::ServerFault { status },
        400..=499 => Outcome::Refused { status },
        _ => Outcome::Served,
    }
}

/// Reads a stream's own word that it failed, which comes under a good status.
pub fn classify_event(facts: AnswerFacts<'_>) -> Outcome {
    if facts.says(&POLICY) {
        Outcome::PolicyRefused
    } else if facts.lacks_model() {
        Outcome::LacksModel
    } else if facts.says(&SPENT) || facts.mentions(&["rate_limit", "usage_limit"]) {
        limited(facts)
    } else if facts.says(&OVERLOAD) {
        Outcome::Overloaded { status: facts.status }
    } else if facts.says(&["server_error", "internal_server_error"]) {
        Outcome::ServerFault { status: facts.status }
    } else {
        Outcome::Refused { status: facts.status }
    }
}

/// Whose limit it is: the header says so, else the code.
fn limited(facts: AnswerFacts<'_>) -> Outcome {
    let until = facts.retry_at;
    let is_spent = facts.says(&SPENT) || facts.mentions(&["quota", "usage_limit"]);
    let of_model = facts.active_limit.is_some_and(|id| Limit::of_id(id) != Limit::Account);
    if of_model || (!is_spent && facts.mentions(&["token", "tpm", "rpm", "concurrent", "parallel"])) {
        Outcome::ModelLimited { until }
    } else if is_spent {
        Outcome::UsageLimited { until }
    } else {
        Outcome::RateLimited { until }
    }
}

impl AnswerFacts<'_> {
    fn codes(&self) -> impl Iterator<Item = &str> {
        [self.code, self.kind].into_iter().flatten()
    }

    /// Whether a code is one of these words.
    fn says(&self, words: &[&str]) -> bool {
        self.codes().any(|said| words.iter().any(|word| said.eq_ignore_ascii_case(word)))
    }

    /// Whether a code has one of these words in it.
    fn mentions(&self, words: &[&str]) -> bool {
        self.codes().map(str::to_ascii_lowercase).any(|said| words.iter().any(|word| said.contains(word)))
    }

    /// A model that this account may not use. The backend tells it in prose in some answers; these are the known
    /// wordings, and the word `model` must stand in all of them.
    fn lacks_model(&self) -> bool {
        const CODES: [&str; 4] =
            ["usage_not_included", "model_not_supported_with_chatgpt_account", "unsupported_model", "model_not_found"];
        if self.says(&CODES) {
            return true;
        }
        let Some(message) = self.message.map(str::to_ascii_lowercase) else { return false };
        let says = |words: &str| message.contains(words);
        let of_model = says("model is not supported when using codex with a chatgpt account")
            || (says("the model ") && says("is not currently available for this chatgpt account"))
            || (says("the model ") && says("does not exist or you do not have access to it"));
        of_model || says("not included in your plan") || says("subscription does not include")
    }
}

/// Refusals by somebody's decision: the vendor's about the content, an admin's about the workspace. Whoever was refused
/// hears it; no second account is asked.
const POLICY: [&str; 8] = [
    "cyber_policy",
    "cyber_policy_violation",
    "bio_policy",
    "misalignment_policy_violation",
    "policy_violation",
    "content_policy_violation",
    "workspace_disabled",
    "organization_disabled",
];
const DEACTIVATED: [&str; 4] = ["workspace_expired", "workspace_terminated", "account_disabled", "account_expired"];
const OVERLOAD: [&str; 3] = ["server_is_overloaded", "slow_down", "overloaded_error"];
/// Codes of a spent quota that have no usual word in them.
const SPENT: [&str; 4] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reaction;

    #[track_caller]
    fn check(status: u16, code: Option<&str>, expect: &Outcome) {
        assert_eq!(&classify(AnswerFacts { status, code, ..AnswerFacts::default() }), expect);
    }

    #[test]
    fn statuses_mean_what_the_contract_says() {
        check(200, None, &Outcome::Served);
        check(400, Some("invalid_encrypted_content"), &Outcome::ForeignCiphertext);
        check(400, Some("invalid_prompt"), &Outcome::Refused { status: 400 });
        check(429, Some("usage_limit_reached"), &Outcome::UsageLimited { until: None });
        check(401, None, &Outcome::Unauthorized);
        check(401, Some("token_invalidated"), &Outcome::TokenInvalidated { code: "token_invalidated".into() });
        check(402, Some("payment_required"), &Outcome::Refused { status: 402 });
        check(402, Some("deactivated_workspace"), &Outcome::Deactivated { code: "deactivated_workspace".into() });
        check(403, Some("account_expired"), &Outcome::Deactivated { code: "account_expired".into() });
        check(403, None, &Outcome::Refused { status: 403 });
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

    #[test]
    fn f45_a_refusal_of_the_request_is_no_success() {
        for status in [400, 402, 403, 404, 409, 413, 422] {
            check(status, None, &Outcome::Refused { status });
        }
        check(408, None, &Outcome::ServerFault { status: 408 });
    }

    #[test]
    fn whose_limit_a_429_is() {
        check(429, None, &Outcome::RateLimited { until: None });
        check(429, Some("rate_limit_exceeded"), &Outcome::RateLimited { until: None });
        check(429, Some("insufficient_quota"), &Outcome::UsageLimited { until: None });
        check(429, Some("token_quota"), &Outcome::UsageLimited { until: None });
        check(429, Some("tokens_per_minute"), &Outcome::ModelLimited { until: None });
        check(429, Some("concurrent_requests"), &Outcome::ModelLimited { until: None });
        check(404, Some("usage_limit_reached"), &Outcome::UsageLimited { until: None });
        check(404, Some("rate_limit_exceeded"), &Outcome::RateLimited { until: None });
        let facts = AnswerFacts { status: 429, code: Some("usage_limit_reached"), ..AnswerFacts::default() };
        let about = |id| classify(AnswerFacts { active_limit: Some(id), ..facts });
        assert_eq!(about("codex"), Outcome::UsageLimited { until: None });
        assert_eq!(about("codex_spark"), Outcome::ModelLimited { until: None });
    }

    #[test]
    fn f46_words_about_a_workspace_disable_nobody() {
        for message in ["organize your disabled widgets", "Your account has been deactivated"] {
            let facts = AnswerFacts { status: 403, message: Some(message), ..AnswerFacts::default() };
            assert_eq!(classify(facts), Outcome::Refused { status: 403 });
        }
        check(403, Some("x:account_expired"), &Outcome::Refused { status: 403 });
    }

    #[test]
    fn a_model_that_an_account_may_not_use() {
        let says = |status, message| classify(AnswerFacts { status, message: Some(message), ..AnswerFacts::default() });
        for message in [
            "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.",
            "The model 'X' is not currently available for this ChatGPT account",
            "The model `X` does not exist or you do not have access to it.",
        ] {
            assert_eq!(says(400, message), Outcome::LacksModel, "{message}");
        }
        assert_eq!(says(403, "Codex is not included in your plan"), Outcome::LacksModel);
        assert_eq!(says(500, "Codex is not included in your plan"), Outcome::ServerFault { status: 500 });
        check(429, Some("usage_not_included"), &Outcome::LacksModel);
        check(400, Some("model_not_supported_with_chatgpt_account"), &Outcome::LacksModel);
    }

    #[test]
    fn overload_is_told_apart() {
        check(503, Some("server_is_overloaded"), &Outcome::Overloaded { status: 503 });
        check(503, Some("slow_down"), &Outcome::Overloaded { status: 503 });
        check(529, None, &Outcome::Overloaded { status: 529 });
    }

    #[test]
    fn a_stream_tells_its_own_failure() {
        let event = |code| classify_event(AnswerFacts { status: 200, code, ..AnswerFacts::default() });
        assert_eq!(event(Some("usage_limit_reached")), Outcome::UsageLimited { until: None });
        assert_eq!(event(Some("rate_limit_exceeded")), Outcome::RateLimited { until: None });
        assert_eq!(event(Some("usage_not_included")), Outcome::LacksModel);
        assert_eq!(event(Some("slow_down")), Outcome::Overloaded { status: 200 });
        assert_eq!(event(Some("server_error")), Outcome::ServerFault { status: 200 });
        assert_eq!(event(Some("bio_policy")), Outcome::PolicyRefused);
        assert_eq!(event(Some("context_length_exceeded")), Outcome::Refused { status: 200 });
        assert_eq!(event(None), Outcome::Refused { status: 200 });
    }
}
