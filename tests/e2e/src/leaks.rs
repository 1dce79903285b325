//! The search for secrets in every disguise: whole, by their first or last characters, encoded, or as numbers.

mod places;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

pub use places::{STORES, Store, leaks_in_files, store_of};
pub use watch::{ENVIRONMENT, Watch};

/// Disguises are looked up by their first bytes; none is shorter.
const KEY: usize = 8;

/// As many characters of a secret as nobody may see.
const PART: usize = 12;

/// How every signed token begins, whosoever it is.
const TOKEN_HEAD: &str = "eyJhbGci";

/// Secrets by what they are, ready to be searched for.
#[derive(Debug)]
pub struct Secrets {
    known: BTreeMap<String, String>,
    disguises: HashMap<[u8; KEY], Vec<Disguise>>,
    /// Pairs of first bytes worth a look, so that a megabyte of log is searched in no time.
    worth: Vec<bool>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { known: BTreeMap::new(), disguises: HashMap::new(), worth: vec![false; 1 << 16] }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Disguise {
    bytes: Vec<u8>,
    /// What it is a disguise of, e.g. `refresh token of account 2, base64`.
    what: String,
}

impl Secrets {
    /// Adds a secret; short texts are no secrets.
    pub fn add(&mut self, what: &str, text: &str) {
        if text.len() < PART || self.known.contains_key(text) {
            return;
        }
        self.known.insert(text.to_owned(), what.to_owned());
        for (how, form) in disguises(text) {
            let bytes = form.into_bytes();
            let Some(key) = key(&bytes) else { continue };
            self.worth[pair(&bytes)] = true;
            self.disguises.entry(key).or_default().push(Disguise { bytes, what: format!("{what}, {how}") });
        }
    }

    /// Adds many.
    pub fn extend(&mut self, all: impl IntoIterator<Item = (String, String)>) {
        for (what, text) in all {
            self.add(&what, &text);
        }
    }

    /// How many are searched for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is: then a clean result means nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What a whole text is, if it is a secret.
    #[must_use]
    pub fn what(&self, text: &str) -> Option<&str> {
        self.known.get(text).map(String::as_str)
    }

    /// Every secret in some bytes, by what it is and how it is disguised; never the secret.
    #[must_use]
    pub fn hits(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for at in 0..bytes.len().saturating_sub(KEY - 1) {
            let rest = &bytes[at..];
            if !self.worth[pair(rest)] {
                continue;
            }
            let candidates = key(rest).and_then(|key| self.disguises.get(&key));
            let here = candidates.into_iter().flatten().filter(|disguise| rest.starts_with(&disguise.bytes));
            found.extend(here.map(|disguise| disguise.what.clone()));
        }
        found
    }
}

/// The first two bytes as a number.
fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn key(bytes: &[u8]) -> Option<[u8; KEY]> {
    bytes.get(..KEY)?.try_into().ok()
}

/// Every shape in which a text would still be useful to whoever finds it.
fn disguises(text: &str) -> Vec<(&'static str, String)> {
    // The head of a signed token is the same for all of them.
    let own = text.strip_prefix(TOKEN_HEAD).and_then(|rest| rest.split_once('.')).map_or(text, |(_, own)| own);
    let last = text.char_indices().rev().nth(PART - 1).map_or(text, |(at, _)| &text[at..]);
    let first: String = own.chars().take(PART).collect();
    let mut all = vec![("whole", text.to_owned()), ("its beginning", first), ("its end", last.to_owned())];
    for shift in 0..3 {
        all.push(("base64", encoded_inside(&STANDARD_NO_PAD, shift, own)));
        all.push(("base64url", encoded_inside(&URL_SAFE_NO_PAD, shift, own)));
    }
    let numbers: Vec<String> = own.bytes().take(PART).map(|byte| byte.to_string()).collect();
    all.push(("its bytes as numbers", numbers.join(", ")));
    all.push(("hexadecimal", own.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))));
    for (how, upper) in [("percent-encoded", true), ("percent-encoded in small letters", false)] {
        let encoded = percent_encoded(text, upper);
        if encoded != text {
            all.push((how, encoded));
        }
    }
    all
}

/// The part of a base64 text that does not depend on what stands before and after the secret.
fn encoded_inside(engine: &impl Engine, before: usize, text: &str) -> String {
    let padded = [vec![0; before], text.as_bytes().to_vec()].concat();
    let whole = engine.encode(&padded);
    let (begin, end) = ([0, 2, 3][before], padded.len() / 3 * 4);
    whole[begin..end].to_owned()
}

fn percent_encoded(text: &str, upper: bool) -> String {
    text.bytes().fold(String::new(), |encoded, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded + &char::from(byte).to_string(),
        other if upper => format!("{encoded}%{other:02X}"),
        other => format!("{encoded}%{other:02x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "rt.one/CANARY-0123456789abcdef+01234";

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add("token", SECRET);
        secrets
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let hits = secrets().hits(text.as_bytes());
        let how: Vec<&str> = hits.iter().filter_map(|hit| hit.strip_prefix("token, ")).collect();
        assert!(how.contains(&expect), "{expect} is not among {how:?}");
    }

    #[test]
    fn a_secret_is_found_in_every_disguise() {
        check(&format!("log: {SECRET}!"), "whole");
        check(&format!("log: {}…", &SECRET[..PART]), "its beginning");
        check(&format!("log: …{}", &SECRET[SECRET.len() - PART..]), "its end");
        for before in ["", "a", "ab", "abc"] {
            check(&STANDARD_NO_PAD.encode(format!("{before}{SECRET} and more")), "base64");
            check(&URL_SAFE_NO_PAD.encode(format!("{before}{SECRET}")), "base64url");
        }
        check(&format!("{:?}", SECRET.as_bytes()), "its bytes as numbers");
        check("?t=rt.one%2FCANARY-0123456789abcdef%2B01234", "percent-encoded");
        check("?t=rt.one%2fCANARY-0123456789abcdef%2b01234", "percent-encoded in small letters");
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        assert!(secrets().hits(b"rt.one/ is how a token begins").is_empty());
        assert!(secrets().hits(b"").is_empty());
        let mut secrets = Secrets::default();
        secrets.add("short", "too short");
        assert!(secrets.is_empty());
    }
}
