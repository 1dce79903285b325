//! Whatever step fails or stops: the store opens, says the old or the new state, and has the newest token.

use std::sync::Arc;

use codex_auth_core::{AccountStore as _, Intent, SavedPool, StoreError};
use codex_auth_store::{
    FileStore,
    testing::{Fault, FaultFs},
};

use crate::world::{World, credential, sign_in};

/// Nothing here takes so long.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);

type Change = fn(&mut SavedPool);

/// Runs `change` on a pool of two accounts with every fault there is, and looks at what is left.
#[track_caller]
fn check(change: Change) {
    let steps = {
        let (world, _) = begun();
        let disk = Arc::new(FaultFs::default());
        world.store_over(disk.clone()).edit_now(change).expect("no fault");
        disk.steps()
    };
    assert!(steps >= 4, "an edit writes, renames and syncs; it took {steps} steps");
    for fault in (0..steps).flat_map(|step| [Fault::Fail(step), Fault::Stop(step)]) {
        let (world, before) = begun();
        let result = world.store_over(Arc::new(FaultFs::with(fault))).edit_now(change);
        let after = world.store().read_now().unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let mut expect = before.clone();
        change(&mut expect);
        let is_new = same(&after, &expect);
        assert!(is_new || same(&after, &before), "{fault:?} left {after:?}");
        assert!(is_new || result.is_err(), "{fault:?}: said to be written, and is not");
        // And the next edit works as if nothing had been.
        let again = world.store().edit_now(change).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(same(&again, &expect), "{fault:?} spoiled the next edit");
    }
}

fn begun() -> (World, SavedPool) {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    let pool = store.read_now().expect("readable");
    (world, pool)
}

fn same(left: &SavedPool, right: &SavedPool) -> bool {
    left == right
}

#[test]
fn only_the_document() {
    check(|pool| pool.affinity_generation = 5);
}

#[test]
fn only_the_sidecar() {
    check(|pool| pool.accounts[0].account.alias = Some("work".into()));
}

#[test]
fn both_files_with_a_new_token() {
    check(|pool| {
        let held = &mut pool.accounts[1];
        held.credential = credential("user-2", "ws-2", "R2-new", 0);
        held.credential.generation = 1;
        held.account.alias = Some("second".into());
    });
}

#[test]
fn a_deletion() {
    check(|pool| {
        pool.accounts.retain(|held| held.account.owner.email.as_deref() != Some("user-1@example.test"));
        pool.active = pool.accounts.first().map(|held| held.account.record.clone());
    });
}

#[test]
fn stopping_twice_at_the_same_place_is_no_worse_than_once() {
    let change: Change = |pool| {
        let held = &mut pool.accounts[0];
        held.credential = credential("user-1", "ws-1", "R1-new", 0);
        held.credential.generation = 1;
    };
    for step in 0..12 {
        let (world, before) = begun();
        for _ in 0..2 {
            let _ = world.store_over(Arc::new(FaultFs::with(Fault::Stop(step)))).edit_now(change);
        }
        let after = world.store().read_now().expect("opens");
        let mut expect = before.clone();
        change(&mut expect);
        assert!(after == before || after == expect, "stopped twice at {step}: {after:?}");
    }
}

#[test]
fn a_half_way_stop_does_not_shadow_later_edits() {
    for step in 0..12 {
        let (world, _) = begun();
        let both: Change = |pool| {
            pool.affinity_generation = 5;
            pool.accounts[0].account.alias = Some("first".into());
        };
        let _ = world.store_over(Arc::new(FaultFs::with(Fault::Stop(step)))).edit_now(both);
        let store = world.store();
        store.edit_now(|pool| pool.accounts[0].account.alias = Some("later".into())).expect("written");
        let alias = store.read_now().expect("readable").accounts[0].account.alias.clone();
        assert_eq!(alias.as_deref(), Some("later"), "stopped at {step}");
    }
}

