//! Owns spoiling well-formed input: bytes, text and structure, decided by one number, so that a failure can be had
//! again.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// Stands in corpora and words wherever a secret would; no message may repeat it. Core's `testing` has the same word
/// for those who judge.
pub const CANARY: &str = "CANARY";

/// Longer input shows nothing that this much does not.
const LONGEST: usize = 256 * 1024;

/// Values a parser may not expect where it meets them; each is JSON.
const WORDS: [&str; 36] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4",
    "3.9",
    "-0",
    "1.50",
    "1e3",
    "1e308",
    "1e999",
    "1e-400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1790000000000",
    "[]",
    "{}",
    "[null]",
    "[[],{}]",
    "\"\"",
    "\" \"",
    "\"CANARY-word\"",
    "{\"CANARY-key\":\"CANARY-value\"}",
    "[\"CANARY-item\"]",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"org-1\"",
    "\"record:1\"",
    "\"3\"",
];

/// Bytes that text should not hold.
const SCRAPS: [&[u8]; 12] = [
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"\x00\x00\x00\x00",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf5\x80\x80\x80",
    b"\r\n",
    b"\n",
    b"CANARY",
    b"\\u",
    b"\"\"\"",
];

const DEPTHS: [usize; 6] = [2, 126, 127, 128, 500, 50_000];

/// One of `corpus`, spoiled as `seed` says; a part of another one may be mixed in.
pub fn mutated(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut bytes = dice.one_of(corpus).cloned().unwrap_or_default();
    for _ in 0..=dice.below(4) {
        bytes = spoiled(bytes, corpus, &mut dice);
        bytes.truncate(LONGEST);
    }
    bytes
}

/// `SplitMix64`: every seed is as good as any other.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number under `end`; zero when there is none.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.roll() % end).unwrap_or(0)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }

    /// A piece of something this long.
    fn piece(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(64) + 1)
    }
}

fn spoiled(mut bytes: Vec<u8>, corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let piece = dice.piece(bytes.len());
    match dice.below(14) {
        0 => {
            if let Some(byte) = bytes.get_mut(piece.start) {
                *byte ^= 1 << dice.below(8);
            }
        }
        1 => bytes.truncate(piece.start),
        2 => drop(bytes.drain(piece)),
        3 => bytes.extend_from_within(piece),
        4 => {
            let other = dice.one_of(corpus).cloned().unwrap_or_default();
            bytes.truncate(piece.start);
            bytes.extend_from_slice(&other[dice.below(other.len() + 1)..]);
        }
        5 => drop(bytes.splice(piece.start..piece.start, SCRAPS[dice.below(SCRAPS.len())].iter().copied())),
        6 => drop(bytes.splice(piece, dice.word().bytes())),
        7 => bytes = with_number(bytes, dice),
        8 => bytes = with_key_twice(bytes, dice),
        9 => bytes = nested(&bytes, dice),
        // Most of what parsers decide lies in well-formed text.
        _ => bytes = restructured(bytes, dice),
    }
    bytes
}

/// Replaces a run of digits.
fn with_number(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let begins = |at: &usize| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[*at - 1].is_ascii_digit());
    let starts: Vec<usize> = (0..bytes.len()).filter(begins).collect();
    if let Some(start) = dice.one_of(&starts).copied() {
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = if dice.below(8) == 0 { "9".repeat(5000) } else { dice.word().to_owned() };
        bytes.splice(start..start + length, number.into_bytes());
    }
    bytes
}

/// Says a key of an object a second time, with another value, before the first.
fn with_key_twice(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let opens: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'{').collect();
    let Some(open) = dice.one_of(&opens).copied() else { return bytes };
    let rest = String::from_utf8_lossy(&bytes[open + 1..]).into_owned();
    let keys: Vec<&str> = rest.split('"').skip(1).step_by(2).take(32).collect();
    if let Some(key) = dice.one_of(&keys) {
        let again = format!("\"{key}\":{},", dice.word());
        bytes.splice(open + 1..=open, again.into_bytes());
    }
    bytes
}

