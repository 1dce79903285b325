//! The operations, one line each: a name, the scene, what is done, and which states are fair on the way.

use codex_auth_core::{AccountStore as _, Intent, NeedsLogin, Rest, RestReason, SavedPool, Timestamp};
use codex_auth_store::{
    FileStore, Waits, merge,
    opencode::Domain,
    testing::{FaultFs, auth_json},
};
use serde_json::json;

use super::{
    SOON,
    decisions::{
        a_pool_from_before, break_and_edit, break_and_read, changed_since_the_copy, keep_in_file, kept_in_the_keyring,
        made_to_keep_it_in_a_file, move_in, removed, reset, restore, switch, switched, take_back,
    },
    judge::check,
};
use crate::world::{NOW, World, credential, put, sign_in};

macro_rules! operations {
    ($($name:ident: $scene:expr, $run:expr, $between:expr;)*) => {
        $(#[test]
        fn $name() {
            check($scene, $run, $between);
        })*
    };
}

operations! {
    an_edit_of_the_document_alone: two_accounts, |it| edit(it, |pool| pool.affinity_generation = 5), &[];
    an_edit_of_the_sidecar_alone: two_accounts, |it| edit(it, |pool| pool.accounts[0].account.alias = Some("work".into())), &[];
    a_new_token_and_a_name: two_accounts, |it| edit(it, renew_and_name), &[];
    an_account_is_added: two_accounts, |it| edit(it, add), &[];
    the_first_account_is_added: nothing, |it| edit(it, add), &[];
    an_account_is_removed: two_accounts, |it| edit(it, remove_first), &[];
    the_last_account_is_removed: one_account, |it| edit(it, remove_first), &[];
    an_account_rests: two_accounts, |it| edit(it, rest), &[];
    an_account_is_switched_off: two_accounts, |it| edit(it, |pool| pool.accounts[1].account.enabled = false), &[];
    a_pin_is_set: two_accounts, |it| edit(it, pin_second), &[];
    an_account_needs_a_sign_in: two_accounts, |it| edit(it, |pool| pool.accounts[0].account.needs_login = Some(refused())), &[];
    an_old_document_is_brought_up_to_date: a_version_one_document, |it| edit(it, |pool| pool.affinity_generation = 5), &[];
    a_cleared_pool_is_begun_anew: cleared_on_purpose, |it| edit(it, add), &[];
    several_sign_ins_are_imported: two_accounts, import, &[];
    a_refusal_is_noted: two_accounts, refuse, &[];
    a_newer_pair_of_a_login_is_adopted: two_accounts_and_a_newer_login, adopt, &[];
    an_answer_that_waited_comes_home: an_answer_waits, |it| edit(it, |pool| pool.affinity_generation = 5), &[];
    a_login_is_written: two_accounts, write_second, &[];
    a_login_is_written_over_an_older_one: two_accounts_and_a_login, write_second, &[];
    a_login_is_written_over_a_newer_one: two_accounts_and_a_newer_login, write_second, &[adopt];
    a_login_is_removed: two_accounts_and_a_login, remove_login, &[];
    a_newer_login_is_removed: two_accounts_and_a_newer_login, remove_login, &[adopt];
    a_new_token_and_a_name_in_opencodes_document: two_of_opencode, |it| edit(it, renew_and_name), &[];
    an_account_is_added_to_opencodes_document: two_of_opencode, |it| edit(it, add), &[];
    an_account_is_removed_from_opencodes_document: two_of_opencode, |it| edit(it, remove_first), &[];
    a_pin_is_set_beside_opencodes_document: two_of_opencode, |it| edit(it, pin_second), &[];
    a_switch: two_accounts, switch, &[];
    a_switch_away_from_a_login: two_accounts_and_a_login, switch, &[];
    a_switch_away_from_a_newer_login: two_accounts_and_a_newer_login, switch, &[adopt];
    a_switch_is_taken_back: switched, take_back, &[];
    a_removal_is_taken_back: removed, take_back, &[];
    a_copy_is_restored: removed, restore, &[];
    the_pool_is_emptied: two_accounts_and_a_login, reset, &[];
    a_broken_document_is_put_together: changed_since_the_copy, break_and_read, &[];
    a_broken_document_is_put_together_and_changed: changed_since_the_copy, break_and_edit, &[break_and_read];
    the_client_is_made_to_keep_its_login_in_a_file: kept_in_the_keyring, keep_in_file, &[];
    a_configuration_is_taken_back: made_to_keep_it_in_a_file, take_back, &[];
    a_pool_from_before_moves_in: a_pool_from_before, move_in, &[];
}

fn nothing(_: &World) {}

fn one_account(world: &World) {
    world.holding(vec![sign_in(1, "R1", 100)]);
}

pub(super) fn two_accounts(world: &World) {
    world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
}

fn two_accounts_and_a_login(world: &World) {
    two_accounts(world);
    login(world, "R1", 100);
}

/// The official client renewed account 1 by itself.
fn two_accounts_and_a_newer_login(world: &World) {
    two_accounts(world);
    login(world, "R1-by-client", 10);
}

