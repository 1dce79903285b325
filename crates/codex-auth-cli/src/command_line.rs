//! What a command line of the official client is about to do: will it ask models, and does it take the terminal?
//!
//! No subcommand's own options are known here; only the few root options that take a value, so that the
//! subcommand can be found.

use std::ffi::OsString;

/// The sorts of command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One turn or more without a terminal: `exec`, `review`.
    Exec,
    /// The interactive screen.
    Screen,
    /// A server for other programs.
    AppServer,
    /// Signing in.
    Login,
    /// Signing out.
    Logout,
    /// No model is asked: passed through as it is.
    Plain,
}

/// Root options followed by a value of their own.
const WITH_VALUE: [&str; 21] = [
    "-c",
    "--config",
    "--enable",
    "--disable",
    "--remote",
    "--remote-auth-token-env",
    "-i",
    "--image",
    "-m",
    "--model",
    "--local-provider",
    "-p",
    "--profile",
    "-s",
    "--sandbox",
    "-a",
    "--ask-for-approval",
    "-C",
    "--cd",
    "--add-dir",
    "--color",
];

/// Subcommands that never ask a model.
const PLAIN: [&str; 23] = [
    "help",
    "completion",
    "mcp",
    "mcp-server",
    "plugin",
    "sandbox",
    "debug",
    "apply",
    "a",
    "cloud",
    "features",
    "update",
    "doctor",
    "queue",
    "archive",
    "delete",
    "unarchive",
    "migrate-rollouts",
    "migrate-nfs-db",
    "exec-server",
    "auth",
    "app",
    "remote-control",
];

/// Finds out what a command line is about to do.
pub(crate) fn purpose(arguments: &[OsString]) -> Purpose {
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or("\u{fffd}")).collect();
    let options = words.iter().take_while(|word| **word != "--");
    if options.clone().any(|word| matches!(*word, "-h" | "--help")) || matches!(words[..], ["-V" | "--version"]) {
        return Purpose::Plain;
    }
    let Some(at) = subcommand_index(&words) else { return Purpose::Screen };
    let rest = &words[at + 1..];
    match words[at] {
        "exec" | "e" | "review" => Purpose::Exec,
        "app-server" if rest.iter().any(|word| is_app_server_tooling(word)) => Purpose::Plain,
        "app-server" => Purpose::AppServer,
        "login" if rest.iter().any(|word| is_official_login(word)) => Purpose::Plain,
        "login" => Purpose::Login,
        "logout" => Purpose::Logout,
        word if PLAIN.contains(&word) => Purpose::Plain,
        _ => Purpose::Screen,
    }
}

fn is_app_server_tooling(word: &str) -> bool {
    word.starts_with("generate-") || matches!(word, "help" | "daemon" | "proxy")
}

/// Forms of `login` that keep no ChatGPT sign-in or start none.
fn is_official_login(word: &str) -> bool {
    matches!(word, "status" | "help" | "--with-api-key" | "--with-access-token")
}

/// Where the subcommand stands, if there is one; a prompt counts as one that nobody knows.
pub(crate) fn subcommand_index(words: &[&str]) -> Option<usize> {
    let mut index = 0;
    while let Some(word) = words.get(index) {
        if *word == "--" {
            return None;
        }
        if !word.starts_with('-') || *word == "-" {
            return Some(index);
        }
        index += if WITH_VALUE.contains(word) { 2 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expect: Purpose) {
        let words: Vec<_> = typed.split_whitespace().map(OsString::from).collect();
        assert_eq!(purpose(&words), expect, "{typed}");
    }

    #[test]
    fn turns_are_found_behind_options() {
        check("exec hi", Purpose::Exec);
        check("-c model=x -m gpt exec hi", Purpose::Exec);
        check("e hi", Purpose::Exec);
        check("review", Purpose::Exec);
        check("exec resume --last hi", Purpose::Exec);
    }

    #[test]
    fn everything_else_with_a_prompt_is_a_screen() {
        check("", Purpose::Screen);
        check("fix_the_tests", Purpose::Screen);
        check("-- exec", Purpose::Screen);
        check("resume --last", Purpose::Screen);
        check("-m exec", Purpose::Screen);
    }

    #[test]
    fn what_asks_no_model_is_plain() {
        check("--version", Purpose::Plain);
        check("exec --help", Purpose::Plain);
        check("mcp list", Purpose::Plain);
        check("features", Purpose::Plain);
        check("login status", Purpose::Plain);
        check("login --with-api-key", Purpose::Plain);
        check("app-server generate-ts", Purpose::Plain);
    }

    #[test]
    fn signing_in_and_out_is_caught() {
        check("login", Purpose::Login);
        check("login --device-auth", Purpose::Login);
        check("-c a=b logout", Purpose::Logout);
    }

    #[test]
    fn help_after_the_dashes_is_a_prompt() {
        check("exec -- --help", Purpose::Exec);
    }
}
