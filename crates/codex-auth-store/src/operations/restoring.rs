//! Owns going back to a pool as it was: accounts, selection and names of a copy, and the newest tokens there are.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Held, SavedPool, StoreError, Timestamp};

use super::Operated;
use crate::{
    engine::{Engine, reading},
    file_store::FileStore,
    freshness,
    fs::os,
    history, journal,
    json::Object,
    merge,
    oplog::Operation,
    recovery::{
        Origin,
        copies::{self, Copy},
    },
    sidecar::Difference,
};

/// A copy one can go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its file.
    pub path: Utf8PathBuf,
    /// When it was made.
    pub at: Timestamp,
    /// How many accounts it has.
    pub accounts: usize,
}

/// How the pool came to be as it is, when nobody is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptiness {
    /// Somebody is in it.
    Filled,
    /// Nobody came yet, or everybody was removed.
    Empty,
    /// It was cleared by a command.
    Cleared,
    /// Its file was taken away.
    Removed,
    /// Its file has rows, and nobody can use any of them.
    Unusable,
}

impl FileStore {
    /// The copies one can go back to, newest first. The predecessor's copy that says what one of ours says is the same
    /// one; ours also has what stood beside.
    pub fn earlier(&self) -> Vec<Earlier> {
        let engine = &self.engine;
        let ours = history::all(engine).into_iter().map(|kept| kept.path).filter_map(|path| self.look_at(path));
        let (mut all, said): (Vec<Earlier>, Vec<Object>) = ours.unzip();
        let beside = os::names_in(engine.layout.root()).unwrap_or_default();
        let theirs =
            beside.into_iter().filter(|name| copies::is_copy(name)).map(|name| engine.layout.root().join(name));
        let theirs = theirs.filter_map(|path| self.look_at(path)).filter(|(_, document)| !said.contains(document));
        all.extend(theirs.map(|(earlier, _)| earlier));
        all.sort_by(|left, right| right.at.cmp(&left.at).then_with(|| left.path.cmp(&right.path)));
        all
    }

    /// The accounts of a copy, with the newest tokens there are; `None` when it is no copy of a pool.
    pub fn pool_of_copy(&self, path: &Utf8Path) -> Option<SavedPool> {
        let copy = copies::read(&self.engine, path)?;
        Some(self.with_todays_tokens(copy))
    }

    /// Makes the pool what a copy says. Tokens never go back: an account that is in the pool keeps its own.
    pub fn restore(&self, path: &Utf8Path, change: &str) -> Result<Operated, StoreError> {
        let not_a_copy = || StoreError::Unreadable {
            path: path.to_string(),
            why: "it is no copy of a pool; `codex-multi-auth restore --list` shows the copies".to_owned(),
        };
        let earlier = self.pool_of_copy(path).ok_or_else(not_a_copy)?;
        let now = self.engine.now();
        self.operate(Operation::new("restore", change), |pool| {
            let mut restored = earlier;
            for held in &mut restored.accounts {
                let same = pool.find(&held.account.record);
                let known =
                    merge::known(pool, &held.account.owner, &held.credential).map(|index| &pool.accounts[index]);
                if let Some(ours) = same.or(known)
                    && !freshness::is_newer(&held.credential, &ours.credential, now)
                {
                    held.credential = ours.credential.clone();
                    held.account.needs_login = ours.account.needs_login.clone();
                    held.account.rests = ours.account.rests.clone();
                }
            }
            restored.affinity_generation = pool.affinity_generation.max(restored.affinity_generation) + 1;
            *pool = restored;
        })
    }

    /// Why nobody is in the pool.
    pub fn emptiness(&self) -> Result<Emptiness, StoreError> {
        if !self.read_now()?.accounts.is_empty() {
            return Ok(Emptiness::Filled);
        }
        let reading = reading::read(&self.engine)?;
        let has_rows = reading.document.get("accounts").and_then(serde_json::Value::as_array);
        Ok(match reading.origin {
            Origin::Cleared => Emptiness::Cleared,
            Origin::Missing if self.earlier().is_empty() && reading.sidecar.records().is_empty() => Emptiness::Empty,
            Origin::Missing => Emptiness::Removed,
            Origin::File | Origin::Copies if has_rows.is_some_and(|rows| !rows.is_empty()) => Emptiness::Unusable,
            Origin::File | Origin::Copies => Emptiness::Empty,
        })
    }

    /// A copy with somebody in it, and its document.
    fn look_at(&self, path: Utf8PathBuf) -> Option<(Earlier, Object)> {
        let Copy { pool, document, .. } = copies::read(&self.engine, &path)?;
        let at = history::made_at(&path).or_else(|| os::modified_millis(&path)).map(Timestamp::from_millis)?;
        let accounts = pool.accounts.len();
        (accounts > 0).then_some((Earlier { path, at, accounts }, document))
    }

    fn with_todays_tokens(&self, copy: Copy) -> SavedPool {
        let mut pool = copy.pool;
        if let Ok(reading) = reading::read(&self.engine) {
            // Where accounts were taken away by hand, their entries still say which tokens were the last.
            reading.sidecar.complete(&mut pool, Difference::FromCopies, &|record| journal::kept(&self.engine, record));
        }
        pool.accounts.iter_mut().for_each(|held| with_newest_tokens(&self.engine, held));
        pool
    }
}

/// Gives an account the newest credential that was kept of it.
pub(super) fn with_newest_tokens(engine: &Engine, held: &mut Held) {
    if let Some(kept) = journal::kept(engine, &held.account.record)
        && freshness::is_newer(&kept.newest, &held.credential, engine.now())
    {
        freshness::replace(held, kept.newest);
    }
}
