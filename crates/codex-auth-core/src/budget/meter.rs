//! What was spent in each window that holds, kept as it happens: nothing is read again to answer a request.
//!
//! The rules of a counter are those of [`Counters`](crate::capability::Counters): room is given only while what is used
//! and reserved leaves some, and a reservation ends once. It ends with its request, so none needs a time to live.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Budget, Spent, SpentAt, Window};
use crate::{Denial, Timestamp};

/// Sums of use, of everybody and by project, in the windows that hold now.
#[derive(Debug, Default)]
pub struct Meter {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Gauge,
    projects: BTreeMap<String, Gauge>,
}

/// What one subject spent and reserved.
#[derive(Debug, Default, Clone)]
struct Gauge {
    windows: [Counter; 4],
    reserved: Spent,
}

/// What was spent since a window began.
#[derive(Debug, Default, Clone, Copy)]
struct Counter {
    begins: Timestamp,
    spent: Spent,
}

/// Room for one request; give it back with [`Meter::settle`] or [`Meter::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation keeps its room until it is settled or released"]
pub struct Reservation {
    project: Option<String>,
    held: Spent,
}

impl Counter {
    fn feed(&mut self, window: Window, at: Timestamp, spent: Spent) {
        let begins = window.begins(at);
        if begins > self.begins {
            *self = Self { begins, spent: Spent::default() };
        }
        if begins == self.begins {
            self.spent = self.spent.plus(spent);
        }
    }

    /// A clock that was set back does not make room.
    fn at(&self, window: Window, now: Timestamp) -> Spent {
        if window.begins(now) > self.begins { Spent::default() } else { self.spent }
    }
}

impl Gauge {
    fn feed(&mut self, at: Timestamp, spent: Spent) {
        for (counter, window) in self.windows.iter_mut().zip(Window::ALL) {
            counter.feed(window, at, spent);
        }
    }

    fn at(&self, asked: Window, now: Timestamp) -> Spent {
        let found = self.windows.iter().zip(Window::ALL).find(|(_, window)| *window == asked);
        found.map(|(counter, window)| counter.at(window, now)).unwrap_or_default()
    }
}

impl State {
    fn each(&mut self, project: Option<&str>, change: impl Fn(&mut Gauge)) {
        change(&mut self.all);
        if let Some(project) = project {
            match self.projects.get_mut(project) {
                Some(gauge) => change(gauge),
                None => change(self.projects.entry(project.to_owned()).or_default()),
            }
        }
    }

    fn stands(&self, budget: &Budget, now: Timestamp) -> (Spent, Spent) {
        let window = budget.limit.window;
        let of = |gauge: &Gauge| (gauge.at(window, now), gauge.reserved);
        let Some(projects) = &budget.projects else { return of(&self.all) };
        let known = projects.iter().filter_map(|project| self.projects.get(project)).map(of);
        known.fold(Default::default(), |(used, held), more| (used.plus(more.0), held.plus(more.1)))
    }

    /// What a request is expected to take: what the month's requests took on average.
    fn expected(&self, now: Timestamp) -> Spent {
        let month = self.all.at(Window::Month, now);
        let mean = |sum: u64| sum.checked_div(month.requests).unwrap_or_default();
        Spent { requests: 1, tokens: mean(month.tokens), cost_e8: mean(month.cost_e8) }
    }
}

impl Meter {
    /// Begins anew with what was spent before; reservations stay.
    pub fn seed(&self, spent: &[SpentAt]) {
        let mut state = self.lock();
        state.all.windows = Default::default();
        state.projects.values_mut().for_each(|gauge| gauge.windows = Default::default());
        for SpentAt { at, project, spent } in spent {
            state.each(project.as_deref(), |gauge| gauge.feed(*at, *spent));
        }
    }

    /// Counts use for which no room was reserved.
    pub fn feed(&self, SpentAt { at, project, spent }: &SpentAt) {
        self.lock().each(project.as_deref(), |gauge| gauge.feed(*at, *spent));
    }

    /// Reserves room for one request in every budget it counts towards, or in none. Between the question and the
    /// reservation nobody else asks.
    pub fn reserve(&self, project: Option<&str>, budgets: &[Budget], now: Timestamp) -> Result<Reservation, Denial> {
        let mut state = self.lock();
        let refused = budgets.iter().filter_map(|budget| {
            let (used, held) = state.stands(budget, now);
            budget.refuses(used.plus(held), now)
        });
        let all = refused.reduce(|first, second| Denial {
            reason: format!("{}; {}", first.reason, second.reason),
            until: first.until.max(second.until),
            ..first
        });
        if let Some(denial) = all {
            return Err(denial);
        }
        let held = state.expected(now);
        state.each(project, |gauge| gauge.reserved = gauge.reserved.plus(held));
        Ok(Reservation { project: project.map(str::to_owned), held })
    }

    /// Ends a reservation and counts what was really spent.
    pub fn settle(&self, Reservation { project, held }: Reservation, spent: Spent, now: Timestamp) {
        self.lock().each(project.as_deref(), |gauge| {
            gauge.reserved = gauge.reserved.less(held);
            gauge.feed(now, spent);
        });
    }

    /// Ends a reservation of which nothing was spent.
    pub fn release(&self, Reservation { project, held }: Reservation) {
        self.lock().each(project.as_deref(), |gauge| gauge.reserved = gauge.reserved.less(held));
    }