/// Puts the text, or one value of it, into many brackets; they may not all be closed.
fn nested(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let depth = DEPTHS[dice.below(DEPTHS.len())];
    let (open, close) = [("[", "]"), ("{\"a\":", "}"), ("a.", ""), ("[", "")][dice.below(4)];
    let (opened, closed) = (open.repeat(depth), close.repeat(depth));
    let colon = bytes.iter().position(|byte| matches!(byte, b':' | b'=')).filter(|_| dice.below(3) > 0);
    let at = colon.map_or(0, |at| at + 1);
    let inner = if colon.is_some() { b"1".as_slice() } else { bytes };
    let tail = if colon.is_some() { &bytes[at..] } else { &[] };
    let separator = if colon.is_some() { ",\"b\":" } else { "" };
    [&bytes[..at], opened.as_bytes(), inner, closed.as_bytes(), separator.as_bytes(), tail].concat()
}

/// Changes one node of a JSON text, of the payload of a token, or of one of several lines.
fn restructured(bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    if let Some(token) = reclaimed(text, dice) {
        return token.into_bytes();
    }
    if let Ok(mut value) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
        let mut at = dice.below(nodes(&value));
        visit(&mut value, &mut at, &mut |node| change(node, dice));
        return value.to_string().into_bytes();
    }
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let chosen = dice.below(lines.len());
    match serde_json::from_str::<Value>(&lines[chosen]) {
        Ok(mut value) => {
            let mut at = dice.below(nodes(&value));
            visit(&mut value, &mut at, &mut |node| change(node, dice));
            lines[chosen] = value.to_string();
        }
        Err(_) => lines.swap(chosen, 0),
    }
    lines.join("\n").into_bytes()
}

/// A token with other claims; `None` when `text` is no token.
fn reclaimed(text: &str, dice: &mut Dice) -> Option<String> {
    let (head, rest) = text.split_once('.')?;
    let (middle, signature) = rest.split_once('.')?;
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).ok()?).ok()?;
    let mut at = dice.below(nodes(&claims));
    visit(&mut claims, &mut at, &mut |node| change(node, dice));
    Some(format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string())))
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(fields) => fields.values().map(nodes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Calls `change` with the node that is number `at` in the order of the text.
fn visit(value: &mut Value, at: &mut usize, change: &mut dyn FnMut(&mut Value)) {
    if *at == 0 {
        change(value);
    }
    // Passing the beginning means that it is done: no document has this many nodes.
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, at, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, at, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn change(node: &mut Value, dice: &mut Dice) {
    let word = |dice: &mut Dice| serde_json::from_str(dice.word()).unwrap_or_default();
    match (dice.below(3), &mut *node) {
        (0, Value::Object(fields)) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = dice.one_of(&keys).cloned().unwrap_or_default();
            let field = fields.shift_remove(&key).unwrap_or_default();
            if dice.below(2) == 0 {
                fields.insert(format!("{key}+"), field);
            }
        }
        (1, Value::Object(fields)) => drop(fields.insert("unknownKey".into(), word(dice))),
        (0, Value::Array(items)) => items.reverse(),
        (1, Value::Array(items)) => {
            if let Some(item) = dice.one_of(items).cloned() {
                items.push(item);
            }
        }
        (0, Value::String(text)) => *text = reclaimed(text, dice).unwrap_or_else(|| format!(" {text}{CANARY} ")),
        (1, Value::String(text)) => *text = text.to_uppercase(),
        _ => *node = word(dice),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_always_means_the_same() {
        let corpus = [b"{\"a\":1}".to_vec(), b"x = 1".to_vec()];
        let all = |_: u8| (0..500).map(|seed| mutated(&corpus, seed)).collect::<Vec<_>>();
        assert_eq!(all(1), all(2));
    }

    #[test]
    fn mutations_differ_and_many_still_parse() {
        let corpus = [br#"{"a":{"b":[1,2,{"c":"x.y.z"}]},"d":true}"#.to_vec()];
        let all: HashSet<Vec<u8>> = (0..1000).map(|seed| mutated(&corpus, seed)).collect();
        let well_formed = all.iter().filter(|bytes| serde_json::from_slice::<Value>(bytes).is_ok()).count();
        assert!(all.len() > 700 && well_formed > 150, "{} different ones, {well_formed} well-formed", all.len());
    }
}
