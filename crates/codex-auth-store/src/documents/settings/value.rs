//! Owns what a setting may be, and how a value of the file or of a variable becomes one.

use serde_json::{Value, json};

use crate::json;

/// What a setting may be, its default first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A truth value.
    Flag(bool),
    /// A whole number: default, least, most.
    Whole(i64, i64, i64),
    /// One of these words.
    Word(&'static str, &'static [&'static str]),
    /// Some of these words, each once, in any order; all by default.
    Words(&'static [&'static str]),
    /// Lists of words under names; none by default.
    Lists,
}

impl Kind {
    /// The default.
    pub fn default(self) -> Value {
        match self {
            Self::Flag(flag) => json!(flag),
            Self::Whole(number, ..) => json!(number),
            Self::Word(word, _) => json!(word),
            Self::Words(words) => json!(words),
            Self::Lists => json!({}),
        }
    }

    /// A value of the file, or what is wrong with it.
    pub fn stored(self, told: &Value) -> Result<Value, String> {
        let fine = match self {
            Self::Flag(_) => told.as_bool().map(Value::from),
            Self::Whole(_, least, most) => {
                json::integer(told).filter(|number| (least..=most).contains(number)).map(Value::from)
            }
            Self::Word(_, words) => told.as_str().and_then(|told| word(told, words)).map(Value::from),
            Self::Words(known) => told.as_array().and_then(|told| {
                let words: Option<Vec<_>> = told.iter().map(|told| word(told.as_str()?, known)).collect();
                words.filter(|words| !words.is_empty() && is_each_once(words)).map(Value::from)
            }),
            Self::Lists => told.as_object().filter(|lists| lists.values().all(is_list)).map(|_| told.clone()),
        };
        fine.ok_or_else(|| format!("it must be {}", self.words()))
    }

    /// A value of a variable, or what is wrong with it. Numbers out of bounds are brought within.
    pub fn variable(self, text: &str) -> Result<Value, String> {
        let fine = match self {
            Self::Flag(_) => boolean(text).map(Value::from),
            Self::Whole(_, least, most) => {
                let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and the bounds are narrower")]
                number.map(|number| json!((number as i64).clamp(least, most)))
            }
            Self::Word(_, words) => word(text, words).map(Value::from),
            Self::Words(_) | Self::Lists => None,
        };
        fine.ok_or_else(|| format!("it must be {}", self.words()))
    }

    /// What it may be, in words.
    pub fn words(self) -> String {
        match self {
            Self::Flag(_) => "true or false".to_owned(),
            Self::Whole(_, least, i64::MAX) => format!("a whole number from {least} on"),
            Self::Whole(_, least, most) => format!("a whole number from {least} to {most}"),
            Self::Word(_, words) => format!("one of {}", words.join(", ")),
            Self::Words(words) => format!("a list of some of {}", words.join(", ")),
            Self::Lists => "an object of lists".to_owned(),
        }
    }
}

/// A truth value of the environment.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}

fn word(told: &str, known: &[&'static str]) -> Option<&'static str> {
    known.iter().copied().find(|known| *known == told.trim())
}

fn is_each_once(words: &[&str]) -> bool {
    words.iter().enumerate().all(|(at, word)| !words[..at].contains(word))
}

fn is_list(value: &Value) -> bool {
    value.as_array().is_some_and(|words| words.iter().all(Value::is_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Kind = Kind::Whole(60, 10, 100);
    const WORD: Kind = Kind::Word("a", &["a", "b"]);
    const WORDS: Kind = Kind::Words(&["a", "b"]);

    #[track_caller]
    fn stored(kind: Kind, told: &str, is_taken: bool) {
        let told: Value = serde_json::from_str(told).expect("JSON");
        assert_eq!(kind.stored(&told).ok(), is_taken.then_some(told));
    }

    #[track_caller]
    fn variable(kind: Kind, text: &str, expect: &str) {
        assert_eq!(kind.variable(text).map_or_else(|_| "ignored".to_owned(), |value| value.to_string()), expect);
    }

    #[test]
    fn values_of_the_file_are_taken_or_left() {
        stored(Kind::Flag(true), "false", true);
        stored(Kind::Flag(true), "\"no\"", false);
        stored(NUMBER, "100", true);
        stored(NUMBER, "101", false);
        stored(WORD, "\"b\"", true);
        stored(WORD, "\"c\"", false);
        stored(WORDS, "[\"b\",\"a\"]", true);
        stored(WORDS, "[\"b\",\"b\"]", false);
        stored(WORDS, "[]", false);
        stored(Kind::Lists, "{\"m\":[\"n\"]}", true);
        stored(Kind::Lists, "{\"m\":1}", false);
    }

    #[test]
    fn numbers_of_variables_are_brought_within_bounds() {
        variable(NUMBER, " 5 ", "10");
        variable(NUMBER, "1e9", "100");
        variable(NUMBER, "inf", "ignored");
        variable(NUMBER, "soon", "ignored");
        variable(Kind::Flag(false), "YES", "true");
        variable(Kind::Flag(false), "maybe", "ignored");
        variable(WORDS, "a", "ignored");
    }
}
