//! What the headers of an answer tell of quotas.
//!
//! `x-codex-*` is the account's own limit, `x-<family>-*` one that is metered apart. Source: the official client's
//! reading (protocol notes, 6.9). Counters of the kind `x-ratelimit-*` come from backends of another make; a share is
//! reckoned from them (plugin contract, 8.2).

use std::time::Duration;

use crate::{
    Timestamp,
    quota::{
        Credits, Limit, Report, Source,
        report::{Told, plan_of},
    },
    wait::span_of,
};

const USED: [(&str, u8); 2] = [("-primary-used-percent", 0), ("-secondary-used-percent", 1)];
/// Nobody has more families than this; an answer that names more is wild.
const FAMILIES: usize = 32;

impl Report {
    /// Reads all headers of an answer, lower-cased as the wire library hands them over; `None` when none tells anything.
    pub fn of_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, now: Timestamp) -> Option<Self> {
        // Almost every header is none of ours, so the first letters decide.
        let is_ours = |name: &str| name.starts_with("x-") || name.starts_with("ratelimit");
        let ours: Vec<_> = headers.filter(|(name, _)| is_ours(name)).collect();
        let look_up = |wanted: &str| ours.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.trim());
        let mut report = Self::at(now);
        for &(name, value) in &ours {
            for (ending, place) in USED {
                let Some(family) = name.strip_prefix("x-").and_then(|rest| rest.strip_suffix(ending)) else { continue };
                if family.is_empty() || report.windows.len() >= FAMILIES {
                    continue;
                }
                report.add(&Limit::of_id(family), place, told(family, place, value, look_up), Source::Headers);
            }
            if let Some(family) = name.strip_prefix("x-").and_then(|rest| rest.strip_suffix("-limit-name")) {
                let limit = Limit::of_id(family);
                if limit != Limit::Account && report.names.len() < FAMILIES && !value.trim().is_empty() {
                    report.names.push((limit, value.trim().to_owned()));
                }
            }
        }
        report.credits = credits(now, look_up);
        report.plan = look_up("x-codex-plan-type").and_then(plan_of);
        report.active = look_up("x-codex-active-limit").filter(|id| !id.is_empty()).map(Limit::of_id);
        // A dozen names would be spelt in vain.
        if report.windows.is_empty() && ours.iter().any(|(name, _)| name.contains("ratelimit")) {
            counters(&mut report, look_up);
        }
        report.telling()
    }
}

fn told<'a>(family: &str, place: u8, used: &str, look_up: impl Fn(&str) -> Option<&'a str>) -> Told {
    let slot = if place == 0 { "primary" } else { "secondary" };
    let field = |part: &str| look_up(&format!("x-{family}-{slot}-{part}"));
    Told {
        used_percent: used.trim().parse().ok(),
        minutes: field("window-minutes").and_then(|text| text.parse().ok()),
        reset_at: field("reset-at").and_then(|text| text.parse().ok()),
        reset_after: field("reset-after-seconds").and_then(|text| text.parse().ok()).map(Duration::from_secs),
    }
}

/// Both flags must be told.
fn credits<'a>(seen_at: Timestamp, look_up: impl Fn(&str) -> Option<&'a str>) -> Option<Credits> {
    let flag = |name: &str| match look_up(name)?.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    let balance = look_up("x-codex-credits-balance").filter(|text| !text.is_empty() && text.len() <= 64);
    Some(Credits {
        has_credits: flag("x-codex-credits-has-credits")?,
        unlimited: flag("x-codex-credits-unlimited")?,
        balance: balance.map(str::to_owned),
        seen_at,
    })
}

/// Requests first, tokens second, under each of the spellings that are known.
fn counters<'a>(report: &mut Report, look_up: impl Fn(&str) -> Option<&'a str>) {
    for (place, kind) in [(0, "requests"), (1, "tokens")] {
        let field = |part: &str| {
            let spelt = [format!("x-ratelimit-{part}-{kind}"), format!("x-ratelimit-{kind}-{part}")];
            let found = spelt.iter().find_map(|name| look_up(name));
            let plain = || look_up(&format!("x-ratelimit-{part}")).or_else(|| look_up(&format!("ratelimit-{part}")));
            found.or_else(|| if place == 0 { plain() } else { None })
        };
        let number = |part: &str| field(part).and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite());
        let (Some(remaining), Some(limit)) = (number("remaining"), number("limit").filter(|limit| *limit > 0.0)) else {
            continue;
        };
        let used = (100.0 - remaining / limit * 100.0).clamp(0.0, 100.0);
        let reset = field("reset").and_then(|text| span_of(text, report.seen_at));
        let told = Told { used_percent: Some(used), reset_after: reset, ..Told::default() };
        report.add(&Limit::Account, place, told, Source::Counters);
    }
}
