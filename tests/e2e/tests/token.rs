//! A capability to the agent in the hands of a plain official client: `auth.command` of a provider of its own.

use std::fs;
use std::time::{Duration, Instant};

use codex_auth_e2e::codex::{self, ANSWER};
use codex_auth_e2e::probe::{Answer, Request};
use codex_auth_e2e::{Finished, Running, Scene, Who, World, wait};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const EXEC: [&str; 4] = ["exec", "--skip-git-repo-check", "--profile", "pool"];

/// Writes the block that our program prints for these limits into a profile of the client.
#[track_caller]
fn configure(world: &World, limits: &[&str]) -> String {
    let block = world.ours(&[&["token", "--config"], limits].concat()).succeeds().stdout;
    fs::write(world.codex_home().join("pool.config.toml"), &block).expect("our own home is writable");
    block
}

/// A plain official client with that profile: nothing of ours around it.
fn start_plain(world: &World, more: &[&str]) -> Running {
    let mut command = world.command(codex::native());
    command.args(EXEC).args(more);
    world.start(command, b"")
}

fn plain(world: &World, more: &[&str]) -> Finished {
    start_plain(world, more).wait(LIMIT)
}

fn made(world: &World, limits: &[&str]) -> Value {
    let said = world.ours(&[&["token", "--json"], limits].concat()).succeeds();
    serde_json::from_str(&said.stdout).expect("one document")
}

fn listed(world: &World) -> Vec<Value> {
    let said = world.ours(&["token", "list", "--json"]).succeeds();
    let list: Value = serde_json::from_str(&said.stdout).expect("one document");
    list["capabilities"].as_array().expect("a list").clone()
}

/// Ends what would keep the agent up, and judges the world.
fn close(world: World) {
    world.ours(&["token", "revoke", "--all"]).succeeds();
    world.close();
}

fn turn(world: &World, made: &Value, model: &str) -> Answer {
    let port = made["baseUrl"].as_str().and_then(|url| url.split([':', '/']).nth(4)?.parse().ok()).expect("a port");
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a secret"));
    let body = json!({ "model": model, "stream": true, "input": [] });
    Request::new("POST", port, "/v1/responses").header("authorization", &bearer).json(&body).send(world.namespace())
}

#[test]
fn token_a_plain_client_is_served_by_the_pool() {
    let world = World::of(&Scene::accounts(3));
    let block = configure(&world, &[]);
    assert!(block.contains("http://127.0.0.1:"), "{block}");
    world.await_quiet();
    assert_eq!(world.processes().len(), 0, "to print a block keeps no agent up");
    for turns in 1..=2 {
        let done = plain(&world, &["say hi"]).succeeds();
        assert_eq!(done.stdout, ANSWER);
        assert_eq!(world.upstream().turns().accounts(), vec![Some(Who::Account(1)); turns], "{}", world.story());
    }
    let strange = world.upstream().only(|exchange| matches!(exchange.bearer.as_str(), "unknown" | "absent"));
    assert_eq!(strange.count(), 0, "a secret of ours reached the upstream\n{}", strange.story());
    let list = listed(&world);
    assert_eq!(list.len(), 1, "each start of the client asks for the same capability: {list:?}");
    assert_eq!((&list[0]["name"], &list[0]["used"]), (&json!("codex"), &json!(2)));
    assert!(!world.login_file().exists(), "the client has no login of its own");
    close(world);
}

#[test]
fn token_a_client_without_our_program_is_served_by_its_environment() {
    let world = World::of(&Scene::accounts(3));
    let made = made(&world, &["--requests", "1"]);
    let base_url = made["baseUrl"].as_str().expect("an address");
    let provider = format!(
        "model_provider = \"pool\"\n[model_providers.pool]\nname = \"pool\"\nbase_url = \"{base_url}\"\nenv_key = \"POOL_TOKEN\"\n"
    );
    fs::write(world.codex_home().join("pool.config.toml"), provider).expect("our own home is writable");
    let mut command = world.command(codex::native());
    command.args(EXEC).arg("say hi").env("POOL_TOKEN", made["token"].as_str().expect("a secret"));
    assert_eq!(world.start(command, b"").wait(LIMIT).succeeds().stdout, ANSWER);
    assert_eq!(world.upstream().turns().accounts(), [Some(Who::Account(1))], "{}", world.story());
    close(world);
}

