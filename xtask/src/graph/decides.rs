//! Who decides: agent, command line and plugin ask the core who serves, who rests and what is spent. They hold no rule
//! of their own about it, so their code does not even name what such a rule would be made of.
//!
//! The check is textual: what decides has few names, and a file that needs one for another purpose says so here, with
//! its reason. An exception that is no longer needed is refused, too.

use std::path::Path;

use super::Violation;

const RULE: &str = "rotation, rests and quotas are decided in core; an exception needs its reason in graph/decides.rs";

/// Whose sources are looked at.
const ASK: [&str; 3] = ["crates/codex-auth-proxy/src", "crates/codex-auth-cli/src", "crates/codex-opencode-plugin/src"];

/// What rules about rotation, rests and quotas are made of.
const NAMES: [&str; 21] = [
    "Strategy::",
    "Blocker::",
    "RestReason::",
    "RestScope::",
    "Rest::",
    "Rest {",
    "RestPolicy {",
    "Hold::",
    "Headroom",
    "QuotaWindow {",
    ".rests",
    ".holds(",
    ".headroom",
    "longest_rest(",
    "own_blockers(",
    "used_percent",
    "left_percent",
    "is_exhausted",
    "exhausted_until",
    "cooldown",
    "cooling_down",
];

/// A file, a name it may use, and why that is no decision.
const EXCEPTIONS: [(&str, &str, &str); 8] = [
    ("codex-auth-proxy/src/respond.rs", "Blocker::", "puts a blocker's code into the words of an answer"),
    ("codex-auth-cli/src/commands/switch.rs", "longest_rest(", "tells a person how long the account just chosen rests"),
    ("codex-auth-cli/src/commands/demo/tally.rs", "longest_rest(", "the state column of the demo's last table"),
    (
        "codex-auth-cli/src/commands/check/usage.rs",
        "is_exhausted",
        "reads the backend's document; core reads its windows",
    ),
    ("codex-auth-cli/src/commands/forecast.rs", "used_percent", "hands what the files tell to core's forecast"),
    ("codex-auth-cli/src/commands/usage/reconcile.rs", "used_percent", "hands what the server tells to the screen"),
    ("codex-auth-proxy/src/diary.rs", "used_percent", "hands what an answer told to core's forecast"),
    ("codex-auth-cli/src/commands/check/asking.rs", "is_exhausted", "prints what the backend said of the account"),
];

/// One of the products' sources, as far as they are not tests.
pub(super) fn concerns(file: &Path) -> bool {
    let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
    ASK.iter().any(|place| file.starts_with(place)) && !is_test
}

/// The lines of a file that name what only core may decide by, and the exceptions that were used.
pub(super) fn deciding(file: &Path, text: &str) -> (Vec<Violation>, Vec<usize>) {
    let (mut violations, mut used) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
        let code = code_of(line);
        for name in NAMES.iter().filter(|name| names(&code, name)) {
            let allowed = EXCEPTIONS.iter().position(|(path, allowed, _)| file.ends_with(path) && allowed == name);
            match allowed {
                Some(exception) => used.push(exception),
                None => violations.push(Violation {
                    place: format!("{}:{}", file.display(), number + 1),
                    found: format!("`{}` in {}", name.trim(), line.trim()),
                    rule: RULE,
                }),
            }
        }
    }
    (violations, used)
}

/// The exceptions that no file needed.
pub(super) fn unused(used: &[usize]) -> Vec<Violation> {
    let unused = EXCEPTIONS.iter().enumerate().filter(|(place, _)| !used.contains(place));
    let stale = |(_, (path, name, _)): (usize, &(&str, &str, &str))| Violation {
        place: (*path).to_owned(),
        found: format!("the exception for `{name}` is no longer needed"),
        rule: RULE,
    };
    unused.map(stale).collect()
}

/// Whether code uses this very name, not one that ends with it.
fn names(code: &str, name: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let begins_anew = |at: usize| {
        !name.starts_with(char::is_alphanumeric) || !code[..at].bytes().next_back().is_some_and(|byte| is_word(&byte))
    };
    code.match_indices(name).any(|(at, _)| begins_anew(at))
}

/// A line without its comments and without what stands between quotation marks.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let (mut is_text, mut is_escaped) = (false, false);
    for letter in line.chars() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            _ if is_text => {}
            _ => code.push(letter),
        }
    }
    code.split("//").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, text: &str, expect: usize) {
        let file = Path::new(file);
        let found = if concerns(file) { deciding(file, text).0.len() } else { 0 };
        assert_eq!(found, expect, "{}: {text}", file.display());
    }

    #[test]
    fn a_planted_rule_is_found() {
        let forward = "crates/codex-auth-proxy/src/forward.rs";
        check(forward, "if held.account.rests.iter().any(|rest| now < rest.until) {", 1);
        check(forward, "if proxy.strategy == Strategy::Sequential {", 1);
        check(forward, "if window.used_percent >= 100.0 {", 1);
        check("crates/codex-auth-cli/src/commands/list.rs", "matches!(blocker, Blocker::Disabled)", 1);
        check("crates/codex-opencode-plugin/src/acquisition.rs", "account.longest_rest(now).is_none()", 1);
    }

    #[test]
    fn the_core_and_the_tests_may() {
        check("crates/codex-auth-core/src/select.rs", "Strategy::Hybrid => None,", 0);
        check("crates/codex-auth-proxy/tests/it/agent.rs", "Strategy::Hybrid", 0);
        check(
            "crates/codex-auth-proxy/src/forward.rs",
            "fn x() {}\n#[cfg(test)]\nmod tests { use Strategy::Hybrid; }",
            0,
        );
    }

    #[test]
    fn words_of_a_text_or_of_another_name_decide_nothing() {
        check("crates/codex-auth-cli/src/ui.rs", "say(\"the cooldown \\\" of Blocker::X\"); // Strategy::", 0);
        check("crates/codex-auth-cli/src/ui.rs", "UnknownStrategy::from(x); LatestRest { a }", 0);
    }

    #[test]
    fn an_exception_is_for_one_file_and_one_name() {
        let respond = "crates/codex-auth-proxy/src/respond.rs";
        check(respond, "blockers.find_map(Blocker::needs_login)", 0);
        check(respond, "Strategy::Manual", 1);
        check("crates/codex-auth-proxy/src/relay.rs", "blockers.find_map(Blocker::needs_login)", 1);
        assert_eq!(unused(&[]).len(), EXCEPTIONS.len());
    }
}
