//! Test executables: built once in one profile, run one by one, counted by what each reports.

use std::iter::Sum;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::child::{self, Echo};
use crate::step::{Failure, Report};
use crate::workspace::Workspace;

/// The package whose tests drive the official clients.
pub(crate) const END_TO_END: &str = "codex-auth-e2e";

const BUILD_LIMIT: Duration = Duration::from_mins(25);
const SUITE_LIMIT: Duration = Duration::from_mins(10);
/// A thousand killed processes and twenty thousand mutations of each parser take their time.
const LONG_SUITE_LIMIT: Duration = Duration::from_mins(40);

/// Asks tests for their full size.
pub(crate) const LONG: &str = "CODEX_AUTH_LONG";

/// Tests that passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Reads the `test result:` lines of a test program's output.
    pub(crate) fn read(output: &str) -> Self {
        output.lines().filter_map(|line| line.trim_start().strip_prefix("test result:")).map(Self::of_line).sum()
    }

    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed
    }

    fn of_line(line: &str) -> Self {
        let words: Vec<&str> = line.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
        let count = |label: &str| {
            let at = words.iter().position(|word| *word == label);
            at.and_then(|at| words[..at].last()?.parse().ok()).unwrap_or(0)
        };
        Self { passed: count("passed"), failed: count("failed") }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |a, b| Self { passed: a.passed + b.passed, failed: a.failed + b.failed })
    }
}

/// One test executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) package: String,
    pub(crate) target: String,
    kind: String,
    executable: PathBuf,
    /// The package's directory, where cargo would start the executable.
    dir: PathBuf,
}

impl Suite {
    /// Reads one line of cargo's build messages; `None` unless it announces a test executable.
    fn from_message(line: &str, package_of: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        let manifest = message["manifest_path"].as_str()?;
        Some(Self {
            package: package_of(manifest)?,
            target: message["target"]["name"].as_str()?.to_owned(),
            kind: message["target"]["kind"][0].as_str()?.to_owned(),
            executable: PathBuf::from(message["executable"].as_str()?),
            dir: Path::new(manifest).parent()?.to_path_buf(),
        })
    }

    pub(crate) fn is_end_to_end(&self) -> bool {
        self.package == END_TO_END && self.kind == "test"
    }

    /// The cargo command that runs this executable alone.
    fn repeat(&self) -> String {
        let Self { package, target, kind, .. } = self;
        match kind.as_str() {
            "bin" | "test" | "example" | "bench" => format!("cargo test -p {package} --{kind} {target}"),
            _ => format!("cargo test -p {package} --lib"),
        }
    }

    /// Runs the executable with `args` for the test harness, as cargo would.
    pub(crate) fn run(&self, env: &[(String, String)], args: &[&str]) -> Result<(bool, Tally), String> {
        println!("\n{} ({} {})", self.package, self.kind, self.target);
        let mut command = Command::new(&self.executable);
        command.args(args).current_dir(&self.dir).env("CARGO_MANIFEST_DIR", &self.dir);
        command.envs(env.iter().map(|(key, value)| (key, value)));
        let is_long = env.iter().any(|(key, _)| key == LONG);
        let limit = if is_long { LONG_SUITE_LIMIT } else { SUITE_LIMIT };
        let ended = child::run(&mut command, limit, Echo::Lines).map_err(|e| e.to_string())?;
        Ok((ended.status.success(), Tally::read(&ended.stdout)))
    }
}

/// Builds every program and test of the workspace at `root`, and lists the test executables.
///
/// Two cargo calls with one selection: the first also builds programs no test of their own package asks for; the
/// second finds everything fresh and tells where the test executables are.
pub(crate) fn build(workspace: &Workspace, packages: &[String]) -> Result<Vec<Suite>, String> {
    let selection = selection(packages);
    let selection: Vec<&str> = selection.iter().map(String::as_str).collect();
    let mut build = workspace.cargo(&["build", "--all-targets"]);
    child::succeed(build.args(&selection), BUILD_LIMIT).map_err(|e| e.to_string())?;
    let mut ask = workspace.cargo(&["test", "--no-run", "--all-targets", "--message-format=json-render-diagnostics"]);
    let messages = child::capture(ask.args(&selection), BUILD_LIMIT, Echo::Silent).map_err(|e| e.to_string())?;
    let name = |manifest: &str| workspace.package_of(manifest).map(str::to_owned);
    Ok(messages.lines().filter_map(|line| Suite::from_message(line, name)).collect())
}

/// `-p` for each package, or the whole workspace when none is named.
pub(crate) fn selection(packages: &[String]) -> Vec<String> {
    if packages.is_empty() {
        return vec!["--workspace".to_owned()];
    }
    packages.iter().flat_map(|package| ["-p".to_owned(), package.clone()]).collect()
}

/// Runs each suite to its end, so that one broken suite does not hide another.
pub(crate) fn run<'s>(
    suites: impl Iterator<Item = &'s Suite>,
    env: &[(String, String)],
    args: &[&str],
) -> Result<Report, Failure> {
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for suite in suites {
        let (success, counted) = suite.run(env, args)?;
        tally = [tally, counted].into_iter().sum();
        if !success {
            broken.push(suite.repeat());
        }
    }
    if broken.is_empty() {
        return Ok(Report { tally, remark: String::new() });
    }
    let message = format!("{} failed, in {}", tally.failed, broken.join(" and "));
    let repeat = if broken.len() == 1 { broken.pop() } else { None };
    Err(Failure { tally, message, repeat })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, passed: u64, failed: u64) {
        assert_eq!(Tally::read(output), Tally { passed, failed });
    }

    #[test]
    fn one_result_line_is_read() {
        check("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.1s", 12, 0);
    }

    #[test]
    fn several_result_lines_are_summed() {
        check("test result: ok. 2 passed; 0 failed\nnoise\ntest result: FAILED. 1 passed; 3 failed", 3, 3);
    }

    #[test]
    fn other_output_counts_nothing() {
        check("5 passed; 2 failed", 0, 0);
    }

    #[test]
    fn only_test_artifacts_are_suites() {
        let line = |test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{{"name":"it","kind":["test"]}},
                "profile":{{"test":{test}}},"executable":"/w/target/it"}}"#
            )
        };
        let name = |_: &str| Some("a".to_owned());
        let suite = Suite::from_message(&line(true), name).unwrap();
        assert_eq!(suite.repeat(), "cargo test -p a --test it");
        assert_eq!(Suite::from_message(&line(false), name), None);
    }
}
