//! `login` in each of its ways: by device code, by paste, without a browser, ended by the person, and what is never
//! touched on the way.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use codex_auth_testkit::{Act, Fault, PeopleSetup, PoolKnobs, Route, Setup, SignIn, TokenSetup, Who};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    browser::{paste, sign_in},
    world::{Said, World},
};

/// Account 2 is another workspace of the person behind account 1.
fn one_person_twice() -> Setup {
    let people = PeopleSetup { same_person: vec![(1, 2)], ..PeopleSetup::default() };
    Setup { people, ..Setup::default() }
}

const WORKSPACE_2: &str = "fa4e0000-0000-4000-8000-000000000002";

fn by_device(world: &World, who: usize, more: &[&str]) -> Said {
    world.fake().next_login(SignIn::of(Who::Account(who)));
    let words: Vec<&str> = ["login", "--device-auth"].into_iter().chain(more.iter().copied()).collect();
    world.run_words(&words)
}

fn asked(world: &World, route: Route) -> usize {
    world.fake().log().iter().filter(|record| record.asked.route == route).count()
}

/// No sign-in that was alive has ended.
#[track_caller]
fn nothing_ended(world: &World) {
    assert_eq!(asked(world, Route::Revoke), 0, "somebody asked to revoke");
    for state in world.fake().state().accounts {
        assert!(!state.revoked, "{:?} was revoked", state.account);
    }
}

#[test]
fn a_device_code_signs_in_and_the_hint_comes_first() {
    let world = World::beside(&Setup::default());
    let said = by_device(&world, 1, &[]).ok();
    let lines: Vec<&str> = said.err.lines().filter(|line| !line.starts_with("codex-multi-auth: ")).collect();
    assert!(lines[0].contains("device code") && lines[0].contains("security settings"), "{said}");
    assert_eq!(lines[1..3], ["Device auth login", "Open: http://127.0.0.1:[PORT]/codex/device"], "{said}");
    let code = lines[3].strip_prefix("Code: ").expect("a code");
    assert_eq!((code.len(), code.find('-')), (10, Some(4)), "{code}");
    assert_eq!(lines[4], "This code expires in 15 minutes. Never share it.");
    assert!(!said.err.contains(['\r', '\u{1b}', '\u{2588}']), "a script gets plain lines: {said}");
    assert!(said.out.starts_with("Added account. Total: 1\n"), "{said}");
    assert_eq!((asked(&world, Route::Authorize), asked(&world, Route::DeviceToken)), (0, 2));
    let canaries = world.fake().canaries();
    assert_eq!(canaries.hits(said.to_string().as_bytes()).len(), 0, "in the streams");
}

#[test]
fn a_device_code_keeps_to_the_workspace_that_was_asked_for() {
    let world = World::beside(&Setup::default());
    let said = by_device(&world, 1, &["--org", WORKSPACE_2]).failed();
    assert!(said.err.contains(&format!("Binding this login to workspace org id: {WORKSPACE_2}\n")), "{said}");
    assert!(said.err.contains("which is not among the allowed workspaces"), "{said}");
    assert!(!world.root().exists());
}

#[test]
fn a_workspace_without_device_codes_is_told_the_ways_out() {
    let world = World::beside(&Setup::default());
    let gone = Act::Answer { status: 404, headers: [].into(), body: Value::Null };
    world.fake().fault(Fault::once(Route::DeviceCode, gone));
    let said = by_device(&world, 1, &[]).failed();
    let sentence = "Device auth login is not enabled for this Codex server. Use browser login or --manual.";
    assert!(said.err.contains(sentence) && said.err.contains("`codex-multi-auth login --manual`"), "{said}");
    assert!(!world.root().exists());
}

#[test]
fn a_pasted_address_signs_in_where_nothing_listens() {
    let world = World::beside(&Setup::default());
    world.fake().next_login(SignIn::of(Who::Account(1)));
    let said = paste(&world, world.own_command(&["login", "--manual"]), str::to_owned).ok();
    assert!(said.out.starts_with("Added account. Total: 1\n"), "{said}");
    assert!(said.err.contains("Manual mode active. Paste the callback URL manually.\n"), "{said}");
    assert!(!said.err.contains("Waiting for login callback"), "{said}");
}

