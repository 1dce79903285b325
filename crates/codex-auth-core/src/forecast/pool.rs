//! How long the accounts of a pool last together: what one cannot give, the next one does, until nobody can.
//!
//! The work of all accounts is one demand, told in percent of the shortest window of the smallest paid plan. Each story
//! of what may follow is served from what every account has left, its windows starting anew as time goes on.

use std::{collections::BTreeMap, time::Duration};

use super::{
    book::{ForecastBook, Track},
    promise::RunOut,
    stories::{Stories, real, real_of, rounded},
};
use crate::{Account, Availability, Prospect, RecordId, Timestamp, plan_size};

/// How many steps are looked ahead: a day where the shortest window is of hours, six days where it is of days.
const AHEAD: usize = 144;

/// An account that serves, now or once its wait is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The account.
    pub record: RecordId,
    /// Its plan, as a multiple of the smallest paid one.
    pub size: f64,
    /// From when on it serves, as the evaluator says.
    pub free_at: Timestamp,
}

impl Member {
    /// The member that an account is; `None` where waiting does not bring it back.
    pub fn of(account: &Account, prospect: &Prospect, now: Timestamp) -> Option<Self> {
        let free_at = match prospect.availability {
            Availability::Ready => now,
            Availability::Delayed => prospect.ready_at?,
            Availability::Unavailable => return None,
        };
        Some(Self { record: account.record.clone(), size: plan_size(account.owner.plan.as_deref()), free_at })
    }
}

/// How long a pool lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolRunOut {
    /// When nobody can serve any more.
    pub says: RunOut,
    /// How far was looked ahead: a pool that lasts does so until then.
    pub until: Timestamp,
}

/// What is left of one window of an account.
#[derive(Debug, Clone, Copy)]
struct Well {
    left: f64,
    resets_at: i64,
    length: i64,
    /// Percent of it that one percent of demand takes.
    takes: f64,
}

/// An account as a story meets it.
#[derive(Debug, Clone)]
struct Source {
    free_at: i64,
    wells: Vec<Well>,
}

impl ForecastBook {
    /// When all these accounts are spent, in the order in which they are taken; `None` while nothing is known of them.
    pub fn pool_runs_out(&self, members: &[Member], now: Timestamp) -> Option<PoolRunOut> {
        let is_member = |record: &RecordId| members.iter().any(|member| member.record == *record);
        let (_, shortest) = self.tracks.keys().filter(|(record, _)| is_member(record)).min_by_key(|key| key.1)?;
        let size = |record: &RecordId| {
            members.iter().find(|member| member.record == *record).map_or(1.0, |member| member.size.max(0.01))
        };
        let work = Work { book: self, shortest: *shortest, size: &size };
        let stories = work.stories(now)?;
        let ahead = i64::try_from(AHEAD).unwrap_or(i64::MAX) * stories.step;
        let until = Timestamp::from_millis(now.as_millis() + ahead);
        if members.iter().all(|member| member.free_at > now) {
            return Some(PoolRunOut { says: RunOut::Spent, until });
        }
        let sources: Vec<_> = members.iter().map(|member| work.source(member, now)).collect();
        Some(PoolRunOut { says: self.pool.calibration.within(&run_outs(&stories, &sources, now), until), until })
    }
}

/// What all accounts do together.
struct Work<'a> {
    book: &'a ForecastBook,
    shortest: Duration,
    size: &'a dyn Fn(&RecordId) -> f64,
}

