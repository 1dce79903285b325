//! All that was told of one account's quota, and what follows from it at an instant.

use crate::Expiring;
use crate::quota::{Confidence, Credits, Headroom, Limit, Reading, Report, Span, Timestamp, is_same, plan_size};

/// The quota of one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quota {
    /// Ordered by limit and length.
    windows: Vec<Window>,
    /// Display names of limits, ordered by id.
    names: Vec<(Limit, String)>,
    credits: Option<Credits>,
    /// The plan's name and when it was told.
    plan: Option<(Timestamp, String)>,
}

/// What was told of one window: the best of each confidence.
#[derive(Debug, Clone, PartialEq)]
struct Window {
    limit: Limit,
    span: Span,
    told: [Option<Reading>; 4],
}

/// A window as it stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowState<'a> {
    /// Whose it is.
    pub limit: &'a Limit,
    /// How long it is.
    pub span: Span,
    /// The telling that counts.
    pub reading: Reading,
    /// When the telling ends: with the window, or as a guess.
    pub ends_at: Timestamp,
}

impl Quota {
    /// Takes in what was told; the order in which reports come makes no difference. Another plan is another quota: what
    /// was told of the old one is forgotten.
    pub fn learn(&mut self, report: &Report) {
        if let Some(plan) = &report.plan {
            let known = self.plan.as_ref();
            let is_newer = known.is_none_or(|known| *known < (report.seen_at, plan.clone()));
            if known.is_some_and(|(at, name)| name != plan && *at < report.seen_at) {
                *self = Self::default();
            }
            if is_newer {
                self.plan = Some((report.seen_at, plan.clone()));
            }
        }
        for (limit, span, reading) in &report.windows {
            self.note(limit, *span, *reading);
        }
        for (limit, name) in &report.names {
            match self.names.binary_search_by(|(known, _)| known.cmp(limit)) {
                Ok(place) if self.names[place].1 < *name => self.names[place].1.clone_from(name),
                Ok(_) => {}
                Err(place) => self.names.insert(place, (limit.clone(), name.clone())),
            }
        }
        let order =
            |credits: &Credits| (credits.seen_at, credits.unlimited, credits.has_credits, credits.balance.clone());
        if let Some(fresh) = &report.credits
            && self.credits.as_ref().is_none_or(|known| order(known) < order(fresh))
        {
            self.credits = Some(fresh.clone());
        }
    }

    fn note(&mut self, limit: &Limit, span: Span, reading: Reading) {
        let key = |window: &Window| (window.limit.cmp(limit)).then(window.span.cmp(&span));
        let place = match self.windows.binary_search_by(key) {
            Ok(place) => place,
            Err(place) => {
                self.windows.insert(place, Window { limit: limit.clone(), span, told: [None; 4] });
                place
            }
        };
        let told = &mut self.windows[place].told[place_of(reading.confidence())];
        *told = Some(told.map_or(reading, |known| known.later(reading)));
    }

    /// The windows that are known at `now`, by limit and length; one that is over tells nothing any more.
    pub fn windows(&self, now: Timestamp) -> impl Iterator<Item = WindowState<'_>> {
        self.windows.iter().filter_map(move |window| {
            let reading = window.at(now)?;
            Some(WindowState {
                limit: &window.limit,
                span: window.span,
                reading,
                ends_at: reading.ends_at(window.span),
            })
        })
    }

    /// The display name of a limit, where told.
    pub fn name_of(&self, limit: &Limit) -> Option<&str> {
        self.names.iter().find(|(known, _)| known == limit).map(|(_, name)| name.as_str())
    }

    /// What may be used beyond the windows, where told.
    pub fn credits(&self) -> Option<&Credits> {
        self.credits.as_ref()
    }

    /// The plan, as the backend spells it.
    pub fn plan(&self) -> Option<&str> {
        self.plan.as_ref().map(|(_, name)| name.as_str())
    }

    /// When anything was told last.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.windows.iter().flat_map(|window| window.told).flatten().map(|reading| reading.seen_at).max()
    }

    /// What the orderings need for a request of this model. A model with a limit of its own is judged by that one alone.
    pub fn headroom(&self, model: Option<&str>, plan: Option<&str>, now: Timestamp) -> Headroom {
        let own = model.and_then(|model| self.limit_of(model));
        let limit = own.unwrap_or(&Limit::Account);
        let pays = self.credits.as_ref().is_some_and(Credits::pays);
        let mut headroom = Headroom { plan_size: plan_size(self.plan().or(plan)), ..Headroom::UNKNOWN };
        let mut room = f64::INFINITY;
        for window in self.windows.iter().filter(|window| window.limit == *limit) {
            let Some(reading) = window.at(now) else { continue };
            let left_percent = reading.left_percent();
            headroom.left_percent = headroom.left_percent.min(left_percent);
            room = room.min(left_percent * window.span.percent_size());
            // Nobody is kept away by an end that was only guessed; the orderings put the account last.
            let Some(at) = reading.resets_at else { continue };
            if reading.is_spent() && !pays {
                headroom.spent_until = headroom.spent_until.max(Some(at));
            } else if left_percent > 0.0 && headroom.expiring.is_none_or(|known| at < known.at) {
                headroom.expiring = Some(Expiring { left_percent, at });
            }
        }
        if room.is_finite() && headroom.left_percent > 0.0 {
            headroom.percent_size = room / headroom.left_percent;
        }
        headroom
    }

    /// The first instant after `now` at which something that was told of it is over.
    pub(crate) fn next_end(&self, now: Timestamp) -> Timestamp {
        let ends =
            self.windows.iter().flat_map(|window| window.told.iter().flatten().map(|told| told.ends_at(window.span)));
        ends.filter(|end| now < *end).min().unwrap_or(Timestamp::from_millis(i64::MAX))
    }

    /// Whether some model has a limit of its own.
    pub(crate) fn has_families(&self) -> bool {
        self.windows.iter().any(|window| window.limit != Limit::Account)
    }

    /// Whether nothing is left in some window of the account's own.
    pub fn is_spent(&self, now: Timestamp) -> bool {
        self.headroom(None, None, now).left_percent <= 0.0
    }

    /// The limit of a model's own, by its id or its display name.
    fn limit_of(&self, model: &str) -> Option<&Limit> {
        if !self.has_families() {
            return None;
        }
        let is_it = |limit: &Limit| match limit {
            Limit::Account => false,
            Limit::Family(id) => is_same(id, model) || self.name_of(limit).is_some_and(|name| is_same(name, model)),
        };
        self.windows.iter().map(|window| &window.limit).find(|limit| is_it(limit))
    }
}

/// Places are in the order of confidence.
fn place_of(confidence: Confidence) -> usize {
    match confidence {
        Confidence::Counted => 0,
        Confidence::Told => 1,
        Confidence::Reckoned => 2,
        Confidence::Remembered => 3,
    }
}

impl Window {
    /// The telling that counts at `now`.
    fn at(&self, now: Timestamp) -> Option<Reading> {
        let live = |reading: &Reading| now < reading.ends_at(self.span);
        self.told
            .iter()
            .flatten()
            .filter(|reading| live(reading))
            .copied()
            .reduce(|better, worse| if worse.outdoes(&better) { worse } else { better })
    }
}
