//! `export`, `backup`, and imports of other programs' files.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::world::{World, read, row, row_with, write};

#[test]
fn an_export_is_private_warns_and_is_not_repeated() {
    let world = World::holding(&[row(1), row(2)]);
    let before = world.pool();
    insta::assert_snapshot!(world.run("export out.json").ok());
    let out = world.home().join("out.json");
    assert_eq!(out.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    let keys: Vec<_> = read(&out).as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["version", "accounts", "activeIndex", "activeIndexByFamily"]);
    let said = world.run("export out.json").failed();
    assert_eq!(said.err, "File already exists: out.json\nName another file, or add --force to replace it.\n");
    world.run("export out.json --force --json").ok().document();
    assert_eq!(world.pool(), before);
    let said = World::empty().run("export out.json").failed();
    assert!(said.err.starts_with("No accounts to export\n"), "{said}");
    let own = world.root().join("openai-codex-accounts.json");
    let said = world.run_words(&["export", own.as_str(), "--force"]).failed();
    assert!(said.err.contains("an export there could destroy it"), "{said}");
}

#[test]
fn backups_are_made_and_listed() {
    let world = World::holding(&[row(1), row(2)]);
    assert!(world.run("backup").ok().out.starts_with("No named backups in [HOME]/.codex/multi-auth/backups\n"));
    insta::assert_snapshot!("a_backup", world.run("backup daily").ok());
    let said = world.run("backup daily.json").failed();
    assert!(said.err.starts_with("Backup already exists: [HOME]/.codex/multi-auth/backups/daily.json\n"), "{said}");
    let listed = world.run("backup --json").ok().document();
    assert_eq!(
        (&listed["backups"][0]["fileName"], &listed["backups"][0]["accountCount"]),
        (&json!("daily.json"), &json!(2))
    );
    let said = world.run("backup ../x").failed();
    assert!(said.err.starts_with("Backup filename must not contain path separators\n"), "{said}");
}

#[test]
fn another_programs_accounts_come_in_marked_as_shared() {
    let world = World::holding(&[row(1)]);
    let source = world.home().join("codex-accounts.json");
    let record = json!({ "refresh": "refresh-2", "access": "access-2", "expires": 4_102_444_800_000_i64,
        "accountId": "ws-000002", "email": "Person2@example.test", "plan": "plus", "authTypes": ["native"] });
    let text = json!({ "openai": { "type": "oauth", "accounts": [record], "native": { "accounts": [record] },
        "codex": { "accounts": [record] } } })
    .to_string();
    write(&source, &text);
    insta::assert_snapshot!("an_import_from_opencode", world.run_words(&["import", source.as_str()]).ok());
    assert_eq!(std::fs::read_to_string(&source).expect("there"), text);
    let listed = world.run("list --json").ok().document();
    assert_eq!(listed["accounts"][1]["markers"], json!(["shared with OpenCode"]));
    let again = world.run_words(&["import", source.as_str(), "--json"]).ok().document();
    assert_eq!((&again["imported"], &again["notes"]), (&json!(0), &json!([])));
}

#[test]
fn parked_accounts_and_lists_of_logins_come_in() {
    let world = World::holding(&[row(1)]);
    let parked = world.home().join("openai-codex-flagged-accounts.json");
    let dead = row_with(2, &json!({ "flaggedAt": 1_700_000_000_000_i64, "flaggedReason": "token-invalid" }));
    write(&parked, &json!({ "version": 1, "accounts": [dead] }).to_string());
    let list = world.home().join("accounts.json");
    let entry =
        json!({ "account_id": "ws-000003", "refresh_token": "refresh-3", "user_email": "person3@example.test" });
    write(&list, &json!({ "accounts": [entry], "active_account_id": "ws-000003" }).to_string());
    world.run_words(&["import", parked.as_str(), list.as_str()]).ok();
    let listed = world.run("list --json").ok().document();
    let reason = listed["accounts"][1]["reason"].as_str().expect("a reason");
    assert!(reason.contains("needs a new sign-in (token-invalid)"), "{reason}");
    assert_eq!(listed["accounts"][2]["markers"], json!(["shared with codex"]));
}

#[test]
fn parked_accounts_are_told_until_somebody_brings_them_back() {
    let world = World::holding(&[row(1)]);
    let parked = world.root().join("openai-codex-flagged-accounts.json");
    let dead = row_with(2, &json!({ "flaggedAt": 1_700_000_000_000_i64, "flaggedReason": "token-invalid" }));
    write(&parked, &json!({ "version": 1, "accounts": [dead] }).to_string());
    let note = "Note: 1 account is parked; `codex-multi-auth login` brings it back.";
    for command in ["list", "status"] {
        assert!(world.run(command).ok().out.contains(note), "{command}");
    }
    let source = world.home().join("two.json");
    write(&source, &json!({ "version": 3, "accounts": [row(2)] }).to_string());
    world.run_words(&["import", source.as_str()]).ok();
    assert_eq!(read(&parked)["accounts"], json!([]));
    let listed = world.run("list --json").ok().document();
    assert_eq!((&listed["parkedCount"], &listed["accountCount"]), (&json!(0), &json!(2)));
    world.run("undo").ok();
    assert_eq!(world.run("list --json").ok().document()["parkedCount"], json!(1));
}

#[test]
fn a_large_import_is_said_to_be_too_large_for_the_predecessor() {
    let world = World::holding(&[row(1)]);
    let source = world.home().join("many.json");
    let rows: Vec<_> = (2..=21).map(row).collect();
    write(&source, &json!({ "version": 3, "accounts": rows }).to_string());
    let done = world.run_words(&["import", source.as_str()]).ok();
    assert!(done.out.contains("codex-multi-auth 2.x stops at 20 accounts"), "{done}");
    assert_eq!(world.pool()["accounts"].as_array().map(Vec::len), Some(21));
}
