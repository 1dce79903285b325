//! The state behind the rotation's lock, and the questions it is asked.

use std::time::Duration;

use super::{Lesson, Query, Routing, lessons::Lessons, sides::Sides, warmth::Prompts};
use crate::{
    Affinity, Ask, Binding, Bond, Burst, Decision, Edit, Entitlements, Held, LACKS_MODEL_FOR, Mark, Outcome, Pick,
    Reason, RecordId, RestPolicy, SavedPool, Seat, SessionKey, Standards, Timestamp, consequence::Consequence,
    evaluate, favourite, may_serve, pick, record::Watch, stays,
};

/// How much newer a use must be than the one kept: screens show minutes, and the disk is not asked for each request.
const USE_STEP: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Live {
    pub(super) pool: SavedPool,
    pub(super) routing: Routing,
    /// The account that was given last to somebody who had none.
    pub(super) turn: Option<RecordId>,
    /// This process's own; breaks ties.
    pub(super) seed: u64,
    pub(super) prompts: Prompts,
    /// What is known of the accounts besides; in the pool's order.
    pub(super) sides: Sides,
    pub(super) entitlements: Entitlements,
    pub(super) burst: Burst,
    pub(super) affinity: Affinity,
    /// What was learnt and may be missing in a pool read from disk.
    pub(super) lessons: Lessons,
    /// Who hears of every decision, if somebody does.
    pub(super) watch: Option<Watch>,
}

/// What is remembered that concerns a request.
#[derive(Debug, Clone, Copy)]
struct Known<'a> {
    /// Its session's bond.
    own: Option<&'a Bond>,
    /// The bond of the session that sent it out.
    parent: Option<&'a Bond>,
    tokens: u64,
    model: Option<&'a str>,
}

impl Live {
    /// The account with this record id.
    pub(super) fn held(&self, record: &RecordId) -> Option<&Held> {
        self.pool.accounts.get(self.sides.place(record)?)
    }

    /// The account with this record id, to be changed.
    pub(super) fn held_mut(&mut self, record: &RecordId) -> Option<&mut Held> {
        self.pool.accounts.get_mut(self.sides.place(record)?)
    }

    /// Who serves. A favourite, or a session's own account that it does not leave, is looked at alone, so that a large
    /// pool costs a session nothing.
    pub(super) fn choose(&self, query: &Query, now: Timestamp) -> Option<Pick> {
        let (standards, ask, known) = self.question(query, now);
        let seat_of = |record: &RecordId| {
            let place = self.sides.place(record)?;
            Some((place, self.seat(place, (query, known), now)))
        };
        if let Some((record, reason)) = favourite(standards, ask)
            && let Some((place, seat)) = seat_of(record)
            && may_serve(&seat, standards, ask, now)
        {
            return Some(Pick { place, reason, price: None });
        }
        if let Some((place, seat)) = ask.bound.and_then(seat_of)
            && let Some(price) = stays(&seat, self.prompts.shared(query.tokens), standards, ask, now)
        {
            return Some(Pick { place, reason: Reason::SameSession, price: Some(price) });
        }
        pick(&self.seats((query, known), now), standards, ask, now)
    }

    pub(super) fn decide(&self, query: &Query, now: Timestamp) -> Decision {
        let (standards, ask, known) = self.question(query, now);
        evaluate(&self.seats((query, known), now), standards, ask, now)
    }

    /// Hands a decision on to whoever takes it down.
    pub(super) fn witnessed(&mut self, query: &Query, choice: Option<(usize, Reason)>, now: Timestamp) {
        let Some(mut watch) = self.watch.take() else { return };
        let (standards, ask, known) = self.question(query, now);
        let seats = (0..self.pool.accounts.len()).map(|place| self.seat(place, (query, known), now));
        watch.note(seats, (standards, ask), query.session.as_ref(), choice, now);
        self.watch = Some(watch);
    }

