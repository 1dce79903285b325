//! Every version of the document reads as it should, and what we do not know survives our writing.

use codex_auth_core::{AccountStore as _, FAMILIES, Held, Rest, RestReason, RestScope, StoreError, Timestamp};
use serde_json::{Value, json};

use crate::world::{NOW, World, sign_in};

const V3: &str = r#"{
  "version": 3,
  "accounts": [
    {
      "recordId": "record:one",
      "accountId": "acc-1", "accountIdSource": "token", "email": "Me@A.co",
      "refreshToken": "RT1", "accessToken": "opaque", "expiresAt": 1790000100000,
      "addedAt": 1700000000000, "lastUsed": 1.76e12, "lastSwitchReason": "rotation",
      "workspaces": [ { "id": "acc-1", "name": "Mine", "enabled": true } ],
      "ourUnknown": { "deep": [1.50, 12345678901234567890123] }
    },
    { "note": "no token here" },
    { "refreshToken": "RT2", "addedAt": 5, "lastUsed": 0, "enabled": false, "coolingDownUntil": 1790000200000,
      "cooldownReason": "network-error" }
  ],
  "activeIndex": 2,
  "activeIndexByFamily": { "gpt-5-codex": 2, "codex-max": 0, "codex": 2, "gpt-5.2": 2, "gpt-5.1": 2 },
  "pinnedAccountIndex": 2,
  "affinityGeneration": 4,
  "topUnknown": "kept"
}"#;

fn at(text: &str) -> World {
    let world = World::new();
    world.write(&world.layout().accounts(), text);
    world
}

#[test]
fn v3_reads() {
    let pool = at(V3).store().read_now().expect("readable");
    let [first, second] = &pool.accounts[..] else { panic!("two usable rows: {pool:?}") };
    assert_eq!(first.account.record.as_str(), "record:one");
    assert_eq!(first.account.owner.email.as_deref(), Some("me@a.co"));
    assert_eq!(first.account.owner.workspace.as_ref().map(ToString::to_string).as_deref(), Some("acc-1"));
    assert_eq!(first.credential.expires_at, Some(Timestamp::from_secs(NOW + 100)));
    assert_eq!(first.account.seen.last_used_at, Timestamp::from_millis(1_760_000_000_000));
    assert!(!second.account.enabled);
    let until = Timestamp::from_secs(NOW + 200);
    assert_eq!(second.account.rests, [Rest { until, reason: RestReason::Network, scope: RestScope::Account }]);
    assert_eq!((&pool.active, &pool.pin), (&Some(second.account.record.clone()), &pool.active));
    assert_eq!(pool.affinity_generation, 4);
}

#[test]
fn nothing_changed_is_nothing_written() {
    let world = at(V3);
    world.store().edit_now(|_| {}).expect("nothing to do");
    assert_eq!(std::fs::read_to_string(world.layout().accounts()).expect("there"), V3);
    assert!(!world.layout().sidecar().exists());
}

#[test]
fn a_change_touches_only_what_it_means() {
    let world = at(V3);
    world.store().edit_now(|pool| pool.accounts[0].account.enabled = false).expect("written");
    let mut expect: Value = serde_json::from_str(V3).expect("JSON");
    expect["accounts"][0]["enabled"] = json!(false);
    expect["codexAuthRevision"] = json!(1);
    // The row had no record id of its own until now.
    let written = world.accounts();
    expect["accounts"][2]["recordId"] = written["accounts"][2]["recordId"].clone();
    assert_eq!(written["accounts"][2]["recordId"].as_str().map(str::len), Some(71));
    assert_eq!(written, expect);
    let text = std::fs::read_to_string(world.layout().accounts()).expect("there");
    assert!(text.contains("1.50") && text.contains("12345678901234567890123"), "{text}");
    assert!(text.contains("\"lastUsed\": 1.76e12") || text.contains("\"lastUsed\": 1.76e+12"), "{text}");
}

#[test]
fn what_was_written_reads_the_same() {
    let world = at(V3);
    let written = world.store().edit_now(|pool| pool.pin = None).expect("written");
    assert_eq!(world.store().read_now().expect("readable"), written);
    assert_eq!(world.accounts().get("pinnedAccountIndex"), None);
}

#[test]
fn positions_follow_a_deletion() {
    let world = at(V3);
    world.store().edit_now(|pool| drop(pool.accounts.remove(0))).expect("written");
    let written = world.accounts();
    assert_eq!(written["accounts"].as_array().map(Vec::len), Some(2), "the unusable row stays");
    let index = written["activeIndex"].as_u64().and_then(|index| usize::try_from(index).ok()).expect("a number");
    assert_eq!(written["accounts"][index]["refreshToken"], json!("RT2"));
    assert_eq!(written["pinnedAccountIndex"], written["activeIndex"]);
    assert_eq!(written["activeIndexByFamily"]["codex-max"], written["activeIndex"], "its account is gone");
}

