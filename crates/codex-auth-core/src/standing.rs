//! Whether an account may be used now, and if not, why: typed blockers, each with its way out.
//!
//! A blocker without an exit does not exist: it ends by itself, by a command, or with the request.

use std::{fmt, ops::ControlFlow};

use serde::{Deserialize, Serialize};

use crate::{Account, Denial, DeniedBy, Hold, RecordId, RestReason, RestScope, Timestamp};

/// Why an account may not serve a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Blocker {
    /// The user took it out of service.
    Disabled,
    /// Only a new sign-in helps.
    NeedsLogin {
        /// The issuer's or backend's code.
        code: String,
    },
    /// It recovers until an instant.
    Resting {
        /// When the rest ends.
        until: Timestamp,
        /// What it recovers from.
        reason: RestReason,
        /// Which requests it keeps away.
        scope: RestScope,
    },
    /// Another account is pinned, and a pin never spills.
    NotPinned {
        /// The pinned account.
        pin: RecordId,
        /// Who pinned it.
        by: Binding,
    },
    /// The user keeps it out of routing.
    Held {
        /// How.
        hold: Hold,
    },
    /// A window of its quota is spent by measurement.
    QuotaSpent {
        /// When the window starts anew.
        until: Timestamp,
    },
    /// The backend said that it has no access to the model of this request.
    LacksModel {
        /// When that is asked anew.
        until: Timestamp,
    },
    /// A rule of the user refuses the request, whoever would serve it.
    Denied(Denial),
    /// The backend fails whoever is asked, so nobody is.
    Burst {
        /// When somebody is asked again.
        until: Timestamp,
    },
    /// It was already tried for this request.
    AlreadyTried,
    /// The file names no workspace for it, so no request could carry its account id.
    NoWorkspace,
}

/// Who said that one account is to serve, or nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Binding {
    /// `switch`.
    #[default]
    Switch,
    /// The start of this run, with an account of its own.
    Run,
    /// The project the request comes from.
    Project,
}

/// The way out of a blocker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It ends by itself.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// The user runs this; `{n}` stands for the account's number.
    Command(&'static str),
    /// It ends with the request.
    NextRequest,
}

/// How far a blocker reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// To every request that the account could serve.
    Account,
    /// To the requests of one quota key.
    QuotaKey(&'a str),
    /// To the requests of this request's model.
    Model,
    /// To this request alone.
    Request,
    /// To every account alike.
    Everybody,
}

impl fmt::Display for Reach<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => out.write_str("account"),
            Self::QuotaKey(key) => write!(out, "quota:{key}"),
            Self::Model => out.write_str("model"),
            Self::Request => out.write_str("request"),
            Self::Everybody => out.write_str("everybody"),
        }
    }
}

impl Exit {
    /// What the user runs for the account of this number on screen; nothing where waiting is all.
    pub fn command(&self, number: usize) -> Option<String> {
        match self {
            Self::Command(command) => Some(command.replace("{n}", &number.to_string())),
            Self::Wait { .. } | Self::NextRequest => None,
        }
    }
}

impl Blocker {
    /// The way out.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Disabled => Exit::Command("codex-multi-auth switch {n}"),
            Self::NeedsLogin { .. } | Self::NoWorkspace => Exit::Command("codex-multi-auth login --account {n}"),
            Self::Resting { until, .. }
            | Self::QuotaSpent { until }
            | Self::LacksModel { until }
            | Self::Burst { until }
            | Self::Denied(Denial { until: Some(until), .. }) => Exit::Wait { until: *until },
            Self::NotPinned { by: Binding::Switch, .. } => Exit::Command("codex-multi-auth unpin"),
            Self::NotPinned { by: Binding::Run, .. } | Self::AlreadyTried => Exit::NextRequest,
            Self::NotPinned { by: Binding::Project, .. } => Exit::Command("codex-multi-auth profile unbind"),
            Self::Held { hold: Hold::Paused } => Exit::Command("codex-multi-auth account unpause {n}"),
            Self::Held { hold: Hold::Drained } => Exit::Command("codex-multi-auth account undrain {n}"),
            Self::Denied(Denial { by: DeniedBy::Policy, until: None, .. }) => {
                Exit::Command("codex-multi-auth profile show")
            }
            Self::Denied(Denial { by: DeniedBy::Budget, until: None, .. }) => {
                Exit::Command("codex-multi-auth budget list")
            }
        }
    }

    /// What it keeps the account away from.
    pub fn reach(&self) -> Reach<'_> {
        match self {
            Self::Disabled
            | Self::NeedsLogin { .. }
            | Self::NoWorkspace
            | Self::Held { .. }
            | Self::QuotaSpent { .. }
            | Self::Resting { scope: RestScope::Account, .. } => Reach::Account,
            Self::Resting { scope: RestScope::QuotaKey(key), .. } => Reach::QuotaKey(key),
            Self::LacksModel { .. } => Reach::Model,
            Self::AlreadyTried | Self::Denied(_) => Reach::Request,
            Self::NotPinned { .. } | Self::Burst { .. } => Reach::Everybody,
        }
    }

    /// When it ends by itself, if it does.
    pub fn until(&self) -> Option<Timestamp> {
        match self.exit() {
            Exit::Wait { until } => Some(until),
            Exit::Command(_) | Exit::NextRequest => None,
        }
    }

    /// The code of the mark, where only a new sign-in helps.
    pub fn needs_login(&self) -> Option<&str> {
        match self {
            Self::NeedsLogin { code } => Some(code),
            Self::Disabled
            | Self::Resting { .. }
            | Self::NotPinned { .. }
            | Self::AlreadyTried
            | Self::NoWorkspace
            | Self::Held { .. }
            | Self::QuotaSpent { .. }
            | Self::LacksModel { .. }
            | Self::Denied(_)
            | Self::Burst { .. } => None,
        }
    }

    /// The word stored in skip reasons and shown as a marker; the spelling is the predecessor's.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NeedsLogin { .. } => "token-invalid — re-login needed",
            Self::Resting { reason: RestReason::UsageLimit, .. } => "rate-limited",
            Self::Resting { reason: RestReason::Auth, .. } => "cooling-down:auth-failure",
            Self::Resting { reason: RestReason::Network, .. } => "cooling-down:network-error",
            Self::Resting { reason: RestReason::Server, .. } => "cooling-down:server-error",
            Self::NotPinned { .. } => "not-pinned",
            Self::AlreadyTried => "already-attempted",
            Self::NoWorkspace => "missing-account-id",
            Self::Held { .. } => "policy-blocked",
            Self::QuotaSpent { .. } => "quota-exhausted",
            Self::LacksModel { .. } => "unsupported-model",
            Self::Denied(denial) => denial.by.code(),
            Self::Burst { .. } => "server-burst",
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

