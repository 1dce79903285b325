//! The right to spend one refresh token, across processes and products.
//!
//! One lock per identity lets one holder in at a time; the journal lets nobody present a token twice, and keeps what
//! it bought until the pool has it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use codex_auth_core::{Credential, Held, Intent, NeedsLogin, RecordId, RefreshClaim, RefreshToken, StoreError};

use crate::{
    engine::Engine,
    file_store::{FileStore, apart},
    freshness,
    fs::lock::{self, FileLock, Signature},
    hash::token_hash,
    journal::{self, Entry},
    kin, lease,
    official::{Homes, replica},
    publishing::Publishing,
    spare,
};

/// Waits for the identity's lock, then for a refresh the predecessor has begun.
pub(crate) async fn claim(store: &FileStore, record: &RecordId) -> Result<FileClaim, StoreError> {
    let (engine, of) = (store.engine.clone(), record.clone());
    let held = apart(move || engine.find(&of)).await?;
    let path = store.engine.layout.refresh_lock(held.account.owner.identity().as_ref(), record);
    let wait = store.engine.waits.refresh;
    let mut waited = Duration::ZERO;
    let lock = loop {
        let path_again = path.clone();
        if let Some(lock) = apart(move || lock::try_lock(&path_again, Signature::Pid)).await? {
            break lock;
        }
        if waited >= wait {
            return Err(lock::locked(&path, wait));
        }
        tokio::time::sleep(lock::POLL).await;
        waited += lock::POLL;
    };
    lease::wait_for_predecessor(&store.engine, &held.credential.refresh, wait).await?;
    let work = Work {
        engine: store.engine.clone(),
        homes: store.homes.clone(),
        record: record.clone(),
        _lock: Arc::new(lock),
    };
    Ok(FileClaim { work, entry: None, turn: None, publishing: store.publishing.clone() })
}

/// How long somebody who waits for an answer gives way to another presentation; then both go on beside each other.
const GIVES_WAY: Duration = Duration::from_secs(3);

/// One presentation at a time on this machine, as far as waiting for that is reasonable.
async fn turn(engine: &Engine) -> Option<FileLock> {
    let path = engine.layout.presenting_lock();
    let wait = GIVES_WAY.min(engine.waits.refresh);
    let mut waited = Duration::ZERO;
    loop {
        let path = path.clone();
        // A lock that cannot be had at all is no reason to let a sign-in end.
        if let Some(lock) = apart(move || lock::try_lock(&path, Signature::Pid)).await.ok()? {
            return Some(lock);
        }
        if waited >= wait {
            return None;
        }
        tokio::time::sleep(lock::POLL).await;
        waited += lock::POLL;
    }
}

/// The port's form.
#[derive(Debug)]
pub(crate) struct FileClaim {
    work: Work,
    entry: Option<Arc<Entry>>,
    /// From the intent until the answer is known.
    turn: Option<FileLock>,
    publishing: Publishing,
}

#[async_trait]
impl RefreshClaim for FileClaim {
    async fn look_again(&mut self) -> Result<Held, StoreError> {
        let work = self.work.clone();
        apart(move || work.look_again()).await
    }

    async fn intend(&mut self, token: &RefreshToken) -> Result<Intent, StoreError> {
        let (work, token) = (self.work.clone(), token.clone());
        self.turn = turn(&work.engine).await;
        self.entry = apart(move || work.intend(&token)).await?.map(Arc::new);
        Ok(if self.entry.is_some() { Intent::Clear } else { Intent::MaybeSpent })
    }

    async fn commit(&mut self, fresh: &Credential) -> Result<(), StoreError> {
        self.turn = None;
        let (work, entry, fresh) = (self.work.clone(), self.entry.clone(), fresh.clone());
        let Some(entry) = entry else { return apart(move || work.publish(None, &fresh)).await };
        let (noting, noted) = (Arc::clone(&entry), fresh.clone());
        let engine = work.engine.clone();
        let is_noted = apart(move || journal::answer(&engine, &noting, &noted)).await.is_ok();
        if !is_noted {
            return apart(move || work.publish(Some(&entry), &fresh)).await;
        }
        // From here on every reader of ours has the new pair, and no crash can lose it. The documents follow, however
        // many accounts they hold, while the waiters go on.
        let record = work.record.clone();
        let finder = work.engine.clone();
        let publishing = self.publishing.begin();
        drop(tokio::task::spawn_blocking(move || {
            let _publishing = publishing;
            let _ = work.publish(Some(&entry), &fresh);
        }));
        apart(move || finder.find(&record).map(|_| ())).await
    }

    async fn unspent(&mut self) -> Result<(), StoreError> {
        self.turn = None;
        let work = self.work.clone();
        self.entry = None;
        apart(move || journal::forget(&work.engine, &work.record)).await
    }

