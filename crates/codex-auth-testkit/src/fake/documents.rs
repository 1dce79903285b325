//! Owns what a running fake hands out for other programs to start from: accounts file, `auth.json`, API key.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::FakeOpenAi;
use crate::login_files::{LoginKnobs, login_document};
use crate::people::{LoginFor, Who};
use crate::pool_files::{PoolKnobs, pool_document};
use crate::private_file::{WriteError, write_private};

impl FakeOpenAi {
    /// The pool as an accounts file (V3), with this fake's tokens.
    pub fn pool_document(&self, knobs: &PoolKnobs) -> Value {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change(|world| pool_document(world, knobs, now_ms))
    }

    /// Writes the pool as `DIR/openai-codex-accounts.json`, 0600 in 0700; answers its path.
    pub fn write_pool(&self, dir: &Utf8Path, knobs: &PoolKnobs) -> Result<Utf8PathBuf, WriteError> {
        write_private(dir, "openai-codex-accounts.json", &self.pool_document(knobs))
    }

    /// A login as the official client keeps it in `auth.json`.
    pub fn login_document(&self, who: LoginFor, knobs: &LoginKnobs) -> Value {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change(|world| login_document(world, who, knobs, now_ms))
    }

    /// Writes a login as `DIR/auth.json`, 0600 in 0700; answers its path.
    pub fn write_login(&self, dir: &Utf8Path, who: LoginFor, knobs: &LoginKnobs) -> Result<Utf8PathBuf, WriteError> {
        write_private(dir, "auth.json", &self.login_document(who, knobs))
    }

    /// An API key of somebody, good at `/v1`.
    pub fn api_key(&self, who: Who) -> String {
        self.shared.change(|world| world.issuer.grants.api_key(&mut world.issuer.mint, who))
    }
}
