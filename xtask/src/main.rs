//! `cargo xtask`: the one command that provisions, checks and proves.
//!
//! | Room | Question it answers |
//! |---|---|
//! | [`child`] | how does a command run: streamed, bounded, nothing left behind? |
//! | [`workspace`] | where is everything, and what does `cargo metadata` say? |
//! | [`provision`] | are the system tools that tests need installed? |
//! | [`clients`] | is the pinned official client unpacked and whole? |
//! | [`suites`] | which test executables exist, and what did each report? |
//! | [`step`] | what ran, how long did it take, what failed, how is it repeated? |
//! | [`mod@test`] | which steps make up `test`, `--changed` and `--long`? |
//! | [`graph`] | may this crate depend on that one? |
//! | [`tidy`] | does every file keep the house rules? |
//! | [`features`] | does every feature build alone? |
//! | [`mutants`] | does each kept breaking change still break its test? |
//! | [`mod@bench`] | how fast is the released program, beside its neighbours? |
//! | [`counts`] | how many instructions does the work of every request take? |
//! | [`assurance`] | what does a recorded long run write down? |
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool: it reads its environment, the clock and files, and talks to a person"
)]

mod assurance;
mod bench;
mod child;
mod clients;
mod counts;
mod features;
mod graph;
mod mutants;
mod provision;
mod step;
mod suites;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Provisions, checks and proves the workspace")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the suite: format, lints, unit, golden, doc and end-to-end tests, graph and tidy
    Test(test::TestArgs),
    /// Install the system tools that tests need, where they are missing
    Tools,
    /// Unpack the pinned official clients and print where they are
    Clients,
    /// Check the arrows between crates
    Graph,
    /// Check the rules every file keeps
    Tidy,
    /// Measure the released program beside nginx and write docs/benchmarks.md
    Bench(bench::BenchArgs),
    /// Count the instructions of what every request pays for, and compare with tests/bench/counts.json
    Counts(counts::CountsArgs),
    /// Apply each kept breaking change and expect its test to fail
    Mutants {
        /// Run only the changes whose file name contains this text
        name: Option<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Workspace::find().and_then(|workspace| match cli.command {
        Command::Test(args) => test::run(&workspace, &args),
        Command::Tools => provision::system_tools().map(|remark| println!("{remark}")),
        Command::Clients => clients::provision(&workspace).map(|clients| println!("{clients}")),
        Command::Graph => graph::check(&workspace),
        Command::Tidy => tidy::check(&workspace),
        Command::Bench(args) => bench::run(&workspace, &args),
        Command::Counts(args) => counts::run(&workspace, &args).map(|table| println!("{table}")),
        Command::Mutants { name } => mutants::run(&workspace, name.as_deref()).map(|table| println!("{table}")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
