//! What a person decides: switches, taking back, going back to a copy, beginning anew, moving in; and files that broke.

use std::time::Duration;

use codex_auth_core::{SavedPool, Timestamp};
use codex_auth_store::{FileStore, Operation, OsPlaces, Project, UndoError, legacy_pools};
use serde_json::json;

use super::operations::{edit, text, two_accounts};
use crate::world::{NOW, World};

/// Selects account 2 and makes it the client's login.
pub(super) fn switch(store: &FileStore) -> Result<(), String> {
    let second = store.read_now().map_err(text)?.accounts[1].account.record.clone();
    let change = |pool: &mut SavedPool| pool.active = Some(second.clone());
    let home = store.layout().codex_home().to_owned();
    let done = store.operate_with_login(Operation::new("switch", "2"), change, &home, Some(&second)).map_err(text)?;
    done.login.map(drop).map_err(text)
}

pub(super) fn switched(world: &World) {
    two_accounts(world);
    switch(&world.quick()).expect("written");
}

pub(super) fn removed(world: &World) {
    two_accounts(world);
    let remove = |pool: &mut SavedPool| drop(pool.accounts.remove(1));
    world.quick().operate(Operation::new("remove", "2"), remove).expect("written");
}

/// Takes the first operation back, unless that is done.
pub(super) fn take_back(store: &FileStore) -> Result<(), String> {
    match store.undo(Some(1)) {
        Ok(_) | Err(UndoError::Already(1)) => Ok(()),
        Err(error) => Err(text(error)),
    }
}

/// Makes the pool what it was when it had two accounts, unless it has them.
pub(super) fn restore(store: &FileStore) -> Result<(), String> {
    if store.read_now().map_err(text)?.accounts.len() == 2 {
        return Ok(());
    }
    let copy = store.earlier().into_iter().find(|copy| copy.accounts == 2).ok_or("no copy")?;
    store.restore(&copy.path, "test").map(drop).map_err(text)
}

/// Empties the pool, unless nobody is in it.
pub(super) fn reset(store: &FileStore) -> Result<(), String> {
    if store.read_now().map_err(text)?.accounts.is_empty() {
        return Ok(());
    }
    store.reset().map(drop).map_err(text)
}

/// A copy of both accounts, and a change since that is in no copy.
pub(super) fn changed_since_the_copy(world: &World) {
    two_accounts(world);
    world.clock.advance(Duration::from_hours(2));
    edit(&world.quick(), |pool| pool.affinity_generation = 2).expect("written, with a copy of what was");
    edit(&world.quick(), |pool| pool.affinity_generation = 3).expect("written");
}

/// The document breaks, and the next one who reads puts it together.
pub(super) fn break_and_read(store: &FileStore) -> Result<(), String> {
    std::fs::write(store.layout().accounts(), "{\"version\":3,\"accounts\":[").map_err(text)?;
    store.read_now().map(drop).map_err(text)
}

/// The same, and it is changed at once.
pub(super) fn break_and_edit(store: &FileStore) -> Result<(), String> {
    std::fs::write(store.layout().accounts(), "\0\0\0\0").map_err(text)?;
    edit(store, |pool| pool.affinity_generation = 5)
}

const KEYRING: &str = "# mine\r\ncli_auth_credentials_store = 'keyring' # why\r\n[p]\r\n";

pub(super) fn kept_in_the_keyring(world: &World) {
    two_accounts(world);
    world.write(&world.layout().config_toml(), KEYRING);
}

pub(super) fn keep_in_file(store: &FileStore) -> Result<(), String> {
    store.keep_login_in_file().map(drop).map_err(text)
}

pub(super) fn made_to_keep_it_in_a_file(world: &World) {
    kept_in_the_keyring(world);
    keep_in_file(&world.quick()).expect("written");
}

/// A project whose pool lies inside it.
pub(super) fn a_pool_from_before(world: &World) {
    two_accounts(world);
    world.write(&world.home().join("repo/.git/HEAD"), "ref: refs/heads/main");
    let row = |n: usize| json!({ "refreshToken": format!("L{n}"), "accountId": format!("ws-l{n}"), "addedAt": n, "lastUsed": n });
    let document = json!({ "version": 3, "accounts": [row(1), row(2)], "activeIndex": 0, "affinityGeneration": 9 });
    world.write(&world.home().join("repo/.codex/openai-codex-accounts.json"), &document.to_string());
}

/// As a command does that meets such a pool.
pub(super) fn move_in(store: &FileStore) -> Result<(), String> {
    let (home, codex_home) = (store.layout().home(), store.layout().codex_home());
    let project = Project::of(&home.join("repo"), codex_home, &OsPlaces).ok_or("no project")?;
    for legacy in legacy_pools(store, &project) {
        let legacy = legacy.map_err(text)?;
        store.edit_now(|pool| _ = legacy.fold_into(pool, Timestamp::from_secs(NOW))).map_err(text)?;
        assert!(legacy.remove(store).map_err(text)?, "nobody changed it meanwhile");
    }
    Ok(())
}