#[test]
fn without_a_browser_the_callback_and_a_paste_are_both_taken() {
    let world = World::beside(&Setup::default());
    world.fake().next_login(SignIn::of(Who::Account(1)));
    let said = paste(&world, world.own_command(&["login", "--no-browser"]), str::to_owned).ok();
    assert!(said.err.contains("Waiting for login callback on localhost:"), "{said}");
    world.fake().next_login(SignIn::of(Who::Account(2)));
    let (said, page) = sign_in(&world, world.own_command(&["login", "--no-browser"]));
    assert!(said.ok().out.starts_with("Added account. Total: 2\n") && page.contains("You are signed in"));
}

#[test]
fn a_paste_that_is_no_answer_is_refused_by_name() {
    let world = World::beside(&Setup::default());
    let pasted = |line: &dyn Fn(&str) -> String| {
        paste(&world, world.own_command(&["login", "--manual"]), |ends_at| line(ends_at)).failed()
    };
    let bare = pasted(&|ends_at| ends_at.split(['=', '&']).nth(1).expect("a code").to_owned());
    assert!(bare.err.contains("Login failed: That callback URL is missing the code or state parameter."), "{bare}");
    let other = pasted(&|ends_at| format!("{ends_at}x"));
    assert!(other.err.contains("Login failed: OAuth state mismatch."), "{other}");
    assert!(other.err.contains("`codex-multi-auth login --manual`"), "{other}");
    assert!(!world.root().exists(), "nothing was written");
    assert_eq!(asked(&world, Route::Token), 0, "no code was redeemed");
}

#[test]
fn a_word_or_a_closed_input_cancels_and_that_is_no_failure() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let before = world.files();
    for word in ["q", "", "Cancel", "back"] {
        let said = paste(&world, world.own_command(&["login", "--manual"]), |_| word.to_owned()).ok();
        assert_eq!(said.out, "Cancelled.\n", "{word}: {said}");
    }
    assert_eq!(world.run("login --manual").ok().out, "Cancelled.\n", "a closed input");
    let document = world.run("login --manual --json").ok().document();
    assert_eq!((&document["ok"], &document["outcome"]), (&json!(false), &json!("cancelled")));
    assert_eq!(world.files(), before);
    nothing_ended(&world);
}