    fn seats<'a>(&'a self, asked: (&Query, Known<'_>), now: Timestamp) -> Vec<Seat<'a>> {
        (0..self.pool.accounts.len()).map(|place| self.seat(place, asked, now)).collect()
    }

    fn seat(&self, place: usize, (query, known): (&Query, Known<'_>), now: Timestamp) -> Seat<'_> {
        let (held, side) = (&self.pool.accounts[place], self.sides.at(place));
        let plan = held.account.owner.plan.as_deref();
        let cached_tokens = match known {
            Known { own: Some(bond), tokens, .. } if bond.record == held.account.record => bond.cached(tokens, now),
            Known { parent: Some(parent), tokens, own: None, .. } if parent.record == held.account.record => {
                self.prompts.of_child(tokens, parent, now)
            }
            Known { tokens, .. } if side.warmth.is_warm(now) => self.prompts.shared(tokens),
            Known { .. } => 0,
        };
        let lacks_model_until = known.model.and_then(|model| self.entitlements.until(&held.account.record, model, now));
        let has_refused = || query.lacking.contains(&held.account.record);
        let lacks_model_until = lacks_model_until.or_else(|| has_refused().then(|| now.after(LACKS_MODEL_FOR)));
        Seat {
            account: &held.account,
            in_flight: side.in_flight,
            headroom: side.gauge.headroom(known.model, plan, now),
            terms: query.ruling.terms_of(&held.account),
            lacks_model_until,
            cached_tokens,
            crowd: side.crowd.tenths(now),
        }
    }

    pub(super) fn standards<'a>(&'a self, query: &'a Query) -> Standards<'a> {
        let named = [(query.only.as_ref(), Binding::Run), (query.ruling.bound.as_ref(), Binding::Project)];
        let named = named.into_iter().find_map(|(record, by)| Some((Some(record?), by)));
        let (pin, pinned_by) = named.unwrap_or((self.pool.pin.as_ref(), Binding::Switch));
        Standards {
            strategy: self.routing.strategy,
            pin,
            pinned_by,
            active: self.pool.active.as_ref(),
            turn: self.turn.as_ref(),
            spread: self.routing.spread,
            seed: self.seed,
        }
    }

    fn question<'a>(&'a self, query: &'a Query, now: Timestamp) -> (Standards<'a>, Ask<'a>, Known<'a>) {
        let own = query.session.as_ref().and_then(|session| self.bond(session, now));
        let parent = query.parent.as_ref().and_then(|session| self.bond(session, now));
        let ask = Ask {
            bound: own.map(|bond| &bond.record),
            again: query.again.as_ref(),
            just_moved: own.is_some_and(|bond| now.since(bond.came_at) < self.routing.settles_for),
            prompt: self.prompts.prompt(query.tokens),
            quota_key: query.quota_key.as_deref(),
            instead_of: query.instead_of.as_deref(),
            tried: &query.tried,
            denied: query.ruling.denied.as_ref(),
            burst_until: self.burst.until(now),
        };
        (self.standards(query), ask, Known { own, parent, tokens: query.tokens, model: query.model() })
    }

    /// What is remembered of a session.
    pub(super) fn bond(&self, session: &SessionKey, now: Timestamp) -> Option<&Bond> {
        self.affinity.of(session, (self.routing.memory?, now))
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

    /// The account began to answer.
    pub(super) fn answers(&mut self, session: Option<&SessionKey>, record: &RecordId, tokens: u64, now: Timestamp) {
        self.sides.of_mut(record).warmth.used(now);
        if let (Some(session), Some(memory)) = (session, self.routing.memory) {
            self.affinity.bind(session, record, tokens, (memory, now));
        }
    }

    /// A use of the account that screens should see, once in a while.
    fn use_to_note(&mut self, record: &RecordId, outcome: &Outcome, now: Timestamp) -> Option<Consequence> {
        let side = self.sides.of_mut(record);
        if *outcome != Outcome::Served || now.since(side.used_at) < USE_STEP {
            return None;
        }
        side.used_at = now;
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
        let known = self.held(record).and_then(|held| held.account.incident.clone());
        let lasting = Consequence::of_incident(outcome, worn, known.as_ref(), refreshed, now);
        let direct = Consequence::of(outcome, worn, quota_key, (policy, now));
        let used = || self.use_to_note(record, outcome, now);
        let change = match (lasting, direct) {
            // A rest after a fault is this process's own business; what it leads to is not.
            (Some(lasting), Some(direct)) => {
                if let Some(held) = self.held_mut(record) {
                    direct.apply(held);
                }
                Some(lasting)
            }
            (lasting, direct) => lasting.or(direct).or_else(used),
        };
        let Some(change) = change else { return (None, false) };
        if let Some(held) = self.held_mut(record) {
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