impl Work<'_> {
    fn tracks(&self, length: Duration) -> impl Iterator<Item = (&RecordId, &Track)> {
        let of_length = self.book.tracks.iter().filter(move |((_, of), _)| *of == length);
        of_length.map(|((record, _), track)| (record, track))
    }

    /// The past of all accounts as one; a step in which everybody was spent is left out.
    fn stories(&self, now: Timestamp) -> Option<Stories> {
        let mut steps: BTreeMap<i64, Option<f64>> = BTreeMap::new();
        let (mut step, mut pace) = (None, 0.0);
        for (record, track) in self.tracks(self.shortest) {
            let size = (self.size)(record);
            let grown = track.habit.until(now);
            step = Some(grown.step());
            pace += track.habit.last().filter(|last| now < last.ends_at()).map_or(0.0, |last| last.pace() * size);
            for (place, used) in grown.steps() {
                let sum = steps.entry(place).or_default();
                *sum = used.map(|used| f64::from(used) * size).into_iter().chain(*sum).reduce(|a, b| a + b);
            }
        }
        Some(Stories::of(steps.into_iter(), step?, pace, now))
    }

    /// How many percent of a longer window go with one of the shortest, by what both tell of the same time.
    fn share(&self, length: Duration, now: Timestamp) -> Option<f64> {
        let (mut long, mut short) = (0.0, 0.0);
        for (record, track) in self.tracks(length) {
            let brief = self.book.tracks.get(&(record.clone(), self.shortest))?;
            let brief = brief.habit.until(now);
            let since = brief.steps().next().map_or(i64::MAX, |(place, _)| place * brief.step());
            let grown = track.habit.until(now);
            let told = grown.steps().filter(|(place, _)| place * grown.step() >= since - grown.step());
            let size = (self.size)(record);
            long += told.filter_map(|(_, used)| used).map(f64::from).sum::<f64>() * size;
            short += brief.steps().filter_map(|(_, used)| used).map(f64::from).sum::<f64>() * size;
        }
        (short > 0.0).then(|| long / short)
    }

    /// What an account has left; one of which nothing was told has everything.
    fn source(&self, member: &Member, now: Timestamp) -> Source {
        let mut lengths: Vec<Duration> = self.book.tracks.keys().map(|(_, length)| *length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let own = |length: &Duration| self.book.tracks.get(&(member.record.clone(), *length));
        let is_known = lengths.iter().any(|length| own(length).is_some());
        let size = (self.size)(&member.record);
        let mut wells = Vec::new();
        for length in &lengths {
            let track = own(length);
            let share = if *length == self.shortest { Some(1.0) } else { self.share(*length, now) };
            let (true, Some(share)) = (track.is_some() || !is_known, share) else { continue };
            let last = track.and_then(|track| track.habit.last()).filter(|last| now < last.ends_at());
            wells.push(Well {
                left: last.map_or(100.0, |last| (100.0 - last.used_percent).max(0.0)),
                resets_at: last.map_or(i64::MIN, |last| last.ends_at().as_millis()),
                length: i64::try_from(length.as_millis()).unwrap_or(i64::MAX),
                takes: share / size,
            });
        }
        Source { free_at: member.free_at.as_millis(), wells }
    }
}

/// When the accounts are spent in each story that ends so, in order of time, with its weight.
fn run_outs(stories: &Stories, sources: &[Source], now: Timestamp) -> Vec<(Timestamp, f64)> {
    let (now, step) = (now.as_millis(), real_of(stories.step));
    let at_once: f64 =
        sources.iter().filter(|source| source.free_at <= now).map(|source| source.clone().gives(now)).sum();
    let mut ends = Vec::new();
    for (begin, weight) in &stories.found {
        // Windows that start anew only add to what there is.
        if stories.used_until(*begin, AHEAD) < at_once {
            continue;
        }
        ends.extend(spent_at(sources, now, step, |place| stories.used_in(*begin, place)).map(|at| (at, *weight)));
    }
    for (pace, weight) in &stories.guesses {
        if pace * step * real(AHEAD) < at_once {
            continue;
        }
        ends.extend(spent_at(sources, now, step, |_| pace * step).map(|at| (at, *weight)));
    }
    ends.sort_by_key(|(at, _)| *at);
    ends
}

/// When nobody has anything left, under a demand for each step.
fn spent_at(sources: &[Source], now: i64, step: f64, demand: impl Fn(usize) -> f64) -> Option<Timestamp> {
    let mut sources = sources.to_vec();
    (0..AHEAD).find_map(|place| {
        let begins = now + rounded(real(place) * step);
        let wanted = demand(place);
        if wanted <= 0.0 {
            return None;
        }
        let mut open = wanted;
        for source in &mut sources {
            open -= source.take(open, begins);
        }
        let is_spent = open > 0.0 || sources.iter_mut().all(|source| source.gives(begins) <= 0.0);
        is_spent.then(|| Timestamp::from_millis(begins + rounded(step * (1.0 - open / wanted))))
    })
}