/// Starts a sign-in, sends Ctrl-C once it waits, and returns what it said.
fn interrupted(world: &World, words: &[&str], waits: &str) -> Said {
    let mut command = world.own_command(words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut talk = BufReader::new(child.stderr.take().expect("piped"));
    let mut heard = String::new();
    while !heard.contains(waits) {
        assert!(talk.read_line(&mut heard).expect("text") > 0, "it never waited: {heard}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("sent");
    talk.read_to_string(&mut heard).expect("text");
    let output = child.wait_with_output().expect("it ends");
    world.said(&std::process::Output { stderr: heard.into_bytes(), ..output })
}

#[test]
fn ctrl_c_cancels_every_wait_and_nothing_is_written() {
    let tokens = TokenSetup { device_pending_polls: None, ..TokenSetup::default() };
    let world = World::with_pool(&Setup { tokens, ..Setup::default() }, &PoolKnobs::default());
    let before = world.files();
    let device = ["login", "--account", "2", "--device-auth"];
    for (words, waits) in
        [(device.as_slice(), "Waiting for the sign-in..."), (&["login", "--no-browser"], "Waiting for login callback")]
    {
        let said = interrupted(&world, words, waits).ok();
        assert_eq!(said.out, "Cancelled.\n", "{said}");
    }
    assert_eq!(world.files(), before);
    nothing_ended(&world);
}

#[test]
fn a_sign_in_that_gives_way_to_another_ends_without_a_failure() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let before = world.files();
    let mut command = world.own_command(&["login", "--no-browser"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut talk = BufReader::new(child.stderr.take().expect("piped"));
    let mut heard = String::new();
    let port = loop {
        assert!(talk.read_line(&mut heard).expect("text") > 0, "it never waited: {heard}");
        if let Some(rest) = heard.split("Waiting for login callback on localhost:").nth(1) {
            break rest.split('.').next().expect("a port").to_owned();
        }
    };
    crate::browser::open(&format!("http://127.0.0.1:{port}/cancel")).expect("it listens");
    talk.read_to_string(&mut heard).expect("text");
    let said = world.said(&child.wait_with_output().expect("it ends")).ok();
    assert_eq!((said.out.as_str(), world.files()), ("Cancelled.\n", before));
}

#[test]
fn flags_that_exclude_each_other_and_unknown_ones_are_named() {
    let world = World::beside(&Setup::default());
    let says = |typed: &str| world.run(typed).failed().err;
    assert!(says("login --device-auth --manual").starts_with("Cannot combine --device-auth with --manual\n"));
    assert!(says("login --no-browser --device-auth").starts_with("Cannot combine --device-auth with --no-browser\n"));
    assert!(says("login --bogus").starts_with("Unknown login option: --bogus\n"));
    assert!(world.run_as_codex("auth login --bogus").failed().err.starts_with("Unknown login option: --bogus\n"));
    let missing = "Missing value for --org. Usage: codex-multi-auth login --org <org_id>\n";
    for typed in ["login --org", "login --org=", "add --org", "login --org --manual"] {
        assert!(says(typed).starts_with(missing), "{typed}: {}", says(typed));
    }
    assert_eq!(world.fake().log().len(), 0);
}

#[test]
fn where_no_browser_can_work_a_device_code_is_taken_and_the_reason_said() {
    let mut world = World::beside(&Setup::default());
    world.set("FORCE_INTERACTIVE_MODE", "1");
    world.set("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    world.fake().next_login(SignIn::of(Who::Account(1)));
    let said = world.run("login").ok();
    let reason = "No browser can be opened here (this is an SSH session); signing in by device code.";
    assert!(said.err.contains(reason), "{said}");
    assert!(said.err.find(reason) < said.err.find("Device auth login"), "{said}");
    assert_eq!(asked(&world, Route::DeviceCode), 1);
}

#[test]
fn another_workspace_of_the_same_person_is_named_and_becomes_an_account_of_its_own() {
    let world = World::beside(&one_person_twice());
    let first = by_device(&world, 1, &[]).ok();
    let command = format!("codex-multi-auth login --org {WORKSPACE_2}");
    assert!(first.out.contains("Other workspaces of this sign-in") && first.out.contains(&command), "{first}");
    let before = world.pool()["accounts"][0].clone();
    world.fake().next_login(SignIn::of(Who::Account(2)));
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--no-browser", "--json"]).collect();
    let (second, _) = sign_in(&world, world.own_command(&words));
    let document = second.ok().document();
    assert_eq!((&document["outcome"], &document["accountCount"]), (&json!("added"), &json!(2)));
    assert_eq!(document["otherWorkspaces"], json!([]), "both are in the pool now");
    let after = world.pool()["accounts"].clone();
    assert_eq!(after[0], before, "the first one is as it was");
    assert_eq!(after[0]["email"], after[1]["email"]);
    assert_ne!(after[0]["accountId"], after[1]["accountId"]);
    nothing_ended(&world);
}

#[test]
fn nobody_waits_long_for_what_nobody_asked_for() {
    let world = World::beside(&one_person_twice());
    world.fake().fault(Fault::once(Route::AccountsCheck, Act::Hang));
    let started = std::time::Instant::now();
    let said = by_device(&world, 1, &[]).ok();
    assert!(!said.out.contains("Other workspaces"), "{said}");
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_renewed_account_keeps_what_the_person_decided_about_it() {
    let knobs = PoolKnobs { needs_login: vec![2], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup::default(), &knobs);
    let mut pool = world.pool();
    pool["accounts"][1]["enabled"] = json!(false);
    pool["accounts"][1]["accountLabel"] = json!("work");
    (pool["activeIndex"], pool["pinnedAccountIndex"]) = (json!(2), json!(2));
    world.write_pool(&pool);
    let said = by_device(&world, 2, &["--account", "person2@example.test"]).ok();
    assert!(said.out.starts_with("Updated existing account. Total: 3\n"), "{said}");
    assert!(said.err.contains("Account 2 stays disabled; `codex-multi-auth switch 2` enables it."), "{said}");
    let after = world.pool();
    let keys = |pool: &Value| {
        let row = &pool["accounts"][1];
        let keys = [&row["enabled"], &row["accountLabel"], &row["recordId"], &row["addedAt"]];
        (keys.map(Clone::clone), pool["activeIndex"].clone(), pool["pinnedAccountIndex"].clone())
    };
    assert_eq!(keys(&after), keys(&pool));
    assert_eq!(after["accounts"][1].get("authInvalidatedAt"), None, "it needs no sign-in any more");
}

#[test]
fn a_failed_renewal_names_the_command_for_that_account() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let before = world.pool();
    let said =
        paste(&world, world.own_command(&["login", "--account", "2", "--manual"]), |ends_at| format!("{ends_at}x"));
    let said = said.failed();
    assert!(said.err.contains("`codex-multi-auth login --account 2 --manual`"), "{said}");
    let gone = Act::Answer { status: 404, headers: [].into(), body: Value::Null };
    world.fake().fault(Fault::once(Route::DeviceCode, gone));
    let document = by_device(&world, 2, &["--account", "2", "--json"]).failed().document();
    assert_eq!(document["errorInfo"]["account"], json!(2), "{document}");
    let hint = document["errorInfo"]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("`codex-multi-auth login --account 2`"), "{hint}");
    assert_eq!(world.pool(), before);
}

#[test]
fn another_identity_is_refused_with_both_shown() {
    let world = World::with_pool(&one_person_twice(), &PoolKnobs { only: Some(vec![1]), ..PoolKnobs::default() });
    let before = world.files();
    // The same person in another workspace is another account, too.
    for (who, email) in [(2, "person1@example.test"), (3, "person3@example.test")] {
        let said = by_device(&world, who, &["--account", "1"]).failed();
        for part in [
            &format!("{email} in workspace fa4e0000-0000-4000-8000-00000000000{who}"),
            "person1@example.test in workspace fa4e0000-0000-4000-8000-000000000001",
            "`codex-multi-auth login --account 1`",
        ] {
            assert!(said.err.contains(part), "{part}: {said}");
        }
    }
    assert_eq!(world.files(), before);
    nothing_ended(&world);
}

#[test]
fn no_way_through_a_sign_in_ends_what_is_alive() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    by_device(&world, 1, &["--account", "1"]).ok();
    by_device(&world, 1, &[]).ok();
    by_device(&world, 2, &["--account", "3"]).failed();
    world.fake().next_login(SignIn::refused("access_denied", None));
    sign_in(&world, world.own_command(&["login", "--no-browser"])).0.failed();
    let refused = Act::Answer { status: 400, headers: [].into(), body: json!({ "error": "invalid_grant" }) };
    world.fake().fault(Fault::once(Route::Token, refused));
    by_device(&world, 2, &[]).failed();
    world.fake().fault(Fault::once(Route::Token, Act::Reset));
    by_device(&world, 2, &[]).failed();
    world.run("login --manual").ok();
    nothing_ended(&world);
    let refreshes = world.fake().log().into_iter().filter_map(|record| record.body.presented);
    assert!(refreshes.filter(|presented| presented.grant_type == "refresh_token").count() == 0, "none was presented");
    // The pair that stood there before is as good as on the first day.
    let document = world.run("check --json").ok().document();
    assert_eq!(document["summary"]["available"], json!(3), "{document:#}");
}

#[test]
fn variables_bound_the_wait_for_a_device_code_and_one_request() {
    let tokens = TokenSetup { device_pending_polls: None, ..TokenSetup::default() };
    let world = World::beside(&Setup { tokens, ..Setup::default() });
    let started = std::time::Instant::now();
    let waited = |variable: &str, words: &[&str]| {
        let mut command = world.own_command(words);
        command.env(variable, "1000");
        world.said(&command.output().expect("it starts")).failed()
    };
    // Nobody ever types the code.
    let said = waited("CODEX_DEVICE_AUTH_TIMEOUT_MS", &["login", "--device-auth"]);
    assert!(said.err.contains("Login failed: "), "{said}");
    world.fake().fault(Fault::once(Route::DeviceCode, Act::Hang));
    let said = waited("CODEX_OAUTH_HTTP_TIMEOUT_MS", &["login", "--device-auth"]);
    assert!(said.err.contains("Login failed: "), "{said}");
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
    assert!(!world.root().exists());
}
