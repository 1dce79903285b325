//! The usage endpoint's document, under both of its paths. Source: `GET /wham/usage` as the official client maps it,
//! and the older shape with windows at its top level.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    Timestamp,
    quota::{
        Credits, Limit, Report, Source,
        report::{Told, plan_of},
        scalar::Scalar,
    },
};

/// The document; what is unknown in it is passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct UsagePayload {
    #[serde(default)]
    plan_type: Scalar,
    rate_limit: Option<LimitPayload>,
    primary: Option<WindowPayload>,
    secondary: Option<WindowPayload>,
    limits: Option<Vec<RowPayload>>,
    additional_rate_limits: Option<Vec<AdditionalPayload>>,
    credits: Option<CreditsPayload>,
    spend_control: Option<SpendPayload>,
}

#[derive(Debug, Clone, Deserialize)]
struct LimitPayload {
    #[serde(default)]
    allowed: Scalar,
    #[serde(default)]
    limit_reached: Scalar,
    primary_window: Option<WindowPayload>,
    secondary_window: Option<WindowPayload>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct WindowPayload {
    #[serde(default)]
    used_percent: Scalar,
    #[serde(default)]
    limit_window_seconds: Scalar,
    #[serde(default)]
    window_minutes: Scalar,
    #[serde(default)]
    reset_after_seconds: Scalar,
    #[serde(default, alias = "resets_at")]
    reset_at: Scalar,
}

#[derive(Debug, Clone, Deserialize)]
struct RowPayload {
    #[serde(default, alias = "leftPct")]
    left_pct: Scalar,
    #[serde(default)]
    used_percent: Scalar,
    #[serde(default)]
    remaining: Scalar,
    #[serde(default)]
    limit: Scalar,
    #[serde(default, alias = "resets_at", alias = "resetsAt")]
    reset_at: Scalar,
}

#[derive(Debug, Clone, Deserialize)]
struct AdditionalPayload {
    #[serde(default)]
    limit_name: Scalar,
    #[serde(default)]
    metered_feature: Scalar,
    rate_limit: Option<LimitPayload>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CreditsPayload {
    #[serde(default)]
    has_credits: Scalar,
    #[serde(default)]
    unlimited: Scalar,
    #[serde(default)]
    balance: Scalar,
}

#[derive(Debug, Clone, Deserialize)]
struct SpendPayload {
    #[serde(default)]
    reached: Scalar,
}

impl UsagePayload {
    /// Whether it is a document about usage at all.
    pub fn tells_usage(&self) -> bool {
        self.rate_limit.is_some() || self.plan_type.text().is_some() || self.primary.is_some() || self.limits.is_some()
    }

    /// Whether the backend would refuse a turn now.
    pub fn is_refusing(&self) -> bool {
        let refuses =
            |limit: &LimitPayload| limit.limit_reached.flag() == Some(true) || limit.allowed.flag() == Some(false);
        self.rate_limit.as_ref().is_some_and(refuses)
            || self.spend_control.as_ref().is_some_and(|spend| spend.reached.flag() == Some(true))
    }

    /// What it tells.
    pub fn report(&self, now: Timestamp) -> Report {
        let mut report = Report::at(now);
        report.plan = self.plan_type.text().as_deref().and_then(plan_of);
        let own = self.rate_limit.as_ref();
        let primary = own.and_then(|own| own.primary_window.as_ref()).or(self.primary.as_ref());
        let secondary = own.and_then(|own| own.secondary_window.as_ref()).or(self.secondary.as_ref());
        add(&mut report, &Limit::Account, (primary, secondary), Source::Usage);
        if report.windows.is_empty() {
            self.add_rows(&mut report);
        }
        for more in self.additional_rate_limits.iter().flatten() {
            let (name, id) = (more.limit_name.text(), more.metered_feature.text());
            let Some(id) = id.as_ref().or(name.as_ref()) else { continue };
            let limit = Limit::of_id(id);
            // A second telling of the account's own limit under its other name would be a second truth.
            if limit == Limit::Account {
                continue;
            }
            let windows = more.rate_limit.as_ref();
            let window = |which: fn(&LimitPayload) -> Option<&WindowPayload>| windows.and_then(which);
            let both = (window(|limit| limit.primary_window.as_ref()), window(|limit| limit.secondary_window.as_ref()));
            add(&mut report, &limit, both, Source::Usage);
            report.names.extend(name.map(|name| (limit, name)));
        }
        report.credits = self.credits.as_ref().and_then(|credits| credits.told(now));
        report
    }

    /// The oldest shape: rows with a share left, or counts.
    fn add_rows(&self, report: &mut Report) {
        for (place, row) in (0..=u8::MAX).zip(self.limits.iter().flatten()) {
            let counted = || {
                let limit = row.limit.number().filter(|limit| *limit > 0.0)?;
                Some(100.0 - row.remaining.number()? / limit * 100.0)
            };
            let left = row.left_pct.number().map(|left| 100.0 - left);
            let used_percent = left.or_else(|| row.used_percent.number()).or_else(counted);
            let told = Told { used_percent, reset_at: row.reset_at.whole(), ..Told::default() };
            report.add(&Limit::Account, place, told, Source::Counters);
        }
    }
}

type Pair<'a> = (Option<&'a WindowPayload>, Option<&'a WindowPayload>);

pub(super) fn add(report: &mut Report, limit: &Limit, (primary, secondary): Pair<'_>, source: Source) {
    for (place, window) in [(0, primary), (1, secondary)] {
        if let Some(window) = window {
            report.add(limit, place, window.told(), source);
        }
    }
}

impl WindowPayload {
    fn told(&self) -> Told {
        let seconds = self.limit_window_seconds.count().map(|seconds| seconds.div_ceil(60));
        Told {
            used_percent: self.used_percent.number(),
            minutes: seconds.or_else(|| self.window_minutes.count()),
            reset_at: self.reset_at.whole(),
            reset_after: self.reset_after_seconds.count().map(Duration::from_secs),
        }
    }
}

impl CreditsPayload {
    /// Both flags must be told, as the official client demands it.
    pub(super) fn told(&self, seen_at: Timestamp) -> Option<Credits> {
        Some(Credits {
            has_credits: self.has_credits.flag()?,
            unlimited: self.unlimited.flag()?,
            balance: self.balance.text(),
            seen_at,
        })
    }
}
