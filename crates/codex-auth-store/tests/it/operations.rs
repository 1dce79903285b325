//! Changes a person asked for are noted with what they do, and can be taken back without taking tokens back.

use codex_auth_core::{AccountStore as _, Intent, SavedPool};
use codex_auth_store::{FileStore, Operation, Remark, UndoError};

use crate::world::{World, credential, sign_in};

struct Begun {
    world: World,
    store: FileStore,
}

fn begun() -> Begun {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100), sign_in(3, "R3", 100)]);
    Begun { world, store }
}

impl Begun {
    fn pool(&self) -> SavedPool {
        self.store.read_now().expect("readable")
    }

    fn does(&self, command: &str, change: impl FnOnce(&mut SavedPool)) {
        self.store.operate(Operation::new(command, "test"), change).expect("written");
    }

    fn removes(&self, n: usize) {
        self.does("remove", |pool| drop(pool.accounts.remove(n - 1)));
    }

    /// The pool without what grows with every decision.
    fn said(&self) -> SavedPool {
        SavedPool { affinity_generation: 0, ..self.pool() }
    }

    fn refreshed(&self, n: usize, refresh: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let record = self.pool().accounts[n - 1].account.record.clone();
            let mut claim = self.store.claim(&record).await.expect("free");
            let held = claim.look_again().await.expect("there");
            assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
            let mut fresh = credential(&format!("user-{n}"), &format!("ws-{n}"), refresh, 50);
            fresh.generation = held.credential.generation + 1;
            claim.commit(&fresh).await.expect("kept");
            assert!(self.store.published(std::time::Duration::from_secs(20)));
        });
    }
}

/// A change is made and taken back, and the pool says what it said.
#[track_caller]
fn check(change: impl FnOnce(&mut SavedPool)) {
    let begun = begun();
    let before = begun.said();
    begun.does("test", change);
    assert_ne!(begun.said(), before, "the change is one");
    let undone = begun.store.undo(None).expect("taken back");
    assert_eq!((begun.said(), undone.remarks), (before, Vec::new()));
}

#[test]
fn every_sort_of_change_can_be_taken_back() {
    check(|pool| drop(pool.accounts.remove(0)));
    check(|pool| drop(pool.accounts.remove(1)));
    check(|pool| pool.accounts.push(sign_in(9, "R9", 0)));
    check(|pool| pool.accounts[1].account.alias = Some("work".into()));
    check(|pool| pool.accounts[1].account.enabled = false);
    check(|pool| pool.active = Some(pool.accounts[2].account.record.clone()));
    check(|pool| pool.pin = Some(pool.accounts[2].account.record.clone()));
    check(|pool| *pool = SavedPool::default());
}

#[test]
fn taking_back_twice_goes_further_back_and_what_was_taken_back_can_be_taken_back() {
    let begun = begun();
    let first = begun.said();
    begun.removes(3);
    let second = begun.said();
    begun.removes(2);
    begun.store.undo(None).expect("the second removal");
    assert_eq!(begun.said(), second);
    begun.store.undo(None).expect("the first one");
    assert_eq!(begun.said(), first);
    assert_eq!(begun.store.undo(None).err(), Some(UndoError::Nothing));
    assert_eq!(begun.store.undo(Some(1)).err(), Some(UndoError::Already(1)));
    assert_eq!(begun.store.undo(Some(77)).err(), Some(UndoError::NoSuchOperation(77)));
    let undo = begun.store.operations().expect("readable").into_iter().last().expect("noted");
    begun.store.undo(Some(undo.number)).expect("taken back");
    assert_eq!(begun.said(), second);
}

#[test]
fn a_token_renewed_since_never_goes_back() {
    let begun = begun();
    begun.does("rename", |pool| pool.accounts[0].account.alias = Some("work".into()));
    begun.refreshed(1, "R1-new");
    begun.store.undo(None).expect("taken back");
    let held = begun.pool().accounts.remove(0);
    assert_eq!((held.credential.refresh.expose(), held.account.alias), ("R1-new", None));
}

#[test]
fn a_removed_account_comes_back_with_the_token_it_had_last() {
    let begun = begun();
    begun.refreshed(2, "R2-new");
    begun.removes(2);
    begun.store.undo(None).expect("taken back");
    let pool = begun.pool();
    assert_eq!(pool.accounts[1].credential.refresh.expose(), "R2-new");
    assert!(pool.accounts[1].credential.id.is_some());
}

#[test]
fn what_was_changed_since_stays_and_is_said() {
    let begun = begun();
    begun.does("rename", |pool| pool.accounts[0].account.alias = Some("work".into()));
    begun.store.edit_now(|pool| pool.accounts[0].account.alias = Some("home".into())).expect("written");
    let undone = begun.store.undo(None).expect("taken back");
    assert!(matches!(undone.remarks[..], [Remark::ChangedSince { what: "alias", .. }]), "{:?}", undone.remarks);
    assert_eq!(begun.pool().accounts[0].account.alias.as_deref(), Some("home"));
}

