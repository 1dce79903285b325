//! Which sessions outlive the process: core's bonds, kept in the file that OpenCode's plugin has always kept them in.

use std::sync::Arc;

use camino::Utf8Path;
use codex_auth_core::{Affinity, Clock, RecordId, SavedPool, StoreError, Strategy};
use codex_auth_store::{
    StateFile,
    documents::opencode_affinity::{ModePins, SESSIONS_KEPT, SessionAffinity},
    opencode::Domain,
};

use crate::IdentityKeyField;

/// The file, as far as it is about one half of the accounts and one strategy.
#[derive(Debug)]
pub struct SessionPins {
    file: StateFile<SessionAffinity>,
    clock: Arc<dyn Clock>,
    mode: Domain,
    strategy: Strategy,
}

impl SessionPins {
    /// The pins in this directory of the plugin.
    pub fn new(config_root: &Utf8Path, clock: Arc<dyn Clock>, (mode, strategy): (Domain, Strategy)) -> Self {
        let file =
            StateFile::of_opencode(config_root, <SessionAffinity as codex_auth_store::Document>::NAME, clock.clone());
        Self { file, clock, mode, strategy }
    }

    /// What was written down of sessions whose accounts are in the pool.
    pub fn read(&self, pool: &SavedPool) -> Result<Affinity, StoreError> {
        let written = self.file.read()?.document;
        let Some(pins) = written.modes.get(self.mode.name()) else { return Ok(Affinity::default()) };
        let named = |identity: &str| {
            let mut held = pool.accounts.iter();
            let held = held.find(|held| key_of(pool, &held.account.record).as_deref() == Some(identity))?;
            Some(held.account.record.clone())
        };
        Ok(pins.sessions(self.strategy, pool.affinity_generation, named))
    }

    /// Writes down what is known, together with what other processes wrote meanwhile.
    pub fn write(&self, sessions: &Affinity, pool: &SavedPool) -> Result<(), StoreError> {
        let mine = ModePins::of(sessions, self.strategy, |record| key_of(pool, record));
        let now = self.clock.now();
        let edited = self.file.edit(now, |known| {
            known.merge(self.mode.name(), &mine);
            known.prune(SESSIONS_KEPT, now);
        });
        edited.map(drop)
    }
}

fn key_of(pool: &SavedPool, record: &RecordId) -> Option<String> {
    Some(IdentityKeyField::of(&pool.find(record)?.account.owner)?.to_string())
}
