//! Who should serve, among those who may: one ordering per strategy, and the price of a session's move.

pub(crate) use supply::supply;

mod orders;
mod price;
mod strategy;
mod supply;
mod tiers;

pub use price::{MovePrice, Prompt};
pub use strategy::{Strategy, UnknownStrategy};
pub use supply::Supply;

use serde::{Deserialize, Serialize};

use crate::{Headroom, RecordId, Terms, Timestamp};

/// An account that may serve, with what the orderings look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// Which account.
    pub record: &'a RecordId,
    /// Its place in the pool, which is the user's order.
    pub position: usize,
    /// Requests it is serving now.
    pub in_flight: u32,
    /// What is known of its quota.
    pub headroom: Headroom,
    /// What the user wants of it.
    pub terms: Terms,
    /// How many tokens of this prompt its cache is expected to hold.
    pub cached_tokens: u64,
    /// How many sessions came to it lately, in tenths.
    pub crowd: u32,
}

/// What the orderings know besides the candidates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Field {
    /// How many accounts the pool has.
    pub count: usize,
    /// The place of the account that was given last, or that is selected.
    pub turn: Option<usize>,
    /// Whether new sticky sessions go round, instead of all to the selected account.
    pub spread: bool,
    /// What is left of the whole pool.
    pub supply: Supply,
    /// The request.
    pub prompt: Prompt,
    /// Breaks ties.
    pub seed: u64,
    /// The instant of asking.
    pub now: Timestamp,
}

/// Why the chosen account was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The user pinned it.
    Pinned,
    /// The session stays where it was.
    SameSession,
    /// It is in use, or the next in the user's order that can serve.
    FirstInOrder,
    /// It has most quota left and least to do.
    MostHeadroom,
    /// The user selected it and the strategy never moves by itself.
    Selected,
    /// Its cache holds the beginning of the prompt.
    WarmCache,
    /// A move is cheaper than staying.
    WorthMoving,
    /// It is the next one in turn.
    NextInTurn,
    /// Its quota expires first.
    ExpiresFirst,
    /// Little is left of the pool, and its window has not begun: what begins now starts anew the sooner.
    StartsWindow,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pinned,
        Self::SameSession,
        Self::FirstInOrder,
        Self::MostHeadroom,
        Self::Selected,
        Self::WarmCache,
        Self::WorthMoving,
        Self::NextInTurn,
        Self::ExpiresFirst,
        Self::StartsWindow,
    ];

    /// Whether the account is the one in use from here on.
    pub(crate) fn takes_turn(self) -> bool {
        match self {
            Self::FirstInOrder | Self::NextInTurn => true,
            Self::Pinned
            | Self::SameSession
            | Self::MostHeadroom
            | Self::Selected
            | Self::WarmCache
            | Self::WorthMoving
            | Self::ExpiresFirst
            | Self::StartsWindow => false,
        }
    }

    /// One sentence part for `why-selected` and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned by switch",
            Self::SameSession => "the session stays on its account",
            Self::FirstInOrder => "first account in order that can serve",
            Self::MostHeadroom => "most quota left and least in use",
            Self::Selected => "selected account; the strategy is manual",
            Self::WarmCache => "its prompt cache holds the beginning of the request",
            Self::WorthMoving => "moving the session is cheaper than leaving it",
            Self::NextInTurn => "next account in turn",
            Self::ExpiresFirst => "its quota expires first",
            Self::StartsWindow => "its window has not begun, and what begins now starts anew the sooner",
        }
    }
}

impl Strategy {
    /// The account that serves whatever the others are like, if it may: a sticky session's own, or the selected one.
    pub fn favourite<'a>(
        self,
        bound: Option<&'a RecordId>,
        active: Option<&'a RecordId>,
    ) -> Option<(&'a RecordId, Reason)> {
        match self {
            Self::Sticky => Some((bound?, Reason::SameSession)),
            Self::Manual => Some((active?, Reason::Selected)),
            Self::Hybrid | Self::Sequential | Self::RoundRobin | Self::DrainFirst => None,
        }
    }

    /// Whether a session stays as long as that is cheaper.
    pub fn prices_moves(self) -> bool {
        match self {
            Self::Hybrid | Self::DrainFirst => true,
            Self::Sequential | Self::RoundRobin | Self::Sticky | Self::Manual => false,
        }
    }
}

/// Picks one of the candidates that `may` serve, as if the session had no account yet. `None` when nobody qualifies.
pub fn choose<'a>(
    strategy: Strategy,
    field: Field,
    candidates: impl Iterator<Item = Candidate<'a>>,
    may: impl Fn(&Candidate<'a>) -> bool,
) -> Option<(Candidate<'a>, Reason)> {
    match strategy {
        Strategy::Sequential => Some((orders::from_turn(field, candidates, may, 0)?, Reason::FirstInOrder)),
        Strategy::Sticky if !field.spread => {
            Some((orders::selected_or_first(field, candidates, may)?, Reason::FirstInOrder))
        }
        Strategy::RoundRobin | Strategy::Sticky => {
            Some((orders::from_turn(field, candidates, may, 1)?, Reason::NextInTurn))
        }
        Strategy::DrainFirst => Some((orders::by_expiry(field, candidates, may)?, Reason::ExpiresFirst)),
        Strategy::Hybrid => {
            let best = orders::by_worth(field, candidates, may)?;
            Some((best, orders::reason_of_worth(&best, field)))
        }
        Strategy::Manual => None,
    }
}

/// The price of a session's move from its account to another one.
pub fn price_of(home: &Candidate<'_>, there: &Candidate<'_>, field: Field) -> MovePrice {
    let side = |candidate: &Candidate<'_>| {
        let at_risk = price::at_risk(candidate, field.prompt, field.now);
        // Where every account runs dry, a move only puts off the next one.
        (candidate.cached_tokens, if field.supply == Supply::Scarce { 0 } else { at_risk })
    };
    price::price(side(home), side(there))
}

/// Whether a session leaves its account for another one, and what that costs. The user's own tiers come before any
/// price.
pub(crate) fn leaves(home: &Candidate<'_>, there: &Candidate<'_>, field: Field) -> (bool, MovePrice) {
    let price = price_of(home, there, field);
    let (stands, stands_there) = (tiers::tier(home), tiers::tier(there));
    (stands_there < stands || (stands_there == stands && price.pays()), price)
}

/// Whether no other account could be worth the move, and the most that could be gained; asked before anybody else is
/// looked at.
pub(crate) fn stays_anyway(home: &Candidate<'_>, elsewhere_tokens: u64, field: Field) -> Option<MovePrice> {
    let at_risk = price::at_risk(home, field.prompt, field.now);
    let price = price::price((home.cached_tokens, at_risk), (elsewhere_tokens, 0));
    (tiers::tier(home) == tiers::Tier::Open && !price.pays()).then_some(price)
}