    async fn refuse(&mut self, why: NeedsLogin) -> Result<(), StoreError> {
        self.turn = None;
        let (work, entry) = (self.work.clone(), self.entry.take());
        apart(move || work.refuse(entry.as_deref(), &why)).await
    }
}

/// What the claim does on disk. A copy of it, and so the lock, stays with work that was begun.
#[derive(Debug, Clone)]
struct Work {
    engine: Engine,
    homes: Homes,
    record: RecordId,
    _lock: Arc<FileLock>,
}

impl Work {
    fn look_again(&self) -> Result<Held, StoreError> {
        // A full disk keeps the answer in the journal; reading finds it there all the same.
        let _ = self.settle_journal();
        let held = self.engine.find(&self.record)?;
        self.catch_up(&held);
        let now = self.engine.now();
        let Some(login) = replica::newest(&self.engine, &self.homes, &held, now) else { return Ok(held) };
        let written = self.engine.edit(|pool| {
            if let Some(held) = pool.find_mut(&self.record) {
                replica::adopt(held, &login, now);
            }
        })?;
        written.find(&self.record).cloned().ok_or_else(|| StoreError::NoSuchAccount(self.record.clone()))
    }

    /// Hands the pair on to logins that were busy when it came, or whose turn did not come before a crash. A plain
    /// client would present the spent token that stands there, and the next renewal would no longer know it.
    fn catch_up(&self, held: &Held) {
        let kept = journal::kept(&self.engine, &self.record);
        if let Some(kept) = kept.filter(|kept| kept.newest.same_grant(&held.credential)) {
            replica::follow(&self.engine, &self.homes, &kept.spent, &held.credential);
        }
    }

    /// The entry of a token that may be presented; `None` when it may be spent already.
    fn intend(&self, token: &RefreshToken) -> Result<Option<Entry>, StoreError> {
        let hash = token_hash(token);
        // An answer the pool does not have is never overwritten: then this refresh has to wait for the disk.
        self.settle_journal()?;
        if journal::read(&self.engine, &self.record)?.is_some_and(|entry| entry.token_hash == hash) {
            return Ok(None);
        }
        if kin::may_have_spent(&self.engine, &hash)? {
            return Ok(None);
        }
        // What was bought with it lies aside.
        if spare::of(&self.engine, &self.record)?.iter().any(|spare| spare.spent == hash) {
            return Ok(None);
        }
        self.engine.name(&self.record)?;
        journal::intend(&self.engine, &self.record, hash, self.engine.now()).map(Some)
    }

    /// Brings the pair into the pool, and into the logins that held the one it replaces. Where somebody wrote another
    /// token meanwhile, that one counts, and the pair goes aside.
    fn publish(&self, entry: Option<&Entry>, fresh: &Credential) -> Result<(), StoreError> {
        let spent = entry.map(|entry| entry.token_hash.as_str());
        let pool = self.engine.edit(|pool| {
            let Some(held) = pool.find_mut(&self.record) else { return };
            if spent.is_none_or(|hash| spare::gives_way(held, hash)) {
                freshness::replace(held, fresh.clone());
            }
        })?;
        // What goes wrong from here on is put right by the next claim.
        let Some(held) = pool.find(&self.record) else {
            let _ = journal::forget(&self.engine, &self.record);
            return Err(StoreError::NoSuchAccount(self.record.clone()));
        };
        if let Some(spent) = spent {
            let _ = spare::settle(&self.engine, &pool, &self.record, (spent, fresh));
            replica::follow(&self.engine, &self.homes, spent, &held.credential);
        }
        Ok(())
    }

    /// Marks the account, unless a spare can take the place of what was refused.
    fn refuse(&self, entry: Option<&Entry>, why: &NeedsLogin) -> Result<(), StoreError> {
        let spares = spare::of(&self.engine, &self.record)?;
        let pool = self.engine.edit(|pool| {
            let Some(held) = pool.find_mut(&self.record) else { return };
            let is_the_refused_one = entry.is_none_or(|entry| entry.token_hash == token_hash(&held.credential.refresh));
            if !is_the_refused_one {
                return;
            }
            match spares.iter().find(|spare| !spare.credential.same_grant(&held.credential)) {
                Some(spare) => freshness::replace(held, spare.credential.clone()),
                None => held.account.needs_login = Some(why.clone()),
            }
        })?;
        spare::sweep(&self.engine, &pool, &self.record);
        journal::forget(&self.engine, &self.record)
    }

    /// Brings a waiting answer into the pool and ends its journal.
    fn settle_journal(&self) -> Result<(), StoreError> {
        let entry = journal::read(&self.engine, &self.record)?;
        let Some((spent, fresh)) = entry.and_then(|entry| Some((entry.token_hash, entry.answer?))) else {
            return Ok(());
        };
        let pool = self.engine.edit(|_| {})?;
        spare::settle(&self.engine, &pool, &self.record, (&spent, &fresh))
    }
}
