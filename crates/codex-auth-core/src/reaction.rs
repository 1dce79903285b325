//! What follows from each class of failure, as one table: what to do next, who rests, and what it says of the backend.
//!
//! Nobody else decides about a failure. The table is data, so that it can be printed and read by people as well.

use crate::{Outcome, Rest, RestPolicy, RestReason, RestScope, Timestamp};

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

/// Which requests are kept away from an account after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resting {
    /// None.
    Nothing,
    /// All of them, until the answer's own end, else as long as the policy says for this reason.
    Account(RestReason),
    /// Those of the model, likewise.
    Model(RestReason),
}

/// What is remembered of an account beyond a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    Nothing,
    /// Only a new sign-in helps; durable.
    NeedsLogin,
    /// It is out of service until the user enables it; durable.
    Disabled,
    /// It lacks the model, for half an hour.
    LacksModel,
}

/// One row: a class of outcomes and all that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Treatment {
    /// Its name.
    pub class: &'static str,
    /// How it is told.
    pub told_by: &'static str,
    /// What to do next.
    pub reaction: Reaction,
    /// What to do next where the account's credential was just renewed.
    pub after_renewal: Reaction,
    /// Who rests.
    pub resting: Resting,
    /// What is remembered.
    pub mark: Mark,
    /// Whether it tells of the backend rather than of the account, so that several accounts in a row are a burst.
    pub is_of_backend: bool,
}

const fn row(class: &'static str, told_by: &'static str, reaction: Reaction) -> Treatment {
    Treatment {
        class,
        told_by,
        reaction,
        after_renewal: reaction,
        resting: Resting::Nothing,
        mark: Mark::Nothing,
        is_of_backend: false,
    }
}

const SERVED: Treatment = row("served", "2xx, 3xx", Reaction::Relay);
const REFUSED: Treatment = row(
    "request refused",
    "every other 4xx (400, 402, 403, 404, 409, 413, 422 …), `response.failed` with a code of its own",
    Reaction::Relay,
);
const UNAUTHORIZED: Treatment = Treatment {
    after_renewal: Reaction::TryAnother,
    resting: Resting::Account(RestReason::Auth),
    ..row("401 plain", "401", Reaction::RefreshAndRetry)
};
const INVALIDATED: Treatment = Treatment {
    mark: Mark::NeedsLogin,
    ..row("401 invalidated", "401 with a code or sentence of invalidation", Reaction::MarkAndTryOne)
};
const DEACTIVATED: Treatment = Treatment {
    mark: Mark::Disabled,
    ..row(
        "workspace gone",
        "402 `deactivated_workspace`; 403 `workspace_expired`, `workspace_terminated`, `account_disabled`, `account_expired`",
        Reaction::TryAnother,
    )
};
const POLICY: Treatment = row(
    "policy refusal",
    "`cyber_policy`, `bio_policy` and kin, `workspace_disabled`, `organization_disabled`, under any status or in a stream",
    Reaction::Relay,
);
const CIPHERTEXT: Treatment = row("foreign ciphertext", "400 `invalid_encrypted_content`", Reaction::RewriteAndRetry);
const LACKS_MODEL: Treatment = Treatment {
    mark: Mark::LacksModel,
    ..row(
        "no such model or plan",
        "400, 403, 404, 429 or in a stream: `usage_not_included`, `model_not_supported_with_chatgpt_account`, `model_not_found` or the known sentences",
        Reaction::TryAnother,
    )
};
const USAGE: Treatment = Treatment {
    resting: Resting::Account(RestReason::UsageLimit),
    ..row(
        "usage limit",
        "429, 404 or in a stream: `usage_limit_reached`, `insufficient_quota` and other codes of a spent quota",
        Reaction::TryAnother,
    )
};
const RATE: Treatment = Treatment {
    resting: Resting::Account(RestReason::UsageLimit),
    ..row("rate limit", "429 without a more exact code; `rate_limit_exceeded`", Reaction::TryAnother)
};
const MODEL: Treatment = Treatment {
    resting: Resting::Model(RestReason::UsageLimit),
    ..row(
        "model limit",
        "429 whose `x-codex-active-limit` is a model's, or whose code speaks of tokens or concurrency",
        Reaction::TryAnother,
    )
};
const SERVER: Treatment = Treatment {
    resting: Resting::Account(RestReason::Server),
    is_of_backend: true,
    ..row("server fault", "408, 5xx; `server_error` in a stream", Reaction::TryAnother)
};
const OVERLOADED: Treatment = Treatment {
    resting: Resting::Account(RestReason::Server),
    is_of_backend: true,
    ..row("overload", "503 `server_is_overloaded` or `slow_down`, 529, or in a stream", Reaction::TryAnother)
};
const NETWORK: Treatment = Treatment {
    resting: Resting::Account(RestReason::Network),
    is_of_backend: true,
    ..row("network fault", "no connection, no answer in time, an answer that broke off", Reaction::TryAnother)
};
const STALLED: Treatment = Treatment {
    resting: Resting::Account(RestReason::Network),
    ..row("stall", "an answer that began and fell silent", Reaction::TryAnother)
};
const CANCELLED: Treatment = row("cancelled", "the client left", Reaction::Stop);

