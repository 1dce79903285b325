//! Owns the other stores of this user that may hold the same sign-in: `OpenCode`'s, and our pools beside the one in
//! effect.
//!
//! A refresh token is good once, wherever copies of it lie. So before one is spent, those stores are looked at for a
//! newer pair and for an attempt that may have spent it; and once it is, the rows that held it follow.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{AccessToken, Credential, Held, Login, StoreError, Timestamp};
use serde_json::Value;

use crate::{
    engine::{Engine, Waits, reading},
    freshness,
    fs::os,
    hash::token_hash,
    journal,
    layout::PoolFormat,
    opencode::{
        OpenCodeFile,
        change::{self, RenewedTokens},
    },
};

/// Somebody else's store is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// The stores beside this one that are there. Looking at them changes nothing.
fn beside(engine: &Engine) -> Vec<Engine> {
    let layouts = engine.layout.beside().into_iter();
    let there = layouts.filter(|layout| os::glance(&layout.accounts()).is_some());
    let waits = Waits { root: PATIENCE, ..engine.waits };
    let open = |layout| {
        let mut store = Engine::new(layout, Arc::clone(&engine.fs), Arc::clone(&engine.clock));
        store.waits = waits;
        store
    };
    there.map(open).collect()
}

/// The sign-ins they hold, but for those known to be dead. A store that cannot be read has nothing to say.
pub(crate) fn logins(engine: &Engine) -> Vec<Login> {
    let alive = |held: &Held| held.account.needs_login.is_none();
    let login = |Held { account, credential }: Held| Login { owner: account.owner, credential, issuer: account.issuer };
    beside(engine).iter().flat_map(accounts).filter(alive).map(login).collect()
}

fn accounts(store: &Engine) -> Vec<Held> {
    // Answers its journal still holds count, too; where they cannot be read, the document's word does. The journal is
    // read first: an answer leaves it only once the document has it.
    let waiting = journal::entries(store).unwrap_or_default();
    let Ok(reading) = reading::read(store) else { return Vec::new() };
    let mut pool = reading.pool;
    journal::replay_all(&waiting, &mut pool);
    pool.accounts
}

/// Whether one of them has begun to spend the token with this hash and does not know how that ended.
pub(crate) fn may_have_spent(engine: &Engine, hash: &str) -> Result<bool, StoreError> {
    for store in beside(engine) {
        if journal::entries(&store)?.iter().any(|entry| entry.token_hash == hash) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Hands the fresh pair on to the rows that still hold the token it was bought with. Busy locks and other trouble are
/// passed over: whoever looks for newer pairs finds it in our pool.
pub(crate) fn follow(engine: &Engine, spent: &str, fresh: &Credential) {
    for store in beside(engine) {
        // Looked at before locking, so that stores without this token are never touched.
        if !accounts(&store).iter().any(|held| token_hash(&held.credential.refresh) == spent) {
            continue;
        }
        let _ = match store.layout.format() {
            PoolFormat::CommandLine => replace(&store, spent, fresh),
            PoolFormat::OpenCode { .. } => carry(&store, spent, fresh),
        };
    }
}

fn replace(store: &Engine, spent: &str, fresh: &Credential) -> Result<(), StoreError> {
    let written = store.edit(|pool| {
        for held in pool.accounts.iter_mut().filter(|held| token_hash(&held.credential.refresh) == spent) {
            freshness::replace(held, fresh.clone());
        }
    });
    written.map(drop)
}

/// Through the plugin's own door: its lock, its form of the file, and no file of ours beside it.
fn carry(store: &Engine, spent: &str, fresh: &Credential) -> Result<(), StoreError> {
    let file = OpenCodeFile::new(store.layout.accounts(), Arc::clone(&store.fs), Arc::clone(&store.clock));
    let tokens = RenewedTokens {
        access: fresh.access.as_ref().map(AccessToken::expose).unwrap_or_default().to_owned(),
        refresh: fresh.refresh.expose().to_owned(),
        expires: fresh.expires_at.unwrap_or_default().as_millis(),
    };
    let saved = file.within(PATIENCE).save(|document| {
        if let Some(openai) = document.get_mut("openai").and_then(Value::as_object_mut) {
            change::carry_spent(openai, spent, &tokens);
        }
    });
    saved.map(drop)
}

/// Whether a pair that lies elsewhere is one we have seen the end of.
pub(crate) fn is_spent(engine: &Engine, login: &Login) -> bool {
    // Where nobody can tell, the pair is left where it is.
    engine.spender_of(&token_hash(&login.credential.refresh)).map_or(true, |spender| spender.is_some())
}

/// The newest of several that are all newer than what we have.
pub(crate) fn newest(logins: impl Iterator<Item = Login>, now: Timestamp) -> Option<Login> {
    logins.reduce(|best, next| if freshness::is_newer(&next.credential, &best.credential, now) { next } else { best })
}
