//! Commands that ask nobody: the fake beside them hears nothing, and no agent is started.

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::{Value, json};

use crate::world::{World, in_millis, row, row_with, timeless};

#[test]
fn looking_asks_nobody_and_changes_nothing() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    let before = world.files();
    for typed in [
        "list",
        "status --json",
        "why-selected",
        "rotation",
        "wrapper",
        "import --dry-run .codex/multi-auth/openai-codex-accounts.json",
    ] {
        world.run(typed).ok();
        assert_eq!(world.files(), before, "{typed}");
    }
    assert_eq!(world.fake().log().len(), 0);
}

#[test]
fn an_endpoint_of_ones_own_is_said_aloud() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    insta::assert_snapshot!(world.run("status").ok().err);
}

#[test]
fn the_selection_and_its_reasons() {
    let resting = json!({ "coolingDownUntil": in_millis(600_000), "cooldownReason": "rate-limit" });
    let mut world = World::holding(&[row_with(1, &resting), row(2), row_with(3, &json!({ "enabled": false }))]);
    world.set("CODEX_AUTH_SCHEDULING_STRATEGY", "sequential");
    insta::assert_snapshot!(timeless(&world.run("why-selected").ok().to_string()));
    let document = world.run("why-selected --json").ok().document();
    assert_eq!((&document["mode"], &document["selected"]["oneBasedIndex"]), (&json!("now"), &json!(2)));
    let blocker = |place: usize| document["candidates"][place]["blockers"][0].clone();
    let (rests, off) = (blocker(0), blocker(2));
    assert_eq!(
        (&rests["code"], &rests["scope"], &rests["command"]),
        (&json!("rate-limited"), &json!("account"), &Value::Null)
    );
    assert!(rests["until"].is_i64(), "{rests}");
    assert_eq!((&off["command"], &off["until"]), (&json!("codex-multi-auth switch 3"), &Value::Null));
}

#[test]
fn a_selection_of_nobody_fails_with_its_reasons() {
    let world = World::holding(&[row_with(1, &json!({ "enabled": false }))]);
    insta::assert_snapshot!(world.run("why-selected").failed());
    let document = world.run("why-selected --json").failed().document();
    assert_eq!((&document["ok"], &document["error"]), (&json!(false), &json!("no account can serve")));
}

#[test]
fn a_socket_nobody_listens_on_is_no_agent() {
    let world = World::holding(&[row(1)]);
    std::fs::create_dir_all(world.root().join("agent")).expect("made");
    drop(std::os::unix::net::UnixListener::bind(world.root().join("agent/agent.sock")).expect("bound"));
    assert!(world.run("why-selected").ok().out.contains("no agent is running"));
    assert!(world.run("rotation").ok().out.contains("Agent: not running"));
}
