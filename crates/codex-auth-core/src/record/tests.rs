//! Recorded decisions made once more: bit for bit, within their sizes, and never over a state they were not made for.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use proptest::prelude::{any, prop, prop_assert, proptest};

use super::*;
use crate::{
    Account, Ask, Binding, Decision, Denial, DeniedBy, Expiring, Headroom, Hold, NeedsLogin, Prompt, Rest, RestReason,
    RestScope, Seat, SessionKey, Standards, Strategy, Terms, Timestamp, evaluate, pick,
    testing::{SeededEntropy, account},
};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Takes everything down in memory; while it is full, nothing.
#[derive(Debug, Default)]
struct Desk {
    moments: Mutex<Vec<Moment>>,
    is_full: Mutex<bool>,
}

impl Witness for Desk {
    fn saw(&self, moment: Moment) -> bool {
        let is_full = *self.is_full.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_full {
            self.moments.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
        }
        !is_full
    }
}

impl Desk {
    fn taken(&self) -> Vec<Moment> {
        std::mem::take(&mut self.moments.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one seat is like besides its account.
#[derive(Debug, Clone, Default)]
struct Around {
    in_flight: u32,
    headroom: Headroom,
    terms: Terms,
    lacks_model_until: Option<Timestamp>,
    cached_tokens: u64,
    crowd: u32,
}

/// A pool that everything happens to.
struct World {
    dice: SeededEntropy,
    now: Timestamp,
    accounts: Vec<Account>,
    around: Vec<Around>,
    pin: Option<crate::RecordId>,
    watch: Watch,
    desk: Arc<Desk>,
}

/// What a decision was and what was written of it.
struct Step {
    live: Decision,
    at: Timestamp,
    is_other_pool: bool,
    entries: Vec<Vec<u8>>,
}

impl World {
    fn new(seed: u64, count: usize) -> Self {
        let desk = Arc::new(Desk::default());
        let accounts = (1..=count).map(account).collect();
        let around = vec![Around::default(); count];
        let watch = Watch::by(desk.clone());
        Self { dice: SeededEntropy::new(seed), now: START, accounts, around, pin: None, watch, desk }
    }

    fn below(&self, end: usize) -> usize {
        usize::try_from(self.dice.next() % u64::try_from(end.max(1)).expect("small")).expect("small")
    }

    fn soon(&self) -> Timestamp {
        let millis = i64::try_from(self.below(20_000_000)).expect("small");
        Timestamp::from_millis(self.now.as_millis() + millis - 1_000_000)
    }

    fn percent(&self) -> f64 {
        let whole = f64::from(u32::try_from(self.below(101)).expect("small"));
        if self.below(4) == 0 { whole / 3.0 } else { whole }
    }

    fn happen(&mut self) {
        let place = self.below(self.accounts.len());
        let (soon, percent) = (self.soon(), self.percent());
        let models = ["codex", "gpt-5.2", "gpt-5.2:gpt-5.5", "gpt-5.2-codex:a-name-that-is-longer-than-most-names-are"];
        let model = models[self.below(models.len())].to_owned();
        let reasons = [RestReason::UsageLimit, RestReason::Auth, RestReason::Network, RestReason::Server];
        let reason = reasons[self.below(reasons.len())];
        let one_in = |dice: usize| self.below(dice) == 0;
        let event = self.below(14);
        let (tokens, crowd) =
            (u64::try_from(self.below(90_000)).expect("small"), u32::try_from(self.below(9)).expect("small"));
        let (one_in_four, one_in_nine) = (one_in(4), one_in(9));
        let hold = [None, None, Some(Hold::Paused), Some(Hold::Drained)][self.below(4)];
        let (account, around) = (&mut self.accounts[place], &mut self.around[place]);
        match event {
            0 => account.rest(Rest { until: soon, reason, scope: RestScope::QuotaKey(model) }),
            1 => account.rest(Rest { until: soon, reason, scope: RestScope::Account }),
            2 => account.rests.clear(),
            3 => account.needs_login = one_in_nine.then_some(NeedsLogin { code: model, at: soon }),
            4 => account.enabled = !one_in_nine,
            5 => around.terms = Terms { weight: percent / 10.0, preference: 1, reserve_percent: percent, hold },
            6 => around.lacks_model_until = one_in_four.then_some(soon),
            7 => account.seen.last_used_at = self.now,
            8 => around.in_flight = u32::try_from(event).expect("small"),
            9 => (around.cached_tokens, around.crowd) = (tokens, crowd),
            _ => {
                let spent_until = one_in_nine.then_some(soon);
                let expiring = one_in_four.then_some(Expiring { left_percent: percent, at: soon });
                let percent_size = if one_in_four { 1.0 } else { 2.0 - percent / 100.0 };
                around.headroom =
                    Headroom { left_percent: percent, spent_until, expiring, plan_size: 6.7, percent_size };
            }
        }
        if event == 4 && one_in_nine {
            self.pin = one_in_four.then(|| self.accounts[0].record.clone());
        }
    }

    /// Some things happen, and a request comes.
    fn decide(&mut self) -> (Decision, Option<Moment>) {
        let step = i64::try_from(self.below(2000)).expect("small");
        self.now = Timestamp::from_millis(self.now.as_millis() + step);
        (0..self.below(6)).for_each(|_| self.happen());
        if self.below(2000) == 0 {
            let middle = self.accounts.len() / 2;
            self.accounts.swap(0, middle);
        }
        let session = SessionKey::parse(&format!("session-{}", self.below(9)));
        let some = |count: usize| (0..count).map(|_| self.accounts[self.below(self.accounts.len())].record.clone());
        let tried: Vec<_> = some([0, 0, 0, 1, 2, 40][self.below(6)]).collect();
        let (bound, active, turn) = (some(1).next(), some(1).next(), some(1).next());
        let again = some([0, 0, 1][self.below(3)]).next();
        let tokens = u64::try_from(self.below(200_000)).expect("small");
        let reason = format!("budget project:{} blocked request: token limit reached (10/9)", "x".repeat(200));
        let denial = Denial { by: DeniedBy::Budget, reason, until: Some(self.soon()) };
        let standards = Standards {
            strategy: Strategy::ALL[self.below(6)],
            pin: self.pin.as_ref(),
            pinned_by: [Binding::Switch, Binding::Run, Binding::Project][self.below(3)],
            active: active.as_ref(),
            turn: turn.as_ref(),
            spread: self.below(2) == 0,
            seed: self.dice.next(),
        };
        let ask = Ask {
            bound: bound.as_ref(),
            again: again.as_ref(),
            just_moved: self.below(3) == 0,
            prompt: Prompt { tokens, later_tokens: tokens + 1000 },
            quota_key: [None, Some("codex"), Some("gpt-5.2:gpt-5.5")][self.below(3)],
            instead_of: instead_of(self.now),
            tried: &tried,
            denied: (self.below(40) == 0).then_some(&denial),
            burst_until: (self.below(40) == 0).then(|| self.soon()),
        };
        let seats: Vec<_> = self.accounts.iter().zip(&self.around).map(seat).collect();
        let choice = pick(&seats, standards, ask, self.now).map(|pick| (pick.place, pick.reason));
        self.watch.note(seats.iter().copied(), (standards, ask), session.as_ref(), choice, self.now);
        (evaluate(&seats, standards, ask, self.now), self.desk.taken().pop())
    }
}

/// One decision in five is about another model than the client named, whose name may be long.
fn instead_of(at: Timestamp) -> Option<&'static str> {
    let names = ["gpt-5.5", "a-model-whose-name-is-longer-than-most-names-of-models-are"];
    let place = usize::try_from(at.as_millis() % 10).expect("small");
    names.get(place).copied()
}

fn seat<'a>((account, around): (&'a Account, &Around)) -> Seat<'a> {
    let Around { in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd } = around.clone();
    Seat { account, in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd }
}

