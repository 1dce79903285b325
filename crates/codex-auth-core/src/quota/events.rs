//! The event `codex.rate_limits`, which tells quotas in the middle of a stream.

use serde::Deserialize;

use crate::{
    Timestamp,
    quota::{
        Limit, Report, Source,
        report::plan_of,
        scalar::Scalar,
        usage::{CreditsPayload, WindowPayload, add},
    },
};

/// The event; what is unknown in it is passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct LimitsEvent {
    #[serde(default)]
    plan_type: Scalar,
    rate_limits: Option<LimitsPayload>,
    credits: Option<CreditsPayload>,
    #[serde(default)]
    metered_limit_name: Scalar,
    #[serde(default)]
    limit_name: Scalar,
}

#[derive(Debug, Clone, Deserialize)]
struct LimitsPayload {
    primary: Option<WindowPayload>,
    secondary: Option<WindowPayload>,
}

impl LimitsEvent {
    /// What it tells, if anything.
    pub fn report(&self, now: Timestamp) -> Option<Report> {
        let mut report = Report::at(now);
        report.plan = self.plan_type.text().as_deref().and_then(plan_of);
        let (id, name) = (self.metered_limit_name.text(), self.limit_name.text());
        let limit = id.as_ref().or(name.as_ref()).map_or(Limit::Account, |id| Limit::of_id(id));
        let windows = self.rate_limits.as_ref();
        let pair = (windows.and_then(|all| all.primary.as_ref()), windows.and_then(|all| all.secondary.as_ref()));
        add(&mut report, &limit, pair, Source::Event);
        if limit != Limit::Account {
            report.names.extend(name.map(|name| (limit, name)));
        }
        report.credits = self.credits.as_ref().and_then(|credits| credits.told(now));
        report.telling()
    }
}
