//! Owns how entries become decisions again. Whatever the bytes are, it ends, within bounds, with a decision or an error.

use super::{
    LARGEST_DELTA, LARGEST_KEYFRAME, MOST_SEATS, Premises, RecordError, SessionHash, Supposition,
    bytes::In,
    check::{Sum, of_decision},
    codes::Numbered,
    groups::read_whole,
    items::State,
    kept::{Asked, KeptSeat, Stood},
    write::{
        BURST, CHANGES, CHOICE, DECISION, DENIED, FORMAT, INSTEAD, JUST_MOVED, KEYFRAME, QUOTA_KEY, SESSION, SPREAD,
    },
};
use crate::{
    Ask, Binding, Decision, Denial, DeniedBy, Prompt, Reason, RecordId, Seat, Strategy, Timestamp, evaluate, pick,
};

/// Reads a log's entries in their order.
#[derive(Debug, Default)]
pub struct Reader {
    /// What the entries so far say, and their sum; nothing before a keyframe, and nothing after a damaged entry.
    chain: Option<(State, Sum)>,
}

/// A decision as it was made.
#[derive(Debug)]
pub struct Recorded<'a> {
    seats: &'a [KeptSeat],
    premises: Premises,
    choice: Option<(usize, Reason)>,
    sum: [u8; 4],
    lost: u32,
}

impl Reader {
    /// Takes the next entry; a decision, when it is one. After an error nothing is read up to the next keyframe.
    pub fn take(&mut self, entry: &[u8]) -> Result<Option<Recorded<'_>>, RecordError> {
        let chain = self.chain.take();
        let kind = kind_of(entry)?;
        let (mut state, before) = match (kind, chain) {
            (KEYFRAME, _) => (State::default(), Sum::new()),
            (_, Some(chain)) => chain,
            (_, None) => return Err(RecordError::Unchained),
        };
        let (body, check) = entry.split_last_chunk::<4>().ok_or(RecordError::Damaged("it ends early"))?;
        let sum = before.with(body);
        if sum.folded() != *check {
            return Err(if kind == KEYFRAME {
                RecordError::Damaged("its sum is wrong")
            } else {
                RecordError::Unchained
            });
        }
        let mut read = In(body.get(1..).unwrap_or_default());
        if kind == KEYFRAME {
            keyframe(&mut state, &mut read)?;
        } else {
            state.apply(&mut read)?;
        }
        let told = if kind == DECISION { Some(decision(&mut state, &mut read)?) } else { None };
        if !read.0.is_empty() {
            return Err(RecordError::Damaged("it goes on after its end"));
        }
        let (state, _) = self.chain.insert((state, sum));
        Ok(told.map(|(premises, choice, lost, sum)| Recorded { seats: &state.seats, premises, choice, sum, lost }))
    }
}

fn kind_of(entry: &[u8]) -> Result<u8, RecordError> {
    let first = *entry.first().ok_or(RecordError::Damaged("it is empty"))?;
    let (format, kind) = (first >> 4, first & 0x0f);
    if format != FORMAT {
        return Err(RecordError::Version { found: format });
    }
    let longest = match kind {
        KEYFRAME => LARGEST_KEYFRAME,
        CHANGES | DECISION => LARGEST_DELTA,
        _ => return Err(RecordError::Damaged("an unknown kind")),
    };
    if entry.len() > longest { Err(RecordError::Damaged("it is too long")) } else { Ok(kind) }
}

fn keyframe(state: &mut State, read: &mut In<'_>) -> Result<(), RecordError> {
    state.at = Timestamp::from_millis(read.signed()?);
    for _ in 0..read.count(MOST_SEATS)? {
        state.seats.push(read_whole(read, state.at, &mut state.texts)?);
    }
    Ok(())
}

type Told = (Premises, Option<(usize, Reason)>, u32, [u8; 4]);