/// Writes the decisions of one seed down.
fn written(seed: u64, accounts: usize, decisions: usize) -> Vec<Step> {
    let (mut world, mut writer) = (World::new(seed, accounts), Writer::default());
    let step = |_| {
        let (live, moment) = world.decide();
        let moment = moment.expect("there was room");
        let is_other_pool = moment.is_other_pool;
        let written = writer.write(moment).expect("it fits").expect("nothing is lost");
        assert!(written.is_faithful, "the writer itself does not come to the same choice");
        Step { live, at: world.now, is_other_pool, entries: written.entries }
    };
    (0..decisions).map(step).collect()
}

#[track_caller]
fn check(seed: u64, accounts: usize, decisions: usize) {
    let steps = written(seed, accounts, decisions);
    let (mut reader, mut keyframes) = (Reader::default(), Vec::new());
    let (mut bytes, mut longest, mut whole) = (0, 0, 0);
    for (number, step) in steps.iter().enumerate() {
        let (last, before) = step.entries.split_last().expect("a decision");
        for entry in before {
            assert!(reader.take(entry).expect("it is whole").is_none());
        }
        let recorded = reader.take(last).expect("it is whole").expect("a decision");
        let again = recorded.replay();
        assert_eq!(again, step.live, "decision {number} of seed {seed}");
        assert_eq!(recorded.instead_of(), instead_of(step.at), "decision {number} of seed {seed}");
        assert!(recorded.is_same(&again) && recorded.at() == step.at, "decision {number} of seed {seed}");
        for entry in &step.entries {
            if entry[0] & 0x0f == write::KEYFRAME {
                keyframes.push((step.at, step.is_other_pool));
                whole = whole.max(entry.len());
            } else {
                bytes += entry.len();
                longest = longest.max(entry.len());
            }
        }
    }
    println!(
        "{accounts} accounts, {decisions} decisions: {} bytes each, {longest} at most; {} keyframes, {whole} bytes at most",
        bytes / decisions,
        keyframes.len()
    );
    assert!(longest <= LARGEST_DELTA && bytes / decisions <= LARGEST_DELTA && whole <= LARGEST_KEYFRAME);
    for pair in keyframes.windows(2) {
        let [(earlier, _), (later, is_other_pool)] = pair else { continue };
        assert!(*is_other_pool || later.since(*earlier) >= KEYFRAMES_APART, "two keyframes within a minute");
    }
}

