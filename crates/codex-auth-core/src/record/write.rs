//! Owns how moments become entries: when a keyframe is due, and how changes are packed.

use super::{
    KEYFRAMES_APART, LARGEST_DELTA, LARGEST_KEYFRAME, MOST_SEATS, Moment, Premises, RecordError,
    bytes::Out,
    check::{Sum, of_decision},
    codes::Numbered,
    groups::write_whole,
    items::{Items, State},
    kept::{Asked, Stood},
};
use crate::{Denial, Reason, RecordId, Timestamp, evaluate};

/// The format of the entries; it stands in the upper half of their first byte.
pub(super) const FORMAT: u8 = 1;
pub(super) const KEYFRAME: u8 = 0;
pub(super) const CHANGES: u8 = 1;
pub(super) const DECISION: u8 = 2;

pub(super) const SESSION: u8 = 1;
pub(super) const QUOTA_KEY: u8 = 2;
pub(super) const DENIED: u8 = 4;
pub(super) const BURST: u8 = 8;
pub(super) const CHOICE: u8 = 16;
pub(super) const JUST_MOVED: u8 = 32;
pub(super) const SPREAD: u8 = 64;
/// The last one that the byte has room for: one more is another format.
pub(super) const INSTEAD: u8 = 128;

/// A reader has to begin at a keyframe: this many decisions at most lie between one and the next.
const DECISIONS_APART: u32 = 256;
const CHECK: usize = 4;

/// Makes entries of moments. What it knows is what a reader of its entries knows.
#[derive(Debug, Default)]
pub struct Writer {
    state: State,
    sum: Option<Sum>,
    keyframe_at: Option<Timestamp>,
    since_keyframe: u32,
    lost: u32,
}

/// The entries of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// To be appended in this order, together.
    pub entries: Vec<Vec<u8>>,
    /// Whether the evaluator, asked once more with what the entries say, chose the same account for the same reason.
    pub is_faithful: bool,
}

impl Writer {
    /// The entries of a decision; `None` when it has to be left out, which the next one says.
    pub fn write(&mut self, moment: Moment) -> Result<Option<Written>, RecordError> {
        let written = self.entries(moment);
        if !matches!(written, Ok(Some(_))) {
            self.lost(1);
        }
        written
    }

    /// The last decisions, this many, are not in the log: nothing can be laid over them, so a keyframe comes next.
    pub fn lost(&mut self, count: u32) {
        self.lost = self.lost.saturating_add(count);
        self.sum = None;
    }

    fn entries(&mut self, moment: Moment) -> Result<Option<Written>, RecordError> {
        let Moment { premises, is_other_pool, changes, choice, lost } = moment;
        self.lost = self.lost.saturating_add(lost);
        let mut entries = Vec::new();
        if is_other_pool || self.sum.is_none() || self.is_due(premises.at) {
            let is_early = !is_other_pool && !self.may_come(premises.at);
            self.take(is_other_pool, changes)?;
            if is_early {
                return Ok(None);
            }
            entries.push(self.keyframe(premises.at)?);
            self.pack(Items::default(), &premises, choice, &mut entries)
        } else {
            let mut items = Items::default();
            let told = changes.into_iter().map(|(place, seat)| items.seat(place, seat, &mut self.state));
            told.fold(Ok(()), Result::and)?;
            self.pack(items, &premises, choice, &mut entries)
        }
        .map(|is_faithful| Some(Written { entries, is_faithful }))
    }

    /// Takes changes over without writing them down.
    fn take(&mut self, is_other_pool: bool, changes: Vec<(usize, super::KeptSeat)>) -> Result<(), RecordError> {
        if is_other_pool {
            self.state.seats.clear();
        }
        for (place, seat) in changes {
            let count = self.state.seats.len();
            match self.state.seats.get_mut(place) {
                Some(known) => *known = seat,
                None if count < MOST_SEATS => self.state.seats.push(seat),
                None => return Err(RecordError::TooLarge),
            }
        }
        Ok(())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.since_keyframe >= DECISIONS_APART && self.may_come(now)
    }

    /// A clock that was set back keeps nothing waiting.
    fn may_come(&self, now: Timestamp) -> bool {
        self.keyframe_at.is_none_or(|last| now < last || now.since(last) >= KEYFRAMES_APART)
    }

    fn keyframe(&mut self, at: Timestamp) -> Result<Vec<u8>, RecordError> {
        let seats = std::mem::take(&mut self.state.seats);
        self.state = State { seats, at, ..State::default() };
        let mut out = Out::default();
        out.byte(FORMAT << 4 | KEYFRAME);
        out.signed(at.as_millis());
        out.count(self.state.seats.len());
        let State { seats, texts, .. } = &mut self.state;
        for seat in seats {
            write_whole(&mut out, seat, at, texts)?;
        }
        if out.0.len() + CHECK > LARGEST_KEYFRAME {
            return Err(RecordError::TooLarge);
        }
        (self.keyframe_at, self.since_keyframe) = (Some(at), 0);
        self.sum = Some(Sum::new());
        Ok(self.closed(out))
    }