#[test]
fn v1_becomes_v3_on_the_first_write() {
    let reset = (NOW + 60) * 1000;
    let v1 = json!({
        "version": 1, "activeIndex": 1, "keep": true,
        "accounts": [
            { "refreshToken": "A", "addedAt": 1, "lastUsed": 1, "rateLimitResetTime": 5 },
            { "refreshToken": "B", "addedAt": 2, "lastUsed": 2, "rateLimitResetTime": reset, "recordId": "r",
              "workspaces": [], "mine": 1 },
        ],
    });
    let world = at(&v1.to_string());
    let pool = world.store().read_now().expect("readable");
    assert_eq!(pool.active.as_ref(), Some(&pool.accounts[1].account.record));
    assert!(pool.accounts[0].account.rests.is_empty());
    let until = Timestamp::from_millis(reset);
    let whole = Rest { until, reason: RestReason::UsageLimit, scope: RestScope::Account };
    assert_eq!(pool.accounts[1].account.rests, [whole]);
    world.store().edit_now(|pool| pool.affinity_generation = 1).expect("written");
    let written = world.accounts();
    assert_eq!(
        (&written["version"], &written["keep"], &written["affinityGeneration"]),
        (&json!(3), &json!(true), &json!(1))
    );
    let all: serde_json::Map<_, _> = FAMILIES.iter().map(|family| ((*family).to_owned(), json!(reset))).collect();
    assert_eq!(written["accounts"][1]["rateLimitResetTimes"], Value::Object(all));
    assert_eq!((&written["accounts"][1]["mine"], written["accounts"][1].get("workspaces")), (&json!(1), None));
    assert_ne!(written["accounts"][1]["recordId"], json!("r"));
}

#[track_caller]
fn refuses(text: &str, expect: &str) {
    let world = at(text);
    let error = world.store().read_now().expect_err("not usable");
    assert_eq!(world.store().edit_now(|pool| pool.affinity_generation = 9).expect_err("not written over"), error);
    assert_eq!(std::fs::read_to_string(world.layout().accounts()).expect("there"), text);
    let root = world.layout().root().to_string();
    let said = error.to_string().replace(&root, "ROOT");
    assert!(said.starts_with(expect), "{said}");
    assert!(matches!(error, StoreError::Unreadable { .. } | StoreError::UnknownVersion { .. }));
}

