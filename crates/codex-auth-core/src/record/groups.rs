//! Owns one account as bytes: groups of what changes together, and its rests.

use super::{
    LONGEST_TEXT, RecordError,
    bytes::{In, Out, Texts, whole_text},
    codes::Numbered,
    kept::{KeptSeat, same_headroom, same_terms, workspace_class, workspace_of_class},
};
use crate::{Expiring, Headroom, Hold, NeedsLogin, RecordId, Rest, RestReason, RestScope, Terms, Timestamp};

/// More rests than any account has.
pub(super) const MOST_RESTS: usize = 256;

pub(super) const MARKS: u8 = 1;
const USED: u8 = 2;
const FLIGHT: u8 = 4;
const HEADROOM: u8 = 8;
const TERMS: u8 = 16;
const MODEL: u8 = 32;
const CACHE: u8 = 64;
/// Comes with a headroom whose percent are not those of a five-hour window.
const PERCENT_SIZE: u8 = 128;

/// Everything about a seat, for a keyframe.
pub(super) fn write_whole(out: &mut Out, seat: &KeptSeat, at: Timestamp, texts: &mut Texts) -> Result<(), RecordError> {
    let (record, rests) = (seat.account.record.as_str(), &seat.account.rests);
    let keys = rests.iter().filter_map(|rest| match &rest.scope {
        RestScope::QuotaKey(key) => Some(key),
        RestScope::Account => None,
    });
    let codes = seat.account.needs_login.as_ref().map(|needs| &needs.code);
    let is_long = keys.chain(codes).map(String::as_str).chain([record]).any(|text| text.len() > LONGEST_TEXT);
    if is_long || rests.len() > MOST_RESTS {
        return Err(RecordError::TooLarge);
    }
    out.raw(record.as_bytes());
    let blank = KeptSeat::blank(seat.account.record.clone());
    write_groups(out, groups(&blank, seat), seat, at, texts);
    out.count(rests.len());
    for rest in rests {
        write_rest(out, rest, at, texts);
    }
    Ok(())
}

/// A seat of a keyframe.
pub(super) fn read_whole(read: &mut In<'_>, at: Timestamp, texts: &mut Texts) -> Result<KeptSeat, RecordError> {
    let record = RecordId::parse(&whole_text(read.raw()?)?).ok_or(RecordError::Damaged("a record has no name"))?;
    let mut seat = KeptSeat::blank(record);
    read_groups(read, &mut seat, at, texts)?;
    for _ in 0..read.count(MOST_RESTS)? {
        add_rest(&mut seat, read_rest(read, at, texts)?)?;
    }
    Ok(seat)
}

/// What differs between two states of a seat, rests aside.
pub(super) fn groups(old: &KeptSeat, new: &KeptSeat) -> u8 {
    let (was, is) = (&old.account, &new.account);
    let has_marks =
        (was.enabled, &was.needs_login, workspace_class(was)) != (is.enabled, &is.needs_login, workspace_class(is));
    let has_headroom = !same_headroom(old.headroom, new.headroom);
    let has = [
        (MARKS, has_marks),
        (USED, was.seen.last_used_at != is.seen.last_used_at),
        (FLIGHT, old.in_flight != new.in_flight),
        (HEADROOM, has_headroom),
        (TERMS, !same_terms(old.terms, new.terms)),
        (MODEL, old.lacks_model_until != new.lacks_model_until),
        (CACHE, (old.cached_tokens, old.crowd) != (new.cached_tokens, new.crowd)),
        (PERCENT_SIZE, has_headroom && new.headroom.percent_size.to_bits() != Headroom::UNKNOWN.percent_size.to_bits()),
    ];
    has.iter().filter(|(_, changed)| *changed).map(|(group, _)| group).sum()
}

/// What the mask names.
pub(super) fn write_groups(out: &mut Out, mask: u8, seat: &KeptSeat, at: Timestamp, texts: &mut Texts) {
    let KeptSeat { account, in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd } = seat;
    out.byte(mask);
    if mask & MARKS != 0 {
        let needs = account.needs_login.as_ref();
        out.byte(u8::from(account.enabled) | u8::from(needs.is_some()) << 1 | workspace_class(account) << 2);
        if let Some(needs) = needs {
            out.text(&needs.code, texts);
        }
    }
    if mask & USED != 0 {
        out.instant(account.seen.last_used_at, at);
    }
    if mask & FLIGHT != 0 {
        out.number(u64::from(*in_flight));
    }
    if mask & HEADROOM != 0 {
        let Headroom { left_percent, spent_until, expiring, plan_size, percent_size } = *headroom;
        out.fraction(left_percent);
        out.maybe_instant(spent_until, at);
        out.maybe_instant(expiring.map(|expiring| expiring.at), at);
        if let Some(expiring) = expiring {
            out.fraction(expiring.left_percent);
        }
        out.fraction(plan_size);
        if mask & PERCENT_SIZE != 0 {
            out.fraction(percent_size);
        }
    }
    if mask & TERMS != 0 {
        let Terms { weight, preference, reserve_percent, hold } = *terms;
        out.fraction(weight);
        out.signed(i64::from(preference));
        out.fraction(reserve_percent);
        out.byte(hold.map_or(0, |hold| hold.numbered() + 1));
    }
    if mask & MODEL != 0 {
        out.maybe_instant(*lacks_model_until, at);
    }
    if mask & CACHE != 0 {
        out.number(*cached_tokens);
        out.number(u64::from(*crowd));
    }
}

