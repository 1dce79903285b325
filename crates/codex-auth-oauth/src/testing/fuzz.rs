//! Owns what must hold for every parser of this crate, whatever the bytes: one entry per parser, driven by seeded
//! mutations in `tests/it/fuzzing.rs` and by cargo-fuzz in `fuzz/`.
//!
//! To add a parser: write its entry (a function of bytes that panics when something does not hold), give it a line in
//! [`ENTRIES`] and a target in `fuzz/Cargo.toml`, and put at least one well-formed input under `tests/corpus/<entry>/`.
//! The tests say what is missing. An input that once broke an entry stays in its corpus.

mod callback;
mod device;
mod paste;
mod tokens;

use codex_auth_core::Timestamp;

/// The name of a parser's corpus, and what must hold for any bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// Every parser of this crate.
pub const ENTRIES: &[Entry] = &[
    ("callback-query", callback::query),
    ("device-code", device::code),
    ("device-poll", device::poll),
    ("jwt-claims", tokens::claims),
    ("pasted-answer", paste::pasted),
    ("token-answer", tokens::answer),
];

/// When the entries take place; corpora tell of times before and after it.
const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// Runs one entry.
pub fn run(entry: &str, bytes: &[u8]) {
    let known = ENTRIES.iter().find(|(name, _)| *name == entry);
    let (_, judge) = known.unwrap_or_else(|| panic!("no parser is called {entry}"));
    judge(bytes);
}

/// Of an answer that refuses, only a word that looks like a code is kept.
fn is_code_word(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-.".contains(letter);
    !text.is_empty() && text.len() <= 64 && text.chars().all(is_letter)
}
