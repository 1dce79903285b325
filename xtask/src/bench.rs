//! `cargo xtask bench`: measures the released program beside nginx and a bare pass-through, in one interleaved run,
//! and writes what came out into `docs/benchmarks.md`.
//!
//! | Room | Question it answers |
//! |---|---|
//! | [`running`] | how is a measured program started, asked for its port, and ended? |
//! | [`stage`] | which programs stand side by side, and on which ports? |
//! | [`nginx`] | is nginx there, and how is it set up to be a fair neighbour? |
//! | [`cells`] | what is measured, how long, how often? |
//! | [`programs`] | what do whole processes cost, and how fast is the agent ready? |
//! | [`storing`] | what do opening the pool and keeping a token cost? |
//! | [`memory`] | what does the agent hold, idle and with open streams? |
//! | [`rows`] | which values were seen, and what is their median? |
//! | [`budgets`] | what must hold, what was measured, does it? |
//! | [`page`] | how is it written down? |
//!
//! Rounds go over all ways in turn (A B C D A B C D …), so that what disturbs the machine disturbs everybody; only
//! ratios within one run mean anything.

mod budgets;
mod cells;
mod memory;
mod nginx;
mod page;
mod programs;
mod rows;
mod running;
mod stage;
mod storing;

use std::fs;
use std::time::{Duration, Instant};

use clap::Args;

use crate::child::{self, Echo};
use crate::counts;
use crate::workspace::Workspace;

use self::rows::Rows;
use self::stage::Stage;

/// Where the result is kept.
const PAGE: &str = "docs/benchmarks.md";

const BUILD_LIMIT: Duration = Duration::from_mins(20);

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Measure longer and more often, with more open streams
    #[arg(long)]
    long: bool,
    /// Print the result and leave docs/benchmarks.md as it is
    #[arg(long)]
    print: bool,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Rounds over all ways.
    rounds: usize,
    /// How long one closed loop runs.
    cell: Duration,
    /// Runs of each whole process.
    processes: usize,
    /// Streams held open for the memory figure; the agent admits 512 connections.
    streams: usize,
}

impl Plan {
    fn of(args: &BenchArgs) -> Self {
        if args.long {
            return Self { rounds: 9, cell: Duration::from_millis(1500), processes: 60, streams: 500 };
        }
        Self { rounds: 3, cell: Duration::from_millis(700), processes: 20, streams: 100 }
    }
}

/// Builds, measures and writes down.
pub(crate) fn run(workspace: &Workspace, args: &BenchArgs) -> Result<(), String> {
    build(workspace)?;
    let plan = Plan::of(args);
    let began = Instant::now();
    let mut rows = Rows::default();
    let stage = Stage::set(workspace)?;
    programs::measure(&stage, plan, &mut rows)?;
    storing::measure(&stage, plan, &mut rows)?;
    memory::measure(&stage, plan, &mut rows)?;
    cells::measure(&stage, plan, &mut rows)?;
    println!("{}", counts::check(workspace)?);
    let facts = page::Facts::of(workspace, args.long, stage.neighbours(), began.elapsed())?;
    drop(stage);
    let text = page::page(&facts, &rows);
    if args.print {
        println!("{text}");
        return Ok(());
    }
    let path = workspace.root.join(PAGE);
    fs::write(&path, text).map_err(|e| format!("write {}: {e}", path.display()))?;
    println!("{}\nwritten to {PAGE} after {} s", budgets::table(&rows, &facts.sizes), began.elapsed().as_secs());
    Ok(())
}

/// One build of all that is measured and all that measures.
fn build(workspace: &Workspace) -> Result<(), String> {
    let packages = ["build", "--release", "-p", "codex-auth-cli", "-p", "codex-auth-bench"];
    child::run(&mut workspace.cargo(&packages), BUILD_LIMIT, Echo::Lines)
        .map_err(|e| e.to_string())
        .and_then(|ended| if ended.status.success() { Ok(()) } else { Err("the release build failed".to_owned()) })
}