#[test]
fn token_a_capability_for_one_account_is_served_by_it_alone() {
    let world = World::of(&Scene::accounts(3).exhausted(&[2]));
    configure(&world, &["--account", "2"]);
    let done = plain(&world, &["say hi"]).fails();
    assert!(done.stderr.contains("usage limit"), "{}", done.story());
    let free = made(&world, &["--account", "3"]);
    assert_eq!(turn(&world, &free, "gpt-5.5").status, 200);
    assert_eq!(
        world.upstream().turns().accounts(),
        [Some(Who::Account(2)), Some(Who::Account(3))],
        "{}",
        world.story()
    );
    close(world);
}

#[test]
fn token_revocation_stops_the_running_turn_and_the_next_within_a_second() {
    let world = World::of(&Scene::accounts(3));
    configure(&world, &["--name", "ci"]);
    world.hold_turns(1);
    let running = start_plain(&world, &["say hi"]);
    world.await_turns(1, Duration::from_secs(20));
    let by_hand = made(&world, &["--name", "by-hand"]);
    let revoked = Instant::now();
    world.ours(&["token", "revoke", "ci"]).succeeds();
    world.ours(&["token", "revoke", "by-hand"]).succeeds();
    let refused = turn(&world, &by_hand, "gpt-5.5");
    let (code, elapsed) = (refused.json()["error"]["code"].clone(), revoked.elapsed());
    assert_eq!((refused.status, code), (401, json!("runtime_rotation_proxy_unauthorized")), "{}", refused.body);
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    // The client in mid-turn asks for another capability, gets none and waits; nothing of it comes through.
    running.wait_for_stderr("Reconnecting", LIMIT);
    drop(running);
    let next = plain(&world, &["say hi"]).fails();
    assert_eq!(world.upstream().turns().count(), 1, "{}\n{}", next.story(), world.story());
    // The client asks for another one; its name stays closed until a person opens it.
    let refused = world.ours(&["token", "--name", "ci"]).fails();
    assert!(refused.stderr.contains("token --name ci --reopen"), "{}", refused.stderr);
    world.ours(&["token", "--name", "ci", "--reopen"]).succeeds();
    close(world);
}

#[test]
fn token_the_limit_of_requests_holds_over_starts_of_the_client() {
    let world = World::of(&Scene::accounts(3));
    configure(&world, &["--requests", "2"]);
    for _ in 0..2 {
        assert_eq!(plain(&world, &["say hi"]).succeeds().stdout, ANSWER);
    }
    let done = plain(&world, &["say hi"]).fails();
    assert!(done.stderr.contains("usage limit") && done.stderr.contains("Try again at"), "{}", done.story());
    assert_eq!(world.upstream().turns().count(), 2, "{}", world.story());
    close(world);
}

#[test]
fn token_the_guide_tells_what_happens() {
    let world = World::of(&Scene::accounts(3));
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/token.md")).expect("the guide");
    let told: Vec<&str> = guide.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(told.len() >= 2, "the guide shows {} transcripts", told.len());
    for transcript in told {
        let typed = transcript.lines().filter_map(|line| line.strip_prefix("$ "));
        let seen: Vec<String> = typed.map(|line| format!("$ {line}\n{}", answered(&world, line))).collect();
        assert_eq!(seen.concat(), transcript);
    }
    close(world);
}

