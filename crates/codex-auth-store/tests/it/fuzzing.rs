//! Every parser meets its corpus and seeded mutations of it, and what must hold does.

use std::path::Path;

use codex_auth_core::testing::CANARY;
use codex_auth_store::testing::fuzz::ENTRIES;
use codex_auth_testkit::fuzzing::{Parsers, mutate};

/// Every entry belongs to one group.
const GROUPS: usize = 4;

fn parsers() -> Parsers<'static> {
    let corpora = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"));
    Parsers { entries: ENTRIES, corpora, scratch: Path::new(env!("CARGO_TARGET_TMPDIR")) }
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_first_group() {
    parsers().check_group(0, GROUPS);
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_second_group() {
    parsers().check_group(1, GROUPS);
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_third_group() {
    parsers().check_group(2, GROUPS);
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_fourth_group() {
    parsers().check_group(3, GROUPS);
}

#[test]
fn every_parser_has_a_corpus_and_every_corpus_a_parser() {
    parsers().check_corpora();
    assert_eq!(CANARY, mutate::CANARY, "judges look for the word that is planted");
}

#[test]
fn every_parser_has_a_cargo_fuzz_target() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
    parsers().check_targets(&manifest, "fuzz_targets/entry.rs");
}
