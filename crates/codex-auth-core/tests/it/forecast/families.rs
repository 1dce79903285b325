//! Families of use: when requests come, and how much of a window each takes.
//!
//! A seed fixes everything. Times are milliseconds, costs are percent of the short window.

use super::chance::Chance;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Request {
    pub(super) at: i64,
    pub(super) cost: f64,
}

/// A way to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// The same pace day and night.
    Steady,
    /// Three quarters of an hour of work, then a pause of twice that; both of any length.
    Bursty,
    /// Busy by day, quiet by night and at the week's end.
    DayNight,
    /// Few requests, some of which take a large part of the window.
    HeavyTailed,
    /// A pace that holds for some days, then another.
    RegimeChange,
    /// Two accounts, the second serves while the first cannot.
    InOrder,
    /// Never used for tuning: fleets of agents that work some hours, three times a day.
    Fleet,
    /// Never used for tuning: each request brings others.
    SelfExciting,
    /// Never used for tuning: an office with a lunch hour, work in bursts, and large jobs.
    Office,
    /// Never used for tuning: two accounts, each request goes to either.
    Spread,
}

impl Family {
    pub(super) const ALL: [Self; 10] = [
        Self::Steady,
        Self::Bursty,
        Self::DayNight,
        Self::HeavyTailed,
        Self::RegimeChange,
        Self::InOrder,
        Self::Fleet,
        Self::SelfExciting,
        Self::Office,
        Self::Spread,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Bursty => "bursty",
            Self::DayNight => "day-night",
            Self::HeavyTailed => "heavy-tailed",
            Self::RegimeChange => "regime-change",
            Self::InOrder => "in-order",
            Self::Fleet => "fleet",
            Self::SelfExciting => "self-exciting",
            Self::Office => "office",
            Self::Spread => "spread",
        }
    }

    /// Whether the forecaster was never tuned on it.
    pub(super) fn is_held_out(self) -> bool {
        matches!(self, Self::Fleet | Self::SelfExciting | Self::Office | Self::Spread)
    }

    pub(super) fn accounts(self) -> usize {
        if matches!(self, Self::InOrder | Self::Spread) { 2 } else { 1 }
    }

    /// The requests of so many days.
    pub(super) fn requests(self, chance: &mut Chance, days: i64) -> Vec<Request> {
        let end = days * DAY;
        match self {
            Self::Steady => {
                let load = chance.between(60.0, 160.0);
                poisson(chance, end, 20.0, |_| 1.0, |chance| chance.exponential(load / 100.0))
            }
            Self::Bursty => bursts(chance, end, (45.0, 90.0), (50.0, 130.0)),
            Self::InOrder | Self::Spread => bursts(chance, end, (60.0, 60.0), (90.0, 240.0)),
            Self::DayNight => {
                let load = chance.between(100.0, 260.0);
                poisson(chance, end, 25.0, by_day, |chance| chance.exponential(load / 125.0))
            }
            Self::HeavyTailed => {
                let load = chance.between(50.0, 130.0);
                poisson(chance, end, 8.0, |_| 1.0, |chance| (chance.pareto(1.6) * load / 40.0 * 0.375).min(40.0))
            }
            Self::RegimeChange => regimes(chance, end),
            Self::Fleet => fleets(chance, end),
            Self::SelfExciting => self_exciting(chance, end),
            Self::Office => office(chance, end),
        }
    }
}

/// Arrivals at most `per_hour`, thinned by `share` of the time.
fn poisson(
    chance: &mut Chance,
    end: i64,
    per_hour: f64,
    share: impl Fn(i64) -> f64,
    cost: impl Fn(&mut Chance) -> f64,
) -> Vec<Request> {
    let (mut at, mut requests) = (0, Vec::new());
    loop {
        at += chance.millis(60.0 / per_hour);
        if at >= end {
            return requests;
        }
        if chance.share() < share(at) {
            let cost = cost(chance);
            requests.push(Request { at, cost });
        }
    }
}

/// Work and pauses of these mean lengths in minutes; the load is percent of the short window in five hours.
fn bursts(chance: &mut Chance, end: i64, (work, pause): (f64, f64), load: (f64, f64)) -> Vec<Request> {
    let load = chance.between(load.0, load.1);
    let mean = load / 5.0 / 30.0 * (work + pause) / work;
    let (mut at, mut requests) = (0, Vec::new());
    while at < end {
        let stops = at + chance.millis(work);
        while at < stops {
            at += chance.millis(2.0);
            requests.push(Request { at, cost: chance.exponential(mean) });
        }
        at += chance.millis(pause);
    }
    requests.retain(|request| request.at < end);
    requests
}

fn by_day(at: i64) -> f64 {
    let hour = at % DAY / HOUR;
    let weekend = at / DAY % 7 >= 5;
    let share = match hour {
        0..8 => 0.02,
        8..19 => 0.8,
        19..23 => 0.35,
        _ => 0.1,
    };
    if weekend { share * 0.3 } else { share }
}

fn regimes(chance: &mut Chance, end: i64) -> Vec<Request> {
    let (mut begins, mut levels) = (0, Vec::new());
    while begins < end {
        let level = [0.15, 0.4, 0.7, 1.0][chance.below(4)];
        begins += chance.millis(3.0 * 24.0 * 60.0);
        levels.push((begins, level));
    }
    let level = move |at| levels.iter().find(|(until, _)| at < *until).map_or(0.5, |(_, level)| *level);
    let load = chance.between(120.0, 220.0);
    poisson(chance, end, 30.0, level, |chance| chance.exponential(load / 150.0))
}

fn fleets(chance: &mut Chance, end: i64) -> Vec<Request> {
    let each = chance.between(0.15, 0.45);
    let (mut begins, mut requests) = (0, Vec::new());
    while begins < end {
        begins += chance.millis(8.0 * 60.0);
        let agents = 2 + chance.below(5);
        for _ in 0..agents {
            let mut at = begins + chance.millis(3.0);
            let stops = at + chance.millis(100.0);
            while at < stops {
                at += chance.millis(1.5);
                requests.push(Request { at, cost: chance.exponential(each) });
            }
        }
    }
    requests.retain(|request| request.at < end);
    requests.sort_by_key(|request| request.at);
    requests
}

fn self_exciting(chance: &mut Chance, end: i64) -> Vec<Request> {
    let load = chance.between(60.0, 140.0);
    let mut requests = poisson(chance, end, 4.0, |_| 1.0, |chance| chance.exponential(load / 100.0));
    let mut next = 0;
    // Each request brings 0.8 others on average, half an hour later on average.
    while let Some(parent) = requests.get(next).copied() {
        next += 1;
        for _ in 0..4 {
            let at = parent.at + chance.millis(30.0);
            if chance.share() < 0.2 && at < end {
                requests.push(Request { at, cost: chance.exponential(load / 100.0) });
            }
        }
    }
    requests.sort_by_key(|request| request.at);
    requests
}

fn office(chance: &mut Chance, end: i64) -> Vec<Request> {
    let mut requests = bursts(chance, end, (40.0, 30.0), (140.0, 320.0));
    requests.retain(|request| {
        let (hour, day) = (request.at % DAY / HOUR, request.at / DAY % 7);
        day < 5 && (9..18).contains(&hour) && hour != 12
    });
    for request in &mut requests {
        if chance.share() < 0.02 {
            request.cost = (request.cost * chance.pareto(1.5) * 4.0).min(35.0);
        }
    }
    requests
}
