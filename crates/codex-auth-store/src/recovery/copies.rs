//! Owns which copies of a pool there are: what is whole in the broken file itself, our own of earlier times, and the
//! predecessor's.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::SavedPool;
use serde_json::Value;

use crate::{
    engine::Engine,
    fs::os,
    hash::sha256_hex,
    history,
    json::{self, Object},
    layout::ACCOUNTS,
    recovery::document_of,
    sidecar::{Difference, Sidecar},
};

/// A pool at an earlier time.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    /// How a person would name it.
    pub(crate) name: String,
    pub(crate) document: Object,
    /// What stood beside it, for copies of ours.
    pub(crate) sidecar: Option<Sidecar>,
    pub(crate) pool: SavedPool,
    /// Whether these are the rows of the broken file itself.
    pub(crate) is_the_file: bool,
}

/// All copies that can be read. `broken` are the bytes of the file itself.
pub(crate) fn all(engine: &Engine, broken: &[u8]) -> Vec<Copy> {
    let mut copies: Vec<Copy> = salvage(engine, broken).into_iter().collect();
    copies.extend(history(engine));
    if engine.layout.has_predecessors_marks() {
        copies.extend(predecessors(engine));
    }
    copies
}

/// Our own copies, oldest first.
pub(crate) fn history(engine: &Engine) -> Vec<Copy> {
    history::all(engine).into_iter().filter_map(|kept| read(engine, &kept.path)).collect()
}

/// The copy in a file of any of these kinds.
pub(crate) fn read(engine: &Engine, path: &Utf8Path) -> Option<Copy> {
    let bytes = engine.fs.read(path).ok()?;
    let mut document = document_of(engine, path, &bytes).ok()?;
    let sidecar = match document.shift_remove(history::BESIDE) {
        Some(Value::Object(beside)) => Some(Sidecar::of_copy(beside)),
        Some(_) | None => None,
    };
    Some(copy_of(engine, path.file_name().unwrap_or_default().to_owned(), document, sidecar, false))
}

/// The text the predecessor was about to save, when its journal is whole.
pub(crate) fn content_of_journal(path: &Utf8Path, journal: &[u8]) -> Option<String> {
    let journal = json::parse_object(path, journal, "").ok()?;
    let content = journal.get("content")?.as_str()?;
    (json::text(&journal, "checksum")? == sha256_hex(content)).then(|| content.to_owned())
}

/// The predecessor's copies: `.bak`, `.bak.1`, `.bak.2`, and whatever else a person put beside the file.
fn predecessors(engine: &Engine) -> Vec<Copy> {
    let mut names: Vec<String> = os::names_in(engine.layout.root()).unwrap_or_default();
    names.retain(|name| is_copy(name));
    names.sort_by_key(|name| name.to_lowercase());
    names.iter().filter_map(|name| read(engine, &engine.layout.root().join(name))).collect()
}

/// Whether a file beside the document is a copy of it, by the predecessor's rule.
pub(crate) fn is_copy(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(ACCOUNTS).and_then(|rest| rest.strip_prefix('.')) else { return false };
    let passing = [".tmp", ".wal", ".reset-intent", ".lock"].iter().any(|end| name.ends_with(end));
    !rest.is_empty() && !passing && !name.contains(".rotate.") && !rest.contains("cache")
}

/// What is whole of a document that is not.
fn salvage(engine: &Engine, broken: &[u8]) -> Option<Copy> {
    let rows = salvaged(broken);
    let name = "the broken file itself".to_owned();
    (!rows.is_empty()).then(|| copy_of(engine, name, engine.codec.of_rows(rows), None, true))
}

/// The rows that are whole in a document that is not.
pub(crate) fn salvaged(broken: &[u8]) -> Vec<Value> {
    let mut rows = Vec::new();
    let list = find(broken, b"\"accounts\"").and_then(|from| Some(from + find(&broken[from..], b"[")? + 1));
    let mut rest = list.map_or(&[][..], |open| &broken[open..]);
    while let Some(start) = rest.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b',') {
        let mut values = serde_json::Deserializer::from_slice(&rest[start..]).into_iter::<Value>();
        let Some(Ok(row @ Value::Object(_))) = values.next() else { break };
        rest = &rest[start + values.byte_offset()..];
        rows.push(row);
    }
    rows
}

fn copy_of(engine: &Engine, name: String, document: Object, sidecar: Option<Sidecar>, is_the_file: bool) -> Copy {
    let mut pool = engine.codec.decode(&document, engine.now());
    let beside = sidecar.clone().unwrap_or_default();
    beside.complete(&mut pool, Difference::WrittenSince, &|_| None);
    engine.codec.complete(beside.as_object(), &mut pool, engine.now());
    Copy { name, document, sidecar, pool, is_the_file }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Where the predecessor keeps its newest copy and the two before it.
pub(crate) fn predecessors_slots(accounts: &Utf8Path) -> [Utf8PathBuf; 3] {
    [".bak", ".bak.1", ".bak.2"].map(|end| Utf8PathBuf::from(format!("{accounts}{end}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(name: &str, expect: bool) {
        assert_eq!(is_copy(&format!("{ACCOUNTS}{name}")), expect, "{name}");
    }

    #[test]
    fn what_counts_as_a_copy() {
        check(".bak", true);
        check(".bak.2", true);
        check(".before-upgrade", true);
        check("", false);
        check(".", false);
        check(".wal", false);
        check(".reset-intent", false);
        check(".12.1790000000000.0a1b2c3d.tmp", false);
        check(".bak.rotate.1.latest.tmp", false);
    }

    #[test]
    fn a_journal_counts_only_whole() {
        let path = Utf8Path::new("x.wal");
        let journal = |content: &str, checksum: &str| {
            json!({ "version": 1, "content": content, "checksum": checksum }).to_string()
        };
        let whole = journal("{}", &sha256_hex("{}"));
        assert_eq!(content_of_journal(path, whole.as_bytes()).as_deref(), Some("{}"));
        assert_eq!(content_of_journal(path, journal("{} ", &sha256_hex("{}")).as_bytes()), None);
        assert_eq!(content_of_journal(path, &whole.as_bytes()[..whole.len() - 2]), None);
    }
}
