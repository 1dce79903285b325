//! `files`: what is there, how it is, and that nothing is told of what it holds.

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::json;

use crate::world::World;

#[test]
fn files_are_told_with_their_health_and_never_their_secrets() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let sound = world.run("files --json").ok().document();
    assert_eq!(sound["ok"], json!(true), "{sound}");
    let budgets = world.root().join("budget-guards.json");
    std::fs::write(&budgets, "{\"SECRET").expect("written");
    let said = world.run("files");
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.out.contains("✗ budget-guards.json") && said.out.contains("mv "), "{said}");
    assert!(!said.out.contains("SECRET"));
    assert_eq!(std::fs::read_to_string(&budgets).expect("there"), "{\"SECRET", "nothing was changed");
    let refresh = world.pool()["accounts"][0]["refreshToken"].as_str().expect("a token").to_owned();
    let document = world.run("files --json");
    assert!(!document.out.contains(&refresh));
    let rows = document.document();
    let row = rows["files"].as_array().expect("a list").iter().find(|row| row["health"]["state"] == "broken");
    assert_eq!(row.map(|row| &row["mode"]).and_then(|mode| mode.as_str()).map(str::len), Some(4));
}

#[test]
fn the_directory_of_opencode_is_looked_at_too() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let directory = world.home().join(".config/opencode");
    crate::world::write(&directory.join("codex-accounts.json"), r#"{"openai":{"type":"oauth","accounts":[]}}"#);
    crate::world::write(&directory.join("codex-auth.json"), r#"{"version":7}"#);
    let said = world.run("files --json");
    assert_eq!(said.code, Some(1), "{said}");
    let rows = said.document();
    let there = rows["files"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| row["path"].as_str().is_some_and(|path| path.starts_with("[HOME]/.config/opencode")));
    let states: Vec<_> = there.map(|row| row["health"]["state"].clone()).collect();
    assert_eq!(states, [json!("ok"), json!("unknownVersion")]);
}
