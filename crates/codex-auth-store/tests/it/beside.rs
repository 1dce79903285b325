//! One sign-in in several stores: a newer pair is adopted wherever it lies, a token begun elsewhere is not spent again, and
//! the rows that held a spent token follow.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{AccountStore as _, Credential, Held, Intent, NeedsLogin, RecordId, RefreshToken, Timestamp};
use codex_auth_store::{FileStore, OsFs, Waits};
use serde_json::{Value, json};

use crate::world::{NOW, World, credential, put, sign_in};

/// Our pool holds accounts 1 and 2.
fn begun() -> (World, FileStore, RecordId) {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    let record = store.read_now().expect("readable").accounts[0].account.record.clone();
    (world, store, record)
}

/// Another store of this user, as another process sees it.
fn store_at(world: &World, project: Option<&str>) -> FileStore {
    let layout = world.layout();
    let layout = match project {
        Some(key) => layout.clone().with_pool_in(layout.project_root(key)),
        None => layout,
    };
    let waits = Waits { refresh: Duration::from_secs(5), ..Waits::default() };
    FileStore::over(layout, world.clock.clone(), Arc::new(OsFs)).with_waits(waits)
}

/// A row of account `n` in the other product's document, granted `age` seconds ago.
fn row(n: usize, refresh: &str, age: i64) -> Value {
    let pair = credential(&format!("user-{n}"), &format!("ws-{n}"), refresh, age);
    json!({
        "accountId": format!("ws-{n}"), "email": format!("user-{n}@example.test"), "plan": "plus", "enabled": true,
        "identityKey": format!("ws-{n}|user-{n}@example.test|plus"), "refresh": refresh, "kept": "as it is",
        "access": pair.access.expect("there").expose(), "expires": (NOW - age + 86_400) * 1000,
    })
}

fn write_opencode(world: &World, native: &[Value], codex: &[Value]) {
    let path = world.home().join(".config/opencode/codex-accounts.json");
    let document = json!({ "openai": { "type": "oauth", "accounts": [],
        "native": { "accounts": native }, "codex": { "accounts": codex } } });
    world.write(&path, &document.to_string());
}

fn opencode(world: &World) -> Value {
    let path = world.home().join(".config/opencode/codex-accounts.json");
    serde_json::from_slice(&std::fs::read(path).expect("there")).expect("JSON")
}

async fn looked(store: &FileStore, record: &RecordId) -> Held {
    store.claim(record).await.expect("free").look_again().await.expect("there")
}

/// Renews to `refresh` and waits until every document follows.
async fn renew(store: &FileStore, record: &RecordId, refresh: &str) -> Credential {
    let mut claim = store.claim(record).await.expect("free");
    let held = claim.look_again().await.expect("there");
    assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
    let fresh = Credential { generation: held.credential.generation + 1, ..credential("user-1", "ws-1", refresh, 0) };
    claim.commit(&fresh).await.expect("kept");
    drop(claim);
    assert!(store.published(Duration::from_secs(20)), "the documents follow");
    fresh
}

#[tokio::test]
async fn a_newer_pair_of_the_other_product_is_adopted_from_either_domain() {
    for is_native in [true, false] {
        let (world, store, record) = begun();
        let (newer, none) = ([row(1, "R1-newer", 10)], []);
        if is_native {
            write_opencode(&world, &newer, &none);
        } else {
            write_opencode(&world, &none, &newer);
        }
        let before = std::fs::read(world.home().join(".config/opencode/codex-accounts.json")).expect("there");
        assert_eq!(looked(&store, &record).await.credential.refresh, RefreshToken::new("R1-newer"));
        let after = std::fs::read(world.home().join(".config/opencode/codex-accounts.json")).expect("there");
        assert_eq!(before, after, "a source is only read");
        let names = std::fs::read_dir(world.home().join(".config/opencode")).expect("there").count();
        assert_eq!(names, 1, "nothing of ours is left beside it");
    }
}

#[tokio::test]
async fn an_older_pair_and_that_of_somebody_else_stay_where_they_are() {
    let (world, store, record) = begun();
    write_opencode(&world, &[row(1, "R1-older", 200), row(3, "R3", 1)], &[]);
    assert_eq!(looked(&store, &record).await.credential.refresh, RefreshToken::new("R1"));
}

