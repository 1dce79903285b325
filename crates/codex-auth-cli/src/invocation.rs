//! Under which name and in which words were we called: the manager, or the wrapper around the official client?

use std::ffi::{OsStr, OsString};

/// What is asked of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// Our own commands, without the words that led to them.
    Manager(Vec<OsString>),
    /// The official client, through us, with these arguments.
    Wrapper(Vec<OsString>),
    /// The official client, untouched: the user asked to bypass us.
    Bypass(Vec<OsString>),
    /// The desktop launcher of the predecessor, which has no part here.
    Launcher,
}

/// The commands the manager answers; anything else after `auth` belongs to the official client.
pub(crate) const COMMANDS: [&str; 24] = [
    "login",
    "list",
    "status",
    "switch",
    "unpin",
    "check",
    "best",
    "forecast",
    "why-selected",
    "rotation",
    "wrapper",
    "import",
    "import-current",
    "export",
    "backup",
    "auth-store",
    "remove",
    "run",
    "serve",
    "token",
    "demo",
    "account",
    "profile",
    "budget",
];

/// Sorts an invocation. `program` is `argv[0]`; `arguments` is the rest.
pub(crate) fn sort(program: &OsStr, arguments: Vec<OsString>, bypass: bool) -> Invocation {
    if name_of(program) == "codex-multi-auth-app-launcher" {
        return Invocation::Launcher;
    }
    if !is_wrapper_name(program) {
        return Invocation::Manager(without_auth(arguments));
    }
    if bypass {
        return Invocation::Bypass(arguments);
    }
    match after_alias(&arguments) {
        Some(rest) if is_ours(rest) => Invocation::Manager(login_if_empty(rest.to_vec())),
        Some(rest) => {
            let mut forwarded = vec![OsString::from("auth")];
            forwarded.extend_from_slice(rest);
            Invocation::Wrapper(forwarded)
        }
        None => Invocation::Wrapper(arguments),
    }
}

/// `codex`, `codex-multi-auth-codex` and `mcodex` wrap; every other name manages.
fn is_wrapper_name(program: &OsStr) -> bool {
    matches!(name_of(program), "codex" | "codex-multi-auth-codex" | "mcodex")
}

fn name_of(program: &OsStr) -> &str {
    std::path::Path::new(program).file_stem().and_then(OsStr::to_str).unwrap_or_default()
}

/// The words after `auth`, `multi auth`, `multi-auth` or `multiauth`.
fn after_alias(arguments: &[OsString]) -> Option<&[OsString]> {
    let word = |index: usize| arguments.get(index).and_then(|word| word.to_str());
    match (word(0), word(1)) {
        (Some("multi"), Some("auth")) => arguments.get(2..),
        (Some("auth" | "multi-auth" | "multiauth"), _) => {
            // `multi-auth auth list` is an accepted long form of the same thing.
            let skip = if word(0) != Some("auth") && word(1) == Some("auth") { 2 } else { 1 };
            arguments.get(skip..)
        }
        _ => None,
    }
}

/// Nothing, an option or a known command is ours; the rest is the official client's `auth …`.
fn is_ours(rest: &[OsString]) -> bool {
    match rest.first().map(|word| word.to_str().unwrap_or_default()) {
        None => true,
        Some(word) => word.starts_with('-') || COMMANDS.contains(&word),
    }
}

fn without_auth(arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.first().is_some_and(|word| word == "auth") {
        return login_if_empty(arguments.into_iter().skip(1).collect());
    }
    arguments
}

fn login_if_empty(rest: Vec<OsString>) -> Vec<OsString> {
    if rest.is_empty() { vec!["login".into()] } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[track_caller]
    fn manager(program: &str, typed: &str, expect: &str) {
        assert_eq!(sort(OsStr::new(program), words(typed), false), Invocation::Manager(words(expect)));
    }

    #[track_caller]
    fn wrapper(typed: &str, expect: &str) {
        assert_eq!(sort(OsStr::new("/x/codex"), words(typed), false), Invocation::Wrapper(words(expect)));
    }

    #[test]
    fn three_spellings_are_one() {
        manager("codex-multi-auth", "list --json", "list --json");
        manager("codex-multi-auth", "auth list", "list");
        manager("codex", "auth list", "list");
        manager("mcodex", "multi auth list", "list");
        manager("codex-multi-auth-codex", "multi-auth list", "list");
        manager("codex", "multiauth list", "list");
    }

    #[test]
    fn the_desktop_launcher_is_told_apart() {
        let launcher = sort(OsStr::new("/x/codex-multi-auth-app-launcher"), words("--remove"), false);
        assert_eq!(launcher, Invocation::Launcher);
    }

    #[test]
    fn auth_alone_signs_in() {
        manager("codex", "auth", "login");
        manager("codex-multi-auth", "auth", "login");
        manager("codex", "auth --help", "--help");
    }

    #[test]
    fn the_rest_is_the_official_programs() {
        wrapper("auth bogus", "auth bogus");
        wrapper("exec hi", "exec hi");
        wrapper("", "");
        assert_eq!(sort(OsStr::new("codex"), words("auth list"), true), Invocation::Bypass(words("auth list")));
    }
}
