//! The pool under judgement: all accounts of a seed as one, asked when nobody can serve any more.

use std::collections::BTreeMap;

use codex_auth_core::{ForecastBook, Member, RecordId, RunOut, Timestamp, WindowReading};

use super::{
    chance::Chance,
    families::{DAY, Family},
    judge::{FIRST_QUESTION, Says, Score, in_parallel},
    ours::length,
    world::{DAYS, Life, Told, lives},
};

/// The pool's forecaster as the product asks it.
#[derive(Debug)]
pub(super) struct Pool {
    book: ForecastBook,
    records: Vec<RecordId>,
    sizes: Vec<f64>,
    /// The last word of each account's windows.
    last: Vec<[Option<Told>; 2]>,
}

impl Pool {
    pub(super) fn of(sizes: &[f64]) -> Self {
        let record = |place| RecordId::parse(&format!("record:{place}")).unwrap();
        let records = (0..sizes.len()).map(record).collect();
        let last = vec![[None; 2]; sizes.len()];
        Self { book: ForecastBook::default(), records, sizes: sizes.to_vec(), last }
    }

    pub(super) fn saw(&mut self, account: usize, told: Told) {
        let reading = WindowReading {
            length: length(told.window),
            used_percent: told.used,
            resets_at: Some(Timestamp::from_millis(told.resets_at)),
            seen_at: Timestamp::from_millis(told.at),
        };
        self.book.saw(&self.records[account], reading);
        self.last[account][told.window] = Some(told);
    }

    /// What is said, and until when it reaches.
    pub(super) fn says(&self, now: i64) -> (Says, i64) {
        let free = |last: &[Option<Told>; 2]| {
            let spent = last.iter().flatten().filter(|told| told.used >= 100.0 && now < told.resets_at);
            spent.map(|told| told.resets_at).max().unwrap_or(now)
        };
        let member = |((record, last), size): ((&RecordId, _), &f64)| Member {
            record: record.clone(),
            size: *size,
            free_at: Timestamp::from_millis(free(last)),
        };
        let members: Vec<_> = self.records.iter().zip(&self.last).zip(&self.sizes).map(member).collect();
        let Some(told) = self.book.pool_runs_out(&members, Timestamp::from_millis(now)) else {
            return (Says::Nothing, now);
        };
        let says = match told.says {
            RunOut::Spent => Says::Nothing,
            RunOut::Lasts { .. } => Says::Lasts,
            RunOut::Between { from, to, .. } => Says::Between(from.as_millis(), to.map(Timestamp::as_millis)),
        };
        (says, told.until.as_millis())
    }
}

/// The first instant from now on, and before another, at which nobody serves.
fn spent_at(lives: &[Life], now: i64, until: i64) -> Option<i64> {
    let outs = lives.iter().flat_map(|life| life.spans.iter().flatten()).filter_map(|span| span.runs_out);
    let outs = outs.filter(|out| (now..until).contains(out));
    outs.filter(|out| lives.iter().all(|life| !life.is_usable(*out))).min()
}

/// One seed's accounts, told to a forecaster that is asked in between.
pub(super) fn judge_pool(lives: &[Life], sizes: &[f64], chance: &mut Chance, every: f64) -> Score {
    let (mut pool, mut score) = (Pool::of(sizes), Score::default());
    let mut told: Vec<_> = lives
        .iter()
        .enumerate()
        .flat_map(|(account, life)| life.told.iter().map(move |told| (account, *told)))
        .collect();
    told.sort_by_key(|(_, told)| told.at);
    let mut told = told.into_iter().peekable();
    let mut now = FIRST_QUESTION;
    loop {
        now += chance.millis(every);
        if now >= (DAYS - 7) * DAY {
            return score;
        }
        while let Some((account, news)) = told.next_if(|(_, news)| news.at <= now) {
            pool.saw(account, news);
        }
        if lives.iter().any(|life| life.is_usable(now)) {
            let (says, until) = pool.says(now);
            score.interval(says, spent_at(lives, now, until));
        }
    }
}

/// All seeds of the families.
pub(super) fn judge_pools(seeds: &BTreeMap<Family, Vec<u64>>, every: f64) -> BTreeMap<Family, Score> {
    in_parallel(seeds, |family, seed| {
        let mut chance = Chance::of_seed(seed.wrapping_add(2_000_003));
        let lives = lives(family, seed);
        judge_pool(&lives, &vec![1.0; lives.len()], &mut chance, every)
    })
}