/// The mask, and what it names.
pub(super) fn read_groups(
    read: &mut In<'_>,
    seat: &mut KeptSeat,
    at: Timestamp,
    texts: &mut Texts,
) -> Result<(), RecordError> {
    let KeptSeat { account, in_flight, headroom, terms, lacks_model_until, cached_tokens, crowd } = seat;
    let mask = read.byte()?;
    if mask & (HEADROOM | PERCENT_SIZE) == PERCENT_SIZE {
        return Err(RecordError::Damaged("a percent's size without a percent"));
    }
    if mask & MARKS != 0 {
        let marks = read.byte()?;
        if marks >> 2 > 2 {
            return Err(RecordError::Damaged("an unknown workspace"));
        }
        account.enabled = marks & 1 != 0;
        account.owner.workspace = workspace_of_class(marks >> 2);
        let code = if marks & 2 == 0 { None } else { Some(read.text(texts)?) };
        account.needs_login = code.map(|code| NeedsLogin { code, at: Timestamp::default() });
    }
    if mask & USED != 0 {
        account.seen.last_used_at = read.instant(at)?;
    }
    if mask & FLIGHT != 0 {
        *in_flight = u32::try_from(read.number()?).map_err(|_| RecordError::Damaged("too many are in flight"))?;
    }
    if mask & HEADROOM != 0 {
        let (left_percent, spent_until) = (read.fraction()?, read.maybe_instant(at)?);
        let expiring = match read.maybe_instant(at)? {
            Some(at) => Some(Expiring { at, left_percent: read.fraction()? }),
            None => None,
        };
        let plan_size = read.fraction()?;
        let has_size = mask & PERCENT_SIZE != 0;
        let percent_size = if has_size { read.fraction()? } else { Headroom::UNKNOWN.percent_size };
        *headroom = Headroom { left_percent, spent_until, expiring, plan_size, percent_size };
    }
    if mask & TERMS != 0 {
        let weight = read.fraction()?;
        let preference =
            i32::try_from(read.signed()?).map_err(|_| RecordError::Damaged("a preference is too large"))?;
        let reserve_percent = read.fraction()?;
        let hold = read.byte()?.checked_sub(1).map(Hold::of_number).transpose()?;
        *terms = Terms { weight, preference, reserve_percent, hold };
    }
    if mask & MODEL != 0 {
        *lacks_model_until = read.maybe_instant(at)?;
    }
    if mask & CACHE != 0 {
        *cached_tokens = read.number()?;
        *crowd = u32::try_from(read.number()?).map_err(|_| RecordError::Damaged("too large a crowd"))?;
    }
    Ok(())
}

pub(super) fn write_rest(out: &mut Out, rest: &Rest, at: Timestamp, texts: &mut Texts) {
    let Rest { until, reason, scope } = rest;
    let (is_narrow, key) = match scope {
        RestScope::Account => (0, None),
        RestScope::QuotaKey(key) => (1, Some(key)),
    };
    out.byte(reason.numbered() << 1 | is_narrow);
    if let Some(key) = key {
        out.text(key, texts);
    }
    out.instant(*until, at);
}

pub(super) fn read_rest(read: &mut In<'_>, at: Timestamp, texts: &mut Texts) -> Result<Rest, RecordError> {
    let told = read.byte()?;
    let reason = RestReason::of_number(told >> 1)?;
    let scope = if told & 1 == 0 { RestScope::Account } else { RestScope::QuotaKey(read.text(texts)?) };
    Ok(Rest { until: read.instant(at)?, reason, scope })
}

/// As it was told, not merged with its like: the order is what the evaluator names blockers in.
pub(super) fn add_rest(seat: &mut KeptSeat, rest: Rest) -> Result<(), RecordError> {
    if seat.account.rests.len() >= MOST_RESTS {
        return Err(RecordError::Damaged("too many rests"));
    }
    seat.account.rests.push(rest);
    Ok(())
}
