//! `cargo xtask test`: which steps a run consists of, and in which order.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::step::{self, Failure, Report, Step};
use crate::suites::{self, END_TO_END, Suite, Tally};
use crate::workspace::Workspace;
use crate::{assurance, child, clients, counts, features, graph, mutants, provision, tidy};

const CARGO_LIMIT: Duration = Duration::from_mins(20);

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "four switches of a command line")]
pub(crate) struct TestArgs {
    /// Add long tests, a build of every feature alone, and the kept breaking changes
    #[arg(long)]
    long: bool,
    /// Only the crates touched since HEAD, with format, graph and tidy
    #[arg(long, conflicts_with = "long")]
    changed: bool,
    /// Only these crates, with format, graph and tidy; at full size with --long
    #[arg(long, conflicts_with = "changed")]
    package: Vec<String>,
    /// Print the steps and how each is repeated, and run nothing
    #[arg(long)]
    list: bool,
    /// After a successful long run, write what ran into docs/assurance.md
    #[arg(long, requires = "long")]
    record: bool,
}

/// Runs the suite that `args` ask for and prints the closing table.
pub(crate) fn run(workspace: &Workspace, args: &TestArgs) -> Result<(), String> {
    let asked = (!args.package.is_empty()).then(|| args.package.clone());
    let touched = if args.changed { Some(touched_packages(workspace)?) } else { asked };
    let course = Course { workspace, touched, long: args.long, built: RefCell::default() };
    let steps = course.steps();
    if args.list {
        println!("{}", step::listing(&steps));
        return Ok(());
    }
    let table = step::run_all(steps)?;
    println!("\n{table}");
    if args.record {
        let packages: Vec<String> = args.package.iter().map(|name| format!(" --package {name}")).collect();
        assurance::record(workspace, &format!("cargo xtask test --long{}", packages.concat()), &table)?;
    }
    Ok(())
}

/// One run of the suite: what it covers, and the test executables once they are built.
struct Course<'w> {
    workspace: &'w Workspace,
    /// The packages to cover; all of them when `None`.
    touched: Option<Vec<String>>,
    long: bool,
    built: RefCell<Vec<Suite>>,
}

impl Course<'_> {
    fn steps(&self) -> Vec<Step<'_>> {
        let end_to_end = self.touched.as_ref().is_none_or(|names| names.iter().any(|name| name == END_TO_END));
        let mut steps = Vec::new();
        if end_to_end {
            steps.push(Step::new("tools", "cargo xtask tools", || Ok(Report::remark(provision::system_tools()?))));
            steps.push(Step::new("clients", "cargo xtask clients", || self.clients()));
        }
        steps.push(self.cargo("format", &["fmt", "--all", "--check"]));
        steps.push(self.rule("graph", graph::check));
        steps.push(self.rule("tidy", tidy::check));
        if self.touched.as_ref().is_none_or(|names| !names.is_empty()) {
            steps.extend(self.code_steps(end_to_end));
        }
        if self.touched.is_none() {
            steps.push(self.doc_tests());
            steps.push(self.cargo("docs", &["doc", "--workspace", "--no-deps"]));
        }
        if self.long && self.touched.is_none() {
            steps.push(self.rule("features", features::check));
            steps.push(self.rule("counts", |workspace| counts::check(workspace).map(|table| println!("{table}"))));
            steps
                .push(self.rule("mutants", |workspace| mutants::run(workspace, None).map(|table| println!("{table}"))));
        }
        steps
    }

    /// Lints, the one build, and the tests it built.
    fn code_steps(&self, end_to_end: bool) -> Vec<Step<'_>> {
        let selection = suites::selection(self.packages());
        let mut clippy: Vec<&str> = vec!["clippy", "--all-targets"];
        clippy.extend(selection.iter().map(String::as_str));
        clippy.extend(["--", "-D", "warnings"]);
        let build = format!("cargo build --all-targets {}", selection.join(" "));
        let test = format!("cargo test --all-targets {}", selection.join(" "));
        let mut steps = vec![self.cargo("clippy", &clippy)];
        steps.push(Step::new("build", build, || self.build()));
        steps.push(Step::new("unit and golden tests", test, || self.run_suites(|suite| !suite.is_end_to_end(), &[])));
        if end_to_end {
            let repeat = format!("cargo test -p {END_TO_END}");
            // These tests mostly wait for processes; two for each core keep the cores busy.
            let threads = thread::available_parallelism().map_or(2, NonZero::get) * 2;
            let args = format!("--test-threads={threads}");
            steps.push(Step::new("end-to-end tests", repeat, move || self.run_suites(Suite::is_end_to_end, &[&args])));
        }
        steps
    }

    fn packages(&self) -> &[String] {
        self.touched.as_deref().unwrap_or(&[])
    }

    fn clients(&self) -> Result<Report, Failure> {
        println!("{}", clients::provision(self.workspace)?);
        Ok(Report::default())
    }

    fn build(&self) -> Result<Report, Failure> {
        let suites = suites::build(self.workspace, self.packages())?;
        let remark = format!("{} test programs", suites.len());
        self.built.replace(suites);
        Ok(Report::remark(remark))
    }

    fn run_suites(&self, wanted: impl Fn(&Suite) -> bool, args: &[&str]) -> Result<Report, Failure> {
        let env = test_env(self.workspace, self.long)?;
        let built = self.built.borrow();
        suites::run(built.iter().filter(|suite| wanted(suite)), &env, args)
    }

    fn doc_tests(&self) -> Step<'_> {
        Step::new("doc tests", "cargo test --workspace --doc", || {
            let mut cargo = self.workspace.cargo(&["test", "--workspace", "--doc"]);
            let ended = child::run(&mut cargo, CARGO_LIMIT, child::Echo::Lines).map_err(|e| e.to_string())?;
            let tally = Tally::read(&ended.stdout);
            if ended.status.success() {
                return Ok(Report { tally, remark: String::new() });
            }
            Err(Failure { tally, message: "doc tests failed".to_owned(), repeat: None })
        })
    }

    /// A step that is one cargo command; warnings in documentation count as errors.
    fn cargo(&self, name: &'static str, args: &[&str]) -> Step<'_> {
        let mut command = self.workspace.cargo(args);
        command.env("RUSTDOCFLAGS", "-D warnings");
        Step::new(name, format!("cargo {}", args.join(" ")), move || {
            child::succeed(&mut command, CARGO_LIMIT).map_err(|e| e.to_string())?;
            Ok(Report::default())
        })
    }

    /// A step that is one of our own checks, available under its own name.
    fn rule(&self, name: &'static str, check: impl Fn(&Workspace) -> Result<(), String> + 'static) -> Step<'_> {
        let repeat =
            if name == "features" { "cargo xtask test --long".to_owned() } else { format!("cargo xtask {name}") };
        Step::new(name, repeat, move || {
            check(self.workspace)?;
            Ok(Report::default())
        })
    }
}

