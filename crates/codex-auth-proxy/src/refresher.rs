//! Renewals that nobody waits for: credentials are renewed ahead of time, one after the other, for as long as the agent
//! lives. Which one and when is core's plan; here it is carried out, in turn with the other agents of this machine.
//!
//! This is what keeps a plain client alive that shares a login with the pool: it finds a fresh pair in its file before
//! it would renew its own.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    APART, Entropy, LoginState, OfficialLogins, Pace, RecordId, SavedPool, StateDir, StoreError, Timestamp, next_turn,
    reason_ahead,
};
use serde_json::{Value, json};

use crate::proxy::Proxy;

/// How often the plan is made anew when nothing is due.
const LOOK: Duration = Duration::from_secs(30);
/// Held by the one agent of this machine that renews ahead of time at this moment.
const LOCK: &str = "ahead.lock";
/// When one did so last.
const LAST: &str = "ahead.json";

/// What it works on.
#[derive(Debug)]
pub(crate) struct Refresher {
    proxy: Arc<Proxy>,
    /// What all agents of this machine share.
    shared: Arc<dyn StateDir>,
    logins: Arc<dyn OfficialLogins>,
    codex_home: String,
    seed: u64,
}

impl Refresher {
    /// For this proxy; the login of `codex_home` is kept alive beside those of the leased homes.
    pub(crate) fn new(
        proxy: Arc<Proxy>,
        shared: Arc<dyn StateDir>,
        (logins, codex_home): (Arc<dyn OfficialLogins>, String),
        entropy: &dyn Entropy,
    ) -> Self {
        let mut seed = [0; 8];
        entropy.fill(&mut seed);
        Self { proxy, shared, logins, codex_home, seed: u64::from_le_bytes(seed) }
    }

    /// Runs until it is dropped; a renewal under way goes on.
    pub(crate) async fn run(self) {
        // Whoever started the agent has a request that comes first.
        let mut wait = APART;
        loop {
            tokio::time::sleep(wait).await;
            wait = self.step().await;
        }
    }

    /// Renews whoever is due, and tells after how long to look again.
    async fn step(&self) -> Duration {
        let now = self.proxy.ports.clock.now();
        let pool = self.proxy.rotation.pool();
        let logged_in = self.logged_in(&pool);
        let quiet = |record: &RecordId| self.proxy.renewals.quiet_until(record);
        let pace = Pace { last: self.last(), logged_in: &logged_in, quiet: &quiet, seed: self.seed };
        match next_turn(&pool, pace, now) {
            None => LOOK,
            Some(turn) if turn.at > now => turn.at.since(now).min(LOOK),
            Some(turn) => {
                if let Err(error) = self.renew(&pool, &turn.record, now).await {
                    tracing::warn!(%error, "renewing ahead of time has to wait");
                }
                APART
            }
        }
    }

    /// Renews one account, unless another agent is at it or just was.
    async fn renew(&self, pool: &SavedPool, record: &RecordId, now: Timestamp) -> Result<(), StoreError> {
        let Some(held) = pool.find(record) else { return Ok(()) };
        let Some(_alone) = self.shared.try_lock(LOCK)? else { return Ok(()) };
        if self.last().is_some_and(|last| last <= now && now.since(last) < APART) {
            return Ok(());
        }
        let note = json!({ "version": 1, "at": now.as_millis() });
        self.shared.replace(LAST, note.to_string().as_bytes())?;
        tracing::info!(%record, "renewed ahead of time");
        // How it ends is told to the rotation, and to the plan; nobody else waits for it.
        drop(self.proxy.renew(held, reason_ahead(&held.credential)).await);
        Ok(())
    }

    fn last(&self) -> Option<Timestamp> {
        let bytes = self.shared.read(LAST).ok()??;
        let note: Value = serde_json::from_slice(&bytes).ok()?;
        note["at"].as_i64().map(Timestamp::from_millis)
    }

    /// The accounts that stand in a login file some client may read.
    fn logged_in(&self, pool: &SavedPool) -> Vec<RecordId> {
        let homes = std::iter::once(self.codex_home.clone()).chain(self.proxy.leases.homes());
        let logins = homes.filter_map(|home| match self.logins.login(&home) {
            Ok(LoginState::Usable(login)) => Some(login),
            Ok(LoginState::Absent | LoginState::Unusable { .. }) | Err(_) => None,
        });
        let account = |login: Box<codex_auth_core::Login>| {
            let found = pool.accounts.iter().find(|held| held.account.owner.agrees_with(&login.owner));
            found.map(|held| held.account.record.clone())
        };
        logins.filter_map(account).collect()
    }
}

#[cfg(test)]
mod tests;