/// What a command of the guide says, with what differs in every run made the same.
fn answered(world: &World, line: &str) -> String {
    let (line, file) = line.split_once(" > ").map_or((line, None), |(line, file)| (line, Some(file)));
    // Words between quotes are one word.
    let quoted = line.split('"').enumerate().flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().collect::<Vec<_>>(),
        _ => vec![part],
    });
    let words: Vec<&str> = quoted.collect();
    let (done, shows) = match words.split_first() {
        Some((&"codex-multi-auth", rest)) => {
            let done = world.ours(rest);
            (done.clone(), done.said())
        }
        Some((&"codex", rest)) => {
            let mut command = world.command(codex::native());
            command.args(rest).current_dir(world.codex_home());
            let done = world.start(command, b"").wait(LIMIT);
            (done.clone(), done.stdout)
        }
        Some(_) | None => panic!("the guide types {line}"),
    };
    assert!(done.code.is_some(), "{}", done.story());
    if let Some(file) = file {
        let name = file.strip_prefix("~/.codex/").expect("the guide writes into codex's own directory");
        fs::write(world.codex_home().join(name), shows).expect("our own home is writable");
        return String::new();
    }
    let shows = shows.replace(&codex::program("codex-multi-auth").display().to_string(), "[program]");
    shows
        .split_inclusive(['\n', ' ', '"', ':', '/', ','])
        .map(same)
        .collect::<String>()
        .replace("[span] [span]", "[span]")
}

/// One piece of an answer: a secret, an id, a port, a span of time or itself.
fn same(piece: &str) -> String {
    let core = piece.trim_end_matches(['\n', ' ', '"', ':', '/', ',']);
    let digits = core.trim_end_matches(['d', 'h', 'm', 's']);
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = if core.starts_with("cma_cap_") {
        "cma_cap_[secret]"
    } else if core.trim_end_matches('.').len() == 12 && is_hex(core.trim_end_matches('.')) {
        if core.ends_with('.') { "[id]." } else { "[id]" }
    } else if core.len() == 5 && core.bytes().all(|byte| byte.is_ascii_digit()) {
        "[port]"
    } else if digits.len() + 1 == core.len() && digits.parse::<u64>().is_ok() && core.len() < 4 && !piece.ends_with('"')
    {
        "[span]"
    } else {
        return piece.to_owned();
    };
    format!("{name}{}", &piece[core.len()..])
}

#[test]
fn token_the_limit_to_models_holds() {
    let world = World::of(&Scene::accounts(3));
    configure(&world, &["--model", "gpt-5.5"]);
    assert_eq!(plain(&world, &["--model", "gpt-5.5", "say hi"]).succeeds().stdout, ANSWER);
    let done = plain(&world, &["--model", "gpt-5.4", "say hi"]).fails();
    assert!(done.stderr.contains("This capability is for gpt-5.5 only"), "{}", done.story());
    assert!(done.elapsed < Duration::from_secs(15), "{}", done.story());
    assert_eq!(world.upstream().turns().count(), 1, "{}", world.story());
    close(world);
}

#[test]
fn token_a_capability_outlives_a_killed_agent_on_its_port() {
    let world = World::of(&Scene::accounts(3));
    let first = made(&world, &["--requests", "3"]);
    assert_eq!(turn(&world, &first, "gpt-5.5").status, 200);
    let agent = world.agent_process();
    agent.kill();
    // Any command that needs the agent starts another one.
    let second = made(&world, &["--expires", "30m"]);
    assert_eq!(second["baseUrl"], first["baseUrl"]);
    assert_ne!(world.agent_process().pid, agent.pid);
    let statuses: Vec<u16> = (0..3).map(|_| turn(&world, &first, "gpt-5.5").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let path = world.root().join("agent/capabilities.json");
    let kept = fs::read_to_string(&path).expect("there");
    for made in [&first, &second] {
        assert!(!kept.contains(made["token"].as_str().expect("a secret")), "the file holds a secret");
    }
    close(world);
}

#[test]
fn token_the_agent_stays_while_a_capability_is_good_and_goes_when_it_ends() {
    let world = World::of(&Scene::accounts(3));
    let made = made(&world, &["--expires", "5s"]);
    let is_gone = || world.processes().is_empty().then_some(());
    assert_eq!(wait::until(Duration::from_millis(2500), is_gone), None, "longer than an agent without a client lives");
    assert_eq!(turn(&world, &made, "gpt-5.5").status, 200);
    let gone = wait::until(Duration::from_secs(8), is_gone);
    assert!(gone.is_some(), "the capability has ended");
    let list = world.ours(&["token", "list"]).succeeds();
    assert!(list.stdout.starts_with("No capability is valid."), "{}", list.stdout);
    world.close();
}