#[test]
fn what_is_no_document_is_refused_and_left_alone() {
    let path = "ROOT/openai-codex-accounts.json";
    refuses("", &format!("{path} cannot be used: it is empty; it was left as it is"));
    refuses(&V3[..300], &format!("{path} cannot be used: it ends in the middle (line"));
    refuses("garbage", &format!("{path} cannot be used: it is not JSON (line 1, column 1)"));
    refuses("[]", &format!("{path} cannot be used: it is JSON but not an object"));
    refuses(r#"{"version":4,"accounts":[]}"#, &format!("{path} has version 4, which this program does not know"));
    refuses(r#"{"accounts":[]}"#, &format!("{path} has version none, which"));
    refuses(r#"{"version":3,"accounts":{}}"#, &format!("{path} cannot be used: `accounts` is not a list"));
}

#[test]
fn no_file_is_an_empty_pool() {
    assert_eq!(World::new().store().read_now().expect("empty").accounts, []);
}

#[test]
fn a_byte_order_mark_is_accepted() {
    assert_eq!(at(&format!("\u{feff}{V3}")).store().read_now().expect("readable").accounts.len(), 2);
}

#[test]
fn nonsense_positions_are_clamped() {
    let text = json!({
        "version": 3, "activeIndex": 99, "activeIndexByFamily": { "codex": -4, "gpt-5.2": "x" },
        "pinnedAccountIndex": 5, "affinityGeneration": -1,
        "accounts": [{ "refreshToken": "A" }, { "refreshToken": "  " }],
    });
    let pool = at(&text.to_string()).store().read_now().expect("readable");
    assert_eq!((pool.accounts.len(), pool.pin, pool.affinity_generation), (1, None, 0));
    assert_eq!(pool.active, Some(pool.accounts[0].account.record.clone()));
}

#[test]
fn a_cleared_pool_stays_cleared_until_an_account_is_added() {
    let world = at(V3);
    world.write(&world.layout().reset_intent(), "{}");
    assert_eq!(world.store().read_now().expect("empty").accounts, []);
    world.store().edit_now(|pool| pool.accounts.push(sign_in(7, "R", 0))).expect("written");
    assert!(!world.layout().reset_intent().exists());
    assert_eq!(world.store().read_now().expect("readable").accounts.len(), 1);
}

#[test]
fn a_grant_that_stands_twice_is_one_account() {
    let text = json!({ "version": 3, "activeIndex": 0, "accounts": [
        { "refreshToken": "A", "lastUsed": 1, "accountId": "w", "email": "x@y" },
        { "refreshToken": "A", "lastUsed": 5 },
        { "refreshToken": "B", "email": "p@y" }, { "refreshToken": "B", "email": "z@y" },
    ]});
    let pool = at(&text.to_string()).store().read_now().expect("readable");
    let tokens: Vec<_> = pool.accounts.iter().map(|held| held.credential.refresh.expose().to_owned()).collect();
    assert_eq!(tokens, ["A", "B", "B"], "rows that contradict each other stay two");
    assert_eq!(pool.accounts[0].account.owner.email.as_deref(), Some("x@y"), "what one row lacks comes from the other");
    assert_eq!(pool.active, Some(pool.accounts[0].account.record.clone()));
}

/// A world with one account of ours, as written.
fn ours() -> (World, Held) {
    let world = World::new();
    let mut held = sign_in(1, "R1", 0);
    held.account.alias = Some("work".into());
    held.credential.generation = 3;
    let written = world.holding(vec![held]).read_now().expect("readable").accounts.remove(0);
    (world, written)
}

#[test]
fn the_sidecar_keeps_what_the_document_cannot() {
    let (world, held) = ours();
    assert_eq!((held.account.alias.as_deref(), held.credential.generation), (Some("work"), 3));
    assert!(held.credential.id.is_some());
    let document = std::fs::read_to_string(world.layout().accounts()).expect("there");
    assert!(!document.contains("idToken") && !document.contains("alias"), "{document}");
}

#[test]
fn another_token_in_the_document_is_a_foreign_newer_credential() {
    let (world, before) = ours();
    let mut document = world.accounts();
    document["accounts"][0]["refreshToken"] = json!("FOREIGN");
    world.write(&world.layout().accounts(), &document.to_string());
    let store = world.store();
    let held = store.read_now().expect("readable").accounts.remove(0);
    assert_eq!(held.credential.refresh.expose(), "FOREIGN");
    assert_eq!((held.credential.generation, held.credential.id.is_none()), (4, true));
    assert_eq!((held.account.alias, held.account.owner.user), (before.account.alias, before.account.owner.user));
    store.edit_now(|pool| pool.affinity_generation += 1).expect("written");
    assert_eq!(store.read_now().expect("readable").accounts[0].credential.generation, 4, "once, not at every read");
}

#[test]
fn a_deleted_account_leaves_no_token_behind() {
    let (world, held) = ours();
    world.store().edit_now(|pool| pool.accounts.clear()).expect("written");
    assert_eq!(world.sidecar()["accounts"].get(held.account.record.as_str()), None);
    let left = std::fs::read_to_string(world.layout().sidecar()).expect("there");
    assert!(!left.contains(held.credential.id.expect("had one").expose()), "{left}");
}

#[test]
fn unknown_keys_of_the_sidecar_survive() {
    let (world, held) = ours();
    let mut sidecar = world.sidecar();
    sidecar["later"] = json!(1.0);
    sidecar["accounts"][held.account.record.as_str()]["legacyIdentityKeys"] = json!(["k"]);
    world.write(&world.layout().sidecar(), &sidecar.to_string());
    world.store().edit_now(|pool| pool.accounts[0].account.alias = Some("home".into())).expect("written");
    let after = world.sidecar();
    assert_eq!(after["later"].to_string(), "1.0");
    assert_eq!(after["accounts"][held.account.record.as_str()]["legacyIdentityKeys"], json!(["k"]));
}

#[test]
fn a_symlinked_document_stays_a_link() {
    let world = World::new();
    let real = world.home().join("elsewhere/pool.json");
    world.write(&real, V3);
    std::fs::create_dir_all(world.layout().root()).expect("made");
    std::os::unix::fs::symlink(&real, world.layout().accounts()).expect("linked");
    world.store().edit_now(|pool| pool.pin = None).expect("written");
    assert!(world.layout().accounts().is_symlink());
    assert!(!std::fs::read_to_string(&real).expect("there").contains("pinnedAccountIndex"));
}

#[test]
fn files_are_private_from_creation() {
    use std::os::unix::fs::PermissionsExt as _;

    let (world, _) = ours();
    let mode = |path: camino::Utf8PathBuf| path.metadata().expect("there").permissions().mode() & 0o777;
    let layout = world.layout();
    assert_eq!((mode(layout.accounts()), mode(layout.sidecar()), mode(layout.root_lock())), (0o600, 0o600, 0o600));
    assert_eq!(mode(layout.root().to_owned()), 0o700);
}

#[test]
fn the_stamp_tells_a_foreign_change() {
    let (world, _) = ours();
    let store = world.store();
    let before = store.stamp();
    assert_eq!(store.stamp(), before);
    world.write(&world.layout().accounts(), V3);
    assert_ne!(store.stamp(), before);
}

#[test]
fn a_sidecar_of_an_unknown_version_is_refused_and_left_alone() {
    let (world, _) = ours();
    let text = "{\"version\":2}";
    world.write(&world.layout().sidecar(), text);
    let error = world.store().edit_now(|pool| pool.affinity_generation = 1).expect_err("not usable");
    assert!(error.to_string().contains("has version 2"), "{error}");
    assert_eq!(std::fs::read_to_string(world.layout().sidecar()).expect("there"), text);
}
