//! Documents with duplicates read as documents without, whatever stands where; nothing known is lost by it.

use codex_auth_core::{Held, SavedPool, Timestamp, WorkspaceId};
use codex_auth_store::{import, merge, testing::claims, testing::jwt};
use serde_json::{Value, json};

use crate::world::{NOW, World};

/// A row `account/e-mail/token@lastUsed`; `-` means unknown.
fn row(text: &str) -> Value {
    let (what, used) = text.split_once('@').unwrap_or((text, "0"));
    let mut row = json!({ "addedAt": 1, "lastUsed": used.parse::<i64>().expect("a number") });
    for (key, part) in ["accountId", "email", "refreshToken"].iter().zip(what.split('/')) {
        if part != "-" {
            row[key] = json!(part);
        }
    }
    row
}

fn document(rows: &[Value]) -> Value {
    json!({ "version": 3, "activeIndex": 0, "accounts": rows })
}

fn read(document: &Value) -> SavedPool {
    let bytes = document.to_string().into_bytes();
    import::from_document("pool.json".into(), &bytes, Timestamp::from_secs(NOW)).expect("a document")
}

fn shown(held: &Held) -> String {
    let owner = &held.account.owner;
    let workspace = owner.workspace.as_ref().map_or("-", WorkspaceId::as_str);
    let email = owner.email.as_deref().unwrap_or("-");
    format!("{workspace}/{email}/{}", held.credential.refresh.expose())
}

/// Also backwards: the same accounts come out.
#[track_caller]
fn check(rows: &[&str], expect: &[&str]) {
    let mut rows: Vec<Value> = rows.iter().map(|text| row(text)).collect();
    let found: Vec<_> = read(&document(&rows)).accounts.iter().map(shown).collect();
    assert_eq!(found, expect);
    rows.reverse();
    let mut turned: Vec<_> = read(&document(&rows)).accounts.iter().map(shown).collect();
    let mut expect = expect.to_vec();
    turned.sort();
    expect.sort_unstable();
    assert_eq!(turned, expect, "backwards");
}

#[test]
fn f09_duplicates_become_one_and_nothing_known_is_lost() {
    check(&["A/x/r1@1", "A/X /r2@5"], &["A/x/r2"]);
    check(&["A/x/r1@1", "B/x/r2@5"], &["A/x/r1", "B/x/r2"]);
    check(&["A/x/r1@1", "-/x/r2@5"], &["A/x/r2"]);
    check(&["A/x/r1@1", "B/x/r2@2", "-/x/r3@3"], &["A/x/r1", "B/x/r2", "-/x/r3"]);
    check(&["A/x/r1@1", "A/y/r2@2"], &["A/x/r1", "A/y/r2"]);
    check(&["-/x/r1@1", "-/y/r1@2"], &["-/x/r1", "-/y/r1"]);
    check(&["A/x/r1@1", "-/-/r1@5"], &["A/x/r1"]);
    check(&["A/-/r1@1", "A/-/r2@2"], &["A/-/r1", "A/-/r2"]);
    check(&["A/-/r1@1", "A/x/r2@5"], &["A/x/r2"]);
    check(&["A/x/r1@1", "A/-/r2@5"], &["A/x/r2"]);
}

#[test]
fn of_two_used_at_one_time_the_one_added_later_counts_then_the_later_one() {
    let added = |token: &str, at: i64| json!({ "accountId": "A", "email": "x", "refreshToken": token, "addedAt": at });
    let tokens = |rows: &[Value]| read(&document(rows)).accounts.iter().map(shown).collect::<Vec<_>>();
    assert_eq!(tokens(&[added("r1", 9), added("r2", 3)]), ["A/x/r1"]);
    assert_eq!(tokens(&[added("r1", 3), added("r2", 3)]), ["A/x/r2"]);
}

/// A row with a token of `user`, granted `age` seconds ago.
fn granted(user: &str, workspace: &str, refresh: &str, age: i64, last_used: i64) -> Value {
    let access = jwt(&claims(user, workspace, NOW - age + 86_400));
    json!({ "accountId": workspace, "email": "x@y.z", "refreshToken": refresh, "accessToken": access, "addedAt": 1, "lastUsed": last_used })
}

#[test]
fn f09_an_older_token_never_wins_by_being_used_later() {
    let rows = [granted("u", "w", "new", 10, 1), granted("u", "w", "old", 500, 9)];
    let pool = read(&document(&rows));
    assert_eq!(pool.accounts.iter().map(shown).collect::<Vec<_>>(), ["w/x@y.z/new"]);
    assert_eq!(pool.accounts[0].account.seen.last_used_at, Timestamp::from_millis(9));
    let mut ours = read(&document(&rows[..1]));
    merge(&mut ours, read(&document(&rows[1..])).accounts, Timestamp::from_secs(NOW));
    assert_eq!(shown(&ours.accounts[0]), "w/x@y.z/new", "nor by an import");
}

#[test]
fn f10_two_seats_and_two_workspaces_stay_apart_under_one_address() {
    let rows = [granted("u", "w", "r1", 1, 1), granted("v", "w", "r2", 2, 2), granted("u", "w2", "r3", 3, 3)];
    let tokens: Vec<_> = read(&document(&rows)).accounts.iter().map(shown).collect();
    assert_eq!(tokens, ["w/x@y.z/r1", "w/x@y.z/r2", "w2/x@y.z/r3"]);
}