fn decision(state: &mut State, read: &mut In<'_>) -> Result<Told, RecordError> {
    let flags = read.byte()?;
    let at = read.instant(state.at)?;
    let (strategy, pinned_by) = (Strategy::of_number(read.byte()?)?, Binding::of_number(read.byte()?)?);
    let (seed, prompt) = (read.number()?, Prompt { tokens: read.number()?, later_tokens: read.number()? });
    let session = if flags & SESSION == 0 { None } else { Some(SessionHash(read.four()?)) };
    let quota_key = if flags & QUOTA_KEY == 0 { None } else { Some(read.text(&mut state.texts)?) };
    let instead_of = if flags & INSTEAD == 0 { None } else { Some(read.text(&mut state.texts)?) };
    let denied = if flags & DENIED == 0 {
        None
    } else {
        let by = DeniedBy::of_number(read.byte()?)?;
        Some(Denial { by, reason: read.text(&mut state.texts)?, until: read.maybe_instant(at)? })
    };
    let burst_until = if flags & BURST == 0 { None } else { Some(read.instant(at)?) };
    let (pin, active, bound) = (account(state, read)?, account(state, read)?, account(state, read)?);
    let (again, turn) = (account(state, read)?, account(state, read)?);
    let (just_moved, spread) = (flags & JUST_MOVED != 0, flags & SPREAD != 0);
    let choice = if flags & CHOICE == 0 {
        None
    } else {
        let place = place(state, read.count(MOST_SEATS)?)?;
        Some((place, Reason::of_number(read.byte()?)?))
    };
    let lost = u32::try_from(read.number()?).map_err(|_| RecordError::Damaged("too many were lost"))?;
    let sum = read.four()?;
    let tried = std::mem::take(&mut state.tried);
    let tried = tried.iter().filter_map(|place| Some(state.seats.get(*place)?.account.record.clone())).collect();
    state.at = at;
    let asked = Asked { bound, again, just_moved, prompt, quota_key, instead_of, tried, denied, burst_until };
    Ok((
        Premises { at, session, asked, stood: Stood { strategy, pin, pinned_by, active, turn, spread, seed } },
        choice,
        lost,
        sum,
    ))
}

fn place(state: &State, place: usize) -> Result<usize, RecordError> {
    if place < state.seats.len() { Ok(place) } else { Err(RecordError::Damaged("an account is not there")) }
}

/// Nobody, a name that is not among the accounts, or one of them.
fn account(state: &mut State, read: &mut In<'_>) -> Result<Option<RecordId>, RecordError> {
    match read.count(MOST_SEATS + 2)? {
        0 => Ok(None),
        1 => {
            let name = read.text(&mut state.texts)?;
            RecordId::parse(&name).map(Some).ok_or(RecordError::Damaged("a record has no name"))
        }
        told => {
            let place = place(state, told - 2)?;
            Ok(state.seats.get(place).map(|seat| seat.account.record.clone()))
        }
    }
}

impl Recorded<'_> {
    /// When it was made.
    pub fn at(&self) -> Timestamp {
        self.premises.at
    }

    /// For which session, where the request named one.
    pub fn session(&self) -> Option<SessionHash> {
        self.premises.session
    }

    /// For which model, as a quota key, where it was known.
    pub fn quota_key(&self) -> Option<&str> {
        self.premises.asked.quota_key.as_deref()
    }

    /// The model that the client named, where another one was asked for in its place.
    pub fn instead_of(&self) -> Option<&str> {
        self.premises.asked.instead_of.as_deref()
    }

    /// By which strategy.
    pub fn strategy(&self) -> Strategy {
        self.premises.stood.strategy
    }

    /// How many accounts this request had tried before.
    pub fn tried(&self) -> usize {
        self.premises.asked.tried.len()
    }

    /// How many decisions just before it are missing in the log.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// The accounts that there were, in their order.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &RecordId> {
        self.seats.iter().map(|seat| &seat.account.record)
    }

    /// Who was chosen then, and why.
    pub fn choice(&self) -> Option<(&RecordId, Reason)> {
        self.named(self.choice)
    }

    /// The decision, made once more from what it was made from.
    pub fn replay(&self) -> Decision {
        evaluate(&self.all_seats(), self.premises.standards(), self.premises.ask(), self.premises.at)
    }

    /// Whether a decision made once more is the one that was made, blocker by blocker.
    pub fn is_same(&self, again: &Decision) -> bool {
        let choice = again.choice.as_ref().map(|(record, reason)| (record, *reason));
        of_decision(again) == self.sum && choice == self.choice()
    }

    /// Who would have been chosen had this been so, everything else being as it was.
    pub fn choice_if(&self, supposed: &Supposition) -> Option<(&RecordId, Reason)> {
        let Supposition { strategy, pin, without } = supposed;
        let mut standards = self.premises.standards();
        standards.strategy = strategy.unwrap_or(standards.strategy);
        standards.pin = pin.as_ref().or(standards.pin);
        let ask = self.premises.ask();
        let tried: Vec<_> = ask.tried.iter().chain(without).cloned().collect();
        let pick = pick(&self.all_seats(), standards, Ask { tried: &tried, ..ask }, self.premises.at);
        self.named(pick.map(|pick| (pick.place, pick.reason)))
    }

    fn all_seats(&self) -> Vec<Seat<'_>> {
        self.seats.iter().map(KeptSeat::seat).collect()
    }

    fn named(&self, choice: Option<(usize, Reason)>) -> Option<(&RecordId, Reason)> {
        let (place, reason) = choice?;
        Some((&self.seats.get(place)?.account.record, reason))
    }
}