/// Both domains have them.
fn two_of_opencode(world: &World) {
    world.is_opencodes(Domain::Native);
    two_accounts(world);
    let codex = world.layout().with_opencode_pool_in(world.home().join(".config/opencode"), Domain::Codex);
    let codex = FileStore::over(codex, world.clock.clone(), std::sync::Arc::new(FaultFs::default()));
    codex.edit_now(|pool| put(pool, vec![sign_in(2, "R2", 100)])).expect("written");
}

fn login(world: &World, refresh: &str, age: i64) {
    let login = auth_json("user-1", "ws-1", refresh, NOW - age + 86_400);
    world.write(&world.layout().auth_json(), &login.to_string());
}

fn a_version_one_document(world: &World) {
    let rows = json!([{ "refreshToken": "R1", "addedAt": 5, "lastUsed": 6, "accountId": "ws-1" }]);
    let document = json!({ "version": 1, "accounts": rows, "activeIndex": 0 });
    world.write(&world.layout().accounts(), &document.to_string());
}

fn cleared_on_purpose(world: &World) {
    two_accounts(world);
    world.write(&world.layout().reset_intent(), "{}");
}

/// A refresh whose answer reached the journal only, because the root was busy.
fn an_answer_waits(world: &World) {
    two_accounts(world);
    let busy = std::fs::File::create(world.layout().root_lock()).expect("made");
    busy.try_lock().expect("free");
    asynchronously(async {
        let none = std::time::Duration::ZERO;
        let store = world.quick().with_waits(Waits { refresh: none, root: none, official: none });
        let record = store.read_now().expect("readable").accounts[0].account.record.clone();
        let mut claim = store.claim(&record).await.expect("free");
        let held = store.read_now().expect("readable").accounts[0].clone();
        assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
        let mut fresh = credential("user-1", "ws-1", "R1-new", 0);
        fresh.generation = 1;
        claim.commit(&fresh).await.expect("the journal has it");
        assert!(store.published(SOON));
    });
}

pub(super) fn edit(store: &FileStore, change: fn(&mut SavedPool)) -> Result<(), String> {
    store.edit_now(change).map(drop).map_err(text)
}

/// What an error says.
pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn renew_and_name(pool: &mut SavedPool) {
    let held = &mut pool.accounts[1];
    held.credential = credential("user-2", "ws-2", "R2-new", 0);
    held.credential.generation = 1;
    held.account.alias = Some("second".into());
}

fn add(pool: &mut SavedPool) {
    merge(pool, vec![sign_in(3, "R3", 0)], Timestamp::from_secs(NOW));
}

fn remove_first(pool: &mut SavedPool) {
    pool.accounts.retain(|held| held.account.owner.email.as_deref() != Some("user-1@example.test"));
    pool.active = pool.accounts.first().map(|held| held.account.record.clone());
}

fn rest(pool: &mut SavedPool) {
    let (now, until) = (Timestamp::from_secs(NOW), Timestamp::from_secs(NOW + 600));
    pool.accounts[0].account.rest(Rest::of_account(RestReason::UsageLimit, until, now));
}

fn pin_second(pool: &mut SavedPool) {
    pool.pin = Some(pool.accounts[1].account.record.clone());
    pool.active.clone_from(&pool.pin);
}

/// Two new people, and a newer sign-in of one who is there.
fn import(store: &FileStore) -> Result<(), String> {
    let incoming = || vec![sign_in(7, "R7", 0), sign_in(2, "R2-imported", 10), sign_in(8, "R8", 0)];
    edit_with(store, move |pool| drop(merge(pool, incoming(), Timestamp::from_secs(NOW))))
}

fn edit_with(store: &FileStore, change: impl FnOnce(&mut SavedPool)) -> Result<(), String> {
    store.edit_now(change).map(drop).map_err(text)
}

fn refused() -> NeedsLogin {
    NeedsLogin { code: "refresh_token_reused".into(), at: Timestamp::from_secs(NOW) }
}

/// The issuer refused the token of account 1.
fn refuse(store: &FileStore) -> Result<(), String> {
    asynchronously(async {
        let record = store.read_now()?.accounts[0].account.record.clone();
        let mut claim = store.claim(&record).await?;
        let held = claim.look_again().await?;
        // After a crash it may be spent; then it is refused all the same.
        claim.intend(&held.credential.refresh).await?;
        claim.refuse(refused()).await
    })
    .map_err(|error: codex_auth_core::StoreError| text(error))
}

fn adopt(store: &FileStore) -> Result<(), String> {
    asynchronously(async {
        let record = store.read_now()?.accounts[0].account.record.clone();
        store.claim(&record).await?.look_again().await
    })
    .map(drop)
    .map_err(|error: codex_auth_core::StoreError| text(error))
}

fn write_second(store: &FileStore) -> Result<(), String> {
    let record = store.read_now().map_err(text)?.accounts[1].account.record.clone();
    store.write_login(store.layout().codex_home(), &record).map(drop).map_err(text)
}

fn remove_login(store: &FileStore) -> Result<(), String> {
    store.remove_login(store.layout().codex_home()).map(drop).map_err(text)
}

pub(super) fn asynchronously<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}
