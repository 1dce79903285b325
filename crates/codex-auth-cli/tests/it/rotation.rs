//! `rotation`: routing on and off, and the agent as it says of itself.

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::json;

use crate::{
    serving::Serving,
    world::{World, read, row, write},
};

#[test]
fn routing_is_set_and_everything_else_stays() {
    let world = World::holding(&[row(1)]);
    let settings = world.root().join("settings.json");
    write(
        &settings,
        "{\"version\":1,\"mine\":[1.50],\"pluginConfig\":{\"schedulingStrategy\":\"sequential\",\"x\":2}}",
    );
    insta::assert_snapshot!(world.run("rotation disable").ok());
    insta::assert_snapshot!("settings_after_disable", std::fs::read_to_string(&settings).expect("there"));
    let status = world.run("rotation status --json").ok().document();
    assert_eq!(
        (&status["enabled"], &status["storedSetting"], &status["strategy"]),
        (&json!(false), &json!(false), &json!("sequential"))
    );
    world.run("rotation enable --json").ok();
    let before = world.files();
    world.run("rotation enable").ok();
    assert_eq!(world.files(), before, "what is so already is not written again");
}

#[test]
fn a_first_setting_makes_the_file() {
    let world = World::empty();
    world.run("rotation disable").ok();
    assert_eq!(
        read(&world.root().join("settings.json")),
        json!({ "version": 1, "pluginConfig": { "codexRuntimeRotationProxy": false } })
    );
}

#[test]
fn an_override_is_named() {
    let mut world = World::holding(&[row(1)]);
    world.set("CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY", "0");
    let said = world.run("rotation enable").ok();
    assert!(said.out.contains("CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY overrides this here: disabled."), "{said}");
    assert!(world.run("rotation").ok().out.contains("Env override: disabled\n"));
}

#[test]
fn without_an_agent_the_rest_is_shown() {
    insta::assert_snapshot!(World::holding(&[row(1), row(2)]).run("rotation").ok());
}

#[test]
fn a_running_agent_answers_for_itself() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let mut agent = Serving::start(&world);
    let status = world.run("rotation status --json").ok().document();
    assert_eq!((&status["agent"]["pid"], &status["agent"]["port"]), (&agent.ready["pid"], &agent.ready["port"]));
    assert_eq!(status["sessions"], json!([]));
    assert_eq!(world.run("why-selected --json").ok().document()["decidedBy"], json!("agent"));
    assert!(agent.is_running(), "asking does not end it");
}
