//! Owns the changes a person asks for: each is noted together with what it does, and can be taken back.

use camino::Utf8PathBuf;
use codex_auth_core::{Held, Kind, RecordId, SavedPool, StoreError};
use serde_json::json;

use crate::{
    engine::{Written, reading},
    file_store::FileStore,
    flagged_file, freshness,
    fs::{quarantine::quarantine, read_optional},
    journal,
    official::{config::ConfigUndo, switch::WithLogin},
    oplog::{self, Aside, Logged, Operation},
    recovery::copies,
    transaction::Step,
    undo::{self, Remark},
};

pub(crate) mod parking;
pub(crate) mod restoring;

use parking::Put;

/// A change as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operated {
    /// The pool it was made on.
    pub before: SavedPool,
    /// The pool it made.
    pub after: SavedPool,
}

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The operation.
    pub operation: Logged,
    /// What of it stays.
    pub remarks: Vec<Remark>,
    /// The pool now.
    pub after: SavedPool,
}

/// Why nothing was taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// The log has no operation that could be.
    #[error("there is nothing to take back")]
    Nothing,
    /// The log has no operation of this number.
    #[error("there is no operation {0}")]
    NoSuchOperation(u64),
    /// It put a broken file together again; the broken bytes can only come back mended.
    #[error("operation {number} put a broken file together again; what is left of that file is {}", named(.quarantined.as_ref()))]
    Recovery {
        /// Its number.
        number: u64,
        /// Where the bytes are.
        quarantined: Option<Utf8PathBuf>,
    },
    /// What left the program does not come back.
    #[error("operation {0} handed an access token out, which cannot be taken back")]
    HandedOut(u64),
    /// It was taken back before.
    #[error("operation {0} was taken back already")]
    Already(u64),
    /// The disk did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn named(path: Option<&Utf8PathBuf>) -> &str {
    path.map_or("nothing", |path| path.as_str())
}

impl UndoError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Nothing
            | Self::NoSuchOperation(_)
            | Self::Already(_)
            | Self::Recovery { .. }
            | Self::HandedOut(_) => Kind::Usage,
            Self::Store(error) => error.kind(),
        }
    }
}

impl FileStore {
    /// Makes a change and notes it, as one.
    pub fn operate(
        &self,
        operation: Operation<'_>,
        change: impl FnOnce(&mut SavedPool),
    ) -> Result<Operated, StoreError> {
        self.operate_along(operation, change, &[])
    }

    /// The same, together with changes of other files.
    pub(crate) fn operate_along(
        &self,
        operation: Operation<'_>,
        change: impl FnOnce(&mut SavedPool),
        others: &[Step],
    ) -> Result<Operated, StoreError> {
        self.operate_moving(operation, change, others, &|_| Ok(Vec::new()))
    }

    /// The same, and rows that are put among the parked accounts. Whoever comes into the pool is parked no more.
    fn operate_moving(
        &self,
        operation: Operation<'_>,
        change: impl FnOnce(&mut SavedPool),
        others: &[Step],
        put: &Put<'_>,
    ) -> Result<Operated, StoreError> {
        let engine = &self.engine;
        let Written { before, after } = {
            let root = engine.lock_root()?;
            engine.edit_locked(&root, change, &|before, after, copy| {
                let (moved, aside) = parking::steps(engine, (before, after), &put(before)?)?.unzip();
                let operation = Operation { aside: operation.aside.or(aside.as_ref()), ..operation };
                let noted = oplog::step(engine, operation, (before, after), copy)?;
                Ok(noted.into_iter().chain(moved.into_iter().flatten()).chain(others.iter().cloned()).collect())
            })?
        };
        journal::sweep(engine, &after);
        Ok(Operated { before, after })
    }

    /// The log, oldest first.
    pub fn operations(&self) -> Result<Vec<Logged>, StoreError> {
        oplog::read(&self.engine)
    }

    /// Takes an operation back: the one of this number, else the last one that was not taken back yet.
    pub fn undo(&self, number: Option<u64>) -> Result<Undone, UndoError> {
        let operation = self.to_take_back(number)?;
        let was = self.as_it_was(&operation);
        let change = format!("took back operation {} ({})", operation.number, operation.command);
        let note = Operation { undoes: Some(operation.number), ..Operation::new("undo", &change) };
        let (mut remarks, mut back) = (Vec::new(), Vec::new());
        let take_back = |pool: &mut SavedPool| back = undo::take_back(pool, &operation, &|record| was(record));
        let after = match &operation.aside {
            None => self.operate(note, take_back)?.after,
            Some(Aside::Login { home, before, after }) if self.login_stands_for(home)? == *after => {
                let WithLogin { operated, login } = self.operate_with_login(note, take_back, home, before.as_ref())?;
                remarks.extend(login.err().map(|error| Remark::LoginStays { why: error.to_string() }));
                operated.after
            }
            Some(Aside::Login { home, .. }) => {
                remarks.push(Remark::LoginStays { why: format!("{home} has another one by now") });
                self.operate(note, take_back)?.after
            }
            Some(Aside::Recovery { .. } | Aside::Handed { .. }) => self.read_now()?,
            Some(Aside::Parked { copy, .. }) => {
                let rows = self.rows_taken(copy.as_deref());
                self.operate_moving(note, take_back, &[], &|_| Ok(rows.clone()))?.after
            }
            Some(Aside::Rule(change)) => {
                if !self.take_back_rule(note, change)? {
                    remarks.push(Remark::RuleStays { file: change.file.clone() });
                }
                self.read_now()?
            }
            Some(Aside::Config(change)) => {
                if self.take_back_config(note, change)? == ConfigUndo::ChangedSince {
                    remarks.push(Remark::ConfigStays { path: change.path.to_string() });
                }
                self.read_now()?
            }
        };
        remarks.extend(back);
        Ok(Undone { operation, remarks, after })
    }

