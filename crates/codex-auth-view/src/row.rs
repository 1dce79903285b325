//! Owns how one account stands on a list: its markers, the reason it does not serve, and the way out.

use codex_auth_core::{Account, Blocker, Hold, Rest, RestReason, RestScope, SavedPool, Standing, Timestamp};
use serde::Serialize;

use crate::{
    check::QuotaTold,
    named::Named,
    wait::{age, left},
    words::Lines,
};

/// One account of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRow {
    /// How it is called.
    #[serde(flatten)]
    pub named: Named,
    /// E-mail address of its owner.
    pub email: Option<String>,
    /// Workspace id.
    pub account_id: Option<String>,
    /// Plan as the backend spells it.
    pub plan: Option<String>,
    /// Whether the user lets it serve.
    pub enabled: bool,
    /// Whether it is the selected account.
    pub current: bool,
    /// Whether it may serve now, pin aside.
    pub ready: bool,
    /// Words about its state, in the predecessor's order.
    pub markers: Vec<String>,
    /// When it was last chosen, in milliseconds since the epoch.
    pub last_used: Option<i64>,
    /// When it may serve again by mere waiting, in milliseconds since the epoch.
    pub ready_at: Option<i64>,
    /// What keeps it away, and the command that helps.
    pub reason: Option<String>,
    /// What was last told of its quota; left out where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaTold>,
}

impl AccountRow {
    /// Every account of a pool with its standing; both are in pool order.
    pub fn all(pool: &SavedPool, standings: &[Standing], now: Timestamp) -> Vec<Self> {
        let rows = pool.accounts.iter().zip(standings).enumerate();
        rows.map(|(index, (held, standing))| {
            let is_current = pool.active.as_ref() == Some(&held.account.record);
            Self::of(index, &held.account, standing, is_current, now)
        })
        .collect()
    }

    fn of(index: usize, account: &Account, standing: &Standing, current: bool, now: Timestamp) -> Self {
        let named = Named::at(index, account);
        let number = named.number;
        let own: Vec<&Blocker> = standing.blockers.iter().filter(|blocker| is_own(blocker)).collect();
        let of_models = models_resting(account, now);
        let mut markers: Vec<String> = current.then(|| "current".to_owned()).into_iter().collect();
        markers.extend(own.iter().filter_map(|blocker| marker(blocker, now)));
        if !of_models.is_empty() && !markers.iter().any(|marker| marker == "rate-limited") {
            markers.push("rate-limited".to_owned());
        }
        let shared = account.provenance.as_ref().filter(|from| from.shared);
        markers.extend(shared.map(|from| format!("shared with {}", owner_of(&from.format))));
        let reasons: Vec<String> = own
            .iter()
            .map(|blocker| reason(blocker, number, now))
            .chain(of_models.iter().map(|(models, rest)| format!("{models} rests {} more", left(rest.until, now))))
            .collect();
        let last_used = account.seen.last_used_at;
        let alone = Standing { record: account.record.clone(), blockers: own.iter().copied().cloned().collect() };
        Self {
            named,
            email: account.owner.email.clone(),
            account_id: account.owner.workspace.as_ref().map(ToString::to_string),
            plan: account.owner.plan.clone(),
            enabled: account.enabled,
            current,
            ready: own.is_empty(),
            markers,
            last_used: (last_used > Timestamp::default()).then(|| last_used.as_millis()),
            ready_at: alone.ready_at().map(Timestamp::as_millis),
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            quota: None,
        }
    }

    /// The row's lines: number, label, markers, last use; below it the reason.
    pub(crate) fn write(&self, lines: &mut Lines, now: Timestamp) {
        let Self { named: Named { number, label, .. }, markers, .. } = self;
        let markers = if markers.is_empty() { String::new() } else { format!(" [{}]", markers.join(", ")) };
        let used = match self.last_used {
            Some(at) => format!("used {} ago", age(Timestamp::from_millis(at), now)),
            None => "never used".to_owned(),
        };
        lines.hang(3, &format!("{number}. {label}{markers} {used}"));
        if let Some(reason) = &self.reason {
            lines.hang(5, &format!("   reason: {reason}"));
        }
        if let Some(quota) = self.quota.and_then(|quota| quota.words(now)) {
            lines.hang(5, &format!("   quota: {quota}"));
        }
    }
}

