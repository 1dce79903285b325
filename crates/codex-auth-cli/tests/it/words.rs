//! The command line itself: help, version, and words nobody knows.

use serde_json::json;

use crate::world::{World, row};

const COMMANDS: [&str; 16] = [
    "login",
    "import-current",
    "import",
    "list",
    "status",
    "switch",
    "unpin",
    "remove",
    "check",
    "why-selected",
    "what-if",
    "rotation",
    "wrapper",
    "serve",
    "token",
    "usage",
];

#[test]
fn help_is_free_of_side_effects_everywhere() {
    let world = World::holding(&[row(1)]);
    let before = world.files();
    for command in COMMANDS {
        for flag in ["--help", "-h"] {
            let said = world.run(&format!("{command} {flag}")).ok();
            assert!(said.out.contains("Usage: codex-multi-auth") && said.err.is_empty(), "{command}: {said}");
        }
    }
    assert_eq!(world.files(), before);
}

#[test]
fn without_words_the_commands_are_shown() {
    let world = World::empty();
    let help = world.run("--help").ok().out;
    assert_eq!(world.run("").ok().out, help);
    for command in COMMANDS {
        assert!(help.contains(&format!("  {command} ")), "{command} in {help}");
    }
}

#[test]
fn the_version_is_one_line_and_opens_nothing() {
    let mut world = World::empty();
    // Assembling the product would refuse this.
    world.set("CODEX_MULTI_AUTH_DIR", "/proc/self/mem/nowhere");
    for flag in ["--version", "-v", "-V"] {
        assert_eq!(world.run(flag).ok().out, format!("{}\n", env!("CARGO_PKG_VERSION")));
    }
    assert_eq!(world.files(), []);
}

#[test]
fn an_unknown_command_is_named_with_its_nearest_match() {
    let world = World::empty();
    insta::assert_snapshot!(world.run("lsit").failed());
    insta::assert_snapshot!("an_unknown_command_json", world.run("lsit --json").failed());
    let said = world.run("rotation bogus").failed();
    assert!(said.err.starts_with("Unknown rotation command: bogus\n"), "{said}");
    assert!(world.run("auth bogus").failed().err.starts_with("Unknown command: bogus\n"));
}

#[test]
fn an_unknown_option_is_no_reason_to_go_on() {
    let world = World::holding(&[row(1)]);
    let before = world.files();
    for typed in ["list --foo", "unpin --foo", "check now", "switch 1 2", "why-selected --now --last", "import"] {
        let said = world.run(typed).failed();
        assert!(said.out.is_empty() && !said.err.is_empty(), "{typed}: {said}");
    }
    assert_eq!(world.files(), before);
    let document = world.run("list --foo --json").failed().document();
    assert_eq!((&document["command"], &document["errorInfo"]["code"]), (&json!("list"), &json!("usage")));
}
