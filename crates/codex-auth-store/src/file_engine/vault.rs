//! The vault over the pool: compare and set inside the edit that writes it, while the lease cannot change hands.

use codex_auth_core::{
    Held, RecordId,
    capability::{CapabilityError, Commit, Contents, Judged, Kept, StorageEngine as _, judge},
};

use super::FileEngine;
use crate::freshness;

impl FileEngine {
    pub(super) fn kept(&self, id: &RecordId) -> Result<Kept, CapabilityError> {
        self.store.read_now()?.find(id).map(kept_of).ok_or_else(|| no_account(id))
    }

    pub(super) fn commit_contents(&self, commit: &Commit) -> Result<u64, CapabilityError> {
        let caps = self.caps();
        caps.admits(&commit.contents)?;
        let Contents::Plain(fresh) = &commit.contents else {
            return Err(CapabilityError::Unsupported { engine: caps.engine, verb: "take sealed tokens" });
        };
        let key = commit.id.as_str();
        self.on_leases(key, |leases, _| {
            leases.check(key, commit.fence)?;
            let mut judged = Err(no_account(&commit.id));
            self.store.edit_now(|pool| {
                let Some(held) = pool.find_mut(&commit.id) else { return };
                judged = judge(&kept_of(held), commit);
                if let Ok(Judged::Write(generation)) = judged {
                    let mut fresh = fresh.clone();
                    fresh.generation = generation;
                    freshness::replace(held, fresh);
                }
            })?;
            judged.map(|judged| match judged {
                Judged::Write(generation) | Judged::Done(generation) => generation,
            })
        })
    }

    pub(super) fn listed(&self) -> Result<Vec<(RecordId, u64)>, CapabilityError> {
        let pool = self.store.read_now()?;
        let named = |held: &Held| (held.account.record.clone(), held.credential.generation);
        Ok(pool.accounts.iter().map(named).collect())
    }
}

fn kept_of(held: &Held) -> Kept {
    Kept {
        id: held.account.record.clone(),
        generation: held.credential.generation,
        contents: Contents::Plain(held.credential.clone()),
    }
}

fn no_account(id: &RecordId) -> CapabilityError {
    CapabilityError::Gone { what: format!("account {id}") }
}
