//! Owns how a crate's fuzz entries are driven by their corpora and seeded mutations of them.

pub mod mutate;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mutate::mutated;

/// The name of a parser's corpus, and what must hold for any bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// The parsers of one crate.
#[derive(Clone, Copy, Debug)]
pub struct Parsers<'a> {
    /// All of them.
    pub entries: &'a [Entry],
    /// Where their corpora are, one directory each.
    pub corpora: &'a Path,
    /// Where an input that broke one is kept.
    pub scratch: &'a Path,
}

impl Parsers<'_> {
    /// Drives every `of`-th entry from the one at `group` on: groups run side by side, on threads with an ordinary stack,
    /// which depth must not exhaust.
    ///
    /// # Panics
    /// When something does not hold, with the words of every parser that broke.
    pub fn check_group(&self, group: usize, of: usize) {
        let entries = self.entries.iter().skip(group).step_by(of);
        let broken: Vec<String> = entries.filter_map(|(entry, judge)| self.run(entry, *judge).err()).collect();
        assert!(broken.is_empty(), "{} parsers\n\n{}", broken.len(), broken.join("\n\n"));
    }

    /// Every parser has a corpus, and every corpus a parser.
    ///
    /// # Panics
    /// When one lacks its other half.
    pub fn check_corpora(&self) {
        let named: BTreeSet<String> = self.entries.iter().map(|(entry, _)| (*entry).to_owned()).collect();
        assert_eq!(named.len(), self.entries.len(), "two parsers have one name");
        let dirs = std::fs::read_dir(self.corpora).expect("corpora").flatten();
        let found: BTreeSet<String> = dirs.map(|dir| dir.file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(found, named);
        assert!(self.entries.iter().all(|(entry, _)| !self.corpus(entry).is_empty()), "a corpus is empty");
    }

    /// Every parser has a target that is the file `path` in the manifest of the cargo-fuzz targets, and that file is no
    /// other's.
    ///
    /// # Panics
    /// When one lacks its other half.
    pub fn check_targets(&self, manifest: &Path, path: &str) {
        let text = std::fs::read_to_string(manifest).expect("the manifest of the targets");
        let bin = |name: &str| format!("[[bin]]\nname = \"{name}\"\npath = \"{path}\"\n");
        for (entry, _) in self.entries {
            assert!(text.contains(&bin(entry)), "add to {}:\n\n{}", manifest.display(), bin(entry));
        }
        let targets = text.matches(&format!("\npath = \"{path}\"\n")).count();
        assert_eq!(targets, self.entries.len(), "a target without an entry");
    }

    fn run(&self, entry: &str, judge: fn(&[u8])) -> Result<(), String> {
        let corpus = self.corpus(entry);
        for (name, bytes) in &corpus {
            self.try_one(judge, entry, name, bytes)?;
        }
        let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
        (0..seeds()).try_for_each(|seed| self.try_one(judge, entry, &format!("seed-{seed}"), &mutated(&inputs, seed)))
    }

    /// An entry's inputs in the order of their names.
    fn corpus(&self, entry: &str) -> Vec<(String, Vec<u8>)> {
        let dir = self.corpora.join(entry);
        let files = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{entry} has no corpus: {error}")).flatten();
        let named = |file: std::fs::DirEntry| {
            (file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).expect("readable"))
        };
        let mut inputs: Vec<(String, Vec<u8>)> = files.map(named).collect();
        inputs.sort();
        inputs
    }

    /// The words of a panic, and the input kept where the next run does not overwrite it.
    fn try_one(&self, judge: fn(&[u8]), entry: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| judge(bytes))) else { return Ok(()) };
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        let kept = self.scratch.join(format!("{entry}-{name}"));
        std::fs::write(&kept, bytes).expect("written");
        let kept = kept.display();
        Err(format!("{entry}, {name}: {words}\nthe input is {kept}; once mended, keep it in tests/corpus/{entry}/"))
    }
}

/// Mutations for each parser; more where `CODEX_AUTH_LONG` is 1.
fn seeds() -> u64 {
    if std::env::var_os("CODEX_AUTH_LONG").is_some_and(|long| long == "1") { 20_000 } else { 1_000 }
}