#[test]
fn somebody_who_signed_in_again_is_not_doubled() {
    let begun = begun();
    begun.removes(2);
    begun.store.edit_now(|pool| pool.accounts.push(sign_in(2, "R2-again", 0))).expect("written");
    let undone = begun.store.undo(None).expect("taken back");
    assert!(matches!(undone.remarks[..], [Remark::ThereAgain { .. }]), "{:?}", undone.remarks);
    assert_eq!(begun.pool().accounts.len(), 3);
}

#[test]
fn without_a_copy_a_removed_account_cannot_come_back_and_that_is_said() {
    let begun = begun();
    begun.removes(2);
    std::fs::remove_dir_all(begun.world.layout().history_dir()).expect("removed");
    let beside = begun.world.layout().root().read_dir_utf8().expect("readable").flatten();
    for copy in beside.filter(|entry| entry.file_name().contains(".bak")) {
        std::fs::remove_file(copy.path()).expect("removed");
    }
    let undone = begun.store.undo(None).expect("as far as it goes");
    assert!(matches!(undone.remarks[..], [Remark::NoCopy { .. }]), "{:?}", undone.remarks);
}

#[test]
fn when_its_own_copy_is_gone_another_one_that_has_the_account_will_do() {
    let begun = begun();
    begun.removes(2);
    std::fs::remove_dir_all(begun.world.layout().history_dir()).expect("removed");
    assert_eq!(begun.store.undo(None).expect("taken back").remarks, []);
    assert_eq!(begun.pool().accounts[1].credential.refresh.expose(), "R2");
}

#[test]
fn a_copy_of_the_predecessors_that_says_what_ours_says_is_shown_once() {
    let begun = begun();
    begun.removes(2);
    let all = begun.store.earlier();
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].path.starts_with(begun.world.layout().history_dir()), "ours has what stood beside");
}

#[test]
fn no_secret_stands_in_the_log() {
    let begun = begun();
    begun.removes(2);
    let log = std::fs::read_to_string(begun.world.layout().oplog()).expect("there");
    let token = begun.pool().accounts[0].credential.access.clone().expect("there");
    assert!(!log.contains("\"R2\"") && !log.contains(token.expose()), "{log}");
    assert!(log.contains("user-2@example.test"));
}

#[test]
fn a_torn_line_spoils_no_other() {
    let begun = begun();
    begun.world.write(&begun.world.layout().oplog(), "{\"number\":1,\"comm");
    begun.removes(2);
    let all = begun.store.operations().expect("readable");
    assert_eq!(all.iter().map(|logged| logged.command.as_str()).collect::<Vec<_>>(), ["remove"]);
}

#[test]
fn a_restored_copy_keeps_todays_tokens_and_can_be_taken_back() {
    let begun = begun();
    begun.removes(3);
    begun.refreshed(1, "R1-new");
    let before = begun.said();
    let copy = begun.store.earlier().into_iter().find(|copy| copy.accounts == 3).expect("made before the removal");
    begun.store.restore(&copy.path, "test").expect("restored");
    let tokens: Vec<_> = begun.pool().accounts.iter().map(|held| held.credential.refresh.expose().to_owned()).collect();
    assert_eq!(tokens, ["R1-new", "R2", "R3"]);
    begun.store.undo(None).expect("taken back");
    assert_eq!(begun.said(), before);
}

#[test]
fn a_change_and_its_line_are_written_together_or_not_at_all() {
    use codex_auth_store::testing::{Fault, FaultFs};
    use std::sync::Arc;

    let steps = {
        let begun = begun();
        let disk = Arc::new(FaultFs::default());
        let store = begun.world.store_over(disk.clone());
        store.operate(Operation::new("x", "y"), |pool| drop(pool.accounts.remove(0))).expect("no fault");
        disk.steps()
    };
    for fault in (0..steps).flat_map(|step| [Fault::Fail(step), Fault::Stop(step)]) {
        let begun = begun();
        let store = begun.world.store_over(Arc::new(FaultFs::with(fault)));
        let _ = store.operate(Operation::new("x", "y"), |pool| drop(pool.accounts.remove(0)));
        let is_done = begun.pool().accounts.len() == 2;
        begun.store.edit_now(|pool| pool.affinity_generation += 1).expect("the disk is well again");
        let noted = begun.store.operations().expect("readable").len();
        assert_eq!(noted, usize::from(is_done), "{fault:?}");
        if is_done {
            begun.store.undo(None).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert_eq!(begun.pool().accounts.len(), 3, "{fault:?}");
        }
    }
}

