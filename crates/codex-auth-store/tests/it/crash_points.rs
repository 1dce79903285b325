//! Whatever step fails, tears, stops or loses its power: the store opens, says the old or the new state, and has the
//! newest token; and the next operation works.

mod decisions;
mod judge;
mod operations;
mod refreshes;

use std::sync::Arc;

use codex_auth_core::{AccountStore as _, Intent, SavedPool, StoreError};
use codex_auth_store::testing::{Fault, FaultFs, Refusal};

use crate::world::{World, credential, sign_in};

/// Nothing here takes so long.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_secs(20);

type Change = fn(&mut SavedPool);

fn begun() -> (World, SavedPool) {
    let world = World::with_rooms();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    let pool = store.read_now().expect("readable");
    (world, pool)
}

#[test]
fn stopping_twice_at_the_same_place_is_no_worse_than_once() {
    let change: Change = |pool| {
        let held = &mut pool.accounts[0];
        held.credential = credential("user-1", "ws-1", "R1-new", 0);
        held.credential.generation = 1;
    };
    for step in 0..20 {
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
    for step in 0..20 {
        let (world, _) = begun();
        let both: Change = |pool| {
            pool.affinity_generation = 5;
            pool.accounts[0].account.alias = Some("first".into());
        };
        let _ = world.store_over(Arc::new(FaultFs::with(Fault::Stop(step)))).edit_now(both);
        let store = world.quick();
        store.edit_now(|pool| pool.accounts[0].account.alias = Some("later".into())).expect("written");
        let alias = store.read_now().expect("readable").accounts[0].account.alias.clone();
        assert_eq!(alias.as_deref(), Some("later"), "stopped at {step}");
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

/// A disk that is like this all day is named with the system's word, and nothing is changed.
#[track_caller]
fn check_refusal(fault: Fault, expect: &str) {
    let (world, before) = begun();
    let store = world.store_over(Arc::new(FaultFs::with(fault)));
    let error = store.edit_now(|pool| pool.affinity_generation = 5).expect_err("refused").to_string();
    assert!(error.starts_with("cannot ") && error.contains(world.layout().root().as_str()), "{error}");
    assert!(error.to_lowercase().contains(expect), "{error}");
    assert_eq!(world.store().read_now().expect("readable"), before);
}

#[test]
fn a_disk_that_takes_nothing_is_named_and_changes_nothing() {
    check_refusal(Fault::Full, "no storage space");
    check_refusal(Fault::Refuses(Refusal::NotAllowed), "permission denied");
    check_refusal(Fault::Refuses(Refusal::ReadOnly), "read-only");
    check_refusal(Fault::Refuses(Refusal::Failing), "input/output error");
    check_refusal(Fault::Broken, "input/output error");
}
