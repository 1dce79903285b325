//! Owns one look at the files of a pool, and the steps from there to another pool.

use std::collections::HashSet;

use codex_auth_core::{RecordId, SavedPool, StoreError};

use crate::{
    engine::Engine,
    fs::{os, read_optional},
    journal,
    json::Object,
    merge,
    recovery::{self, Found, Origin, Report},
    sidecar::Sidecar,
    transaction::{self, Step},
};

pub(crate) const REMEDY: &str = "it was left as it is, and no copy of it can be used either. Mend it, or begin anew with \
                                 `codex-multi-auth reset`, which keeps it";

/// How often a reader tries to meet the files between two writes.
const READS: usize = 8;

/// What the files said at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    /// How the document looked on disk.
    pub(crate) seen: Option<os::Glance>,
    /// The document's bytes on disk.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) document: Object,
    pub(crate) sidecar: Sidecar,
    pub(crate) sidecar_bytes: Option<Vec<u8>>,
    pub(crate) pool: SavedPool,
    pub(crate) origin: Origin,
    /// What was mended to read it.
    pub(crate) report: Option<Report>,
    pub(crate) is_sidecar_broken: bool,
    /// Whether accounts that were one were folded, so that the file says less than `document`.
    pub(crate) was_folded: bool,
    reset_intent: Option<Vec<u8>>,
    predecessors_journal: Option<Vec<u8>>,
}

/// Reads the files. Whether they stood still is looked at afterwards, because a writer may be at work; as a change of
/// several files is written down first, files that stood still fit each other.
pub(crate) fn read(engine: &Engine) -> Result<Reading, StoreError> {
    let layout = &engine.layout;
    let look = || [layout.accounts(), layout.change_journal()].map(|path| os::glance(&path));
    let mut seen = look();
    for _ in 0..READS {
        let reading = read_once(engine, seen[0])?;
        let now = look();
        if now == seen {
            return Ok(reading);
        }
        seen = now;
    }
    read_once(engine, seen[0])
}

fn read_once(engine: &Engine, seen: Option<os::Glance>) -> Result<Reading, StoreError> {
    let (layout, fs) = (&engine.layout, engine.fs.as_ref());
    let pending = transaction::pending(fs, &layout.change_journal())?;
    let file = |path: &_| transaction::read_over(fs, path, &pending);
    let (path, sidecar_path) = (layout.accounts(), layout.sidecar());
    let has_marks = layout.has_predecessors_marks();
    let reset_intent = if has_marks { file(&layout.reset_intent())? } else { None };
    let bytes = file(&path)?;
    let sidecar_bytes = file(&sidecar_path)?;
    let predecessors_journal = if has_marks { read_optional(fs, &layout.predecessors_journal())? } else { None };
    let (sidecar, is_sidecar_broken) = match Sidecar::parse(&sidecar_path, sidecar_bytes.as_deref()) {
        Ok(sidecar) => (sidecar, false),
        Err(StoreError::Unreadable { .. }) => (recovery::sidecar_of_copies(engine), true),
        Err(error) => return Err(error),
    };
    let (cleared, stopped) = (reset_intent.is_some(), predecessors_journal.as_deref());
    let Found { document, origin, difference, report } =
        recovery::find(engine, bytes.as_deref(), cleared, stopped, &sidecar)?;
    let mut pool = engine.codec.decode(&document, engine.now());
    sidecar.complete(&mut pool, difference, &|record| journal::kept(engine, record));
    engine.codec.complete(sidecar.as_object(), &mut pool, engine.now());
    // Only all files together tell which rows are one account.
    let folds = merge::fold(&mut pool, engine.now());
    let was_folded = !folds.is_empty();
    let document = if was_folded { engine.codec.folded(document, &folds, engine.now()) } else { document };
    Ok(Reading {
        seen,
        bytes,
        document,
        sidecar,
        sidecar_bytes,
        pool,
        origin,
        report,
        is_sidecar_broken,
        was_folded,
        reset_intent,
        predecessors_journal,
    })
}

/// Whether the other pool of the same document has an account of this name. When nobody can tell, it may.
pub(crate) fn has_neighbour_named(engine: &Engine, record: &RecordId) -> bool {
    let Some(neighbour) = engine.codec.neighbour() else { return false };
    read(engine).map_or(true, |reading| neighbour.decode(&reading.document, engine.now()).find(record).is_some())
}

impl Reading {
    /// The accounts whose name does not stand in their row.
    pub(crate) fn unnamed(&self, engine: &Engine) -> Vec<RecordId> {
        let names = engine.codec.names(&self.document);
        let records = self.pool.accounts.iter().map(|held| &held.account.record);
        records.filter(|record| !names.contains(record.as_str())).cloned().collect()
    }

    /// What has to be written so that the files say `pool`; nothing when they say it already, however they spell it, unless
    /// the name of `named` does not stand in its row.
    pub(crate) fn steps_to(&self, engine: &Engine, pool: &SavedPool, named: Option<&RecordId>) -> Vec<Step> {
        let layout = &engine.layout;
        let mut steps = Vec::new();
        let is_mended = self.origin == Origin::Copies || self.is_sidecar_broken;
        let there: HashSet<&RecordId> = pool.accounts.iter().map(|held| &held.account.record).collect();
        let is_there = |record: &RecordId| there.contains(record);
        let has_leftovers = self.origin == Origin::File && !self.sidecar.records().iter().all(is_there);
        let is_named = named.is_none_or(|record| engine.codec.names(&self.document).contains(record.as_str()));
        if *pool == self.pool && !is_mended && !has_leftovers && is_named {
            return steps;
        }
        let document = engine.codec.encode(&self.document, pool, engine.now());
        if document != self.document || self.was_folded || self.origin == Origin::Copies {
            let document = engine.codec.revised(document);
            steps.push(Step::replace(layout.accounts(), self.bytes.as_deref(), engine.codec.text(&document)));
        }
        let sidecar = self.sidecar.saying(pool);
        let sidecar = Sidecar::of_copy(engine.codec.beside(sidecar.as_object().clone(), pool));
        if sidecar != self.sidecar || self.is_sidecar_broken {
            steps.push(Step::replace(layout.sidecar(), self.sidecar_bytes.as_deref(), sidecar.bytes()));
        }
        if steps.is_empty() {
            return steps;
        }
        if let Some(mark) = &self.reset_intent {
            steps.push(Step::remove(layout.reset_intent(), mark));
        }
        if let Some(journal) = &self.predecessors_journal {
            steps.push(Step::remove(layout.predecessors_journal(), journal));
        }
        steps
    }
}
