//! A value of a JSON document that may be written in several ways: a number as a number or as text, a flag as 1.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// What was written; anything nested counts as nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Scalar {
    #[default]
    Nothing,
    Flag(bool),
    Number(f64),
    Text(String),
}

impl Scalar {
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Nothing | Self::Flag(_) => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    /// A whole number; a fraction is none.
    pub(super) fn whole(&self) -> Option<i64> {
        let number = self.number().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
        Some(number as i64)
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self) -> Option<u64> {
        u64::try_from(self.whole()?).ok()
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Number(_) | Self::Text(_) | Self::Nothing => match self.number() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                Some(_) | None => match self {
                    Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
                    Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
                    Self::Text(_) | Self::Number(_) | Self::Nothing | Self::Flag(_) => None,
                },
            },
        }
    }

    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Nothing | Self::Flag(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Scalar;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("anything")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        self.visit_string(number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        self.visit_string(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Scalar, A::Error> {
        while rows.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }

    /// A parser that keeps the text of numbers hands one over as a map of one text.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        let mut first = Scalar::Nothing;
        if map.next_key::<IgnoredAny>()?.is_some() {
            first = map.next_value::<Scalar>()?;
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                first = Scalar::Nothing;
            }
        }
        Ok(first)
    }
}