/// What test programs are told: where the clients and our programs are, and that goldens are read, never written.
pub(crate) fn test_env(workspace: &Workspace, long: bool) -> Result<Vec<(String, String)>, String> {
    let clients = clients::provision(workspace)?;
    let path = |path: &Path| path.display().to_string();
    let mut env = vec![
        ("CODEX_AUTH_CODEX".to_owned(), path(&clients.native)),
        ("CODEX_AUTH_CODEX_JS".to_owned(), path(&clients.launcher)),
        ("CODEX_AUTH_BIN_DIR".to_owned(), path(&workspace.target.join("debug"))),
        ("INSTA_UPDATE".to_owned(), "no".to_owned()),
        ("INSTA_WORKSPACE_ROOT".to_owned(), path(&workspace.root)),
    ];
    if long {
        env.push((suites::LONG.to_owned(), "1".to_owned()));
    }
    Ok(env)
}

/// The members with a file that differs from HEAD; every member when a file at the root does, or when HEAD is missing.
fn touched_packages(workspace: &Workspace) -> Result<Vec<String>, String> {
    let untracked = workspace.git_paths(&["ls-files", "-z", "--others", "--exclude-standard"])?;
    let changed = workspace.git_paths(&["diff", "--name-only", "-z", "HEAD"]).or_else(|_| workspace.files())?;
    let members: Vec<(&str, &Path)> = workspace
        .packages()
        .iter()
        .filter_map(|package| {
            let dir = Path::new(package["manifest_path"].as_str()?).parent()?;
            Some((package["name"].as_str()?, workspace.relative(dir)))
        })
        .collect();
    let mut touched = BTreeSet::new();
    for file in changed.iter().chain(&untracked) {
        match members.iter().find(|(_, dir)| file.starts_with(dir)) {
            Some((name, _)) => drop(touched.insert(*name)),
            None if is_shared(file) => touched.extend(members.iter().map(|(name, _)| *name)),
            None => {}
        }
    }
    if touched.contains(END_TO_END) {
        // Its tests start the programs of these.
        touched.extend(["codex-auth-cli", "codex-auth-testkit"]);
    }
    Ok(touched.into_iter().map(str::to_owned).collect())
}

/// Whether a file outside every member changes how members build or which client they meet.
fn is_shared(file: &Path) -> bool {
    file.components().count() == 1 && file.extension().is_none_or(|extension| extension != "md")
        || file.starts_with("tests/clients")
        || file.starts_with(".cargo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_touches_every_crate_and_a_readme_none() {
        assert!(is_shared(Path::new("Cargo.lock")));
        assert!(is_shared(Path::new("tests/clients/package.json")));
        assert!(!is_shared(Path::new("README.md")));
        assert!(!is_shared(Path::new("docs/reference/files.md")));
    }
}
