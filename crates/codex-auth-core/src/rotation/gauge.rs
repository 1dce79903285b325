//! An account's headroom at run time: reckoned once, and kept until something that was told is over or something new is
//! told. Of a large pool nobody's changes between most requests.

use std::cell::Cell;

use crate::{Headroom, Quota, Report, Timestamp, plan_size};

/// What was told of an account's quota, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    quota: Option<Quota>,
    kept: Cell<Option<Kept>>,
}

/// A headroom and the instants for which it holds.
#[derive(Debug, Clone, Copy)]
struct Kept {
    headroom: Headroom,
    from: Timestamp,
    until: Timestamp,
    /// Whether it is that of every model.
    is_of_all: bool,
}

impl Gauge {
    /// What was told, if anything was.
    pub(super) fn quota(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }

    /// Takes in what is told.
    pub(super) fn learn(&mut self, report: &Report) -> &Quota {
        self.forget_kept();
        let quota = self.quota.get_or_insert_default();
        quota.learn(report);
        quota
    }

    /// The account's row is another one, and with it perhaps its plan.
    pub(super) fn forget_kept(&mut self) {
        self.kept.set(None);
    }

    /// What the orderings need for a request of this model.
    pub(super) fn headroom(&self, model: Option<&str>, plan: Option<&str>, now: Timestamp) -> Headroom {
        if let Some(kept) = self.kept.get()
            && kept.holds(model, now)
        {
            return kept.headroom;
        }
        let Some(quota) = &self.quota else {
            let headroom = Headroom { plan_size: plan_size(plan), ..Headroom::UNKNOWN };
            let always = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
            self.kept.set(Some(Kept { headroom, from: always.0, until: always.1, is_of_all: true }));
            return headroom;
        };
        let headroom = quota.headroom(model, plan, now);
        let is_of_all = !quota.has_families();
        if is_of_all || model.is_none() {
            self.kept.set(Some(Kept { headroom, from: now, until: quota.next_end(now), is_of_all }));
        }
        headroom
    }
}

impl Kept {
    /// A clock may be set back, and what was over then is not over yet.
    fn holds(&self, model: Option<&str>, now: Timestamp) -> bool {
        self.from <= now && now < self.until && (self.is_of_all || model.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{QuotaSnapshot, QuotaWindow, Source};

    const END: i64 = 18_000_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn told(used_percent: f64, seen: i64) -> Report {
        let window =
            |end: i64, minutes| QuotaWindow { used_percent, window_minutes: Some(minutes), resets_at: Some(at(end)) };
        let (primary, secondary) = (Some(window(END, 300)), Some(window(20 * END, 10_080)));
        QuotaSnapshot { primary, secondary, seen_at: at(seen) }.report(Source::Headers, None)
    }

    #[test]
    fn what_is_kept_is_what_would_be_reckoned() {
        let mut gauge = Gauge::default();
        let check = |gauge: &Gauge, now: i64| {
            let fresh = match gauge.quota() {
                Some(quota) => quota.headroom(None, Some("pro"), at(now)),
                None => Headroom { plan_size: 10.0, ..Headroom::UNKNOWN },
            };
            for _twice in 0..2 {
                assert_eq!(gauge.headroom(None, Some("pro"), at(now)), fresh, "at {now}");
            }
        };
        let moments = [5, END - 1, END, 20 * END - 1, 20 * END, 21 * END, END - 2, 20 * END - 2];
        check(&gauge, 0);
        for used in [30.0, 60.0, 100.0] {
            gauge.learn(&told(used, 1));
            for moment in moments {
                check(&gauge, moment);
            }
        }
        gauge.forget_kept();
        assert!((gauge.headroom(None, None, at(5)).plan_size - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_model_with_a_limit_of_its_own_is_not_judged_by_the_account() {
        let head = |name: &str, used: &str, extra: &str| {
            let rows = [
                ("x-codex-primary-used-percent", used.to_owned()),
                (&*format!("x-codex-{name}-primary-used-percent"), extra.to_owned()),
                (&*format!("x-codex-{name}-limit-name"), "gpt-5.3-codex-spark".to_owned()),
            ];
            Report::of_headers(rows.iter().map(|(key, value)| (*key, value.as_str())), at(1)).expect("it tells")
        };
        let mut gauge = Gauge::default();
        gauge.learn(&head("bengalfox", "40", "90"));
        let left = |model| gauge.headroom(model, None, at(2)).left_percent;
        for _twice in 0..2 {
            let found = [None, Some("gpt-5.3-codex-spark"), Some("gpt-5.5")].map(left);
            assert_eq!(found.map(|left| format!("{left:.0}")), ["60", "10", "60"]);
        }
    }
}