#[test]
fn ten_thousand_decisions_are_made_once_more() {
    check(1, 9, 10_000);
}

#[test]
fn a_large_pool_fits_its_keyframe() {
    check(2, 200, 1000);
}

#[test]
fn a_decision_is_not_laid_over_another_keyframe() {
    let (mine, other) = (written(3, 3, 4), written(4, 3, 4));
    let mut reader = Reader::default();
    assert!(reader.take(&mine[0].entries[0]).expect("a keyframe").is_none());
    assert_eq!(reader.take(&other[0].entries[1]).err(), Some(RecordError::Unchained));
    assert_eq!(reader.take(&mine[0].entries[1]).err(), Some(RecordError::Unchained), "nothing is believed after it");
}

#[test]
fn a_missing_entry_ends_the_chain_up_to_the_next_keyframe() {
    let steps = written(5, 3, 700);
    let entries: Vec<_> = steps.iter().flat_map(|step| &step.entries).collect();
    let mut reader = Reader::default();
    let told = entries.iter().enumerate().filter(|(place, _)| *place != 9).map(|(_, entry)| reader.take(entry).is_ok());
    let told: Vec<_> = told.collect();
    let next = told.iter().skip(9).position(|is_whole| *is_whole).expect("a keyframe") + 10;
    assert_eq!(entries[next][0] & 0x0f, write::KEYFRAME);
    assert!(told[..9].iter().chain(&told[next..]).all(|is_whole| *is_whole));
}

#[test]
fn what_found_no_room_is_counted_and_its_changes_are_told_later() {
    let (mut world, mut writer, mut reader) = (World::new(6, 4), Writer::default(), Reader::default());
    for round in 0..200 {
        *world.desk.is_full.lock().unwrap_or_else(PoisonError::into_inner) = round % 3 != 0;
        let (live, moment) = world.decide();
        let Some(moment) = moment else { continue };
        let written = writer.write(moment).expect("it fits").expect("nothing is lost");
        let (last, before) = written.entries.split_last().expect("a decision");
        for entry in before {
            assert!(reader.take(entry).expect("whole").is_none());
        }
        let recorded = reader.take(last).expect("whole").expect("a decision");
        assert_eq!((recorded.replay(), recorded.lost()), (live, if round == 0 { 0 } else { 2 }));
    }
}

