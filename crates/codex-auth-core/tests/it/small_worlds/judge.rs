//! The laws of every decision, said once more and independently of the code that decides.

use codex_auth_core::{
    Ask, Binding, Blocker, Cause, Decision, Denial, DeniedBy, Exit, Hold, Reason, Seat, Standards, Standing, Strategy,
    evaluate, favourite, pick, refusal_of,
};

use super::{
    kinds::{ASKED, Kind, NOW, SOON},
    made,
};

/// What holds for every account alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// The model is not known.
    NoModel,
    Denied(DeniedBy),
    DeniedUntil(DeniedBy),
    /// The rule ended at this very instant.
    NoLongerDenied,
    Burst,
    /// The burst ended at this very instant.
    BurstOver,
    DeniedInBurst,
}

impl Weather {
    pub(crate) const ALL: [Self; 10] = [
        Self::Fair,
        Self::NoModel,
        Self::Denied(DeniedBy::Policy),
        Self::Denied(DeniedBy::Budget),
        Self::DeniedUntil(DeniedBy::Policy),
        Self::DeniedUntil(DeniedBy::Budget),
        Self::NoLongerDenied,
        Self::Burst,
        Self::BurstOver,
        Self::DeniedInBurst,
    ];

    fn denial(self) -> Option<Denial> {
        let denial = |by, until| Some(Denial { by, reason: "3 of 3 requests an hour".into(), until });
        match self {
            Self::Fair | Self::NoModel | Self::Burst | Self::BurstOver => None,
            Self::Denied(by) => denial(by, None),
            Self::DeniedUntil(by) => denial(by, Some(SOON)),
            Self::NoLongerDenied => denial(DeniedBy::Budget, Some(NOW)),
            Self::DeniedInBurst => denial(DeniedBy::Policy, None),
        }
    }

    fn blockers(self) -> Vec<Blocker> {
        let burst = Blocker::Burst { until: SOON };
        match self {
            Self::Fair | Self::NoModel | Self::NoLongerDenied | Self::BurstOver => vec![],
            Self::Denied(_) | Self::DeniedUntil(_) => self.denial().map(Blocker::Denied).into_iter().collect(),
            Self::Burst => vec![burst],
            Self::DeniedInBurst => self.denial().map(Blocker::Denied).into_iter().chain([burst]).collect(),
        }
    }
}

/// One state of the world. A place that is the number of accounts stands for an account that is not in the pool.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) strategy: Strategy,
    pub(crate) pin: Option<usize>,
    pub(crate) by: Binding,
    pub(crate) bound: Option<usize>,
    pub(crate) active: Option<usize>,
    pub(crate) weather: Weather,
}

impl World {
    /// Looks at the decision for this world from every side.
    pub(crate) fn judge(&self) -> Result<Decision, String> {
        let decision = self.decide(&self.kinds);
        let broken = self
            .is_repeatable(&decision)
            .and_then(|()| self.stands_as_it_should(&decision))
            .and_then(|()| self.chooses_rightly(&decision))
            .and_then(|()| self.refuses_rightly(&decision))
            .and_then(|()| self.is_monotone(&decision));
        broken.map_err(|what| format!("{self:?}: {what}; {decision:?}"))?;
        Ok(decision)
    }