#[tokio::test]
async fn a_pair_known_as_spent_is_not_adopted_whatever_it_says_of_its_age() {
    let (world, store, record) = begun();
    renew(&store, &record, "R1-next").await;
    write_opencode(&world, &[row(1, "R1", -10)], &[]);
    assert_eq!(looked(&store, &record).await.credential.refresh, RefreshToken::new("R1-next"));
}

#[tokio::test]
async fn the_other_products_rows_follow_a_renewal_and_nothing_else_of_them_changes() {
    let (world, store, record) = begun();
    write_opencode(&world, &[row(1, "R1", 100), row(2, "R2", 100)], &[row(1, "R1", 100)]);
    let fresh = renew(&store, &record, "R1-next").await;
    let document = opencode(&world);
    for domain in ["native", "codex"] {
        let row = &document["openai"][domain]["accounts"][0];
        assert_eq!(row["refresh"], "R1-next", "{domain}");
        assert_eq!(row["access"], fresh.access.as_ref().expect("there").expose(), "{domain}");
        assert_eq!(row["kept"], "as it is", "{domain}");
    }
    assert_eq!(document["openai"]["native"]["accounts"][1]["refresh"], "R2");
    assert!(!world.home().join(".config/opencode/codex-auth.json").exists(), "no file of ours beside it");
}

#[tokio::test]
async fn rows_with_a_grant_of_their_own_do_not_follow() {
    let (world, store, record) = begun();
    write_opencode(&world, &[row(1, "R1-own", 300)], &[]);
    let path = world.home().join(".config/opencode/codex-accounts.json");
    let before = std::fs::read(&path).expect("there");
    renew(&store, &record, "R1-next").await;
    assert_eq!(std::fs::read(&path).expect("there"), before);
}

#[tokio::test]
async fn pools_of_projects_hold_the_same_sign_in() {
    let (world, store, record) = begun();
    let project = store_at(&world, Some("p-1"));
    project.edit_now(|pool| put(pool, vec![sign_in(1, "R1", 100)])).expect("written");
    let theirs = project.read_now().expect("readable").accounts[0].account.record.clone();
    renew(&store, &record, "R1-next").await;
    let held = project.read_now().expect("readable").accounts[0].clone();
    assert_eq!(held.credential.refresh, RefreshToken::new("R1-next"), "the project's pool follows");
    renew(&project, &theirs, "R1-third").await;
    assert_eq!(store.read_now().expect("readable").accounts[0].credential.refresh, RefreshToken::new("R1-third"));
}

#[tokio::test]
async fn a_token_another_pool_began_to_spend_is_not_presented_again() {
    let (world, store, record) = begun();
    let project = store_at(&world, Some("p-1"));
    project.edit_now(|pool| put(pool, vec![sign_in(1, "R1", 100)])).expect("written");
    let theirs = project.read_now().expect("readable").accounts[0].account.record.clone();
    let mut claim = project.claim(&theirs).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    drop(claim);
    let mut claim = store.claim(&record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::MaybeSpent));
}

#[tokio::test]
async fn one_presentation_at_a_time_and_nobody_waits_for_ever() {
    let (_world, store, record) = begun();
    let other = store.read_now().expect("readable").accounts[1].account.record.clone();
    let mut first = store.claim(&record).await.expect("free");
    assert_eq!(first.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    let waiting = store.clone();
    let second = tokio::spawn(async move {
        let mut claim = waiting.claim(&other).await.expect("free");
        claim.intend(&RefreshToken::new("R2")).await
    });
    assert_eq!(second.await.expect("it ends while the first one is still out"), Ok(Intent::Clear));
    first.refuse(NeedsLogin { code: "x".into(), at: Timestamp::from_secs(NOW) }).await.expect("kept");
}

#[tokio::test]
async fn a_spent_token_is_known_by_its_hash() {
    let (_world, store, record) = begun();
    let asked = RefreshToken::new("R1");
    assert_eq!(store.once_held(&asked).await, Ok(None), "it is the current one");
    renew(&store, &record, "R1-next").await;
    assert_eq!(store.once_held(&asked).await, Ok(Some(record)));
    assert_eq!(store.once_held(&RefreshToken::new("R9")).await, Ok(None));
}
