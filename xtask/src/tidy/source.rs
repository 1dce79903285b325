//! Rules about the text of a file.

use std::path::Path;

use super::Finding;

/// Above this many production lines a file has more than one subject.
const LONGEST: usize = 400;

/// Marks of unfinished work; spelled in halves so that this file keeps its own rule.
const UNFINISHED: [&str; 5] = [
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("FIX", "ME"),
    concat!("HA", "CK"),
    concat!("#[ig", "nore"),
];

/// Waiting by the clock inside a test.
const SLEEPS: [&str; 3] = [concat!("thread::sl", "eep("), concat!("time::sl", "eep("), concat!(" sl", "eep(")];

/// Under a paused runtime these waits take no time at all.
const PAUSED: [&str; 2] = ["start_paused", "time::pause()"];

/// Rules for Rust sources.
pub(super) fn rust(file: &Path, text: &str) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    let production = production_lines(&lines);
    let tests_from = if is_test_file(file) { 0 } else { production };
    let mut findings = Vec::new();
    if !lines.first().is_some_and(|line| line.starts_with("//! ")) {
        findings.push(Finding::new(file, 1, "the first line is `//! ` and the rule this file owns"));
    }
    if production > LONGEST {
        findings.push(Finding::new(file, 0, format!("{production} production lines, at most {LONGEST}")));
    }
    let may_pause = is_driver(file) || PAUSED.iter().any(|mark| text.contains(mark));
    for (index, line) in lines.iter().enumerate() {
        let mut find = |rule: String| findings.push(Finding::new(file, index + 1, rule));
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            find(format!("`{word}` marks unfinished work"));
        }
        if index >= tests_from && !may_pause && SLEEPS.iter().any(|call| line.contains(call)) {
            find("a test waits for an event with a deadline, never by the clock".to_owned());
        }
    }
    findings
}

/// Rules for every text file: no path of this machine, no second author line.
pub(super) fn traces(file: &Path, text: &str, machine: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if machine.iter().any(|path| names_path(line, path)) {
            findings.push(Finding::new(file, index + 1, "names a directory of this machine"));
        }
        if line.contains(concat!("Co-auth", "ored-by")) {
            findings.push(Finding::new(file, index + 1, "authors stand in the history, not in files"));
        }
    }
    findings
}

/// Lines before the first test module; the whole file when it has none.
fn production_lines(lines: &[&str]) -> usize {
    let opens_tests = |index: &usize| {
        lines[*index].trim() == "#[cfg(test)]"
            && lines[index + 1..].iter().find(|line| !line.trim_start().starts_with("#[")).is_some_and(|line| {
                let item = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
                // `mod tests;` keeps its lines in a file of its own: what follows is production again.
                item.starts_with("mod ") && item.trim_end().ends_with('{')
            })
    };
    (0..lines.len()).find(opens_tests).unwrap_or(lines.len())
}

fn is_test_file(file: &Path) -> bool {
    let in_tests = file.parent().is_some_and(|dir| {
        // `tests/e2e/src` is a harness: a driver that may poll. Its tests stand in `tests/e2e/tests`.
        let names: Vec<_> = dir.components().map(std::path::Component::as_os_str).collect();
        names.iter().rposition(|name| *name == "tests") > names.iter().rposition(|name| *name == "src")
    });
    in_tests || file.file_stem().is_some_and(|stem| stem == "tests")
}

/// Whether a test crate keeps its drivers here: loops that look again and again until a deadline.
fn is_driver(file: &Path) -> bool {
    file.components().any(|part| Path::new(part.as_os_str()).file_stem().is_some_and(|stem| stem == "support"))
}

/// Whether `line` holds `path` as the beginning of a path, not as the middle of another.
fn names_path(line: &str, path: &str) -> bool {
    let continues = |before: &str| {
        before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '}' | '/' | '>' | ')'))
    };
    line.match_indices(path).any(|(at, _)| !continues(&line[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules a source breaks, by line.
    #[track_caller]
    fn check(file: &str, text: &str, expect: &[usize]) {
        let lines: Vec<usize> = rust(Path::new(file), text).into_iter().map(|finding| finding.line).collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn a_file_states_its_purpose_first() {
        check("crates/a/src/x.rs", "//! The rule.\n", &[]);
        check("crates/a/src/x.rs", "use std::fs;\n//! Late.\n", &[1]);
        check("crates/a/src/x.rs", "", &[1]);
    }

    #[test]
    fn only_production_lines_count() {
        let long = |tests: &str| format!("//! x.\n{}{tests}{}", "\n".repeat(399), "\n".repeat(300));
        check("crates/a/src/x.rs", &long("#[cfg(test)]\nmod tests {\n"), &[]);
        check("crates/a/src/x.rs", &long("fn f() {}\n"), &[0]);
        check("crates/a/src/x.rs", &long("#[cfg(test)]\nmod tests;\n"), &[0]);
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            check("crates/a/src/x.rs", &format!("//! x.\n{word}\n"), &[2]);
        }
    }

    #[test]
    fn a_test_does_not_sleep_and_a_driver_may() {
        let sleep = format!("//! x.\n{}1);\n", SLEEPS[0]);
        check("crates/a/tests/x.rs", &sleep, &[2]);
        check("tests/e2e/tests/x.rs", &sleep, &[2]);
        check("crates/a/src/x.rs", &sleep, &[]);
        check("tests/e2e/src/x.rs", &sleep, &[]);
        check("crates/a/tests/it/support.rs", &sleep, &[]);
        check("crates/a/tests/it/support/world.rs", &sleep, &[]);
        check("crates/a/src/x.rs", &format!("//! x.\n#[cfg(test)]\nmod tests {{\n{}1)\n}}\n", SLEEPS[1]), &[4]);
    }

    #[test]
    fn paused_time_is_no_sleep() {
        check("crates/a/tests/x.rs", &format!("//! x.\n#[tokio::test(start_paused = true)]\n{}1)\n", SLEEPS[1]), &[]);
    }

    #[test]
    fn a_path_of_this_machine_is_found() {
        let traced = |line: &str| traces(Path::new("a.md"), line, &["/srv/build/".to_owned()]).len();
        assert_eq!(traced("see /srv/build/main"), 1);
        assert_eq!(traced("\"/srv/build/x\""), 1);
        assert_eq!(traced("relative/srv/build/x"), 0);
        assert_eq!(traced("$HOME/srv/build"), 0);
    }

    #[test]
    fn author_lines_are_found() {
        let line = format!("{}: someone", concat!("Co-auth", "ored-by"));
        assert_eq!(traces(Path::new("a.md"), &line, &[]).len(), 1);
    }
}