    /// Asks about these accounts; everything else is as in this world.
    fn ask<T>(&self, kinds: &[(usize, Kind)], question: impl FnOnce(&[Seat<'_>], Standards<'_>, Ask<'_>) -> T) -> T {
        let made: Vec<_> = kinds.iter().map(|(place, kind)| made(*kind, *place)).collect();
        let seats: Vec<Seat<'_>> = made
            .iter()
            .map(|made| Seat {
                account: &made.account,
                in_flight: made.in_flight,
                headroom: made.headroom,
                terms: made.terms,
                lacks_model_until: made.lacks_model_until,
                ..Seat::of(&made.account)
            })
            .collect();
        let tried: Vec<_> = made.iter().filter(|made| made.is_tried).map(|made| made.account.record.clone()).collect();
        let record = |place: usize| &made_at(place).record;
        let denial = self.weather.denial();
        let standards = Standards {
            strategy: self.strategy,
            pin: self.pin.map(record),
            pinned_by: self.by,
            active: self.active.map(record),
            ..Standards::default()
        };
        let ask = Ask {
            bound: self.bound.map(record),
            quota_key: (self.weather != Weather::NoModel).then_some(ASKED),
            tried: &tried,
            denied: denial.as_ref(),
            burst_until: match self.weather {
                Weather::Burst | Weather::DeniedInBurst => Some(SOON),
                Weather::BurstOver => Some(NOW),
                Weather::Fair
                | Weather::NoModel
                | Weather::Denied(_)
                | Weather::DeniedUntil(_)
                | Weather::NoLongerDenied => None,
            },
            ..Ask::default()
        };
        question(&seats, standards, ask)
    }

    fn decide(&self, kinds: &[Kind]) -> Decision {
        let placed: Vec<_> = kinds.iter().copied().enumerate().collect();
        self.ask(&placed, |seats, standards, ask| evaluate(seats, standards, ask, NOW))
    }

    fn is_served(&self, placed: &[(usize, Kind)]) -> bool {
        self.ask(placed, |seats, standards, ask| pick(seats, standards, ask, NOW)).is_some()
    }

    fn placed(&self) -> Vec<(usize, Kind)> {
        self.kinds.iter().copied().enumerate().collect()
    }

    /// The same input gives the same output, and the request path decides as screens do.
    fn is_repeatable(&self, decision: &Decision) -> Result<(), String> {
        let (again, picked) = self.ask(&self.placed(), |seats, standards, ask| {
            let picked = pick(seats, standards, ask, NOW);
            let picked = picked.map(|pick| (seats[pick.place].account.record.clone(), pick.reason));
            (evaluate(seats, standards, ask, NOW), picked)
        });
        must(again == *decision, || "asked again, it answers otherwise".into())?;
        must(picked == decision.choice, || format!("the request path picks {picked:?}"))
    }

    /// What keeps the account at `place` away.
    fn blockers(&self, place: usize) -> Vec<Blocker> {
        let mut blockers = self.kinds[place].blockers(self.weather != Weather::NoModel);
        if self.bound == Some(place) {
            // Who is on the way out goes on with the sessions it has.
            blockers.retain(|blocker| *blocker != Blocker::Held { hold: Hold::Drained });
        }
        blockers.extend(self.weather.blockers());
        if let Some(pin) = self.pin.filter(|pin| *pin != place) {
            blockers.push(Blocker::NotPinned { pin: made_at(pin).record.clone(), by: self.by });
        }
        blockers
    }

    /// Everybody stands in pool order, blocked by exactly what is true of the account and of the request.
    fn stands_as_it_should(&self, decision: &Decision) -> Result<(), String> {
        must(decision.standings.len() == self.kinds.len(), || "somebody has no standing".into())?;
        for (place, standing) in decision.standings.iter().enumerate() {
            must(standing.record == made_at(place).record, || format!("{place} stands in somebody else's place"))?;
            let expected = self.blockers(place);
            let is_same = standing.blockers.len() == expected.len()
                && expected.iter().all(|blocker| standing.blockers.contains(blocker));
            must(is_same, || format!("{place} is blocked by {expected:?}"))?;
            for blocker in &standing.blockers {
                must(leads_out(blocker), || format!("{blocker:?} has no way out"))?;
                must(!blocker.code().is_empty(), || format!("{blocker:?} has no word"))?;
            }
        }
        Ok(())
    }

    fn is_ready(&self, place: usize) -> bool {
        place < self.kinds.len() && self.blockers(place).is_empty()
    }

    /// Somebody who may serve serves, the favourite before all others, and the reason is true.
    fn chooses_rightly(&self, decision: &Decision) -> Result<(), String> {
        let is_somebody_ready = (0..self.kinds.len()).any(|place| self.is_ready(place));
        let never_moves = self.strategy == Strategy::Manual && self.pin.is_none();
        let is_due =
            if never_moves { self.active.is_some_and(|place| self.is_ready(place)) } else { is_somebody_ready };
        must(decision.choice.is_some() == is_due, || {
            if is_due {
                "somebody can serve and nobody does".into()
            } else {
                "nobody can serve and somebody does".into()
            }
        })?;
        let Some((record, reason)) = &decision.choice else { return Ok(()) };
        let place = decision.standings.iter().position(|standing| standing.record == *record);
        must(place.is_some_and(|place| self.is_ready(place)), || "who was chosen is not ready".into())?;
        must(self.pin.is_none() || place == self.pin, || "the pin spilled".into())?;
        must((*reason == Reason::Pinned) == self.pin.is_some(), || "the reason is wrong about the pin".into())?;
        must(*reason != Reason::SameSession || place == self.bound, || "it is not the session's account".into())?;
        must(*reason != Reason::Selected || place == self.active, || "it is not the selected account".into())?;
        let favourite = self.ask(&self.placed(), |_, standards, ask| {
            favourite(standards, ask).map(|(record, reason)| (record.clone(), reason))
        });
        let Some((favourite, why)) = favourite else { return Ok(()) };
        let may = (0..self.kinds.len()).any(|place| made_at(place).record == favourite && self.is_ready(place));
        must(!may || (*record == favourite && *reason == why), || format!("{favourite} is passed over"))
    }

    /// A refusal has a live blocker for everybody, and names a cause that is true of them.
    fn refuses_rightly(&self, decision: &Decision) -> Result<(), String> {
        if decision.choice.is_some() {
            return Ok(());
        }
        let pin = self.pin.map(|place| made_at(place).record.clone());
        let active = self.active.map(|place| made_at(place).record.clone());
        let (strategy, pin, active) = (self.strategy, pin.as_ref(), active.as_ref());
        let refusal = refusal_of(decision, Standards { strategy, pin, active, ..Standards::default() });
        must(refusal.standings == decision.standings, || "the refusal tells another story".into())?;
        let are_blocked = refusal.standings.iter().all(|standing| !standing.blockers.is_empty());
        let is_choosy = refusal.cause == Cause::NothingSelected;
        must(are_blocked != is_choosy, || format!("{:?} for somebody who is not blocked", refusal.cause))?;
        let is_denied = self.weather.blockers().iter().any(|blocker| matches!(blocker, Blocker::Denied(_)));
        let is_true = match &refusal.cause {
            Cause::NoAccounts => self.kinds.is_empty(),
            Cause::NeedsUser => self.pin.is_none() && !is_denied,
            Cause::UsageLimited { until } | Cause::NoModel { until } => *until > NOW,
            Cause::Unreachable { until } => until.is_none_or(|until| until > NOW),
            Cause::Pinned { record, until } => pin == Some(record) && until.is_none_or(|until| until > NOW),
            Cause::NothingSelected => self.strategy == Strategy::Manual && self.pin.is_none(),
            Cause::Denied(_) => is_denied,
        };
        must(is_true, || format!("the cause {:?} is not true", refusal.cause))?;
        let lacks = |standing: &Standing| {
            let may = pin.is_none_or(|pin| standing.record == *pin);
            may && standing.blockers.iter().any(|blocker| matches!(blocker, Blocker::LacksModel { .. }))
        };
        let is_model = !refusal.wants_model || (!is_denied && refusal.standings.iter().any(lacks));
        must(is_model, || "another model is no way out of this".into())?;
        let ready_at = decision.ready_at();
        must(ready_at.is_none_or(|at| at > NOW || is_choosy), || format!("who is refused was ready at {ready_at:?}"))
    }

    /// An account less never helps; a blocker less never hurts; nor does taking the pin away.
    fn is_monotone(&self, decision: &Decision) -> Result<(), String> {
        let placed = self.placed();
        if decision.choice.is_none() {
            return (0..placed.len()).try_for_each(|gone| {
                let mut fewer = placed.clone();
                fewer.remove(gone);
                must(!self.is_served(&fewer), || format!("without account {gone} it is served"))
            });
        }
        for (place, kind) in &placed {
            for lighter in kind.lighter() {
                let mut healed = placed.clone();
                healed[*place].1 = *lighter;
                must(self.is_served(&healed), || format!("with account {place} {lighter:?} it is refused"))?;
            }
        }
        let unpinned = Self { pin: None, ..self.clone() };
        let may_be_choosy = self.strategy == Strategy::Manual;
        must(self.pin.is_none() || may_be_choosy || unpinned.is_served(&placed), || {
            "without the pin it is refused".into()
        })
    }
}

fn made_at(place: usize) -> &'static codex_auth_core::Account {
    &made(Kind::Ready, place).account
}

fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Whether the way out of a blocker leads somewhere: a later instant, a command of ours, or the end of the request.
fn leads_out(blocker: &Blocker) -> bool {
    match blocker.exit() {
        Exit::Wait { until } => until > NOW && blocker.until() == Some(until),
        Exit::Command(line) => {
            let mut words = line.split(' ');
            let is_ours = words.next() == Some("codex-multi-auth");
            is_ours && words.next().is_some_and(|word| COMMANDS.contains(&word)) && blocker.until().is_none()
        }
        Exit::NextRequest => blocker.until().is_none(),
    }
}

/// The commands that lead out of a blocker; the command line's own tests show that each of them exists.
const COMMANDS: [&str; 6] = ["switch", "login", "unpin", "profile", "account", "budget"];