/// All rows.
pub const TREATMENTS: [Treatment; 16] = [
    SERVED,
    REFUSED,
    UNAUTHORIZED,
    INVALIDATED,
    DEACTIVATED,
    POLICY,
    CIPHERTEXT,
    LACKS_MODEL,
    USAGE,
    RATE,
    MODEL,
    SERVER,
    OVERLOADED,
    NETWORK,
    STALLED,
    CANCELLED,
];

impl Outcome {
    /// Its row.
    pub fn treatment(&self) -> &'static Treatment {
        match self {
            Self::Served => &SERVED,
            Self::Refused { .. } => &REFUSED,
            Self::Unauthorized => &UNAUTHORIZED,
            Self::TokenInvalidated { .. } => &INVALIDATED,
            Self::Deactivated { .. } => &DEACTIVATED,
            Self::PolicyRefused => &POLICY,
            Self::ForeignCiphertext => &CIPHERTEXT,
            Self::LacksModel => &LACKS_MODEL,
            Self::UsageLimited { .. } => &USAGE,
            Self::RateLimited { .. } => &RATE,
            Self::ModelLimited { .. } => &MODEL,
            Self::ServerFault { .. } => &SERVER,
            Self::Overloaded { .. } => &OVERLOADED,
            Self::NetworkFault => &NETWORK,
            Self::Stalled => &STALLED,
            Self::Cancelled => &CANCELLED,
        }
    }

    /// What to do next; `refreshed` tells that this account's credential was already renewed for this request.
    pub fn reaction(&self, refreshed: bool) -> Reaction {
        let row = self.treatment();
        if refreshed { row.after_renewal } else { row.reaction }
    }

    /// How the account rests after this. The limit of a model that nobody named keeps nobody away.
    pub fn rest(&self, policy: RestPolicy, quota_key: Option<&str>, now: Timestamp) -> Option<Rest> {
        let (reason, scope) = match self.treatment().resting {
            Resting::Nothing => return None,
            Resting::Account(reason) => (reason, RestScope::Account),
            Resting::Model(reason) => (reason, RestScope::QuotaKey(quota_key?.to_owned())),
        };
        let until = self.told_until().filter(|until| *until > now).unwrap_or_else(|| now.after(policy.of(reason)));
        Some(Rest { scope, ..Rest::of_account(reason, until, now) })
    }

    /// When to come back, as the answer itself names it.
    fn told_until(&self) -> Option<Timestamp> {
        match self {
            Self::UsageLimited { until } | Self::RateLimited { until } | Self::ModelLimited { until } => *until,
            Self::Served
            | Self::Refused { .. }
            | Self::LacksModel
            | Self::Unauthorized
            | Self::TokenInvalidated { .. }
            | Self::Deactivated { .. }
            | Self::PolicyRefused
            | Self::ForeignCiphertext
            | Self::ServerFault { .. }
            | Self::Overloaded { .. }
            | Self::NetworkFault
            | Self::Stalled
            | Self::Cancelled => None,
        }
    }

    /// Whether the backend's own answer is passed on when no other account does better: it tells the client more than
    /// we could. A limit of one account does not.
    pub fn is_told_where_nobody_serves(&self) -> bool {
        let row = self.treatment();
        row.is_of_backend || row.mark == Mark::LacksModel
    }

    /// Whether the answer shows that the token was good, whatever else it says.
    pub fn shows_a_good_token(&self) -> bool {
        matches!(self, Self::Served | Self::Refused { .. } | Self::PolicyRefused)
    }
}
