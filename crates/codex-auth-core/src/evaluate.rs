//! The one evaluator: who serves this request, and where does every account stand?
//!
//! Routing, `status`, `list`, `check` and `why-selected` all ask here, so they cannot disagree.
//! It is pure: the same world and instant give the same answer on every machine.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::{
    Account, Binding, Blocker, Candidate, Denial, Field, Headroom, Hold, MovePrice, Prompt, Reason, RecordId, Standing,
    Strategy, Terms, Timestamp,
    select::{Supply, choose, leaves, price_of, stays_anyway, supply},
    standing::own_blockers,
};

/// What is known of one account at the moment of asking.
#[derive(Debug, Clone, Copy)]
pub struct Seat<'a> {
    /// The account as stored.
    pub account: &'a Account,
    /// Requests it is serving now.
    pub in_flight: u32,
    /// What is known of its quota.
    pub headroom: Headroom,
    /// What the user wants of it.
    pub terms: Terms,
    /// Until when the model of this request is known to be none of its own.
    pub lacks_model_until: Option<Timestamp>,
    /// How many tokens of this prompt its cache is expected to hold.
    pub cached_tokens: u64,
    /// How many sessions came to it lately, in tenths.
    pub crowd: u32,
}

impl<'a> Seat<'a> {
    /// An account of which nothing more is known.
    pub fn of(account: &'a Account) -> Self {
        Self {
            account,
            in_flight: 0,
            headroom: Headroom::UNKNOWN,
            terms: Terms::default(),
            lacks_model_until: None,
            cached_tokens: 0,
            crowd: 0,
        }
    }

    fn candidate(&self, position: usize) -> Candidate<'a> {
        let Self { account, in_flight, headroom, terms, cached_tokens, crowd, .. } = *self;
        Candidate { record: &account.record, position, in_flight, headroom, terms, cached_tokens, crowd }
    }
}

/// What a request brings to the decision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// Account that served this conversation before.
    pub bound: Option<&'a RecordId>,
    /// Account that is to be asked once more, after its token or the request was mended.
    pub again: Option<&'a RecordId>,
    /// Whether the conversation came to its account so lately that it stays, whatever that costs.
    pub just_moved: bool,
    /// Its size.
    pub prompt: Prompt,
    /// Quota key of its model, where the model is known.
    pub quota_key: Option<&'a str>,
    /// The model that its client named, where another one is asked for in its place; decides nothing.
    pub instead_of: Option<&'a str>,
    /// Accounts already tried for it.
    pub tried: &'a [RecordId],
    /// The user's own rule that refuses it, whoever would serve.
    pub denied: Option<&'a Denial>,
    /// Until when the backend fails whoever is asked.
    pub burst_until: Option<Timestamp>,
}

/// What the user decided beforehand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standards<'a> {
    /// How to choose.
    pub strategy: Strategy,
    /// A hard constraint: this account or nobody.
    pub pin: Option<&'a RecordId>,
    /// Who set the pin.
    pub pinned_by: Binding,
    /// The selected account, used by [`Strategy::Manual`], and where the others begin.
    pub active: Option<&'a RecordId>,
    /// The account that was given last to somebody who had none.
    pub turn: Option<&'a RecordId>,
    /// Whether processes and sessions begin at different accounts (`pidOffsetEnabled`).
    pub spread: bool,
    /// This process's own; breaks ties.
    pub seed: u64,
}

/// Who serves and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// The account's place among the seats.
    pub place: usize,
    /// Why it.
    pub reason: Reason,
    /// For a session that had an account: the price of the move made, or of the best one not made.
    pub price: Option<MovePrice>,
}

/// The answer: a choice or a refusal, with every account's standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Who serves and why, or `None`: then every standing has a live blocker, or the strategy is manual.
    pub choice: Option<(RecordId, Reason)>,
    /// For a session that had an account: the price of the move made, or of the best one not made.
    #[serde(default)]
    pub price: Option<MovePrice>,
    /// In pool order.
    pub standings: Vec<Standing>,
}

