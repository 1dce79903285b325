//! Owns what the pool is when its document cannot simply be read: cleared, removed, or put together from copies.
//!
//! A document that is gone was taken away on purpose: our own writes never leave a moment without one. One that is
//! broken is put together again by how fresh tokens are, never by the order of files.

use camino::Utf8Path;
use codex_auth_core::{SavedPool, StoreError};

use crate::{
    engine::{
        Engine,
        reading::{REMEDY, Reading},
    },
    fs::{os, quarantine::quarantine},
    json::{self, Object},
    notice::Notice,
    oplog::{self, Aside, Operation},
    sidecar::{Difference, OLDER_TOKEN, Sidecar},
    transaction::Step,
};

pub(crate) mod copies;
pub(crate) mod gather;

use copies::Copy;
use gather::Gathered;

/// Where the document of a reading comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The file.
    File,
    /// Nowhere: it was cleared on purpose.
    Cleared,
    /// Nowhere: there is no file.
    Missing,
    /// Copies, because the file is broken or older than a save that was stopped.
    Copies,
}

/// A document, and how it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) document: Object,
    pub(crate) origin: Origin,
    /// How it may differ from what the sidecar knows.
    pub(crate) difference: Difference,
    pub(crate) report: Option<Report>,
}

/// What was wrong, and where the accounts came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    why: String,
    from: Vec<String>,
    lost: usize,
}

/// Finds the document. `bytes` are those of the file, `stopped` those of the predecessor's journal.
pub(crate) fn find(
    engine: &Engine,
    bytes: Option<&[u8]>,
    is_cleared: bool,
    stopped: Option<&[u8]>,
    sidecar: &Sidecar,
) -> Result<Found, StoreError> {
    let nothing =
        |origin| Found { document: engine.codec.empty(), origin, difference: Difference::WrittenSince, report: None };
    if is_cleared {
        return Ok(nothing(Origin::Cleared));
    }
    let stopped = stopped.and_then(|journal| stopped_save(engine, journal, bytes));
    let file = bytes.map(|bytes| document_of(engine, &engine.layout.accounts(), bytes));
    match (file, stopped) {
        (Some(Err(error @ (StoreError::UnknownVersion { .. } | StoreError::Io { .. }))), _) => Err(error),
        (file, Some(document)) if is_overtaken(engine, file.as_ref()) => Ok(Found {
            document,
            origin: Origin::Copies,
            difference: Difference::WrittenSince,
            report: Some(Report {
                why: match file {
                    Some(Ok(_)) => "was older than a save that was stopped".to_owned(),
                    Some(Err(error)) => what_is_wrong(&error),
                    None => "was missing after a save that was stopped".to_owned(),
                },
                from: vec![name_of(&engine.layout.predecessors_journal())],
                lost: 0,
            }),
        }),
        (None, _) => Ok(nothing(Origin::Missing)),
        (Some(Ok(document)), _) => {
            Ok(Found { document, origin: Origin::File, difference: Difference::WrittenSince, report: None })
        }
        (Some(Err(error)), _) => {
            let copies = copies::all(engine, bytes.unwrap_or_default());
            let known = sidecar.records();
            let gathered = gather::gather(engine.codec.as_ref(), copies.clone(), &known, engine.now());
            let Gathered { document, from, lost } = match with_neighbour(engine, gathered, copies) {
                Some(gathered) => gathered,
                None if engine.codec.begins_anew() => {
                    Gathered { document: engine.codec.empty(), from: Vec::new(), lost: known.len() }
                }
                None => return Err(error),
            };
            Ok(Found {
                document,
                origin: Origin::Copies,
                difference: Difference::FromCopies,
                report: Some(Report { why: what_is_wrong(&error), from, lost }),
            })
        }
    }
}

/// The same with the newest that is left of the other pool of the document.
fn with_neighbour(engine: &Engine, gathered: Option<Gathered>, copies: Vec<Copy>) -> Option<Gathered> {
    let (codec, now) = (engine.codec.as_ref(), engine.now());
    let Some(neighbour) = codec.neighbour() else { return gathered };
    let seen = |copy: Copy| Copy { pool: neighbour.decode(&copy.document, now), ..copy };
    let copies = copies.into_iter().map(seen).collect();
    let Some(theirs) = gather::gather(neighbour.as_ref(), copies, &[], now) else { return gathered };
    let (pool, from, lost) = match gathered {
        Some(ours) => (codec.decode(&ours.document, now), ours.from, ours.lost),
        None => (SavedPool::default(), theirs.from, theirs.lost),
    };
    Some(Gathered { document: codec.encode(&theirs.document, &pool, now), from, lost })
}