    /// The changes, as many to an entry as fit, and the decision in the last one.
    fn pack(
        &mut self,
        mut items: Items,
        premises: &Premises,
        choice: Option<(usize, Reason)>,
        entries: &mut Vec<Vec<u8>>,
    ) -> Result<bool, RecordError> {
        let mut tried: Vec<_> = premises.asked.tried.iter().filter_map(|record| self.place_of(record)).collect();
        tried.sort_unstable();
        tried.dedup();
        items.tried(&tried);
        let (part, is_faithful) = self.decision(&mut items, premises, choice)?;
        let room = |out: &Out, more: usize| out.0.len() + more + 1 + CHECK <= LARGEST_DELTA;
        let begun = || Out(vec![FORMAT << 4 | CHANGES]);
        let mut out = begun();
        for item in items.0 {
            if !room(&out, item.len()) {
                Items::end(&mut out);
                entries.push(self.closed(std::mem::replace(&mut out, begun())));
            }
            out.0.extend(item);
        }
        if !room(&out, part.len()) {
            Items::end(&mut out);
            entries.push(self.closed(std::mem::replace(&mut out, begun())));
        }
        Items::end(&mut out);
        out.0[0] = FORMAT << 4 | DECISION;
        out.0.extend(part);
        entries.push(self.closed(out));
        (self.state.at, self.since_keyframe, self.lost) = (premises.at, self.since_keyframe + 1, 0);
        Ok(is_faithful)
    }

    /// What was asked, what stood, who was chosen, and the sum of the whole decision.
    fn decision(
        &mut self,
        items: &mut Items,
        premises: &Premises,
        choice: Option<(usize, Reason)>,
    ) -> Result<(Vec<u8>, bool), RecordError> {
        let Premises { at, session, asked, stood } = premises;
        let Asked { bound, again, just_moved, prompt, quota_key, instead_of, tried: _, denied, burst_until } = asked;
        let Stood { strategy, pin, pinned_by, active, turn, spread, seed } = stood;
        let texts = [quota_key.as_ref(), instead_of.as_ref(), denied.as_ref().map(|denied| &denied.reason)];
        let strangers = [pin, active, bound, again, turn]
            .map(|record| record.as_ref().filter(|record| self.place_of(record).is_none()));
        for text in
            texts.into_iter().flatten().map(String::as_str).chain(strangers.into_iter().flatten().map(RecordId::as_str))
        {
            items.announce(text, &mut self.state.texts)?;
        }
        let mut out = Out::default();
        let flags = [
            (SESSION, session.is_some()),
            (QUOTA_KEY, quota_key.is_some()),
            (DENIED, denied.is_some()),
            (BURST, burst_until.is_some()),
            (CHOICE, choice.is_some()),
            (JUST_MOVED, *just_moved),
            (SPREAD, *spread),
            (INSTEAD, instead_of.is_some()),
        ];
        out.byte(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum());
        out.instant(*at, self.state.at);
        out.byte(strategy.numbered());
        out.byte(pinned_by.numbered());
        out.number(*seed);
        out.number(prompt.tokens);
        out.number(prompt.later_tokens);
        out.0.extend(session.iter().flat_map(|session| session.0));
        if let Some(key) = quota_key {
            out.text(key, &mut self.state.texts);
        }
        if let Some(model) = instead_of {
            out.text(model, &mut self.state.texts);
        }
        if let Some(Denial { by, reason, until }) = denied {
            out.byte(by.numbered());
            out.text(reason, &mut self.state.texts);
            out.maybe_instant(*until, *at);
        }
        if let Some(until) = burst_until {
            out.instant(*until, *at);
        }
        for record in [pin, active, bound, again, turn] {
            match record.as_ref().map(|record| (record, self.place_of(record))) {
                None => out.byte(0),
                Some((_, Some(place))) => out.count(place + 2),
                Some((record, None)) => {
                    out.byte(1);
                    out.text(record.as_str(), &mut self.state.texts);
                }
            }
        }
        if let Some((place, reason)) = choice {
            out.count(place);
            out.byte(reason.numbered());
        }
        out.number(u64::from(self.lost));
        let seats: Vec<_> = self.state.seats.iter().map(super::KeptSeat::seat).collect();
        let decision = evaluate(&seats, premises.standards(), premises.ask(), *at);
        out.0.extend(of_decision(&decision));
        let chosen = choice.and_then(|(place, reason)| Some((&seats.get(place)?.account.record, reason)));
        let again = decision.choice.as_ref().map(|(record, reason)| (record, *reason));
        Ok((out.0, chosen == again))
    }

    fn place_of(&self, record: &RecordId) -> Option<usize> {
        self.state.seats.iter().position(|seat| seat.account.record == *record)
    }

    /// The entry with the check over it and all before it.
    fn closed(&mut self, out: Out) -> Vec<u8> {
        let sum = self.sum.unwrap_or(Sum::new()).with(&out.0);
        self.sum = Some(sum);
        let mut entry = out.0;
        entry.extend(sum.folded());
        entry
    }
}
