//! Owns the file of parked accounts on disk: what counts as its content, and the steps that make it say something else.
//!
//! A file that is gone was taken away on purpose, so its copies bring nobody back. One that is broken is read from its
//! copies, and its bytes are kept before anything takes their place.

use camino::Utf8PathBuf;
use codex_auth_core::{Held, SavedPool, StoreError};
use serde_json::{Value, json};

use crate::{
    document::{Codec as _, v3::V3},
    documents::flagged::{FLAGGED, FlaggedRow, LEGACY_FLAGGED, flagged_rows, set_flagged_rows},
    engine::Engine,
    fs::{quarantine::quarantine, read_optional},
    history::BESIDE,
    json::{self, Object},
    merge,
    sidecar::{Difference, Sidecar},
    transaction::{self, Step},
};

const REMEDY: &str = "it was left as it is, and no copy of it can be used either. Mend it, or move it away and sign in \
                      again with `codex-multi-auth login`";

/// The file at one moment.
#[derive(Debug)]
pub(crate) struct FlaggedFile {
    path: Utf8PathBuf,
    bytes: Option<Vec<u8>>,
    /// What is written over.
    document: Object,
    pub(crate) rows: Vec<FlaggedRow>,
    /// Why the file itself could not be used.
    flaw: Option<StoreError>,
    /// Whether a copy was read in its place.
    is_copy: bool,
    /// The older file whose rows these are, and the mark that the file was cleared; both go with the next change.
    leftovers: Vec<Step>,
}

/// Looks at the file, with what is written down and not carried out yet.
pub(crate) fn look(engine: &Engine) -> Result<FlaggedFile, StoreError> {
    let fs = engine.fs.as_ref();
    let pending = transaction::pending(fs, &engine.layout.change_journal())?;
    let path = engine.layout.root().join(FLAGGED);
    let beside = |end: &str| Utf8PathBuf::from(format!("{path}{end}"));
    let file = |path: &_| transaction::read_over(fs, path, &pending);
    let bytes = file(&path)?;
    let mut found = FlaggedFile {
        path: path.clone(),
        bytes,
        document: Object::new(),
        rows: Vec::new(),
        flaw: None,
        is_copy: false,
        leftovers: Vec::new(),
    };
    let mark = beside(".reset-intent");
    if let Some(cleared) = file(&mark)? {
        found.leftovers.push(Step::remove(mark, &cleared));
        return Ok(found);
    }
    let copies = [".bak", ".bak.1", ".bak.2"].map(beside);
    let Some(bytes) = &found.bytes else {
        // Where there are copies, the older file was moved long ago.
        let legacy = engine.layout.root().join(LEGACY_FLAGGED);
        let mut was_moved = false;
        for copy in &copies {
            was_moved |= file(copy)?.is_some();
        }
        if !was_moved
            && let Some(bytes) = file(&legacy)?
            && let Ok((document, rows)) = parse(engine, &legacy, &bytes)
        {
            found.leftovers.push(Step::remove(legacy, &bytes));
            (found.document, found.rows) = (document, rows);
        }
        return Ok(found);
    };
    match parse(engine, &path, bytes) {
        Ok((document, rows)) => (found.document, found.rows) = (document, rows),
        Err(flaw @ StoreError::Unreadable { .. }) => {
            for copy in copies {
                let Some(bytes) = file(&copy)? else { continue };
                let Ok((document, rows)) = parse(engine, &copy, &bytes) else { continue };
                (found.document, found.rows, found.is_copy) = (document, rows, true);
                break;
            }
            found.flaw = Some(flaw);
        }
        Err(flaw) => found.flaw = Some(flaw),
    }
    Ok(found)
}

impl FlaggedFile {
    /// Why nothing is known of the parked accounts, if nothing is.
    pub(crate) fn flaw(&self) -> Option<&StoreError> {
        self.flaw.as_ref().filter(|_| !self.is_copy)
    }

    /// The accounts that are parked, with their rows. One that is in the pool is parked no more, whatever a program
    /// that was stopped between two files left here.
    pub(crate) fn parked(&self, engine: &Engine, pool: &SavedPool) -> Vec<(Held, &FlaggedRow)> {
        let parked = self.rows.iter().filter_map(|row| Some((held_of(engine, row)?, row)));
        parked.filter(|(held, _)| !is_in(pool, held)).collect()
    }

    /// The steps that make the file say `rows`. Broken bytes are kept first.
    pub(crate) fn steps_to(&self, engine: &Engine, rows: &[FlaggedRow]) -> Result<Vec<Step>, StoreError> {
        let fs = engine.fs.as_ref();
        let bytes = self.bytes.as_deref();
        let mut steps = Vec::new();
        match (&self.flaw, bytes) {
            (Some(StoreError::Unreadable { .. }), Some(bytes)) => {
                quarantine(fs, &engine.layout.quarantine_dir(), &self.path, bytes, engine.now())?;
            }
            (Some(flaw), _) => return Err(flaw.clone()),
            (None, Some(bytes)) => {
                let copy = Utf8PathBuf::from(format!("{}.bak", self.path));
                let there = read_optional(fs, &copy)?;
                steps.push(Step::replace(copy, there.as_deref(), bytes.to_vec()));
            }
            (None, None) => {}
        }
        let mut document = self.document.clone();
        set_flagged_rows(&mut document, rows);
        steps.push(Step::replace(self.path.clone(), bytes, json::pretty(&document)));
        steps.extend(self.leftovers.iter().cloned());
        Ok(steps)
    }
}

/// Whether an account is one of the pool's.
pub(crate) fn is_in(pool: &SavedPool, held: &Held) -> bool {
    merge::known(pool, &held.account.owner, &held.credential).is_some()
}

/// The account of a row.
pub(crate) fn held_of(engine: &Engine, row: &FlaggedRow) -> Option<Held> {
    let mut row = row.clone().released();
    let beside = row.shift_remove(BESIDE);
    let document = json!({ "version": 3, "accounts": [row], "activeIndex": 0 });
    let mut pool = V3.decode(document.as_object()?, engine.now());
    let sidecar = match beside {
        Some(Value::Object(beside)) => Sidecar::of_copy(beside),
        Some(_) | None => Sidecar::default(),
    };
    sidecar.complete(&mut pool, Difference::WrittenSince, &|_| None);
    pool.accounts.pop()
}

/// The rows in these bytes.
pub(crate) fn parse(
    engine: &Engine,
    path: &camino::Utf8Path,
    bytes: &[u8],
) -> Result<(Object, Vec<FlaggedRow>), StoreError> {
    let document = json::parse_object(path, bytes, REMEDY)?;
    if json::version(&document) != Some(1) {
        let found = json::version_named(&document);
        return Err(StoreError::UnknownVersion { path: path.to_string(), found });
    }
    let unusable =
        || StoreError::Unreadable { path: path.to_string(), why: format!("no row of it can be used; {REMEDY}") };
    let rows = flagged_rows(&document, engine.now()).ok_or_else(unusable)?;
    Ok((document, rows))
}
