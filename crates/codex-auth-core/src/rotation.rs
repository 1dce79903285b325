//! The pool at run time: what was read from disk, what is in flight, and what the last answers taught.
//!
//! Only synchronous methods, so the lock is never held over an await. Deciding takes no I/O.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    Affinity, Burst, Decision, Entitlements, Fallback, Held, NeedsLogin, Outcome, Pick, Quota, RecordId, Refusal,
    Remembered, Report, Rest, RestPolicy, SavedPool, SessionKey, Source, Timestamp, Wave, breaker,
    consequence::Consequence,
    record::{Watch, Witness},
    refusal_of,
};

mod gauge;
mod lease;
mod lessons;
mod live;
mod routing;
mod sides;
mod warmth;

pub use lease::{Lease, Query, Settled, Usage};
pub use lessons::Lesson;
use lessons::Lessons;
use live::Live;
pub use routing::Routing;
use sides::Sides;
use warmth::Prompts;

/// The shared pool of the agent.
#[derive(Debug)]
pub struct Rotation {
    live: Mutex<Live>,
    policy: RestPolicy,
}

impl Rotation {
    /// A rotation over a pool just read.
    pub fn new(pool: SavedPool, routing: impl Into<Routing>, policy: RestPolicy) -> Self {
        let mut affinity = Affinity::default();
        affinity.decided(pool.affinity_generation);
        let mut sides = Sides::default();
        sides.arrange(pool.records());
        let live = Live {
            pool,
            routing: routing.into(),
            turn: None,
            seed: 0,
            prompts: Prompts::default(),
            sides,
            entitlements: Entitlements::default(),
            burst: Burst::default(),
            affinity,
            lessons: Lessons::default(),
            watch: None,
        };
        Self { live: Mutex::new(live), policy }
    }

    /// From here on this witness hears of every decision that a request meets.
    pub fn watched_by(&self, witness: Arc<dyn Witness>) {
        self.lock().watch = Some(Watch::by(witness));
    }

