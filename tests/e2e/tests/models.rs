//! A model that no account has: the client hears the backend, or is served by the next model where the user wants that.

use std::{collections::BTreeMap, time::Duration};

use codex_auth_e2e::codex::ANSWER;
use codex_auth_e2e::{Scene, Who, World, wait};
use codex_auth_testkit::{Act, Fault, Route};
use serde_json::{Value, json};

const TURN: [&str; 5] = ["exec", "--skip-git-repo-check", "-m", "gpt-5.5", "say hi"];

/// Every account refuses the next two turns for their model.
fn both_lack_it(world: &World) {
    let detail = "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.";
    let act = Act::Answer { status: 400, headers: BTreeMap::new(), body: json!({ "detail": detail }) };
    world.fake().fault(&Fault { times: 2, ..Fault::once(Route::Responses, act) });
}

/// The models the backend was asked for, in order.
fn models(world: &World) -> Vec<String> {
    let turns = world.upstream().turns();
    turns.iter().map(|turn| turn.body["turn"]["model"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The one row of the ledger, as `usage` tells it: how it ended, and the models of the request and of its attempts.
#[track_caller]
fn row(world: &World) -> Value {
    let read = || {
        let told: Value =
            serde_json::from_str(&world.ours(&["usage", "--json"]).succeeds().stdout).expect("a document");
        (told["rows"].as_array().map(Vec::len) == Some(1)).then_some(told)
    };
    let told = wait::until(Duration::from_secs(10), read).unwrap_or_else(|| panic!("no row\n{}", world.story()));
    let row = &told["rows"][0];
    let attempts: Vec<&Value> = told["attempts"].as_array().into_iter().flatten().map(|one| &one["model"]).collect();
    json!([row["outcome"], row["statusCode"], row["model"], row["insteadOfModel"], attempts])
}

fn world(policy: &Value) -> World {
    let world = World::of(&Scene::accounts(2).login(Who::Outsider));
    world.settings(policy);
    both_lack_it(&world);
    world
}

#[test]
fn models_the_next_model_serves_where_the_user_wants_that() {
    let world = world(&json!({ "schedulingStrategy": "sequential", "unsupportedCodexPolicy": "fallback" }));
    assert_eq!(world.run(&TURN).succeeds().stdout, ANSWER, "{}", world.story());
    assert_eq!(models(&world), ["gpt-5.5", "gpt-5.5", "gpt-5.4"], "{}", world.story());
    let why: Value =
        serde_json::from_str(&world.ours(&["why-selected", "--last", "--json"]).succeeds().stdout).expect("a document");
    assert_eq!(why["recorded"]["insteadOf"], "gpt-5.5", "{why}");
    let attempts = ["gpt-5.5", "gpt-5.5", "gpt-5.4"];
    assert_eq!(row(&world), json!(["success", 200, "gpt-5.4", "gpt-5.5", attempts]));
    world.close();
}

#[test]
fn models_strict_is_the_backends_own_word() {
    let world = world(&json!({ "schedulingStrategy": "sequential" }));
    let done = world.run(&TURN).fails();
    assert!(done.stderr.contains("is not supported when using Codex"), "{}", done.story());
    assert_eq!(models(&world), ["gpt-5.5", "gpt-5.5"], "{}", world.story());
    assert_eq!(row(&world), json!(["failure", 400, "gpt-5.5", null, [null, null]]));
    world.close();
}
