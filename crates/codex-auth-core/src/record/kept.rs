//! Owns the values of a record: what decides, without what identifies.

use super::SessionHash;
use crate::{
    Account, Ask, Binding, Denial, Headroom, NeedsLogin, Owner, Prompt, Reason, RecordId, Seat, Seen, Standards,
    Strategy, Terms, Timestamp, WorkspaceId,
};

/// A seat reduced to what the evaluator looks at. Its account has a record id and no other name.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptSeat {
    pub(super) account: Account,
    pub(super) in_flight: u32,
    pub(super) headroom: Headroom,
    pub(super) terms: Terms,
    pub(super) lacks_model_until: Option<Timestamp>,
    pub(super) cached_tokens: u64,
    pub(super) crowd: u32,
}

/// What was asked, owned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    pub(super) bound: Option<RecordId>,
    pub(super) again: Option<RecordId>,
    pub(super) just_moved: bool,
    pub(super) prompt: Prompt,
    pub(super) quota_key: Option<String>,
    pub(super) instead_of: Option<String>,
    pub(super) tried: Vec<RecordId>,
    pub(super) denied: Option<Denial>,
    pub(super) burst_until: Option<Timestamp>,
}

/// What the user had decided, owned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stood {
    pub(super) strategy: Strategy,
    pub(super) pin: Option<RecordId>,
    pub(super) pinned_by: Binding,
    pub(super) active: Option<RecordId>,
    pub(super) turn: Option<RecordId>,
    pub(super) spread: bool,
    pub(super) seed: u64,
}

/// Everything of one decision that is not about an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Premises {
    pub(super) at: Timestamp,
    pub(super) session: Option<SessionHash>,
    pub(super) asked: Asked,
    pub(super) stood: Stood,
}

/// A decision as it was made, and what changed about the accounts since the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    pub(super) premises: Premises,
    /// Whether the accounts are others or in another order than before; then all of them are among the changes.
    pub(super) is_other_pool: bool,
    pub(super) changes: Vec<(usize, KeptSeat)>,
    pub(super) choice: Option<(usize, Reason)>,
    /// Decisions before this one that nobody took down.
    pub(super) lost: u32,
}

/// What a workspace means to the evaluator: none, one that may be sent, or one that may not.
pub(super) fn workspace_class(account: &Account) -> u8 {
    account.owner.workspace.as_ref().map_or(0, |id| if id.is_platform_organisation() { 2 } else { 1 })
}

fn code_of(account: &Account) -> Option<&str> {
    account.needs_login.as_ref().map(|needs| needs.code.as_str())
}

/// A workspace of this class that names nobody.
pub(super) fn workspace_of_class(class: u8) -> Option<WorkspaceId> {
    WorkspaceId::parse(["", "workspace", "org-anisation"].get(usize::from(class))?)
}

impl KeptSeat {
    /// A seat of which nothing is known but its name.
    pub(super) fn blank(record: RecordId) -> Self {
        let account = Account {
            record,
            owner: Owner::default(),
            label: None,
            alias: None,
            enabled: true,
            needs_login: None,
            incident: None,
            rests: Vec::new(),
            seen: Seen::default(),
            issuer: None,
            provenance: None,
        };
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

    /// A seat with everything taken off that decides nothing.
    pub(super) fn of(seat: &Seat<'_>) -> Self {
        let Seat { account, in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd } = *seat;
        let mut kept = Self::blank(account.record.clone());
        kept.account.owner.workspace = workspace_of_class(workspace_class(account));
        kept.account.enabled = account.enabled;
        kept.account.needs_login =
            account.needs_login.as_ref().map(|needs| NeedsLogin { code: needs.code.clone(), at: Timestamp::default() });
        kept.account.rests.clone_from(&account.rests);
        kept.account.seen.last_used_at = account.seen.last_used_at;
        Self { in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd, ..kept }
    }

    /// Whether a seat says what was kept of it; asked for every account at every decision, so it makes nothing.
    pub(super) fn says(&self, seat: &Seat<'_>) -> bool {
        let Seat { account, in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd } = *seat;
        self.in_flight == in_flight
            && self.account.seen.last_used_at == account.seen.last_used_at
            && self.account.enabled == account.enabled
            && same_headroom(self.headroom, headroom)
            && same_terms(self.terms, terms)
            && self.lacks_model_until == lacks_model_until
            && (self.cached_tokens, self.crowd) == (cached_tokens, crowd)
            && code_of(&self.account) == code_of(account)
            && workspace_class(&self.account) == workspace_class(account)
            && self.account.rests == account.rests
    }

    /// The seat, to be evaluated.
    pub(super) fn seat(&self) -> Seat<'_> {
        let Self { account, in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd } = self;
        Seat {
            account,
            in_flight: *in_flight,
            headroom: *headroom,
            terms: *terms,
            lacks_model_until: *lacks_model_until,
            cached_tokens: *cached_tokens,
            crowd: *crowd,
        }
    }
}

/// The same to the last bit: a number that is none equals itself here.
pub(super) fn same_headroom(a: Headroom, b: Headroom) -> bool {
    let bits = |headroom: Headroom| {
        let Headroom { left_percent, spent_until, expiring, plan_size, percent_size } = headroom;
        let expiring = expiring.map(|expiring| (expiring.left_percent.to_bits(), expiring.at));
        (left_percent.to_bits(), spent_until, expiring, plan_size.to_bits(), percent_size.to_bits())
    };
    bits(a) == bits(b)
}

/// The same to the last bit.
pub(super) fn same_terms(a: Terms, b: Terms) -> bool {
    let bits = |terms: Terms| {
        let Terms { weight, preference, reserve_percent, hold } = terms;
        (weight.to_bits(), preference, reserve_percent.to_bits(), hold)
    };
    bits(a) == bits(b)
}

impl Premises {
    pub(super) fn of(standards: Standards<'_>, ask: Ask<'_>, session: Option<SessionHash>, at: Timestamp) -> Self {
        let Standards { strategy, pin, pinned_by, active, turn, spread, seed } = standards;
        let Ask { bound, again, just_moved, prompt, quota_key, instead_of, tried, denied, burst_until } = ask;
        let asked = Asked {
            bound: bound.cloned(),
            again: again.cloned(),
            just_moved,
            prompt,
            quota_key: quota_key.map(str::to_owned),
            instead_of: instead_of.map(str::to_owned),
            tried: tried.to_vec(),
            denied: denied.cloned(),
            burst_until,
        };
        let stood = Stood {
            strategy,
            pin: pin.cloned(),
            pinned_by,
            active: active.cloned(),
            turn: turn.cloned(),
            spread,
            seed,
        };
        Self { at, session, asked, stood }
    }

    pub(super) fn standards(&self) -> Standards<'_> {
        let Stood { strategy, pin, pinned_by, active, turn, spread, seed } = &self.stood;
        Standards {
            strategy: *strategy,
            pin: pin.as_ref(),
            pinned_by: *pinned_by,
            active: active.as_ref(),
            turn: turn.as_ref(),
            spread: *spread,
            seed: *seed,
        }
    }

    pub(super) fn ask(&self) -> Ask<'_> {
        let Asked { bound, again, just_moved, prompt, quota_key, instead_of, tried, denied, burst_until } = &self.asked;
        Ask {
            bound: bound.as_ref(),
            again: again.as_ref(),
            just_moved: *just_moved,
            prompt: *prompt,
            quota_key: quota_key.as_deref(),
            instead_of: instead_of.as_deref(),
            tried,
            denied: denied.as_ref(),
            burst_until: *burst_until,
        }
    }
}