    /// Breaks ties by this process's own seed.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        self.lock().seed = seed;
        self
    }

    /// A pool is about to be read: what is on disk by now, it will tell.
    pub fn reading(&self) {
        self.lock().lessons.reading();
    }

    /// Notes that a change is on disk.
    pub fn kept(&self, lesson: Lesson) {
        self.lock().lessons.kept(lesson);
    }

    /// Takes over a pool that changed on disk, and was read after [`Rotation::reading`]. Rests from faults live in memory only and are carried along;
    /// a decision of the user (a grown affinity generation) ends all affinity.
    pub fn adopt(&self, mut fresh: SavedPool, routing: impl Into<Routing>, now: Timestamp) {
        let mut live = self.lock();
        for held in &mut fresh.accounts {
            let Some(known) = live.held(&held.account.record) else { continue };
            held.account.seen.last_used_at = held.account.seen.last_used_at.max(known.account.seen.last_used_at);
            let in_memory = known.account.rests.iter().filter(|rest| rest.holds(now) && rest.reason.is_in_memory());
            let in_memory: Vec<Rest> = in_memory.cloned().collect();
            for rest in in_memory {
                held.account.rest(rest);
            }
        }
        live.lessons.teach(&mut fresh);
        live.affinity.decided(fresh.affinity_generation);
        if fresh.active != live.pool.active {
            live.turn = None;
        }
        live.sides.arrange(fresh.records());
        live.pool = fresh;
        live.routing = routing.into();
    }

    /// Replaces one account's credential after a renewal.
    pub fn renewed(&self, fresh: &Held) {
        let mut live = self.lock();
        if let Some(held) = live.held_mut(&fresh.account.record) {
            held.credential = fresh.credential.clone();
        }
        let change = Consequence::Renewed(Box::new(fresh.credential.clone()));
        live.lessons.learn(&fresh.account.record, change, true);
    }

    /// Chooses an account for one attempt, or says why nobody can serve.
    pub fn acquire(&self, query: &Query, now: Timestamp) -> Result<Lease, Refusal> {
        let mut live = self.lock();
        let choice = live.choose(query, now);
        live.witnessed(query, choice.map(|pick| (pick.place, pick.reason)), now);
        let Some(Pick { place, reason, price }) = choice else {
            return Err(refusal_of(&live.decide(query, now), live.standards(query)));
        };
        let bond = query.session.as_ref().and_then(|session| live.bond(session, now));
        let (has_bond, is_home) =
            (bond.is_some(), bond.map(|bond| &bond.record) == Some(&live.pool.accounts[place].account.record));
        live.burst.asking(now);
        let Live { pool, sides, turn, .. } = &mut *live;
        let held = &mut pool.accounts[place];
        held.account.seen.last_used_at = now;
        let side = sides.of_mut(&held.account.record);
        let is_warm = side.warmth.is_warm(now);
        if reason.takes_turn() && turn.as_ref() != Some(&held.account.record) {
            *turn = Some(held.account.record.clone());
        }
        side.in_flight += 1;
        if !is_home {
            side.crowd = side.crowd.with_one(now);
        }
        let (session, tokens, quota_key) = (query.session.clone(), query.tokens, query.quota_key.clone());
        Ok(Lease {
            held: held.clone(),
            reason,
            price,
            session,
            quota_key,
            tokens,
            began: AtomicBool::default(),
            is_new: is_warm && !has_bond,
        })
    }

    /// Notes that the account began to answer this lease's session, so that the session stays with it.
    pub fn answering(&self, lease: &Lease, now: Timestamp) {
        lease.began.store(true, Ordering::Relaxed);
        let mut live = self.lock();
        live.burst.answered();
        live.answers(lease.session.as_ref(), &lease.held.account.record, lease.tokens, now);
    }

    /// Notes what the end of an answer told of its prompt; before the lease is settled.
    pub fn answered(&self, lease: &Lease, usage: Usage) {
        let Usage { prompt_tokens, cached_tokens } = usage;
        let record = &lease.held.account.record;
        let mut live = self.lock();
        live.prompts.saw(prompt_tokens);
        if lease.is_new {
            live.prompts.saw_new(cached_tokens);
        }
        if cached_tokens == 0 {
            live.sides.of_mut(record).warmth.was_cold();
        }
        if let Some(session) = &lease.session {
            live.affinity.told(session, record, (prompt_tokens, cached_tokens));
        }
    }

    /// Gives a lease back with what came of it. `refreshed`: its credential was already renewed for this request.
    pub fn settle(&self, lease: Lease, outcome: &Outcome, refreshed: bool, now: Timestamp) -> Settled {
        let Lease { held, session, tokens, began, quota_key, .. } = lease;
        let record = held.account.record.clone();
        let mut live = self.lock();
        let side = live.sides.of_mut(&record);
        side.in_flight = side.in_flight.saturating_sub(1);
        live.learn(&record, lease::model_of(quota_key.as_deref()), outcome, now);
        let reaction = outcome.reaction(refreshed);
        // A failure unbinds no session: its account is blocked while it cannot serve, and whoever answers in its place
        // is bound instead. Where nobody does, the session finds its prompt cache again.
        // An answer that began has bound its session then; whoever began to answer since is where the session is.
        if let Outcome::Served | Outcome::PolicyRefused = outcome {
            let session = session.as_ref();
            let bound = session.and_then(|session| live.bond(session, now));
            match bound.map(|bond| (bond.record == record, bond.tokens)) {
                Some((false, _)) if began.into_inner() => {}
                Some((true, told)) => live.answers(session, &record, told, now),
                Some((false, _)) | None => live.answers(session, &record, tokens, now),
            }
        }
        if reaction.is_again() {
            return Settled { reaction, edit: None, is_urgent: false };
        }
        let told = (outcome, quota_key.as_deref());
        let (edit, is_urgent) = live.consequence(&held, told, refreshed, (self.policy, now));
        Settled { reaction, edit, is_urgent }
    }

    /// Notes that only a new sign-in helps this account, as the keeper found and already wrote. A mark that is there
    /// stays as old as it is.
    pub fn needs_login(&self, record: &RecordId, code: &str, now: Timestamp) {
        let mut live = self.lock();
        if let Some(held) = live.held_mut(record) {
            held.account.needs_login.get_or_insert_with(|| NeedsLogin { code: code.to_owned(), at: now });
        }
    }

    /// Lets an account rest without an attempt having been made, such as when its renewal failed.
    pub fn rest(&self, record: &RecordId, rest: Rest) {
        let mut live = self.lock();
        if let Some(held) = live.held_mut(record) {
            held.account.rest(rest);
        }
    }

    /// Notes what was told of an account's quota; what comes back is to be kept.
    pub fn saw_quota(&self, record: &RecordId, report: &Report) -> Option<Remembered> {
        let mut live = self.lock();
        let side = live.sides.of_mut(record);
        let quota = side.gauge.learn(report);
        let told = Remembered {
            record: record.clone(),
            quota: quota.snapshot(report.seen_at)?,
            plan: quota.plan().map(str::to_owned),
            source: Source::Headers,
        };
        if side.noted.as_ref().is_some_and(|known| !told.is_news(known)) {
            return None;
        }
        side.noted = Some(told.clone());
        Some(told)
    }

    /// Takes in what is remembered of quotas.
    pub fn recall(&self, rows: &[Remembered]) {
        let mut live = self.lock();
        for row in rows {
            let report = row.quota.report(row.source, row.plan.as_deref());
            live.sides.of_mut(&row.record).gauge.learn(&report);
        }
    }

    /// What is known of an account's quota.
    pub fn quota(&self, record: &RecordId) -> Option<Quota> {
        self.lock().sides.of(record)?.gauge.quota().cloned()
    }

    /// The wave of sign-outs that is on, as far as it is known here; the keeper asks the disk.
    pub fn wave(&self, now: Timestamp) -> Option<Wave> {
        breaker::wave(self.lock().pool.accounts.iter().map(|held| &held.account), now)
    }

    /// Decides without leasing, for screens.
    pub fn decide(&self, query: &Query, now: Timestamp) -> Decision {
        self.lock().decide(query, now)
    }

    /// The pool as it is known now.
    pub fn pool(&self) -> SavedPool {
        self.lock().pool.clone()
    }

    /// What is asked for in place of a model that nobody has.
    pub fn fallback(&self) -> Fallback {
        self.lock().routing.fallback.clone()
    }

    /// How many requests an account is serving now.
    pub fn in_flight(&self, record: &RecordId) -> u32 {
        self.lock().sides.of(record).map_or(0, |side| side.in_flight)
    }

    /// The account that serves a session, if it has one.
    pub fn bound(&self, session: &SessionKey, now: Timestamp) -> Option<RecordId> {
        self.lock().bond(session, now).map(|bond| bond.record.clone())
    }

    /// What is remembered of sessions, to outlive the process.
    pub fn affinity(&self) -> Affinity {
        self.lock().affinity.clone()
    }

    /// Folds in what another process remembers, or this one wrote down before.
    pub fn remember(&self, others: &Affinity, now: Timestamp) {
        let mut live = self.lock();
        let generation = live.pool.affinity_generation;
        // Bonds from before the user's last decision are no news.
        if let Some(memory) = live.routing.memory.filter(|_| others.generation() >= generation) {
            live.affinity.merge(others, (memory, now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        // Every change under the lock is complete in itself, so the state is good even after a panic elsewhere.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Strategy, testing::pool};

    #[test]
    fn the_only_account_serves_or_nobody_does() {
        let now = Timestamp::from_secs(1000);
        let mut accounts = pool(2);
        let (first, second) =
            (accounts.accounts[0].account.record.clone(), accounts.accounts[1].account.record.clone());
        accounts.pin = Some(first.clone());
        let rotation = Rotation::new(accounts, Strategy::Sequential, RestPolicy::default());
        let query = Query { only: Some(second.clone()), ..Query::default() };
        let lease = rotation.acquire(&query, now).expect("it can serve");
        assert_eq!(lease.held.account.record, second);
        let until = Some(Timestamp::from_secs(9000));
        let _ = rotation.settle(lease, &Outcome::UsageLimited { until }, false, now);
        let refusal = rotation.acquire(&query, now).expect_err("a pin never spills");
        assert_eq!(refusal.cause, crate::Cause::Pinned { record: second, until });
        assert_eq!(rotation.acquire(&Query::default(), now).expect("it can").held.account.record, first);
    }

    #[test]
    fn what_was_just_learnt_outlives_an_older_file() {
        let now = Timestamp::from_secs(1000);
        let rotation = Rotation::new(pool(2), Strategy::Sequential, RestPolicy::default());
        let lease = rotation.acquire(&Query::default(), now).expect("both can serve");
        let until = Some(Timestamp::from_secs(9000));
        let settled = rotation.settle(lease, &Outcome::UsageLimited { until }, false, now);
        let (_, lesson) = settled.edit.expect("the rest is to be kept");
        rotation.reading();
        rotation.adopt(pool(2), Strategy::Sequential, now);
        let chosen = |now| rotation.decide(&Query::default(), now).choice.map(|(record, _)| record);
        assert_eq!(chosen(now), Some(pool(2).accounts[1].account.record.clone()));
        // Once it was on disk, a file that does not say so was changed by somebody.
        rotation.kept(lesson);
        rotation.reading();
        rotation.adopt(pool(2), Strategy::Sequential, now);
        assert_eq!(chosen(now), Some(pool(2).accounts[0].account.record.clone()));
    }
}
