//! `rotation`: routing on and off, and the agent as it says of itself.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::json;

use crate::world::{World, read, row, write};

/// An agent that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
    let mut serving = world.own_command(&["serve", "--json"]);
    let mut agent = Running(serving.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts"));
    let mut ready = String::new();
    BufReader::new(agent.0.stdout.take().expect("piped")).read_line(&mut ready).expect("a line");
    let ready: serde_json::Value = serde_json::from_str(&ready).expect("a ready line");
    let status = world.run("rotation status --json").ok().document();
    assert_eq!((&status["agent"]["pid"], &status["agent"]["port"]), (&ready["pid"], &ready["port"]));
    assert_eq!(status["sessions"], json!([]));
    assert_eq!(world.run("why-selected --json").ok().document()["decidedBy"], json!("agent"));
    assert!(agent.0.try_wait().expect("asked").is_none(), "asking does not end it");
}