/// A refresh from claim to commit on `disk`; returns whether the keeper would hand the new token out.
async fn refresh(store: &FileStore) -> Result<bool, StoreError> {
    let record = store.read_now()?.accounts[0].account.record.clone();
    let mut claim = store.claim(&record).await?;
    let held = claim.look_again().await?;
    if claim.intend(&held.credential.refresh).await? == Intent::MaybeSpent {
        return Ok(false);
    }
    let mut fresh = credential("user-1", "ws-1", "R1-new", 0);
    fresh.generation = held.credential.generation + 1;
    claim.commit(&fresh).await?;
    assert!(store.published(SOON));
    Ok(true)
}

/// After a fault the store has the new token if it was said to be kept; if not, either the new or the old one, and
/// the old one is never presented again once it may be spent.
#[tokio::test(start_paused = true)]
async fn a_refresh() {
    let steps = {
        let (world, _) = begun();
        let disk = Arc::new(FaultFs::default());
        assert!(refresh(&world.store_over(disk.clone())).await.expect("no fault"));
        disk.steps()
    };
    assert!(steps >= 10, "journal, sidecar, document, journal: {steps} steps");
    for fault in (0..steps).flat_map(|step| [Fault::Fail(step), Fault::Stop(step)]) {
        let (world, _) = begun();
        let disk = Arc::new(FaultFs::with(fault));
        let kept = refresh(&world.store_over(disk)).await;
        let store = world.store();
        let pool = store.read_now().unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let has_new = pool.accounts[0].credential.refresh.expose() == "R1-new";
        assert!(has_new || kept.is_err(), "{fault:?} lost the token that was said to be kept");
        assert!(pool.accounts[0].credential.id.is_some(), "{fault:?} lost the id token");
        assert_eq!(pool.accounts[1].credential.refresh.expose(), "R2");
        let written = store.edit_now(|pool| pool.affinity_generation = 8).expect("the disk is well again");
        assert_eq!(written.accounts[0].credential.refresh.expose() == "R1-new", has_new, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_during_the_commit_loses_nothing() {
    let (world, _) = begun();
    let disk = Arc::new(FaultFs::default());
    let store = world.store_over(disk.clone());
    let record = store.read_now().expect("readable").accounts[0].account.record.clone();
    let mut claim = store.claim(&record).await.expect("free");
    let held = claim.look_again().await.expect("there");
    assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
    disk.now(Some(Fault::Full));
    let mut fresh = credential("user-1", "ws-1", "R1-new", 0);
    fresh.generation = 1;
    claim.commit(&fresh).await.expect("the journal has it");
    assert!(store.published(SOON));
    drop(claim);
    assert!(!std::fs::read_to_string(world.layout().accounts()).expect("there").contains("R1-new"));
    // Still full: the new pair is used, and nothing else can be refreshed meanwhile.
    assert_eq!(store.read_now().expect("readable").accounts[0].credential.refresh.expose(), "R1-new");
    let mut claim = store.claim(&record).await.expect("free");
    assert_eq!(claim.look_again().await.expect("there").credential.refresh.expose(), "R1-new");
    assert!(matches!(claim.intend(&fresh.refresh).await, Err(StoreError::Io { .. })));
    drop(claim);
    // Room again: the next edit of anything brings it home and wipes the journal.
    disk.now(None);
    store.edit_now(|pool| pool.affinity_generation = 1).expect("written");
    assert!(std::fs::read_to_string(world.layout().accounts()).expect("there").contains("R1-new"));
    assert!(!world.layout().refresh_journal(&record).exists());
}

#[test]
fn a_full_disk_is_named_and_changes_nothing() {
    let (world, before) = begun();
    let error = world
        .store_over(Arc::new(FaultFs::with(Fault::Full)))
        .edit_now(|pool| pool.affinity_generation = 5)
        .expect_err("no room");
    assert!(error.to_string().starts_with(&format!("cannot write {}", world.layout().root())), "{error}");
    assert_eq!(world.store().read_now().expect("readable"), before);
}