/// Decides.
pub fn evaluate(seats: &[Seat<'_>], standards: Standards<'_>, ask: Ask<'_>, now: Timestamp) -> Decision {
    let choice = pick(seats, standards, ask, now);
    let standings = seats.iter().map(|seat| {
        let mut told = Vec::new();
        let _all = blockers(seat, standards, ask, now, &mut |blocker| {
            told.push(blocker);
            ControlFlow::Continue(())
        });
        Standing { record: seat.account.record.clone(), blockers: told }
    });
    Decision {
        choice: choice.map(|pick| (seats[pick.place].account.record.clone(), pick.reason)),
        price: choice.and_then(|pick| pick.price),
        standings: standings.collect(),
    }
}

/// The choice alone, as a place among the seats; for the request path, which need not know where everybody stands.
pub fn pick(seats: &[Seat<'_>], standards: Standards<'_>, ask: Ask<'_>, now: Timestamp) -> Option<Pick> {
    let able = |record: &RecordId| {
        let place = seats.iter().position(|seat| seat.account.record == *record)?;
        may_serve(&seats[place], standards, ask, now).then_some(place)
    };
    if let Some((favourite, reason)) = favourite(standards, ask)
        && let Some(place) = able(favourite)
    {
        return Some(Pick { place, reason, price: None });
    }
    let mut field = field(seats, standards, ask, now);
    let candidates = seats.iter().enumerate().map(|(place, seat)| seat.candidate(place));
    let may = |candidate: &Candidate<'_>| may_serve(&seats[candidate.position], standards, ask, now);
    field.supply = supply(candidates.clone().filter(may));
    let (best, reason) = choose(standards.strategy, field, candidates.clone(), may)?;
    let chosen = Pick { place: best.position, reason, price: None };
    let Some(bound) = ask.bound.filter(|_| standards.strategy.prices_moves()) else { return Some(chosen) };
    match able(bound) {
        Some(home) if home == best.position => {
            let others = candidates.filter(|candidate| candidate.position != home);
            let next = choose(standards.strategy, field, others, may);
            let price = next.map(|(there, _)| price_of(&best, &there, field));
            Some(Pick { place: home, reason: Reason::SameSession, price })
        }
        Some(home) => {
            let (leaves, price) = leaves(&seats[home].candidate(home), &best, field);
            let (place, reason) = if leaves && !ask.just_moved {
                (best.position, Reason::WorthMoving)
            } else {
                (home, Reason::SameSession)
            };
            Some(Pick { place, reason, price: Some(price) })
        }
        // Its account cannot serve, so the move is made whatever it costs.
        None => {
            let left = seats.iter().find(|seat| seat.account.record == *bound).map(|seat| seat.cached_tokens);
            let lost_tokens = left.unwrap_or(0).saturating_sub(best.cached_tokens);
            Some(Pick { price: Some(MovePrice { lost_tokens, gained_tokens: 0 }), ..chosen })
        }
    }
}

fn field(seats: &[Seat<'_>], standards: Standards<'_>, ask: Ask<'_>, now: Timestamp) -> Field {
    let place = |record: &RecordId| seats.iter().position(|seat| seat.account.record == *record);
    let Standards { strategy, active, turn, spread, seed, .. } = standards;
    // The account before the one this process begins at: the next in turn is the first to serve.
    let own_start = || {
        let count = u64::try_from(seats.len()).ok().filter(|count| spread && *count > 0)?;
        usize::try_from((seed % count + count - 1) % count).ok()
    };
    let turn = match strategy {
        Strategy::Sequential => turn.and_then(place).or_else(|| active.and_then(place)),
        Strategy::RoundRobin => turn.and_then(place).or_else(|| active.and_then(place)).or_else(own_start),
        Strategy::Sticky if spread => turn.and_then(place).or_else(own_start),
        Strategy::Sticky => active.and_then(place),
        Strategy::Hybrid | Strategy::DrainFirst | Strategy::Manual => None,
    };
    Field { count: seats.len(), turn, spread, supply: Supply::Ample, prompt: ask.prompt, seed, now }
}

/// The account that serves whatever the others are like, if it may.
pub fn favourite<'a>(standards: Standards<'a>, ask: Ask<'a>) -> Option<(&'a RecordId, Reason)> {
    match (standards.pin, ask.again) {
        (Some(pin), _) => Some((pin, Reason::Pinned)),
        (None, Some(again)) => Some((again, Reason::SameSession)),
        (None, None) => standards.strategy.favourite(ask.bound, standards.active),
    }
}

/// Whether a session stays where it is whatever the others are like, and the most that a move could be worth.
/// `elsewhere_tokens` is the most that another account's cache may hold of its prompt.
pub fn stays(
    home: &Seat<'_>,
    elsewhere_tokens: u64,
    standards: Standards<'_>,
    ask: Ask<'_>,
    now: Timestamp,
) -> Option<MovePrice> {
    let is_priced = standards.pin.is_none() && standards.strategy.prices_moves();
    if !is_priced || !may_serve(home, standards, ask, now) {
        return None;
    }
    stays_anyway(&home.candidate(0), elsewhere_tokens, Field { prompt: ask.prompt, now, ..Field::default() })
}

/// Whether nothing keeps an account from serving this request.
pub fn may_serve(seat: &Seat<'_>, standards: Standards<'_>, ask: Ask<'_>, now: Timestamp) -> bool {
    blockers(seat, standards, ask, now, &mut |_| ControlFlow::Break(())).is_continue()
}

/// Tells everything that keeps an account from serving this request, until somebody has heard enough.
fn blockers(
    seat: &Seat<'_>,
    standards: Standards<'_>,
    ask: Ask<'_>,
    now: Timestamp,
    tell: &mut impl FnMut(Blocker) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let holds = |until: &Timestamp| now < *until;
    own_blockers(seat.account, ask.quota_key, now, tell)?;
    let record = &seat.account.record;
    // A drained account keeps the sessions it has until they end; a paused one does not.
    let stays = seat.terms.hold == Some(Hold::Drained) && ask.bound == Some(record);
    if let Some(hold) = seat.terms.hold.filter(|_| !stays) {
        tell(Blocker::Held { hold })?;
    }
    if let Some(until) = seat.headroom.spent_at(now) {
        tell(Blocker::QuotaSpent { until })?;
    }
    if let Some(until) = seat.lacks_model_until.filter(holds) {
        tell(Blocker::LacksModel { until })?;
    }
    if let Some(denial) = ask.denied.filter(|denial| denial.until.as_ref().is_none_or(holds)) {
        tell(Blocker::Denied(denial.clone()))?;
    }
    if let Some(until) = ask.burst_until.filter(holds) {
        tell(Blocker::Burst { until })?;
    }
    if let Some(pin) = standards.pin.filter(|pin| **pin != *record) {
        tell(Blocker::NotPinned { pin: pin.clone(), by: standards.pinned_by })?;
    }
    if ask.tried.contains(record) {
        tell(Blocker::AlreadyTried)?;
    }
    ControlFlow::Continue(())
}

impl Decision {
    /// The earliest instant at which some account may serve by mere waiting.
    pub fn ready_at(&self) -> Option<Timestamp> {
        self.standings.iter().filter_map(Standing::ready_at).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy as Generator, any, prop, prop_assert, proptest};

    use super::*;
    use crate::{Exit, NeedsLogin, Rest, RestReason, testing::account};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn seats(accounts: &[Account]) -> Vec<Seat<'_>> {
        accounts.iter().map(Seat::of).collect()
    }

    fn decide(accounts: &[Account], standards: Standards<'_>, ask: Ask<'_>) -> Decision {
        evaluate(&seats(accounts), standards, ask, NOW)
    }

    fn sequential() -> Standards<'static> {
        Standards { strategy: Strategy::Sequential, ..Standards::default() }
    }

    #[test]
    fn a_pin_never_spills() {
        let mut accounts = [account(1), account(2)];
        accounts[0].enabled = false;
        let pin = accounts[0].record.clone();
        let standards = Standards { pin: Some(&pin), ..sequential() };
        let decision = decide(&accounts, standards, Ask::default());
        assert_eq!(decision.choice, None);
        assert_eq!(decision.standings[1].blockers, [Blocker::NotPinned { pin, by: Binding::Switch }]);
    }

    #[test]
    fn the_last_usable_account_is_never_deferred() {
        let mut accounts = [account(1), account(2)];
        accounts[0].rest(Rest::of_account(RestReason::UsageLimit, Timestamp::from_millis(2_000_000), NOW));
        let drained = [
            Seat::of(&accounts[0]),
            Seat {
                in_flight: 99,
                headroom: Headroom { left_percent: 0.0, ..Headroom::UNKNOWN },
                ..Seat::of(&accounts[1])
            },
        ];
        let decision = evaluate(&drained, Standards::default(), Ask::default(), NOW);
        assert_eq!(decision.choice, Some((accounts[1].record.clone(), Reason::MostHeadroom)));
    }

    #[test]
    fn a_drained_account_keeps_its_sessions_and_a_paused_one_does_not() {
        let accounts = [account(1), account(2)];
        for (hold, served_by) in [(Hold::Drained, 0), (Hold::Paused, 1)] {
            let mut seats = seats(&accounts);
            seats[0].terms.hold = Some(hold);
            let chosen = |bound| {
                let ask = Ask { bound, ..Ask::default() };
                evaluate(&seats, Standards::default(), ask, NOW).choice.map(|(record, _)| record)
            };
            assert_eq!(chosen(None), Some(accounts[1].record.clone()));
            assert_eq!(chosen(Some(&accounts[0].record)), Some(accounts[served_by].record.clone()));
        }
    }

    #[test]
    fn an_all_resting_pool_names_the_earliest_end() {
        let mut accounts = [account(1), account(2)];
        for (account, until) in accounts.iter_mut().zip([9_000_000, 3_000_000]) {
            account.rest(Rest::of_account(RestReason::UsageLimit, Timestamp::from_millis(until), NOW));
        }
        let decision = decide(&accounts, sequential(), Ask::default());
        assert_eq!((decision.choice.clone(), decision.ready_at()), (None, Some(Timestamp::from_millis(3_000_000))));
    }

    /// A small world: every combination of what can ail three accounts.
    fn ailing() -> impl Generator<Value = (Vec<Account>, Option<usize>, Vec<usize>)> {
        let one = (any::<bool>(), any::<bool>(), prop::option::of(0_i64..2_000_000));
        (prop::collection::vec(one, 0..5), prop::option::of(0_usize..5), prop::collection::vec(0_usize..5, 0..3))
            .prop_map(|(ails, pin, tried)| {
                let accounts = ails
                    .iter()
                    .enumerate()
                    .map(|(index, (enabled, dead, rest))| {
                        let mut made = account(index);
                        made.enabled = *enabled;
                        made.needs_login = dead.then(|| NeedsLogin { code: "x".into(), at: NOW });
                        made.rests.extend(
                            rest.map(|until| Rest::of_account(RestReason::Server, Timestamp::from_millis(until), NOW)),
                        );
                        made
                    })
                    .collect();
                (accounts, pin, tried)
            })
    }

    proptest! {
        #[test]
        fn a_refusal_has_a_live_blocker_with_an_exit_for_everybody((accounts, pin, tried) in ailing()) {
            let pin = pin.and_then(|index| accounts.get(index)).map(|account| account.record.clone());
            let tried: Vec<_> = tried.iter().filter_map(|index| accounts.get(*index)).map(|a| a.record.clone()).collect();
            for strategy in [Strategy::Hybrid, Strategy::Sequential] {
                let standards = Standards { strategy, pin: pin.as_ref(), ..Standards::default() };
                let decision = decide(&accounts, standards, Ask { tried: &tried, ..Ask::default() });
                match decision.choice {
                    Some((record, _)) => {
                        let standing = decision.standings.iter().find(|s| s.record == record).expect("stands in the pool");
                        prop_assert!(standing.is_ready());
                    }
                    None => for standing in &decision.standings {
                        prop_assert!(!standing.blockers.is_empty());
                        for blocker in &standing.blockers {
                            if let Exit::Wait { until } = blocker.exit() { prop_assert!(until > NOW); }
                        }
                    }
                }
            }
        }
    }
}
