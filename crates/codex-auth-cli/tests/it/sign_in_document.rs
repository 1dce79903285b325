//! `docs/sign-in.md`: every transcript in it is made again and compared.
//!
//! `CODEX_AUTH_BLESS=1` writes the transcripts into the document.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use codex_auth_testkit::{Act, Fault, LoginKnobs, PeopleSetup, PoolKnobs, Route, Setup, SignIn, Who};
use serde_json::Value;

use crate::{
    browser::{ends_at, open},
    official,
    world::{World, write},
};

/// What a person does with the address that is printed.
#[derive(Clone, Copy)]
enum Person {
    /// Types nothing and opens nothing.
    Waits,
    /// Opens it in a browser.
    Browses,
    /// Pastes where the browser ended.
    Pastes,
    /// Pastes the answer to another attempt.
    PastesAnother,
}

/// One command as it is typed, and everything it printed, in order.
fn typed(world: &World, line: &str, person: Person) -> String {
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let mut command =
        if line.starts_with("codex ") { world.command_as_codex(&words) } else { world.own_command(&words) };
    let (printed, print) = std::io::pipe().expect("a pipe");
    command.stdout(print.try_clone().expect("a copy")).stderr(print).stdin(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // It holds the writing end too; without this the reading would never end.
    drop(command);
    let mut input = child.stdin.take();
    let mut text = format!("$ {line}\n");
    for printed in BufReader::new(printed).lines().map(|line| line.expect("text")) {
        text.push_str(&printed);
        text.push('\n');
        if !printed.contains("/oauth/authorize?") {
            continue;
        }
        let mut paste = |line: &str| {
            writeln!(input.take().expect("pasted once"), "{line}").expect("typed");
        };
        match person {
            Person::Waits => {}
            Person::Browses => drop(open(printed.trim()).expect("somebody listens")),
            Person::Pastes => paste(&ends_at(printed.trim())),
            Person::PastesAnother => paste(&format!("{}x", ends_at(printed.trim()))),
        }
    }
    child.wait().expect("it ends");
    placeholders(world, &text)
}

/// What is another one each time, or secret, replaced by what stands for it.
fn placeholders(world: &World, text: &str) -> String {
    let issuer = format!("http://127.0.0.1:{}", world.fake().port());
    let port =
        text.split("localhost:").nth(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    let mut said = String::new();
    for line in text.lines().filter(|line| !line.starts_with("codex-multi-auth: CODEX_MULTI_AUTH_")) {
        let line = line.replace(&issuer, "https://auth.openai.com").replace(world.home().as_str(), "~");
        let line = match line.split_once("/oauth/authorize?") {
            Some((before, _)) => format!("{before}/oauth/authorize?…"),
            None if line.starts_with("Code: ") => "Code: ABCD-12345".to_owned(),
            None => line,
        };
        said.push_str(&port.filter(|port| !port.is_empty()).map_or(line.clone(), |port| line.replace(port, "1455")));
        said.push('\n');
    }
    said
}

fn only(number: usize) -> PoolKnobs {
    PoolKnobs { only: Some(vec![number]), ..PoolKnobs::default() }
}

/// A person at a terminal, with a browser that opens nothing by itself.
fn at_a_desk(world: &mut World) {
    let script = world.home().join("browser");
    write(&script, "#!/bin/sh\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    world.set("PATH", "/usr/bin:/bin");
    world.set("BROWSER", script.as_str());
    world.set("FORCE_INTERACTIVE_MODE", "1");
}

fn signs_in(world: &World, who: usize, line: &str, person: Person) -> String {
    world.fake().next_login(SignIn::of(Who::Account(who)));
    typed(world, line, person)
}

/// Every transcript under its name.
fn transcripts() -> Vec<(&'static str, String)> {
    let mut made = Vec::new();

    let mut world = World::beside(&Setup::default());
    at_a_desk(&mut world);
    made.push(("browser", signs_in(&world, 1, "codex-multi-auth login", Person::Browses)));
    made.push(("no-browser", signs_in(&world, 2, "codex-multi-auth login --no-browser", Person::Browses)));
    made.push(("manual", signs_in(&world, 3, "codex-multi-auth login --manual", Person::Pastes)));
    made.push(("paste-of-another", typed(&world, "codex-multi-auth login --manual", Person::PastesAnother)));
    world.fake().next_login(SignIn::refused("access_denied", Some("You declined")));
    made.push(("denied", typed(&world, "codex-multi-auth login --no-browser", Person::Browses)));

    let world = World::beside(&Setup::default());
    made.push(("device", signs_in(&world, 1, "codex-multi-auth login --device-auth", Person::Waits)));
    let gone = Act::Answer { status: 404, headers: [].into(), body: Value::Null };
    world.fake().fault(Fault::once(Route::DeviceCode, gone));
    made.push(("device-disabled", typed(&world, "codex-multi-auth login --device-auth", Person::Waits)));
    made.push(("nobody", typed(&world, "codex-multi-auth login", Person::Waits)));

    let mut world = World::beside(&Setup::default());
    world.set("FORCE_INTERACTIVE_MODE", "1");
    world.set("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    made.push(("ssh", signs_in(&world, 1, "codex-multi-auth login", Person::Waits)));

    let people = PeopleSetup { same_person: vec![(1, 2)], ..PeopleSetup::default() };
    let world = World::beside(&Setup { people, ..Setup::default() });
    made.push(("workspaces", signs_in(&world, 1, "codex-multi-auth login --device-auth", Person::Waits)));
    let line = "codex-multi-auth login --org fa4e0000-0000-4000-8000-000000000002 --no-browser";
    made.push(("org", signs_in(&world, 2, line, Person::Browses)));

    let world = World::with_pool(&Setup::default(), &PoolKnobs { needs_login: vec![2], ..PoolKnobs::default() });
    let line = "codex-multi-auth login --account 2 --device-auth";
    made.push(("other-identity", signs_in(&world, 3, line, Person::Waits)));
    made.push(("account", signs_in(&world, 2, line, Person::Waits)));
    let both = [
        typed(&world, "codex-multi-auth remove 3 --revoke --yes", Person::Waits),
        typed(&world, "codex-multi-auth undo", Person::Waits),
    ];
    made.push(("revoke", both.concat()));

    let world = official::world(&only(1));
    made.push(("codex-login", signs_in(&world, 2, "codex login --no-browser", Person::Browses)));
    let knobs = LoginKnobs { own_sign_in: true, ..LoginKnobs::default() };
    let fresh = world.fake().login_document(Who::Account(3), &knobs);
    write(&world.home().join("official/login.json"), &fresh.to_string());
    made.push(("official", typed(&world, "codex-multi-auth login --official", Person::Waits)));
    made
}

/// Where a transcript begins and ends in the document.
fn place(document: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let mark = format!("<!-- transcript: {name} -->\n```console\n");
    let begin = document.find(&mark)? + mark.len();
    Some(begin..begin + document[begin..].find("```\n")?)
}

#[test]
fn every_transcript_is_what_the_program_prints() {
    compare(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sign-in.md"), transcripts());
}

/// Compares the transcripts of a document with what was just made; writes them in where it blesses.
#[track_caller]
pub(crate) fn compare(path: &str, made: Vec<(&'static str, String)>) {
    let mut document = std::fs::read_to_string(path).expect("the document is there");
    let marks = document.matches("<!-- transcript: ").count();
    assert_eq!(marks, made.len(), "the document has {marks} transcripts, and {} are made", made.len());
    let blesses = std::env::var("CODEX_AUTH_BLESS").is_ok_and(|bless| bless == "1");
    let mut old = String::new();
    for (name, text) in made {
        let place = place(&document, name).unwrap_or_else(|| panic!("the document has no transcript `{name}`"));
        if blesses {
            document.replace_range(place, &text);
        } else if document[place] != text {
            for part in ["<!-- transcript: ", name, " -->\n```console\n", &text, "```\n\n"] {
                old.push_str(part);
            }
        }
    }
    if blesses {
        std::fs::write(path, document).expect("written");
    }
    assert!(old.is_empty(), "the document is old (CODEX_AUTH_BLESS=1 renews it); the program prints:\n\n{old}");
}

#[test]
fn a_placeholder_hides_what_must_not_stand_in_a_document() {
    let world = World::beside(&Setup::default());
    let text = signs_in(&world, 1, "codex-multi-auth login --device-auth", Person::Waits);
    assert_eq!(world.fake().canaries().hits(text.as_bytes()).len(), 0);
    assert!(text.contains("Code: ABCD-12345\n") && !text.contains("127.0.0.1"), "{text}");
}
