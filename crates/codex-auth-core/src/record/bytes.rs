//! Owns the bytes of an entry: numbers as varints, instants as distances, texts by a table that both sides keep.

use super::{LONGEST_TEXT, RecordError};
use crate::Timestamp;

/// How many texts the table remembers; the oldest makes room.
const TEXTS: usize = 64;

/// The texts that were written before, so that each is spelt out once.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    known: Vec<String>,
    next: usize,
}

impl Texts {
    pub(super) fn knows(&self, text: &str) -> bool {
        self.known.iter().any(|known| known == text)
    }

    pub(super) fn learn(&mut self, text: String) {
        match self.known.get_mut(self.next) {
            Some(known) => *known = text,
            None => self.known.push(text),
        }
        self.next = (self.next + 1) % TEXTS;
    }
}

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7f).unwrap_or(0x7f) | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or(0x7f));
    }

    pub(super) fn count(&mut self, count: usize) {
        self.number(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A number with a sign: small ones are short on either side of nought.
    pub(super) fn signed(&mut self, number: i64) {
        self.number((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
    }

    /// An instant by its distance.
    pub(super) fn instant(&mut self, at: Timestamp, base: Timestamp) {
        self.signed(at.as_millis().wrapping_sub(base.as_millis()));
    }

    pub(super) fn maybe_instant(&mut self, at: Option<Timestamp>, base: Timestamp) {
        self.byte(u8::from(at.is_some()));
        if let Some(at) = at {
            self.instant(at, base);
        }
    }

    /// A number with a fraction, bit for bit; hundredths are short, as percentages and weights are.
    pub(super) fn fraction(&mut self, value: f64) {
        if let Some(count) = hundredths(value) {
            return self.number(u64::from(count) << 1);
        }
        self.byte(1);
        self.0.extend(value.to_bits().to_le_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend(bytes);
    }

    pub(super) fn text(&mut self, text: &str, texts: &mut Texts) {
        if let Some(slot) = texts.known.iter().position(|known| known == text) {
            return self.count(slot + 1);
        }
        self.byte(0);
        self.raw(text.as_bytes());
        texts.learn(text.to_owned());
    }
}

/// The value in hundredths, where that is the same value to the last bit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, and is compared after")]
fn hundredths(value: f64) -> Option<u32> {
    let count = (value * 100.0).round() as u32;
    (count < u32::MAX >> 1 && (f64::from(count) / 100.0).to_bits() == value.to_bits()).then_some(count)
}

/// What is being read; nothing is believed before it was counted.
#[derive(Debug)]
pub(super) struct In<'a>(pub(super) &'a [u8]);

impl<'a> In<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(RecordError::Damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn four(&mut self) -> Result<[u8; 4], RecordError> {
        self.take(4)?.try_into().map_err(|_| RecordError::Damaged("it ends early"))
    }

    pub(super) fn number(&mut self) -> Result<u64, RecordError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(RecordError::Damaged("a number is too large"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(RecordError::Damaged("a number does not end"))
    }

    /// A number that counts something of which there are at most `most`.
    pub(super) fn count(&mut self, most: usize) -> Result<usize, RecordError> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= most);
        count.ok_or(RecordError::Damaged("a count is too large"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, RecordError> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn instant(&mut self, base: Timestamp) -> Result<Timestamp, RecordError> {
        Ok(Timestamp::from_millis(base.as_millis().wrapping_add(self.signed()?)))
    }

    pub(super) fn flag(&mut self) -> Result<bool, RecordError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Damaged("a yes or no is neither")),
        }
    }

    pub(super) fn maybe_instant(&mut self, base: Timestamp) -> Result<Option<Timestamp>, RecordError> {
        if self.flag()? { self.instant(base).map(Some) } else { Ok(None) }
    }

    pub(super) fn fraction(&mut self) -> Result<f64, RecordError> {
        let number = self.number()?;
        if number & 1 == 0 {
            let count = u32::try_from(number >> 1).map_err(|_| RecordError::Damaged("a fraction is too large"))?;
            return Ok(f64::from(count) / 100.0);
        }
        let bits = self.take(8)?.try_into().map_err(|_| RecordError::Damaged("it ends early"))?;
        Ok(f64::from_bits(u64::from_le_bytes(bits)))
    }

    pub(super) fn raw(&mut self) -> Result<&'a [u8], RecordError> {
        let length = self.count(LONGEST_TEXT)?;
        self.take(length)
    }

    pub(super) fn text(&mut self, texts: &mut Texts) -> Result<String, RecordError> {
        let Some(slot) = self.count(TEXTS)?.checked_sub(1) else {
            let text = whole_text(self.raw()?)?;
            texts.learn(text.clone());
            return Ok(text);
        };
        texts.known.get(slot).cloned().ok_or(RecordError::Damaged("a text was never told"))
    }
}

pub(super) fn whole_text(bytes: &[u8]) -> Result<String, RecordError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| RecordError::Damaged("a text is none"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<u64>(), signed in any::<i64>(), bits in any::<u64>(), percent in 0_u32..=10_000) {
            let mut out = Out::default();
            let (value, short) = (f64::from_bits(bits), f64::from(percent) / 100.0);
            out.number(number);
            out.signed(signed);
            out.fraction(value);
            let length = out.0.len();
            out.fraction(short);
            prop_assert_eq!(out.0.len() - length <= 3, true);
            let mut read = In(&out.0);
            prop_assert_eq!(read.number(), Ok(number));
            prop_assert_eq!(read.signed(), Ok(signed));
            prop_assert_eq!(read.fraction().map(f64::to_bits), Ok(bits));
            prop_assert_eq!(read.fraction().map(f64::to_bits), Ok(short.to_bits()));
            prop_assert_eq!(read.0.len(), 0);
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        assert!(In(&[0xff; 11]).number().is_err());
        assert!(In(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).number().is_err());
    }

    #[test]
    fn a_text_is_spelt_once() {
        let (mut out, mut texts) = (Out::default(), Texts::default());
        out.text("gpt-5.5", &mut texts);
        let first = out.0.len();
        out.text("gpt-5.5", &mut texts);
        assert_eq!((first, out.0.len()), (9, 10));
        let (mut read, mut texts) = (In(&out.0), Texts::default());
        assert_eq!((read.text(&mut texts), read.text(&mut texts)), (Ok("gpt-5.5".into()), Ok("gpt-5.5".into())));
    }
}