/// The sidecar of the newest copy of ours, when the file itself is broken.
pub(crate) fn sidecar_of_copies(engine: &Engine) -> Sidecar {
    let mut newest_first = copies::history(engine).into_iter().rev().filter_map(|copy| copy.sidecar);
    newest_first.next().unwrap_or_default()
}

/// Keeps broken bytes before anything takes their place.
pub(crate) fn set_broken_aside(engine: &Engine, reading: &Reading) -> Result<Vec<Notice>, StoreError> {
    let (layout, fs, now) = (&engine.layout, engine.fs.as_ref(), engine.now());
    let aside = |path: &Utf8Path, bytes: &[u8]| quarantine(fs, &layout.quarantine_dir(), path, bytes, now);
    let mut notices = Vec::new();
    if let Some(report) = &reading.report {
        let path = layout.accounts();
        let is_broken = reading.origin == Origin::Copies
            && document_of(engine, &path, reading.bytes.as_deref().unwrap_or_default()).is_err();
        let broken = reading.bytes.as_deref().filter(|_| is_broken);
        let quarantined = broken.map(|bytes| aside(&path, bytes)).transpose()?;
        let needs = reading.pool.accounts.iter().filter_map(|held| held.account.needs_login.as_ref());
        notices.push(Notice::Recovered {
            path,
            why: report.why.clone(),
            accounts: reading.pool.accounts.len(),
            from: report.from.clone(),
            lost: report.lost,
            older: needs.filter(|needs| needs.code == OLDER_TOKEN).count(),
            quarantined,
        });
    }
    if reading.is_sidecar_broken {
        let path = layout.sidecar();
        let quarantined = aside(&path, reading.sidecar_bytes.as_deref().unwrap_or_default())?;
        notices.push(Notice::BesideLost { path, from_copy: reading.sidecar != Sidecar::default(), quarantined });
    }
    Ok(notices)
}

/// The line of the log that tells of a recovery. One that comes with a person's own change is told by that change.
pub(crate) fn noted(
    engine: &Engine,
    notices: &[Notice],
    (before, after): (&SavedPool, &SavedPool),
) -> Result<Option<Step>, StoreError> {
    let told = notices.iter().find_map(|notice| match notice {
        Notice::Recovered { quarantined, accounts, from, .. } if before == after => {
            let what = if from.is_empty() {
                "began anew without accounts".to_owned()
            } else {
                format!("put {accounts} accounts together from {}", from.join(", "))
            };
            Some((quarantined.clone(), what))
        }
        Notice::Recovered { .. } | Notice::NotWritten { .. } | Notice::BesideLost { .. } => None,
    });
    let Some((quarantined, what)) = told else { return Ok(None) };
    let aside = Aside::Recovery { quarantined };
    let operation = Operation { aside: Some(&aside), ..Operation::new("recovery", &what) };
    oplog::step(engine, operation, (before, after), None)
}

/// The document in these bytes, in today's shape.
pub(crate) fn document_of(engine: &Engine, path: &Utf8Path, bytes: &[u8]) -> Result<Object, StoreError> {
    engine.codec.upgrade(path, json::parse_object(path, bytes, REMEDY)?, engine.now())
}

/// What the predecessor was about to save, if that is whole and differs from the file.
fn stopped_save(engine: &Engine, journal: &[u8], bytes: Option<&[u8]>) -> Option<Object> {
    let path = engine.layout.predecessors_journal();
    let content = copies::content_of_journal(&path, journal)?;
    let is_news = bytes != Some(content.as_bytes());
    document_of(engine, &path, content.as_bytes()).ok().filter(|_| is_news)
}

/// Whether the predecessor's journal was written after the file: then the save was stopped before the file came.
fn is_overtaken(engine: &Engine, file: Option<&Result<Object, StoreError>>) -> bool {
    let written = |path: &Utf8Path| os::modified(path);
    match file {
        Some(Ok(_)) => written(&engine.layout.predecessors_journal()) > written(&engine.layout.accounts()),
        Some(Err(_)) | None => true,
    }
}

/// The middle of an error's sentence: what is wrong with the file.
fn what_is_wrong(error: &StoreError) -> String {
    let StoreError::Unreadable { why, .. } = error else { return "could not be used".to_owned() };
    format!("could not be used: {}", why.split(';').next().unwrap_or(why))
}

fn name_of(path: &Utf8Path) -> String {
    path.file_name().unwrap_or(path.as_str()).to_owned()
}
