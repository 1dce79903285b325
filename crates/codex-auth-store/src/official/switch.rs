//! Owns changing the pool and the official client's login as one: after a crash both say the old account, or both the
//! new one.

use camino::Utf8Path;
use codex_auth_core::{Held, Login, LoginState, RecordId, SavedPool, StoreError};

use super::{
    accounts_json::{self, AccountsJson},
    config, login_of,
    write::{LoginError, Under, login_text, under_locks, verified},
};
use crate::{
    engine::{Engine, Written, root_lock::RootLock},
    file_store::FileStore,
    fs::read_optional,
    journal, merge,
    operations::Operated,
    oplog::{self, Aside, Operation},
    transaction::Step,
};

/// What a change of the pool came to, and what became of the login.
#[derive(Debug)]
pub struct WithLogin {
    /// The pool.
    pub operated: Operated,
    /// The list of logins beside the login; or why the login stays as it was. The pool is changed all the same.
    pub login: Result<AccountsJson, LoginError>,
}

impl FileStore {
    /// Makes a change, and `wanted` the login of a home; `None` removes the login. Both are written as one.
    pub fn operate_with_login(
        &self,
        operation: Operation<'_>,
        change: impl FnOnce(&mut SavedPool),
        codex_home: &Utf8Path,
        wanted: Option<&RecordId>,
    ) -> Result<WithLogin, StoreError> {
        let (engine, files) = (&self.engine, self.layout().client_files(codex_home));
        let (fs, wait) = (engine.fs.as_ref(), engine.waits.official / 2);
        let root = engine.lock_root()?;
        engine.finish()?;
        let mut change = Some(change);
        let mut outcome = None;
        let prepared = config::refuse_other_stores(fs, &files.config).and_then(|()| {
            under_locks(engine, &files, |under| {
                let there = self.save_what_stands(&root, &files, under.target)?;
                let pool = engine.read()?;
                let before = there.as_ref().and_then(|login| record_of(&pool, login));
                let held = wanted.map(|record| engine.find(record)).transpose()?;
                let step = step(engine, &under, there.as_ref(), held.as_ref())?;
                let is_written = step.is_some();
                let aside = Aside::Login { home: codex_home.to_owned(), before, after: wanted.cloned() };
                let noted = Operation { aside: is_written.then_some(&aside), ..operation };
                let change = change.take().expect("taken once");
                let Written { before, after } = edit(engine, &root, noted, change, step.as_ref())?;
                let login = match &held {
                    None => Ok(AccountsJson::Absent),
                    Some(held) => {
                        let stands = if is_written { verified(fs, under.target, &held.credential) } else { Ok(()) };
                        stands.map(|()| accounts_json::put(fs, &files.accounts, held, engine.now(), wait))
                    }
                };
                outcome = Some(WithLogin { operated: Operated { before, after }, login });
                Ok(())
            })
        });
        let outcome = match (outcome, change, prepared) {
            (Some(outcome), _, _) => outcome,
            (None, _, Err(LoginError::Store(error @ StoreError::Io { .. }))) => return Err(error),
            // The login is not ours to write now; the pool is.
            (None, Some(change), Err(why)) => {
                let Written { before, after } = edit(engine, &root, operation, change, None)?;
                WithLogin { operated: Operated { before, after }, login: Err(why) }
            }
            (None, _, Err(LoginError::Store(error))) => return Err(error),
            (None, _, Err(other)) => return Err(unexpected(&other.to_string())),
            (None, _, Ok(())) => return Err(unexpected("nothing was written")),
        };
        drop(root);
        journal::sweep(engine, &outcome.operated.after);
        Ok(outcome)
    }

    /// Whose login stands in a home, as far as the pool knows.
    pub(crate) fn login_stands_for(&self, codex_home: &Utf8Path) -> Result<Option<RecordId>, StoreError> {
        let target = self.layout().client_files(codex_home).auth;
        let Some(bytes) = read_optional(self.engine.fs.as_ref(), &target)? else { return Ok(None) };
        let LoginState::Usable(login) = login_of(&target, &bytes) else { return Ok(None) };
        Ok(record_of(self.engine.read()?.as_ref(), &login))
    }
}

/// What has to be done to the login file so that it says `held`; nothing when it does.
fn step(
    engine: &Engine,
    under: &Under<'_>,
    there: Option<&Login>,
    held: Option<&Held>,
) -> Result<Option<Step>, LoginError> {
    let target = under.target.to_owned();
    let bytes = read_optional(engine.fs.as_ref(), &target)?;
    let Some(held) = held else {
        return Ok(bytes.map(|bytes| Step::remove(target, &bytes).under(under.locks.clone())));
    };
    let stands = |login: &Login| {
        login.credential.same_grant(&held.credential) && login.credential.access == held.credential.access
    };
    if there.is_some_and(stands) {
        return Ok(None);
    }
    let text = login_text(&target, bytes.as_deref(), held, engine.now())?;
    Ok(Some(Step::replace(target, bytes.as_deref(), text).under(under.locks.clone())))
}

fn edit(
    engine: &Engine,
    root: &RootLock,
    operation: Operation<'_>,
    change: impl FnOnce(&mut SavedPool),
    step: Option<&Step>,
) -> Result<Written, StoreError> {
    engine.edit_locked(root, change, &|before, after, copy| {
        let noted = oplog::step(engine, operation, (before, after), copy)?;
        Ok(noted.into_iter().chain(step.cloned()).collect())
    })
}

fn record_of(pool: &SavedPool, login: &Login) -> Option<RecordId> {
    let index = merge::known(pool, &login.owner, &login.credential)?;
    Some(pool.accounts[index].account.record.clone())
}

fn unexpected(why: &str) -> StoreError {
    StoreError::Io { verb: "write", path: "the pool and the login".to_owned(), why: why.to_owned() }
}
