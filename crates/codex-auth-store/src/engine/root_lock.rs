//! Owns the lock that a pool is changed under: ours, and with it that of the predecessor who writes the same document.

use codex_auth_core::StoreError;

use crate::{
    engine::Engine,
    fs::lock::{self, FileLock, Signature},
    layout::PoolFormat,
    opencode::{StoreLock, gitignore},
};

/// Held until dropped.
#[derive(Debug)]
pub(crate) enum RootLock {
    /// The root's own.
    Ours { _lock: FileLock },
    /// The one that both we and the `OpenCode` plugin understand.
    OpenCode(StoreLock),
}

impl RootLock {
    pub(super) fn take(engine: &Engine) -> Result<Self, StoreError> {
        let (layout, wait) = (&engine.layout, engine.waits.root);
        match layout.format() {
            PoolFormat::CommandLine => Ok(Self::Ours { _lock: lock::lock(&layout.root_lock(), Signature::Pid, wait)? }),
            PoolFormat::OpenCode { config_root, .. } => {
                let held = StoreLock::take(engine.fs.as_ref(), &layout.accounts(), wait, &engine.clock)?;
                gitignore::ensure(config_root);
                Ok(Self::OpenCode(held))
            }
        }
    }

    /// The lock, if nobody holds it now; never waits.
    pub(super) fn take_free(engine: &Engine) -> Option<Self> {
        match engine.layout.format() {
            PoolFormat::CommandLine => {
                let lock = lock::try_lock(&engine.layout.root_lock(), Signature::Pid).ok()??;
                Some(Self::Ours { _lock: lock })
            }
            // Its lock is a directory that a predecessor may be waiting for; the next writer will do.
            PoolFormat::OpenCode { .. } => None,
        }
    }

    /// Fails when somebody took the lock for abandoned: what was read under it may be old by now.
    pub(super) fn still_held(&self) -> Result<(), StoreError> {
        match self {
            // The kernel keeps it.
            Self::Ours { .. } => Ok(()),
            Self::OpenCode(held) => held.still_held(),
        }
    }
}
