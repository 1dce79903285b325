//! Who may not talk to the agent is refused before a body is read, and a body over the limit costs no memory.

use std::time::Duration;

use codex_auth_e2e::namespace::Process;
use codex_auth_e2e::probe::{Answer, Request};
use codex_auth_e2e::{Running, Scene, World};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);
const MIB: usize = 1024 * 1024;

/// `serve` in the foreground, ready.
struct Serving {
    run: Running,
    port: u16,
    token: String,
}

impl Serving {
    fn start(world: &World) -> Self {
        let run = world.start_ours(&["serve", "--json"]);
        run.wait_for_stdout("\n", SOON);
        let ready: Value = serde_json::from_str(run.record().stdout.text().trim()).expect("the ready line is JSON");
        assert_eq!(ready["ready"], true, "{ready}");
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        assert_eq!(ready["url"], format!("http://127.0.0.1:{port}"));
        assert!(ready["pid"].is_u64() && ready["version"].is_string(), "{ready}");
        let token = world.agent()["clientToken"].as_str().expect("agent.json holds the client token").to_owned();
        Self { run, port, token }
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, self.port, path)
    }

    fn trusted(&self, method: &str, path: &str) -> Request {
        self.request(method, path).header("authorization", &format!("Bearer {}", self.token))
    }

    fn stop(self, world: World) {
        self.run.signal(rustix::process::Signal::TERM);
        self.run.wait(SOON);
        world.close();
    }
}

#[track_caller]
fn check_refused(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert_eq!(answer.json()["error"]["code"], "runtime_rotation_proxy_unauthorized", "{}", answer.body);
}

/// A request spoilt by `spoil` is refused; nothing of it reaches the upstream.
#[track_caller]
fn check(spoil: impl Fn(&Serving, Request) -> Request) {
    let world = World::of(&Scene::accounts(3));
    let serving = Serving::start(&world);
    for (method, path) in [("POST", "/v1/responses"), ("GET", "/v1/models"), ("GET", "/health"), ("GET", "/nowhere")] {
        check_refused(&spoil(&serving, serving.request(method, path)).send(world.namespace()));
    }
    assert_eq!(world.upstream().count(), 0, "{}", world.story());
    serving.stop(world);
}

#[test]
fn callers_without_a_token_are_refused() {
    check(|_, request| request);
}

#[test]
fn callers_with_a_wrong_token_are_refused() {
    check(|_, request| request.header("authorization", "Bearer wrong"));
}

#[test]
fn callers_with_half_a_token_are_refused() {
    check(|serving, request| request.header("authorization", &format!("Bearer {}", &serving.token[1..])));
}

#[test]
fn callers_with_a_foreign_host_are_refused() {
    check(|serving, request| {
        request.header("authorization", &format!("Bearer {}", serving.token)).header("host", "attacker.example")
    });
}

#[test]
fn callers_with_a_foreign_origin_are_refused() {
    check(|serving, request| {
        request
            .header("authorization", &format!("Bearer {}", serving.token))
            .header("origin", "https://attacker.example")
    });
}

#[test]
fn callers_with_the_token_are_served() {
    let world = World::of(&Scene::accounts(3));
    let serving = Serving::start(&world);
    let answer = serving.trusted("GET", "/v1/models").send(world.namespace());
    assert_eq!(answer.status, 200, "{}", answer.body);
    serving.stop(world);
}

#[test]
fn callers_with_the_token_as_api_key_are_served() {
    let world = World::of(&Scene::accounts(3));
    let serving = Serving::start(&world);
    let answer = serving.request("GET", "/v1/models").header("x-api-key", &serving.token).send(world.namespace());
    assert_eq!(answer.status, 200, "{}", answer.body);
    serving.stop(world);
}

#[test]
fn a_body_over_the_limit_costs_no_memory() {
    let world = World::of(&Scene::accounts(3));
    let serving = Serving::start(&world);
    let memory = || Process::read(serving.run.pid()).and_then(|agent| agent.resident_bytes()).expect("it is running");
    let before = memory();
    let answer = serving.trusted("POST", "/v1/responses").fill(65 * MIB).send(world.namespace());
    assert_eq!(answer.status, 413, "{}", answer.body);
    let grown = memory().saturating_sub(before);
    assert!(grown < 8 * MIB as u64, "{} KiB more after the refusal", grown / 1024);
    assert_eq!(world.upstream().turns().count(), 0, "{}", world.story());
    serving.stop(world);
}

#[test]
fn a_port_in_use_is_named() {
    let world = World::of(&Scene::accounts(3));
    let port = world.fake().port().to_string();
    let done = world.ours(&["serve", "--json", "--port", &port]).fails();
    assert!(done.said().contains(&port), "{}", done.story());
    world.close();
}