/// Where one account stands with regard to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The account.
    pub record: RecordId,
    /// Everything that keeps it from serving; empty when it may.
    pub blockers: Vec<Blocker>,
}

impl Standing {
    /// Whether the account may serve.
    pub fn is_ready(&self) -> bool {
        self.blockers.is_empty()
    }

    /// The instant from which it may serve, when all that blocks it ends by itself.
    pub fn ready_at(&self) -> Option<Timestamp> {
        let ends = self.blockers.iter().filter(|blocker| !matches!(blocker, Blocker::AlreadyTried)).map(Blocker::until);
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

/// Tells the blockers that lie in the account itself, whatever the request, one by one, until somebody has heard enough:
/// where there is none, asking costs next to nothing.
pub(crate) fn own_blockers(
    account: &Account,
    quota_key: Option<&str>,
    now: Timestamp,
    tell: &mut impl FnMut(Blocker) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if !account.enabled {
        tell(Blocker::Disabled)?;
    }
    if let Some(needs) = &account.needs_login {
        tell(Blocker::NeedsLogin { code: needs.code.clone() })?;
    } else if account.owner.workspace.as_ref().is_none_or(crate::WorkspaceId::is_platform_organisation) {
        tell(Blocker::NoWorkspace)?;
    }
    for rest in account.rests.iter().filter(|rest| rest.holds(now) && concerns(&rest.scope, quota_key)) {
        tell(Blocker::Resting { until: rest.until, reason: rest.reason, scope: rest.scope.clone() })?;
    }
    ControlFlow::Continue(())
}

/// A request whose model is unknown is kept away by whole-account rests only.
fn concerns(scope: &RestScope, quota_key: Option<&str>) -> bool {
    match scope {
        RestScope::Account => true,
        RestScope::QuotaKey(key) => quota_key.is_some_and(|asked| {
            asked == key || asked.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(':'))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    #[track_caller]
    fn check(scope: &str, asked: Option<&str>, expect: bool) {
        assert_eq!(concerns(&RestScope::QuotaKey(scope.into()), asked), expect);
    }

    #[test]
    fn a_family_rest_covers_its_models() {
        check("gpt-5.2", Some("gpt-5.2:gpt-5.5"), true);
        check("gpt-5.2", Some("gpt-5.2"), true);
        check("gpt-5.2", Some("gpt-5.25"), false);
        check("gpt-5.2:a", Some("gpt-5.2"), false);
        check("gpt-5.2", None, false);
    }

    #[test]
    fn a_dead_and_disabled_account_says_both() {
        let mut dead = account(1);
        dead.enabled = false;
        dead.needs_login = Some(crate::NeedsLogin { code: "refresh_token_reused".into(), at: Timestamp::default() });
        let mut told = Vec::new();
        let mut tell = |blocker| {
            told.push(blocker);
            ControlFlow::Continue(())
        };
        assert!(own_blockers(&dead, None, Timestamp::default(), &mut tell).is_continue());
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn ready_when_the_last_wait_ends() {
        let until = |ms| Blocker::Resting {
            until: Timestamp::from_millis(ms),
            reason: RestReason::Server,
            scope: RestScope::Account,
        };
        let standing =
            Standing { record: account(1).record, blockers: vec![until(5), until(9), Blocker::AlreadyTried] };
        assert_eq!(standing.ready_at(), Some(Timestamp::from_millis(9)));
        let never = Standing { record: account(1).record, blockers: vec![until(5), Blocker::Disabled] };
        assert_eq!(never.ready_at(), None);
    }
}