#[test]
fn after_a_failed_write_nothing_comes_before_a_keyframe_and_that_is_a_minute_away() {
    let (mut world, mut writer) = (World::new(7, 4), Writer::default());
    let mut next = |writer: &mut Writer| {
        let (live, moment) = world.decide();
        (live, world.now, writer.write(moment.expect("room")).expect("it fits"))
    };
    let (_, first, _) = next(&mut writer);
    writer.lost(1);
    let mut lost = 1;
    let (live, at, written) = loop {
        match next(&mut writer) {
            (live, at, Some(written)) => break (live, at, written),
            (_, _, None) => lost += 1,
        }
    };
    assert!(at.since(first) >= KEYFRAMES_APART && lost > 10);
    let mut reader = Reader::default();
    assert!(reader.take(&written.entries[0]).expect("a keyframe").is_none());
    let recorded = reader.take(&written.entries[1]).expect("whole").expect("a decision");
    assert_eq!((recorded.replay(), recorded.lost()), (live, lost));
}

#[test]
fn a_state_that_cannot_be_told_is_left_out_and_the_next_one_is_whole() {
    let (mut world, mut writer, mut reader) = (World::new(8, 2), Writer::default(), Reader::default());
    let mut next = |code: Option<String>, later| {
        world.now = world.now.after(later);
        world.watch.has_begun = false;
        let (live, moment) = world.decide();
        let mut moment = moment.expect("room");
        if let Some(code) = code {
            moment.changes[0].1.account.needs_login = Some(NeedsLogin { code, at: START });
        }
        (live, writer.write(moment))
    };
    assert!(next(None, Duration::ZERO).1.is_ok());
    let endless = Some("x".repeat(LONGEST_TEXT + 1));
    assert_eq!(next(endless, KEYFRAMES_APART).1, Err(RecordError::TooLarge));
    let (live, written) = next(None, KEYFRAMES_APART);
    let written = written.expect("it fits").expect("a minute is over");
    assert!(reader.take(&written.entries[0]).expect("a keyframe").is_none());
    assert_eq!(reader.take(&written.entries[1]).expect("whole").expect("a decision").replay(), live);
}

#[test]
fn of_thousands_of_decisions_a_second_the_first_ones_are_taken_down_and_the_others_counted() {
    let World { accounts, mut watch, desk, .. } = World::new(12, 500);
    let mut note = |now| {
        watch.note(accounts.iter().map(Seat::of), (Standards::default(), Ask::default()), None, None, now);
        desk.taken().pop()
    };
    assert_eq!((0..250).filter(|_| note(START).is_some()).count(), 20);
    let next = note(START.after(Duration::from_secs(1))).expect("another second");
    assert_eq!((next.lost, next.changes.len()), (230, 0));
}

#[test]
fn nothing_of_an_account_but_its_record_is_written() {
    let mut world = World::new(9, 3);
    let (_, moment) = world.decide();
    let text = format!("{:?}", moment.expect("room"));
    for name in ["person1@", "user-1", "ws-1", "session-"] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
}

static LOG: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
static FIRST: OnceLock<Vec<u8>> = OnceLock::new();

proptest! {
    /// Whatever the bytes are, reading them ends with an answer; and a whole log with one byte changed never panics.
    #[test]
    fn bytes_of_any_kind_are_read_or_refused(
        noise in prop::collection::vec(any::<u8>(), 0..400),
        (at, place, byte) in (0_usize..60, 0_usize..300, any::<u8>()),
    ) {
        let mut reader = Reader::default();
        let _judged = reader.take(&noise).is_ok();
        let log = LOG.get_or_init(|| written(10, 3, 40).into_iter().flat_map(|step| step.entries).collect());
        for (number, entry) in log.iter().enumerate() {
            let mut entry = entry.clone();
            if number == at {
                let place = place % entry.len();
                entry[place] = byte;
            }
            let _judged = reader.take(&entry).map(|recorded| recorded.map(|recorded| recorded.replay()));
        }
    }

    /// The sum guards against chance, not against malice: bytes with a good sum are read as carefully.
    #[test]
    fn bytes_with_a_good_sum_are_read_or_refused(kind in 0_u8..4, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::default();
        let first = FIRST.get_or_init(|| written(11, 3, 1).remove(0).entries.remove(0));
        prop_assert!(reader.take(first).is_ok());
        let keyframe = first.split_last_chunk::<4>().expect("a sum").0;
        let mut entry = vec![write::FORMAT << 4 | kind];
        entry.extend(noise);
        let before = check::Sum::new();
        let before = if kind == write::KEYFRAME { before } else { before.with(keyframe) };
        let sum = before.with(&entry).folded();
        entry.extend(sum);
        let _judged = reader.take(&entry).map(|recorded| recorded.map(|recorded| recorded.replay()));
    }
}
