//! The state behind the rotation's lock, and the questions it is asked.

use std::{collections::HashMap, time::Duration};

use super::{Lesson, Query, lessons::Lessons};
use crate::{
    Affinity, Ask, Binding, Burst, Decision, Edit, Entitlements, Headroom, Held, Mark, Outcome, Quota, Reason,
    RecordId, Remembered, RestPolicy, SavedPool, Seat, Standards, Strategy, Timestamp, consequence::Consequence,
    evaluate, favourite, may_serve, pick, plan_size, record::Watch,
};

/// How much newer a use must be than the one kept: screens show minutes, and the disk is not asked for each request.
const USE_STEP: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Live {
    pub(super) pool: SavedPool,
    pub(super) strategy: Strategy,
    pub(super) busy: HashMap<RecordId, Busy>,
    pub(super) quotas: HashMap<RecordId, Quota>,
    /// What was last handed on to be kept of each.
    pub(super) noted: HashMap<RecordId, Remembered>,
    pub(super) entitlements: Entitlements,
    pub(super) burst: Burst,
    pub(super) affinity: Affinity,
    /// What was learnt and may be missing in a pool read from disk.
    pub(super) lessons: Lessons,
    /// Who hears of every decision, if somebody does.
    pub(super) watch: Option<Watch>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Busy {
    pub(super) in_flight: u32,
    /// The last use that was handed on to be kept.
    noted_at: Timestamp,
}

impl Busy {
    pub(super) fn with_one() -> Self {
        Self { in_flight: 1, ..Self::default() }
    }
}

impl Live {
    /// Who serves: a place in the pool. A favourite is looked at alone, so that a large pool costs a session nothing.
    pub(super) fn choose(&self, query: &Query, now: Timestamp) -> Option<(usize, Reason)> {
        let (standards, ask) = (self.standards(query), self.ask(query, now));
        if let Some((record, reason)) = favourite(standards, ask)
            && let Some(place) = self.pool.accounts.iter().position(|held| held.account.record == *record)
            && may_serve(&self.seat(&self.pool.accounts[place], query, now), standards, ask, now)
        {
            return Some((place, reason));
        }
        pick(&self.seats(query, now), standards, ask, now)
    }

    pub(super) fn decide(&self, query: &Query, now: Timestamp) -> Decision {
        evaluate(&self.seats(query, now), self.standards(query), self.ask(query, now), now)
    }

    /// Hands a decision on to whoever takes it down.
    pub(super) fn witnessed(&mut self, query: &Query, choice: Option<(usize, Reason)>, now: Timestamp) {
        let Some(mut watch) = self.watch.take() else { return };
        let seats = self.pool.accounts.iter().map(|held| self.seat(held, query, now));
        let asked = (self.standards(query), self.ask(query, now));
        watch.note(seats, asked, query.session.as_ref(), choice, now);
        self.watch = Some(watch);
    }

    fn seats(&self, query: &Query, now: Timestamp) -> Vec<Seat<'_>> {
        self.pool.accounts.iter().map(|held| self.seat(held, query, now)).collect()
    }

    fn seat<'a>(&self, held: &'a Held, query: &Query, now: Timestamp) -> Seat<'a> {
        let busy = self.busy.get(&held.account.record).copied().unwrap_or_default();
        let plan = held.account.owner.plan.as_deref();
        let headroom = match self.quotas.get(&held.account.record) {
            Some(quota) => quota.headroom(query.model(), plan, now),
            None => Headroom { plan_size: plan_size(plan), ..Headroom::UNKNOWN },
        };
        let lacks_model_until =
            query.model().and_then(|model| self.entitlements.until(&held.account.record, model, now));
        let terms = query.ruling.terms_of(&held.account);
        Seat { in_flight: busy.in_flight, headroom, terms, lacks_model_until, ..Seat::of(&held.account) }
    }

    pub(super) fn standards<'a>(&'a self, query: &'a Query) -> Standards<'a> {
        let named = [(query.only.as_ref(), Binding::Run), (query.ruling.bound.as_ref(), Binding::Project)];
        let named = named.into_iter().find_map(|(record, by)| Some((Some(record?), by)));
        let (pin, pinned_by) = named.unwrap_or((self.pool.pin.as_ref(), Binding::Switch));
        Standards { strategy: self.strategy, pin, pinned_by, active: self.pool.active.as_ref() }
    }

    fn ask<'a>(&'a self, query: &'a Query, now: Timestamp) -> Ask<'a> {
        let served_before = || query.session.as_ref().and_then(|session| self.affinity.of(session, now));
        let bound = query.again.as_ref().or_else(served_before);
        let burst_until = self.burst.until(now);
        let denied = query.ruling.denied.as_ref();
        Ask { bound, quota_key: query.quota_key.as_deref(), tried: &query.tried, denied, burst_until }
    }

    /// What an outcome says of the backend, and of the account's right to the model.
    pub(super) fn learn(&mut self, record: &RecordId, model: Option<&str>, outcome: &Outcome, now: Timestamp) {
        let row = outcome.treatment();
        if *outcome == Outcome::Cancelled {
            self.burst.left(now);
        } else if row.is_of_backend {
            self.burst.failed(record, now);
        } else {
            self.burst.answered();
        }
        if let Some(model) = model {
            if row.mark == Mark::LacksModel {
                self.entitlements.lacks(record, model, now);
            } else if *outcome == Outcome::Served {
                self.entitlements.has(record, model);
            }
        }
    }

    /// A use of the account that screens should see, once in a while.
    fn use_to_note(&mut self, record: &RecordId, outcome: &Outcome, now: Timestamp) -> Option<Consequence> {
        let busy = self.busy.entry(record.clone()).or_default();
        if *outcome != Outcome::Served || now.since(busy.noted_at) < USE_STEP {
            return None;
        }
        busy.noted_at = now;
        Some(Consequence::Used(now))
    }

    /// Applies what an outcome means for the account, here and as an edit for the disk.
    pub(super) fn consequence(
        &mut self,
        worn: &Held,
        (outcome, quota_key): (&Outcome, Option<&str>),
        refreshed: bool,
        (policy, now): (RestPolicy, Timestamp),
    ) -> (Option<(Edit, Lesson)>, bool) {
        let record = &worn.account.record;
        let known = self.pool.find(record).and_then(|held| held.account.incident.clone());
        let lasting = Consequence::of_incident(outcome, worn, known.as_ref(), refreshed, now);
        let direct = Consequence::of(outcome, worn, quota_key, (policy, now));
        let used = || self.use_to_note(record, outcome, now);
        let change = match (lasting, direct) {
            // A rest after a fault is this process's own business; what it leads to is not.
            (Some(lasting), Some(direct)) => {
                if let Some(held) = self.pool.find_mut(record) {
                    direct.apply(held);
                }
                Some(lasting)
            }
            (lasting, direct) => lasting.or(direct).or_else(used),
        };
        let Some(change) = change else { return (None, false) };
        if let Some(held) = self.pool.find_mut(record) {
            change.apply(held);
        }
        if !change.is_kept() {
            return (None, false);
        }
        let is_urgent = change.is_urgent();
        let lesson = self.lessons.learn(record, change.clone(), false);
        let record = record.clone();
        let edit: Edit = Box::new(move |pool: &mut SavedPool| {
            if let Some(held) = pool.find_mut(&record) {
                change.apply(held);
            }
        });
        (Some((edit, lesson)), is_urgent)
    }
}