#[test]
fn f35_an_organisation_is_never_an_account_id() {
    let world = World::new();
    let mut row = granted("u", "ws-1", "r1", 1, 1);
    row["accountId"] = json!("org-7");
    row["accountIdSource"] = json!("org");
    world.write(&world.layout().accounts(), &document(&[row]).to_string());
    let pool = world.store().edit_now(|pool| pool.affinity_generation = 1).expect("written");
    assert_eq!(pool.accounts[0].account.owner.workspace.as_ref().map(WorkspaceId::as_str), Some("ws-1"));
    let written = &world.accounts()["accounts"][0];
    assert_eq!((&written["accountId"], &written["accountIdSource"]), (&json!("ws-1"), &json!("token")));
}

#[test]
fn f36_a_chosen_account_id_stays_when_the_token_names_another() {
    let world = World::new();
    let mut row = granted("u", "ws-1", "r1", 1, 1);
    row["accountId"] = json!("ws-chosen");
    row["accountIdSource"] = json!("manual");
    world.write(&world.layout().accounts(), &document(&[row]).to_string());
    world.store().edit_now(|pool| pool.affinity_generation = 1).expect("written");
    let written = &world.accounts()["accounts"][0];
    assert_eq!((&written["accountId"], &written["accountIdSource"]), (&json!("ws-chosen"), &json!("manual")));
}

/// Rows a, a again, b, c with the selection on b, one family on the older a, and the pin on b.
fn crowded() -> (World, Value) {
    let world = World::new();
    let mut rows = [row("A/a/r1@1"), row("A/a/r2@9"), row("B/b/r3@5"), row("C/c/r4@5")];
    rows[0]["workspaces"] = json!([{ "id": "A", "name": "Mine", "enabled": true }]);
    rows[1]["unknown"] = serde_json::from_str("1.50").expect("a number");
    let mut document = document(&rows);
    document["activeIndex"] = json!(2);
    document["activeIndexByFamily"] = json!({ "codex": 2, "gpt-5.1": 0 });
    document["pinnedAccountIndex"] = json!(2);
    document["affinityGeneration"] = json!(7);
    world.write(&world.layout().accounts(), &document.to_string());
    (world, document)
}

#[test]
fn f08_the_pin_stays_on_its_account_when_rows_before_it_fold() {
    let (world, before) = crowded();
    let pool = world.store().read_now().expect("readable");
    let third = &pool.accounts[1].account.record;
    assert_eq!(shown(pool.find(third).expect("there")), "B/b/r3");
    assert_eq!((pool.pin.as_ref(), pool.active.as_ref(), pool.affinity_generation), (Some(third), Some(third), 7));
    assert_eq!(world.accounts(), before, "reading writes nothing");
    world.store().edit_now(|pool| pool.accounts[2].account.enabled = false).expect("written");
    let after = world.accounts();
    let tokens: Vec<_> = after["accounts"].as_array().into_iter().flatten().map(|row| &row["refreshToken"]).collect();
    assert_eq!(tokens, [&json!("r2"), &json!("r3"), &json!("r4")]);
    assert_eq!((&after["pinnedAccountIndex"], &after["activeIndex"]), (&json!(1), &json!(1)));
    assert_eq!(after["activeIndexByFamily"]["gpt-5.1"], json!(0), "the older row's families follow it");
    assert_eq!(after["affinityGeneration"], json!(7));
    let first = &after["accounts"][0];
    assert_eq!((&first["workspaces"][0]["name"], first["unknown"].to_string()), (&json!("Mine"), "1.50".to_owned()));
}

#[test]
fn f08_a_pin_out_of_range_does_not_begin_to_mean_somebody() {
    let (world, mut document) = crowded();
    document["pinnedAccountIndex"] = json!(4);
    world.write(&world.layout().accounts(), &document.to_string());
    let pool = world.store().edit_now(|pool| pool.accounts[1].account.enabled = false).expect("written");
    assert_eq!((pool.pin, world.accounts().get("pinnedAccountIndex")), (None, None));
}

#[test]
fn the_vectors_of_selection() {
    let mut three = document(&[row("A/a/r1@1"), row("A/a/r2@9"), row("B/b/r3@5")]);
    three["activeIndex"] = json!(2);
    three["activeIndexByFamily"] = json!({ "codex": 1 });
    let world = World::new();
    world.write(&world.layout().accounts(), &three.to_string());
    let pool = world.store().edit_now(|pool| pool.affinity_generation = 1).expect("written");
    assert_eq!(pool.active, Some(pool.accounts[0].account.record.clone()));
    let after = world.accounts();
    assert_eq!((&after["activeIndex"], &after["activeIndexByFamily"]["codex"]), (&json!(1), &json!(0)));
    assert_eq!(after["activeIndexByFamily"]["gpt-5.2"], json!(1));
}

#[test]
fn what_the_sidecar_knows_of_a_duplicate_is_kept() {
    let world = World::new();
    let held = crate::world::sign_in(1, "R1", 600);
    let store = world.holding(vec![held]);
    store.edit_now(|pool| pool.accounts[0].account.alias = Some("work".into())).expect("written");
    let before = store.read_now().expect("readable").accounts.remove(0);
    // The predecessor signs the same person in and adds a row, because the address was typed otherwise.
    let mut document = world.accounts();
    let mut added = granted("user-1", "ws-1", "R2", 0, NOW * 1000);
    added["email"] = json!("typed@otherwise.test");
    added["addedAt"] = json!(NOW * 1000);
    document["accounts"].as_array_mut().expect("rows").push(added);
    world.write(&world.layout().accounts(), &document.to_string());
    let pool = store.edit_now(|pool| pool.affinity_generation += 1).expect("written");
    let [after] = &pool.accounts[..] else { panic!("one account: {pool:?}") };
    assert_eq!((&after.account.record, after.account.alias.as_deref()), (&before.account.record, Some("work")));
    assert_eq!((after.credential.refresh.expose(), after.credential.generation), ("R2", 1));
    assert_eq!(store.read_now().expect("readable"), pool, "as written, so read");
}
