//! The capabilities of this agent: who holds one, what it opens, and that its count and its end outlive the process.
//!
//! Requests are let in by memory alone; what they may use up is on disk before. A revocation counts in memory first
//! and is acknowledged when the disk has it, too.

pub(crate) mod door;
mod file;
mod model;

pub(crate) use model::{asked_model, model_in};

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use codex_auth_core::{
    ClientToken, Entropy, Permit, PermitRefused, PermitTable, PermitTerms, RecordId, SecretHash, StateDir, StoreError,
    Timestamp,
};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tokio::sync::watch;

/// How every secret of a capability begins, so that people and scanners know one when they see it.
const BEGINNING: &str = "cma_cap_";

/// The capabilities of one agent.
#[derive(Debug, Clone)]
pub struct Permits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<PermitTable>,
    directory: Option<Arc<dyn StateDir>>,
    /// Held while the file is written, so that an older table never comes after a newer one.
    writing: Mutex<Writing>,
    /// The ones revoked in this process: what they are being answered is broken off.
    revoked: watch::Sender<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Writing {
    /// Why the file cannot be used; it is looked at again before the next change.
    unusable: Option<StoreError>,
    /// Whether the disk is behind, because a write failed.
    is_behind: bool,
}

/// The holder of a capability, as it stood when a request came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) id: String,
    pub(crate) account: Option<RecordId>,
    pub(crate) models: Vec<String>,
    pub(crate) expires_at: Timestamp,
}

impl Holder {
    /// Whether the capability is for this model.
    pub(crate) fn lets(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|known| known == model)
    }
}

/// Why no capability was made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum PermitError {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] PermitRefused),
    /// The disk did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Permits {
    /// Capabilities that end with this process.
    pub fn in_memory() -> Self {
        Self::of(PermitTable::default(), None, None)
    }

    /// Capabilities kept in this directory. A file that cannot be read lets nobody in, and is left as it is.
    pub fn kept_in(directory: Arc<dyn StateDir>) -> Self {
        match file::read(directory.as_ref()) {
            Ok(table) => Self::of(table, Some(directory), None),
            Err(error) => {
                tracing::error!(%error, "no capability is accepted");
                Self::of(PermitTable::default(), Some(directory), Some(error))
            }
        }
    }

    /// What a directory's file says, without an agent.
    pub fn listed_in(directory: &dyn StateDir) -> Result<Vec<Permit>, StoreError> {
        Ok(file::read(directory)?.rows)
    }

    fn of(table: PermitTable, directory: Option<Arc<dyn StateDir>>, unusable: Option<StoreError>) -> Self {
        let writing = Mutex::new(Writing { unusable, is_behind: false });
        Self(Arc::new(Inner {
            table: Mutex::new(table.after_a_crash()),
            directory,
            writing,
            revoked: watch::Sender::default(),
        }))
    }

    /// Makes a capability under these terms. It is on disk when this returns, and its secret nowhere but here.
    pub async fn issue(
        &self,
        terms: PermitTerms,
        reopens: bool,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<(Permit, ClientToken), PermitError> {
        let secret = ClientToken::new(format!("{BEGINNING}{}", crate::mint(entropy).expose()));
        let hash = hash_of(secret.expose());
        let id = crate::leases::hex(&hash[..6]);
        let made = self.change(move |table| {
            if let (true, Some(name)) = (reopens, &terms.name) {
                table.reopen(name);
            }
            table.issue((&id, hash), terms.clone(), now)
        });
        Ok((made.await??, secret))
    }

    /// Ends the one of this id or name, or all of them; returns the ids. When this returns, no crash brings one back.
    pub async fn revoke(&self, which: Option<String>) -> Result<Vec<String>, PermitError> {
        let gone = self.lock().revoke(which.as_deref());
        self.0.revoked.send_modify(|revoked| revoked.extend(gone.iter().cloned()));
        // What was just taken out of the table is now taken out of the file.
        self.change(|_| ()).await?;
        Ok(gone)
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Vec<Permit> {
        self.lock().rows.clone()
    }

    /// Whether somebody outside may still come with one.
    pub(crate) fn are_open(&self, now: Timestamp) -> bool {
        self.lock().is_open(now)
    }

    /// Writes what was counted, at the end: a crash would have it that all that was reserved was used.
    pub(crate) async fn settle_down(&self) {
        // Given back in memory first: whoever came now would have to reserve anew.
        self.lock().rows.iter_mut().for_each(|row| row.reserved = row.used);
        if let Err(error) = self.change(|_| ()).await {
            tracing::warn!(%error, "the uses of capabilities could not be written");
        }
    }

    /// Whether a bearer claims to be one of ours.
    pub(crate) fn is_one(bearer: &str) -> bool {
        bearer.starts_with(BEGINNING)
    }

    /// Who holds this secret. Every hash is compared in full, whichever fits.
    pub(crate) fn holder(&self, secret: &str, now: Timestamp) -> Option<Holder> {
        let hash = hash_of(secret);
        let table = self.lock();
        let mut place = u64::MAX;
        for (index, row) in (0..).zip(&table.rows) {
            let fits = row.secrets.iter().fold(Choice::from(0), |fits, known| fits | known.ct_eq(&hash));
            place.conditional_assign(&index, fits);
        }
        let row = usize::try_from(place).ok().and_then(|place| table.rows.get(place))?;
        let Permit { id, terms, .. } = row;
        (now < row.expires_at).then(|| Holder {
            id: id.clone(),
            account: terms.account.clone(),
            models: terms.models.clone(),
            expires_at: row.expires_at,
        })
    }

    /// Applies a change to the file and then to memory; without a change in the file's text nothing is written.
    async fn change<T: Send + 'static>(
        &self,
        change: impl Fn(&mut PermitTable) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = self.clone();
        // On a thread that nobody's leaving can stop: a write begun late must not land after a newer one.
        let done = tokio::task::spawn_blocking(move || permits.change_now(change)).await;
        done.unwrap_or_else(|ended| {
            Err(StoreError::Io { verb: "write", path: file::NAME.to_owned(), why: ended.to_string() })
        })
    }

    fn change_now<T>(&self, change: impl Fn(&mut PermitTable) -> T) -> Result<T, StoreError> {
        let Inner { directory, writing, .. } = self.0.as_ref();
        let mut writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(directory) = directory else { return Ok(change(&mut self.lock())) };
        if writing.unusable.is_some() {
            // Mended or moved away meanwhile?
            let table = file::read(directory.as_ref())?;
            *self.lock() = table.after_a_crash();
            writing.unusable = None;
        }
        let before = self.lock().clone();
        let mut after = before.clone();
        change(&mut after);
        let text = file::text(&after);
        if writing.is_behind || directory.read(file::NAME)?.unwrap_or_default() != text.as_bytes() {
            writing.is_behind = true;
            directory.replace(file::NAME, text.as_bytes())?;
            writing.is_behind = false;
        }
        // Requests were let in meanwhile, so it is not `after` that counts.
        Ok(change(&mut self.lock()))
    }

    fn lock(&self) -> MutexGuard<'_, PermitTable> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash_of(secret: &str) -> SecretHash {
    Sha256::digest(secret).into()
}