/// The program whose file an imported sign-in stands in.
pub(crate) fn owner_of(format: &str) -> &str {
    match format {
        "opencode" => "OpenCode",
        "auth.json" | "accounts.json" => "codex",
        "accounts" | "flagged" => "another codex-multi-auth",
        other => other,
    }
}

/// Whether a blocker lies in the account itself, not in the request or in another account's pin.
pub(crate) fn is_own(blocker: &Blocker) -> bool {
    match blocker {
        Blocker::Disabled
        | Blocker::NeedsLogin { .. }
        | Blocker::Resting { .. }
        | Blocker::NoWorkspace
        | Blocker::Held { .. }
        | Blocker::QuotaSpent { .. } => true,
        Blocker::NotPinned { .. }
        | Blocker::AlreadyTried
        | Blocker::LacksModel { .. }
        | Blocker::Denied(_)
        | Blocker::Burst { .. } => false,
    }
}

/// The waits that keep single models away. A request of unknown model ignores them, so the evaluator does, too.
fn models_resting(account: &Account, now: Timestamp) -> Vec<(&str, &Rest)> {
    let of_models = account.rests.iter().filter(|rest| rest.holds(now)).filter_map(|rest| match &rest.scope {
        RestScope::QuotaKey(key) => Some((key.as_str(), rest)),
        RestScope::Account => None,
    });
    of_models.collect()
}

fn marker(blocker: &Blocker, now: Timestamp) -> Option<String> {
    match blocker {
        Blocker::Disabled | Blocker::NeedsLogin { .. } | Blocker::NoWorkspace | Blocker::QuotaSpent { .. } => {
            Some(blocker.code().to_owned())
        }
        Blocker::Resting { reason: RestReason::UsageLimit, .. } => Some("rate-limited".to_owned()),
        Blocker::Resting { until, reason, .. } => Some(format!("cooldown:{} ({})", left(*until, now), reason.as_str())),
        Blocker::Held { hold: Hold::Paused } => Some("paused".to_owned()),
        Blocker::Held { hold: Hold::Drained } => Some("drained".to_owned()),
        Blocker::NotPinned { .. }
        | Blocker::AlreadyTried
        | Blocker::LacksModel { .. }
        | Blocker::Denied(_)
        | Blocker::Burst { .. } => None,
    }
}

/// What keeps the account away and how that ends.
pub(crate) fn reason(blocker: &Blocker, number: usize, now: Timestamp) -> String {
    let what = match blocker {
        Blocker::Disabled => "disabled".to_owned(),
        Blocker::NeedsLogin { code } => format!("needs a new sign-in ({code})"),
        Blocker::NoWorkspace => "its sign-in names no workspace".to_owned(),
        Blocker::Resting { until, reason, .. } => format!("rests {} more ({})", left(*until, now), reason.as_str()),
        Blocker::NotPinned { .. } => "another account is pinned".to_owned(),
        Blocker::AlreadyTried => "already tried for this request".to_owned(),
        Blocker::Held { hold: Hold::Paused } => "paused".to_owned(),
        Blocker::Held { hold: Hold::Drained } => "drained".to_owned(),
        Blocker::QuotaSpent { until } => format!("its quota is spent for {} more", left(*until, now)),
        Blocker::LacksModel { until } => format!("has no access to the model; asked anew in {}", left(*until, now)),
        Blocker::Denied(denial) => denial.reason.clone(),
        Blocker::Burst { until } => format!("the backend fails everybody; asked anew in {}", left(*until, now)),
    };
    match blocker.exit().command(number) {
        Some(command) => format!("{what}: {command}"),
        None => what,
    }
}