    /// What was spent of a budget in its window, and what is reserved besides.
    pub fn stands(&self, budget: &Budget, now: Timestamp) -> (Spent, Spent) {
        self.lock().stands(budget, now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy as _, any, prop, prop_assert_eq, proptest};

    use super::*;
    use crate::BudgetLimit;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn budget(key: &str, max_requests: f64, projects: Option<&[&str]>) -> Budget {
        let limit =
            BudgetLimit { window: Window::Day, max_requests: Some(max_requests), max_tokens: None, max_cost_usd: None };
        let projects = projects.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        Budget { key: key.to_owned(), limit, projects }
    }

    fn one() -> Spent {
        Spent { requests: 1, tokens: 100, cost_e8: 5 }
    }

    #[test]
    fn f60_room_is_reserved_before_it_is_used() {
        let (meter, two) = (Meter::default(), [budget("global", 2.0, None)]);
        let first = meter.reserve(None, &two, NOW).expect("room");
        let second = meter.reserve(None, &two, NOW).expect("room");
        let denial = meter.reserve(None, &two, NOW).expect_err("both places are taken, though nothing is spent");
        assert_eq!(denial.reason, "budget global blocked request: request limit reached (2/2)");
        assert_eq!(denial.until, Some(Window::Day.ends(NOW)));
        meter.release(first);
        meter.settle(second, one(), NOW);
        let third = meter.reserve(None, &two, NOW).expect("a failure fills nothing");
        meter.settle(third, one(), NOW);
        assert!(meter.reserve(None, &two, NOW).is_err());
        let tomorrow = Window::Day.ends(NOW);
        assert!(meter.reserve(None, &two, tomorrow).map(|room| meter.release(room)).is_ok());
    }

    #[test]
    fn f60_a_project_counts_its_own_use_only() {
        let meter = Meter::default();
        let shop = [budget("project:shop", 1.0, Some(&["shop"]))];
        let elsewhere = SpentAt { at: NOW, project: Some("blog".to_owned()), spent: one() };
        meter.feed(&elsewhere);
        meter.feed(&SpentAt { project: None, ..elsewhere.clone() });
        let room = meter.reserve(Some("shop"), &shop, NOW).expect("nothing of it is spent");
        meter.settle(room, one(), NOW);
        assert!(meter.reserve(Some("shop"), &shop, NOW).is_err());
        let both = budget("team", 3.0, Some(&["shop", "blog"]));
        assert_eq!(meter.stands(&both, NOW).0.requests, 2);
        assert_eq!(meter.stands(&budget("global", 9.0, None), NOW).0.requests, 3);
    }

    #[test]
    fn tokens_under_way_are_expected_to_be_what_others_took() {
        let meter = Meter::default();
        let limit = BudgetLimit { max_requests: None, max_tokens: Some(250.0), ..budget("", 1.0, None).limit };
        let tokens = [Budget { limit, ..budget("global", 1.0, None) }];
        meter.feed(&SpentAt { at: NOW, project: None, spent: one() });
        let first = meter.reserve(None, &tokens, NOW).expect("100 of 250");
        let second = meter.reserve(None, &tokens, NOW).expect("200 of 250, half of it expected");
        assert!(meter.reserve(None, &tokens, NOW).is_err(), "300 of 250");
        meter.settle(first, Spent { tokens: 10, ..one() }, NOW);
        meter.release(second);
        assert!(meter.reserve(None, &tokens, NOW).map(|room| meter.release(room)).is_ok());
    }

    /// The sum over all events of a window, as anybody could compute it anew.
    fn recomputed(events: &[SpentAt], budget: &Budget, now: Timestamp) -> Spent {
        let window = budget.limit.window;
        let counts = |event: &&SpentAt| {
            let is_mine =
                budget.projects.as_ref().is_none_or(|all| event.project.as_ref().is_some_and(|p| all.contains(p)));
            is_mine && window.begins(event.at) == window.begins(now)
        };
        events.iter().filter(counts).fold(Spent::default(), |sum, event| sum.plus(event.spent))
    }

    proptest! {
        #[test]
        fn rolling_sums_equal_recomputation(
            raw in prop::collection::vec((0_i64..5_000_000, prop::option::of(0_usize..3), (0_u64..2, 0_u64..1000, 0_u64..1000), any::<bool>()), 0..60),
            window in (0_usize..4).prop_map(|at| Window::ALL[at]),
        ) {
            let meter = Meter::default();
            let names = ["a", "b", "c"];
            let events: Vec<SpentAt> = raw.iter().map(|(at, project, (requests, tokens, cost_e8), _)| SpentAt {
                at: Timestamp::from_secs(1_700_000_000 + at),
                project: project.map(|at| names[at].to_owned()),
                spent: Spent { requests: *requests, tokens: *tokens, cost_e8: *cost_e8 },
            }).collect();
            for (event, (.., is_reserved)) in events.iter().zip(&raw) {
                if *is_reserved {
                    let room = meter.reserve(event.project.as_deref(), &[], event.at).expect("no budget, no end");
                    meter.settle(room, event.spent, event.at);
                } else {
                    meter.feed(event);
                }
            }
            let now = events.iter().map(|event| event.at).max().unwrap_or(NOW);
            for projects in [None, Some(&["a"][..]), Some(&["a", "c"][..])] {
                let mut asked = budget("x", 1.0, projects);
                asked.limit.window = window;
                prop_assert_eq!(meter.stands(&asked, now), (recomputed(&events, &asked, now), Spent::default()));
            }
        }
    }
}