impl Source {
    /// How much demand it can meet at an instant.
    fn gives(&mut self, at: i64) -> f64 {
        if at < self.free_at {
            return 0.0;
        }
        self.wells.iter_mut().map(|well| well.gives(at)).fold(f64::MAX, f64::min)
    }

    fn take(&mut self, wanted: f64, at: i64) -> f64 {
        let taken = self.gives(at).min(wanted).max(0.0);
        for well in &mut self.wells {
            well.left -= taken * well.takes;
        }
        taken
    }
}

impl Well {
    /// A window that is over starts anew with the first demand after its end.
    fn gives(&mut self, at: i64) -> f64 {
        if self.resets_at <= at {
            (self.left, self.resets_at) = (100.0, at + self.length);
        }
        if self.takes > 0.0 { (self.left / self.takes).max(0.0) } else { f64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WindowReading;

    const HOUR: i64 = 3_600_000;
    const FIVE_HOURS: Duration = Duration::from_hours(5);

    fn record(number: usize) -> RecordId {
        RecordId::parse(&format!("record:{number}")).expect("not blank")
    }

    /// Account 1 used so many percent of its five hours each hour for ten days; the present is an hour into its window.
    fn worked(each_hour: f64) -> (ForecastBook, Timestamp) {
        let mut book = ForecastBook::default();
        let last = 240 * HOUR + HOUR;
        for at in (0..=last).step_by(600_000) {
            let (began, into) = (at / (5 * HOUR) * 5 * HOUR, at % (5 * HOUR));
            let used_percent = (each_hour * real_of(into) / real_of(HOUR)).min(100.0);
            let resets_at = Some(Timestamp::from_millis(began + 5 * HOUR));
            let seen_at = Timestamp::from_millis(at);
            book.saw(&record(1), WindowReading { length: FIVE_HOURS, used_percent, resets_at, seen_at });
        }
        (book, Timestamp::from_millis(last))
    }

    /// Expects the hours after which a pool of these accounts is likely spent: size, and hours until it is free.
    #[track_caller]
    fn check(each_hour: f64, members: &[(f64, i64)], expect: Option<u64>) {
        let (book, now) = worked(each_hour);
        let free = |hours: i64| Timestamp::from_millis(now.as_millis() + hours * HOUR);
        let member = |(place, (size, hours)): (usize, &(f64, i64))| Member {
            record: record(place + 1),
            size: *size,
            free_at: free(*hours),
        };
        let members: Vec<_> = members.iter().enumerate().map(member).collect();
        let told = book.pool_runs_out(&members, now).expect("it was told of");
        assert_eq!(told.until, free(24));
        let hours = match told.says {
            RunOut::Spent => Some(0),
            RunOut::Lasts { .. } | RunOut::Between { likely: None, .. } => None,
            RunOut::Between { likely: Some(at), .. } => Some(at.since(now).as_secs() / 3600),
        };
        assert_eq!(hours, expect, "{told:?}");
    }

    #[test]
    fn what_one_cannot_give_the_next_one_does() {
        // 30 percent an hour: 70 are left for two hours and a third.
        check(30.0, &[(1.0, 0)], Some(2));
        // A second one gives 100 more, and the first starts anew meanwhile.
        check(30.0, &[(1.0, 0), (1.0, 0)], None);
        // What is used in five hours is less than a window.
        check(19.0, &[(1.0, 0)], None);
    }

    #[test]
    fn who_waits_gives_nothing_before() {
        check(30.0, &[(1.0, 0), (1.0, 4)], Some(2));
        check(30.0, &[(1.0, 0), (1.0, 1)], None);
        check(30.0, &[(1.0, 1), (1.0, 2)], Some(0));
    }

    #[test]
    fn a_larger_plan_gives_more() {
        // Its work is told in percent of its own window, so a size alone changes nothing.
        check(30.0, &[(5.0, 0)], Some(2));
        // A small second one hardly helps, a large one does.
        check(30.0, &[(1.0, 0), (0.2, 0)], Some(3));
        check(30.0, &[(1.0, 0), (5.0, 0)], None);
    }

    #[test]
    fn nothing_is_said_of_what_nobody_told() {
        let member = Member { record: record(1), size: 1.0, free_at: Timestamp::default() };
        assert_eq!(ForecastBook::default().pool_runs_out(&[member], Timestamp::default()), None);
    }
}
