//! The second judge: the traffic of the routing families, day after day, with what its prompts cost behind a cache.
//!
//! The forecaster was never tuned on any of it.

use std::collections::BTreeMap;

use super::{
    chance::Chance,
    families::{DAY, HOUR, Request},
    judge::{Score, Scores, Sum, in_parallel, judge_life},
    ours::Ours,
    pooled::judge_pool,
    world::{DAYS, live},
};
use crate::routing::{
    backend::{self, Account},
    family::{self, Start},
    traffic,
};

/// How a family of traffic was forecast: the windows, and the pool.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) windows: Scores,
    pub(super) pool: Score,
}

impl Sum for Replayed {
    fn plus(self, other: Self) -> Self {
        let [short, long] = self.windows;
        Self { windows: [short.plus(other.windows[0]), long.plus(other.windows[1])], pool: self.pool.plus(other.pool) }
    }
}

/// The same traffic never comes twice: each day has a seed of its own.
fn requests(family: &family::Family, seed: u64, chance: &mut Chance) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut begins = 0;
    while begins < DAYS * DAY {
        // Behind an account that is never spent; what a move costs is the routing judge's business.
        let mut account = Account::new(Start { size: 1e9, short: (0.0, 0.0), long: (0.0, 0.0) });
        let day = traffic::of(family, seed.wrapping_mul(7919).wrapping_add(begins.unsigned_abs() / 1000));
        let last = day.last().map_or(0, |request| request.at);
        // People come at about the same hour, on five days of seven.
        let starts = begins + 8 * HOUR + chance.millis(45.0);
        for request in &day {
            let cached = account.cached(request, request.at);
            account.keep(request, request.at);
            let cost = backend::cost((request.tokens(), cached, request.output));
            requests.push(Request { at: starts + request.at, cost });
        }
        begins += (last / DAY + 1) * DAY;
        if begins / DAY % 7 >= 5 {
            begins = (begins / DAY / 7 + 1) * 7 * DAY;
        }
    }
    requests.retain(|request| request.at < DAYS * DAY);
    requests.sort_by_key(|request| request.at);
    requests
}

/// Costs become percent of a short window that such a day fills about once for each account, or does not.
fn in_percent(requests: &mut [Request], accounts: f64, chance: &mut Chance) {
    let mut busiest = [0.0_f64; 3];
    let mut by_window: BTreeMap<i64, f64> = BTreeMap::new();
    for request in requests.iter() {
        *by_window.entry(request.at / (5 * HOUR)).or_default() += request.cost;
    }
    for cost in by_window.into_values() {
        if let Some(place) = busiest.iter().position(|most| cost > *most) {
            busiest[place..].rotate_right(1);
            busiest[place] = cost;
        }
    }
    let each = 100.0 * accounts * chance.between(0.7, 1.4) / busiest[2].max(1.0);
    for request in requests {
        request.cost *= each;
    }
}

/// All families of traffic; the number of seeds of each is bounded.
pub(super) fn replay(takes: usize, every: f64) -> BTreeMap<&'static str, Replayed> {
    let families: BTreeMap<_, _> = family::all().into_iter().map(|family| (family.name, family)).collect();
    let seeds = families.iter().map(|(name, family)| (*name, family.seeds.iter().copied().take(takes).collect()));
    in_parallel(&seeds.collect(), |name, seed| {
        let family = &families[name];
        let mut chance = Chance::of_seed(seed);
        let mut requests = requests(family, seed, &mut chance);
        in_percent(&mut requests, 2.0, &mut chance);
        let lives = live(&requests, 2, false, &mut chance);
        let mut replayed = Replayed::default();
        for life in &lives {
            let [short, long] = judge_life(life, &mut Ours::default(), &mut chance, every);
            replayed = replayed.plus(Replayed { windows: [short, long], pool: Score::default() });
        }
        let pool = judge_pool(&lives, &[1.0, 1.0], &mut chance, every);
        replayed.plus(Replayed { windows: Scores::default(), pool })
    })
}
