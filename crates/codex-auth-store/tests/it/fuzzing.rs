//! Every parser meets its corpus and seeded mutations of it, and what must hold does.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use codex_auth_store::testing::{fuzz::ENTRIES, mutate::mutated};

/// Mutations for each parser.
fn seeds() -> u64 {
    if std::env::var_os("CODEX_AUTH_LONG").is_some_and(|long| long == "1") { 20_000 } else { 1_000 }
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// An entry's inputs in the order of their names.
fn corpus(entry: &str) -> Vec<(String, Vec<u8>)> {
    let dir = corpora().join(entry);
    let files = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{entry} has no corpus: {error}")).flatten();
    let mut inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| (file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).expect("readable")))
        .collect();
    inputs.sort();
    inputs
}

/// The words of a panic, and the input kept where the next run does not overwrite it.
fn try_one(judge: fn(&[u8]), entry: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| judge(bytes))) else { return Ok(()) };
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{entry}-{name}"));
    std::fs::write(&kept, bytes).expect("written");
    let (words, kept) = (words.unwrap_or("a panic"), kept.display());
    Err(format!("{entry}, {name}: {words}\nthe input is {kept}; once mended, keep it in tests/corpus/{entry}/"))
}

fn run(entry: &str, judge: fn(&[u8])) -> Result<(), String> {
    let corpus = corpus(entry);
    for (name, bytes) in &corpus {
        try_one(judge, entry, name, bytes)?;
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    (0..seeds()).try_for_each(|seed| try_one(judge, entry, &format!("seed-{seed}"), &mutated(&inputs, seed)))
}

/// Every entry belongs to one group; groups run side by side, on threads with an ordinary stack: depth must not exhaust
/// it.
const GROUPS: usize = 4;

#[track_caller]
fn check_group(group: usize) {
    let mut broken = Vec::new();
    for (entry, judge) in ENTRIES.iter().skip(group).step_by(GROUPS) {
        broken.extend(run(entry, *judge).err());
    }
    assert!(broken.is_empty(), "{} parsers\n\n{}", broken.len(), broken.join("\n\n"));
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_first_group() {
    check_group(0);
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_second_group() {
    check_group(1);
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_third_group() {
    check_group(2);
}

#[test]
fn what_must_hold_holds_whatever_the_bytes_fourth_group() {
    check_group(3);
}

#[test]
fn every_parser_has_a_corpus_and_every_corpus_a_parser() {
    let named: BTreeSet<String> = ENTRIES.iter().map(|(entry, _)| (*entry).to_owned()).collect();
    assert_eq!(named.len(), ENTRIES.len(), "two parsers have one name");
    let dirs = std::fs::read_dir(corpora()).expect("corpora").flatten();
    let found: BTreeSet<String> = dirs.map(|dir| dir.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, named);
    assert!(ENTRIES.iter().all(|(entry, _)| !corpus(entry).is_empty()), "a corpus is empty");
}

#[test]
fn every_parser_has_a_cargo_fuzz_target() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
    let text = std::fs::read_to_string(manifest).expect("the manifest of the targets");
    let targets: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    for (entry, _) in ENTRIES {
        let bin = format!("[[bin]]\nname = \"{entry}\"\npath = \"fuzz_targets/entry.rs\"\n");
        assert!(targets.contains(entry) && text.contains(&bin), "add to fuzz/Cargo.toml:\n\n{bin}");
    }
    assert_eq!(targets.len(), ENTRIES.len() + 1, "a target without an entry: {targets:?}");
}