/// Makes account `n` the selected one and the client's login, as `switch` does.
fn switches(begun: &Begun, n: usize) -> Result<(), codex_auth_core::StoreError> {
    switched_over(begun, &begun.store, n)
}

fn switched_over(begun: &Begun, store: &FileStore, n: usize) -> Result<(), codex_auth_core::StoreError> {
    let record = begun.pool().accounts[n - 1].account.record.clone();
    let home = begun.world.layout().codex_home().to_owned();
    let change = |pool: &mut SavedPool| pool.active = Some(record.clone());
    store.operate_with_login(Operation::new("switch", "test"), change, &home, Some(&record)).map(drop)
}

/// Whose login stands there, and who is selected.
fn login_and_selection(begun: &Begun) -> (Option<String>, String) {
    let text = std::fs::read_to_string(begun.world.layout().auth_json()).ok();
    let login = text.map(|text| {
        let login: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        login["tokens"]["refresh_token"].as_str().expect("there").to_owned()
    });
    let pool = begun.pool();
    let active = pool.active.clone().expect("selected");
    (login, pool.find(&active).expect("there").credential.refresh.expose().to_owned())
}

#[test]
fn a_switch_is_taken_back_with_the_clients_login() {
    let begun = begun();
    switches(&begun, 1).expect("switched");
    switches(&begun, 2).expect("switched");
    assert_eq!(login_and_selection(&begun), (Some("R2".into()), "R2".into()));
    assert_eq!(begun.store.undo(None).expect("taken back").remarks, []);
    assert_eq!(login_and_selection(&begun), (Some("R1".into()), "R1".into()));
    begun.store.undo(None).expect("taken back");
    assert_eq!(login_and_selection(&begun).0, None, "there was none before the first switch");
}

#[test]
fn a_login_changed_since_stays_when_a_switch_is_taken_back() {
    let begun = begun();
    switches(&begun, 2).expect("switched");
    let record = begun.pool().accounts[2].account.record.clone();
    begun.store.write_login(begun.world.layout().codex_home(), &record).expect("written");
    let undone = begun.store.undo(None).expect("taken back");
    assert!(matches!(undone.remarks[..], [Remark::LoginStays { .. }]), "{:?}", undone.remarks);
    assert_eq!(login_and_selection(&begun), (Some("R3".into()), "R1".into()));
}

#[test]
fn pool_and_login_are_written_as_one_whatever_step_fails() {
    use codex_auth_store::testing::{Fault, FaultFs};
    use std::sync::Arc;

    let steps = {
        let begun = begun();
        switches(&begun, 1).expect("switched");
        let disk = Arc::new(FaultFs::default());
        switched_over(&begun, &begun.world.store_over(disk.clone()), 2).expect("no fault");
        disk.steps()
    };
    for fault in (0..steps).flat_map(|step| [Fault::Fail(step), Fault::Stop(step)]) {
        let begun = begun();
        switches(&begun, 1).expect("switched");
        let _ = switched_over(&begun, &begun.world.store_over(Arc::new(FaultFs::with(fault))), 2);
        begun.store.edit_now(|pool| pool.affinity_generation += 1).expect("the disk is well again");
        let (login, selected) = login_and_selection(&begun);
        assert_eq!(login.as_deref(), Some(selected.as_str()), "{fault:?}");
    }
}

#[test]
fn a_configuration_is_taken_back_byte_for_byte() {
    let begun = begun();
    let path = begun.world.layout().codex_home().join("config.toml");
    let text = "# mine\r\nmodel = \"x\"\r\ncli_auth_credentials_store = 'keyring' # why\r\n[p]\r\n";
    begun.world.write(&path, text);
    begun.store.keep_login_in_file().expect("written").expect("changed");
    assert_ne!(std::fs::read_to_string(&path).expect("there"), text);
    begun.store.undo(None).expect("taken back");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), text);
    assert_eq!(begun.store.undo(None).err(), Some(UndoError::Nothing));
}

#[test]
fn a_key_set_anew_since_stays_and_does_not_stand_in_the_way() {
    let begun = begun();
    let path = begun.world.layout().codex_home().join("config.toml");
    begun.removes(2);
    begun.store.keep_login_in_file().expect("written").expect("changed");
    begun.world.write(&path, "cli_auth_credentials_store = \"auto\"\n");
    let undone = begun.store.undo(None).expect("as far as it goes");
    assert!(matches!(undone.remarks[..], [Remark::ConfigStays { .. }]), "{:?}", undone.remarks);
    assert_eq!(begun.store.undo(None).expect("the removal").operation.command, "remove");
    assert_eq!(begun.pool().accounts.len(), 3);
}
