//! Owns the changes of an entry: one after another, each short enough for any entry, and what both sides know after them.

use super::{
    LONGEST_TEXT, MOST_SEATS, RecordError,
    bytes::{In, Out, Texts, whole_text},
    groups::{MARKS, MOST_RESTS, add_rest, groups, read_groups, read_rest, write_groups, write_rest},
    kept::KeptSeat,
};
use crate::{RestScope, Timestamp};

/// A text longer than this goes ahead in pieces, so that every change fits an entry.
const SHORT_TEXT: usize = 40;
const PIECE: usize = 150;

const END: u8 = 0;
const SEAT: u8 = 1;
const REST: u8 = 2;
const RESTED: u8 = 3;
const TEXT: u8 = 4;
const LAST_OF_TEXT: u8 = 5;
const TRIED: u8 = 6;

/// What both sides know after an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) seats: Vec<KeptSeat>,
    pub(super) at: Timestamp,
    pub(super) texts: Texts,
    /// Places of the accounts tried for the decision to come.
    pub(super) tried: Vec<usize>,
    /// The beginning of a long text.
    pub(super) piece: Vec<u8>,
}

/// The changes that go before a decision, one by one.
#[derive(Debug, Default)]
pub(super) struct Items(pub(super) Vec<Vec<u8>>);

impl Items {
    fn add(&mut self, write: impl FnOnce(&mut Out)) {
        let mut out = Out::default();
        write(&mut out);
        self.0.push(out.0);
    }

    /// Sees to it that a text is short where it is used.
    pub(super) fn announce(&mut self, text: &str, texts: &mut Texts) -> Result<(), RecordError> {
        if text.len() <= SHORT_TEXT || texts.knows(text) {
            return Ok(());
        }
        if text.len() > LONGEST_TEXT {
            return Err(RecordError::TooLarge);
        }
        let mut pieces = text.as_bytes().chunks(PIECE).peekable();
        while let Some(piece) = pieces.next() {
            let tag = if pieces.peek().is_some() { TEXT } else { LAST_OF_TEXT };
            self.add(|out| {
                out.byte(tag);
                out.raw(piece);
            });
        }
        texts.learn(text.to_owned());
        Ok(())
    }

    /// What changed about one account. The state learns it, also where it cannot be told.
    pub(super) fn seat(&mut self, place: usize, new: KeptSeat, state: &mut State) -> Result<(), RecordError> {
        let State { seats, at, texts, .. } = state;
        let old = seats.get_mut(place).ok_or(RecordError::TooLarge)?;
        let told = self.difference((place, *at), old, &new, texts);
        *old = new;
        told
    }

    fn difference(
        &mut self,
        (place, at): (usize, Timestamp),
        old: &KeptSeat,
        new: &KeptSeat,
        texts: &mut Texts,
    ) -> Result<(), RecordError> {
        let mask = groups(old, new);
        let needs = new.account.needs_login.as_ref().filter(|_| mask & MARKS != 0);
        needs.map_or(Ok(()), |needs| self.announce(&needs.code, texts))?;
        if mask != 0 {
            self.add(|out| {
                out.byte(SEAT);
                out.count(place);
                write_groups(out, mask, new, at, texts);
            });
        }
        let (was, rests) = (&old.account.rests, &new.account.rests);
        if rests.len() > MOST_RESTS {
            return Err(RecordError::TooLarge);
        }
        let kept = if rests.starts_with(was) { was.len() } else { 0 };
        if kept < was.len() {
            self.add(|out| {
                out.byte(RESTED);
                out.count(place);
            });
        }
        for rest in rests.iter().skip(kept) {
            if let RestScope::QuotaKey(key) = &rest.scope {
                self.announce(key, texts)?;
            }
            self.add(|out| {
                out.byte(REST);
                out.count(place);
                write_rest(out, rest, at, texts);
            });
        }
        Ok(())
    }

    /// The accounts that were tried, as runs of neighbours.
    pub(super) fn tried(&mut self, places: &[usize]) {
        for run in places.chunk_by(|a, b| a + 1 == *b) {
            self.add(|out| {
                out.byte(TRIED);
                out.count(run.first().copied().unwrap_or_default());
                out.count(run.len());
            });
        }
    }

    /// The mark after the last change.
    pub(super) fn end(out: &mut Out) {
        out.byte(END);
    }
}

impl State {
    /// Reads changes up to the end of them.
    pub(super) fn apply(&mut self, read: &mut In<'_>) -> Result<(), RecordError> {
        loop {
            match read.byte()? {
                END => return Ok(()),
                tag @ (TEXT | LAST_OF_TEXT) => self.text(read.raw()?, tag == LAST_OF_TEXT)?,
                TRIED => {
                    let (from, count) = (read.count(MOST_SEATS)?, read.count(MOST_SEATS)?);
                    if from + count > self.seats.len() || self.tried.len() + count > MOST_SEATS {
                        return Err(RecordError::Damaged("an account was tried that is not there"));
                    }
                    self.tried.extend(from..from + count);
                }
                tag @ (SEAT | REST | RESTED) => {
                    let place = read.count(MOST_SEATS)?;
                    let Self { seats, at, texts, .. } = self;
                    let seat = seats.get_mut(place).ok_or(RecordError::Damaged("an account is not there"))?;
                    match tag {
                        SEAT => read_groups(read, seat, *at, texts)?,
                        REST => add_rest(seat, read_rest(read, *at, texts)?)?,
                        _ => seat.account.rests.clear(),
                    }
                }
                _ => return Err(RecordError::Damaged("an unknown change")),
            }
        }
    }

    fn text(&mut self, piece: &[u8], is_last: bool) -> Result<(), RecordError> {
        if self.piece.len() + piece.len() > LONGEST_TEXT {
            return Err(RecordError::Damaged("a text is too long"));
        }
        self.piece.extend(piece);
        if is_last {
            self.texts.learn(whole_text(&std::mem::take(&mut self.piece))?);
        }
        Ok(())
    }
}