    /// Empties the pool on purpose. A file that nobody can read is kept aside; so the pool can begin anew.
    pub fn reset(&self) -> Result<Option<Utf8PathBuf>, StoreError> {
        let engine = &self.engine;
        let mut aside = None;
        {
            let _root = engine.lock_root()?;
            engine.finish()?;
            if let Err(StoreError::Unreadable { .. }) = reading::read(engine) {
                let path = engine.layout.accounts();
                let bytes = read_optional(engine.fs.as_ref(), &path)?.unwrap_or_default();
                let dir = engine.layout.quarantine_dir();
                aside = Some(quarantine(engine.fs.as_ref(), &dir, &path, &bytes, engine.now())?);
                crate::fs::remove_durably(engine.fs.as_ref(), &path)?;
            }
        }
        let empty = |pool: &mut SavedPool| {
            *pool = SavedPool { affinity_generation: pool.affinity_generation + 1, ..SavedPool::default() };
        };
        let mark = json!({ "version": 1, "createdAt": engine.now().as_millis() }).to_string().into_bytes();
        let mark = Step::replace(engine.layout.reset_intent(), None, mark);
        // A format without marks needs none: there, a document without accounts says the same.
        let marked = engine.layout.has_predecessors_marks().then_some(mark);
        self.operate_along(Operation::new("reset", "emptied the pool"), empty, marked.as_slice())?;
        Ok(aside)
    }

    fn to_take_back(&self, number: Option<u64>) -> Result<Logged, UndoError> {
        let all = self.operations()?;
        let is_undone = |number: u64| all.iter().any(|logged| logged.undoes == Some(number));
        let found = if let Some(number) = number {
            all.iter().find(|logged| logged.number == number).ok_or(UndoError::NoSuchOperation(number))?
        } else {
            let is_final = |aside: &Aside| matches!(aside, Aside::Recovery { .. } | Aside::Handed { .. });
            let is_a_deed = |logged: &Logged| !logged.aside.as_ref().is_some_and(is_final);
            let open = |logged: &&Logged| logged.undoes.is_none() && is_a_deed(logged) && !is_undone(logged.number);
            all.iter().rev().find(open).ok_or(UndoError::Nothing)?
        };
        if let Some(Aside::Handed { .. }) = &found.aside {
            return Err(UndoError::HandedOut(found.number));
        }
        if let Some(Aside::Recovery { quarantined }) = &found.aside {
            return Err(UndoError::Recovery { number: found.number, quarantined: quarantined.clone() });
        }
        if is_undone(found.number) {
            return Err(UndoError::Already(found.number));
        }
        Ok(found.clone())
    }

    /// Accounts as they were before an operation, each with the newest credential there is.
    fn as_it_was(&self, operation: &Logged) -> impl Fn(&RecordId) -> Option<Held> + use<> {
        let engine = self.engine.clone();
        let own = operation.copy.as_ref().map(|name| engine.layout.history_dir().join(name));
        // Where that copy is gone, any other that has the account will do.
        let others = self.earlier().into_iter().map(|earlier| earlier.path);
        let paths: Vec<Utf8PathBuf> = own.into_iter().chain(others).collect();
        let file = flagged_file::look(&engine);
        let parked: Vec<Held> = file
            .map(|file| file.rows.iter().filter_map(|row| flagged_file::held_of(&engine, row)).collect())
            .unwrap_or_default();
        move |record| {
            let mut all = paths.iter().filter_map(|path| copies::read(&engine, path));
            let of_copy = all.find_map(|copy| copy.pool.find(record).cloned());
            let of_file = parked.iter().find(|held| held.account.record == *record);
            let mut held = of_copy.or_else(|| of_file.cloned())?;
            if let Some(parked) = of_file
                && freshness::is_newer(&parked.credential, &held.credential, engine.now())
            {
                freshness::replace(&mut held, parked.credential.clone());
            }
            restoring::with_newest_tokens(&engine, &mut held);
            Some(held)
        }
    }
}
