//! Small ports the agent stands on: its directory, the settings that may change under it.

use std::{fmt::Debug, time::Duration};

use crate::{Fallback, Memory, Routing, StoreError, Strategy};

/// A private directory (0700) of small files (0600), each replaced whole and crash-safely.
pub trait StateDir: Debug + Send + Sync {
    /// The bytes of a file; `None` when there is none.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces a file.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// Takes an advisory lock without waiting; `None` while somebody else holds it.
    fn try_lock(&self, name: &str) -> Result<Option<Box<dyn HeldLock>>, StoreError>;

    /// Where a file of this name is, for messages and socket addresses.
    fn path_of(&self, name: &str) -> String;
}

/// A lock that is held until dropped, also by a crash.
pub trait HeldLock: Debug + Send + Sync {}

/// Settings of the rotation, resolved: environment over file over default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationSettings {
    /// Whether sessions are routed at all.
    pub enabled: bool,
    /// How accounts are chosen.
    pub strategy: Strategy,
    /// Whether processes and sessions begin at different accounts (`pidOffsetEnabled`).
    pub spread: bool,
    /// How long a session stays after a move, whatever that costs (`minRotationIntervalMs`).
    pub settles_for: Duration,
    /// How long sessions are remembered; `None` when they are not (`sessionAffinity`).
    pub memory: Option<Memory>,
    /// How long the backend may take to begin an answer (`fetchTimeoutMs`), where set.
    pub answer_within: Option<Duration>,
    /// How long an answer may be silent (`streamStallTimeoutMs`), where set.
    pub silence: Option<Duration>,
    /// What is asked for in place of a model that nobody has (`unsupportedCodexPolicy`).
    pub fallback: Fallback,
}

impl Default for RotationSettings {
    fn default() -> Self {
        let Routing { strategy, spread, settles_for, memory, fallback } = Routing::default();
        Self { enabled: true, strategy, spread, settles_for, memory, answer_within: None, silence: None, fallback }
    }
}

impl From<RotationSettings> for Routing {
    fn from(settings: RotationSettings) -> Self {
        let RotationSettings { strategy, spread, settles_for, memory, fallback, .. } = settings;
        Self { strategy, spread, settles_for, memory, fallback }
    }
}

/// Hands out the current settings.
pub trait SettingsSource: Debug + Send + Sync {
    /// Another number whenever they may have changed.
    fn stamp(&self) -> u64;

    /// The settings as they stand now; an unreadable file is an error, never a silent default.
    fn rotation(&self) -> Result<RotationSettings, StoreError>;
}
