//! Signing in at a real terminal, and a callback port that another program holds.

use std::time::Duration;

use codex_auth_e2e::codex::program;
use codex_auth_e2e::probe::Request;
use codex_auth_e2e::terminal::Terminal;
use codex_auth_e2e::{Running, Scene, Who, World};
use codex_auth_testkit::{Act, Fault, Route, SignIn};
use rustix::process::Signal;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

fn ours() -> String {
    program("codex-multi-auth").display().to_string()
}

/// Until faults are cleared, nobody has typed the code yet.
fn nobody_types_the_code(world: &World) {
    let not_yet = Act::Answer { status: 403, headers: [].into(), body: Value::Null };
    world.fake().fault(&Fault::always(Route::DeviceToken, not_yet));
}

fn emails(world: &World) -> Vec<String> {
    let pool = world.pool();
    let rows = pool["accounts"].as_array().into_iter().flatten();
    rows.map(|row| row["email"].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn nothing_was_revoked(world: &World) {
    assert_eq!(world.upstream().of("revoke").count(), 0, "{}", world.story());
}

#[test]
fn signin_a_device_code_at_a_terminal_counts_down_and_signs_in() {
    let world = World::of(&Scene::accounts(1));
    world.fake().next_login(&SignIn::of(Who::Outsider));
    nobody_types_the_code(&world);
    let terminal = Terminal::open(&world, &ours(), &["login", "--device-auth"]);
    let screen = terminal.wait_for(" left. Q then Enter cancels.", SOON);
    let hint = screen.find("A workspace may have device code sign-in disabled.");
    let literals = screen.find("Device auth login\nOpen: http://127.0.0.1:");
    assert!(hint.is_some() && hint < literals, "{screen}");
    assert!(screen.contains("\nThis code expires in 15 minutes. Never share it.\n"), "{screen}");
    let drawn = screen.lines().filter(|line| line.contains('\u{2588}')).count();
    assert!(drawn > 10, "a picture of the page: {screen}");
    let left = |screen: &str| {
        screen.split("Waiting for the sign-in, ").nth(1).map(|rest| rest.chars().take(7).collect::<String>())
    };
    let first = left(&screen);
    terminal.wait_until("a countdown", SOON, |screen| left(screen) != first);
    world.fake().clear_faults();
    let screen = terminal.wait_for("Add another account? (1 added) (y/n):", SOON);
    assert!(screen.contains("Added account. Total: 2\n") && !screen.contains(" left. "), "{screen}");
    terminal.type_text("n");
    terminal.press("Enter");
    terminal.wait_for("[ended 0]", SOON);
    assert!(emails(&world).contains(&"outsider@example.test".to_owned()));
    nothing_was_revoked(&world);
    drop(terminal);
    world.close();
}

#[test]
fn signin_q_at_a_terminal_cancels_and_nothing_is_written() {
    let world = World::of(&Scene::accounts(1));
    let before = world.pool();
    nobody_types_the_code(&world);
    let terminal = Terminal::open(&world, &ours(), &["login", "--device-auth"]);
    terminal.wait_for(" left. Q then Enter cancels.", SOON);
    terminal.type_text("q");
    terminal.press("Enter");
    let screen = terminal.wait_for("[ended 0]", SOON);
    assert!(screen.contains("Cancelled.\n"), "{screen}");
    assert_eq!((world.pool(), world.upstream().of("token").count()), (before, 0));
    nothing_was_revoked(&world);
    drop(terminal);
    world.close();
}

/// Where the browser ends that opens the address on the screen.
#[track_caller]
fn ends_at(world: &World, screen: &str) -> String {
    let address = screen.split_whitespace().rfind(|word| word.contains("/oauth/authorize?")).expect("an address");
    let path = address.splitn(4, '/').nth(3).map(|path| format!("/{path}")).expect("a path");
    let page = world.fake().browse(&path);
    page.headers["location"].as_str().unwrap_or_else(|| panic!("{}", page.body)).to_owned()
}

#[test]
fn signin_a_callback_is_pasted_at_a_terminal_and_a_wrong_one_asked_for_again() {
    let world = World::of(&Scene::accounts(1));
    world.fake().next_login(&SignIn::of(Who::Outsider));
    let terminal = Terminal::open(&world, &ours(), &["login", "--manual"]);
    let screen = terminal.wait_for("\u{25c6}", SOON);
    assert!(screen.contains("Manual mode active. Paste the callback URL manually.\n"), "{screen}");
    assert!(screen.contains("Paste callback URL or code here (Q to cancel):\n"), "{screen}");
    let callback = ends_at(&world, &screen);
    terminal.paste("http://localhost:1455/auth/callback");
    terminal.press("Enter");
    terminal.wait_for("missing the code or state parameter", SOON);
    terminal.paste(&callback);
    terminal.press("Enter");
    let screen = terminal.wait_for("Add another account? (1 added) (y/n):", SOON);
    assert!(screen.contains("Added account. Total: 2\n"), "{screen}");
    terminal.type_text("n");
    terminal.press("Enter");
    terminal.wait_for("[ended 0]", SOON);
    assert!(emails(&world).contains(&"outsider@example.test".to_owned()));
    nothing_was_revoked(&world);
    drop(terminal);
    world.close();
}

#[test]
fn signin_a_callback_at_a_terminal_ends_the_prompt_for_a_paste() {
    let world = World::of(&Scene::accounts(1));
    world.fake().next_login(&SignIn::of(Who::Outsider));
    let terminal = Terminal::open(&world, &ours(), &["login", "--no-browser"]);
    let screen = terminal.wait_for("\u{25c6}", SOON);
    let callback = ends_at(&world, &screen);
    let (port, path) = callback.trim_start_matches("http://127.0.0.1:").split_once('/').expect("a path");
    let page = Request::new("GET", port.parse().expect("a port"), &format!("/{path}")).send(world.namespace());
    assert_eq!(page.status, 200, "{}", page.body);
    let screen = terminal.wait_for("Add another account? (1 added) (y/n):", SOON);
    assert!(screen.contains("\nAdded account. Total: 2\n"), "a line of its own: {screen}");
    terminal.type_text("n");
    terminal.press("Enter");
    terminal.wait_for("[ended 0]", SOON);
    drop(terminal);
    world.close();
}

/// A program that listens on a port and gives way to nobody.
fn held(world: &World, port: u16) -> Running {
    let mut command = world.command(program("fake-openai"));
    command.args(["--port", &port.to_string()]);
    let holder = world.start(command, b"");
    holder.wait_for_stdout("\n", SOON);
    holder
}

/// An issuer that accepts only the registered ports; it is never reached.
const ELSEWHERE: &str = "CODEX_MULTI_AUTH_ISSUER_URL=https://127.0.0.1:9";

#[test]
fn signin_port_1455_in_use_names_its_holder() {
    let world = World::of(&Scene::accounts(1));
    if !world.namespace().is_closed() {
        // Without a network of its own the ports may be anybody's.
        return world.close();
    }
    let before = world.pool();
    let holders = [held(&world, 1455), held(&world, 1457)];
    let mut command = world.command("env");
    command.args([ELSEWHERE, &ours(), "login", "--no-browser"]);
    let done = world.start(command, b"").wait(SOON).fails();
    for (port, holder) in [1455, 1457].iter().zip(&holders) {
        let busy = format!(
            "Could not listen on port {port} for the OAuth callback \u{2014} another process already holds it."
        );
        assert!(done.stderr.contains(&busy), "{}", done.story());
        assert!(done.stderr.contains(&format!("It is fake-openai (process {}).", holder.pid())), "{}", done.story());
        assert!(done.stderr.contains(&format!("ss -lptn 'sport = :{port}'")), "{}", done.story());
    }
    let way_out = "Or sign in without the callback port: codex-multi-auth login --device-auth";
    assert!(done.stderr.contains(&format!("Close it, then retry. {way_out}")), "{}", done.story());

    // At a terminal a paste is still taken.
    let terminal = Terminal::open(&world, "env", &[ELSEWHERE, &ours(), "login", "--no-browser"]);
    let screen = terminal.wait_for("\u{25c6}", SOON);
    assert!(screen.contains("It is fake-openai (process "), "{screen}");
    assert!(screen.contains("Callback listener unavailable. Paste the callback URL manually.\n"), "{screen}");
    assert!(screen.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A1455"), "{screen}");
    terminal.type_text("q");
    terminal.press("Enter");
    let screen = terminal.wait_for("[ended 0]", SOON);
    assert!(screen.contains("Cancelled.\n"), "{screen}");
    assert_eq!(world.pool(), before);
    drop(terminal);
    for holder in holders {
        holder.signal(Signal::TERM);
        holder.wait(SOON);
    }
    world.close();
}
