//! The page: what ran where, the budgets, the medians, and every value behind them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::child::{self, Echo};
use crate::workspace::Workspace;

use super::budgets::{self, Budget, Sizes, figure};
use super::cells::{LONG, PACED, POOLS, WIDTHS, small};
use super::memory::MEMORY;
use super::programs::{PROCESS, START};
use super::rows::Rows;
use super::storing::{COMMIT, OPEN, STORE};

/// Ways in the order of the tables.
const WAYS: [&str; 4] = ["direct", "ours", "hyper", "nginx"];

/// What ran, and where.
pub(crate) struct Facts {
    command: &'static str,
    commit: String,
    machine: String,
    neighbours: String,
    took: Duration,
    pub(crate) sizes: Sizes,
}

impl Facts {
    /// Looks around.
    pub(crate) fn of(workspace: &Workspace, long: bool, neighbours: String, took: Duration) -> Result<Self, String> {
        Ok(Self {
            command: if long { "cargo xtask bench --long" } else { "cargo xtask bench" },
            commit: commit(workspace)?,
            machine: machine(),
            neighbours,
            took,
            sizes: sizes(workspace)?,
        })
    }
}

fn commit(workspace: &Workspace) -> Result<String, String> {
    let git = |args: &[&str]| ask(workspace.command("git").args(args));
    let head = git(&["rev-parse", "--short", "HEAD"])?;
    let is_changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.trim().is_empty();
    Ok(format!("{}{}", head.trim(), if is_changed { " and uncommitted changes" } else { "" }))
}

fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let class = field("model name").unwrap_or_else(|| "unknown processor".to_owned());
    let is_virtual = if text.contains("hypervisor") { ", virtual machine" } else { "" };
    let megahertz = field("cpu MHz").map(|value| format!(" at {value} MHz")).unwrap_or_default();
    format!("{cores} cores of {class}{megahertz}{is_virtual}")
}

fn sizes(workspace: &Workspace) -> Result<Sizes, String> {
    let program = workspace.target.join("release/codex-multi-auth");
    let binary = fs::metadata(&program).map_err(|e| format!("look at {}: {e}", program.display()))?.len();
    let tree = ask(&mut workspace.cargo(&["tree", "-p", "codex-auth-cli", "-e", "normal", "--prefix", "none"]))?;
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(" (").next()).collect();
    Ok(Sizes { binary, crates: crates.len() })
}

fn ask(command: &mut Command) -> Result<String, String> {
    child::capture(command, Duration::from_mins(1), Echo::Silent).map_err(|e| e.to_string())
}

/// The whole page.
pub(crate) fn page(facts: &Facts, rows: &Rows) -> String {
    let Facts { command, commit, machine, neighbours, took, sizes } = facts;
    let mut text = format!(
        "# Benchmarks\n\nWritten by `{command}` in {} s, from commit {commit}.\n\
         {machine}; beside {neighbours}; other programs may have run on the machine.\n\
         All ways were up together and measured in turn, round by round, so only ratios within this run mean \
         something. A request counts when its whole answer arrived; {}.\n\n\
         The ways: *direct* to a backend of blocking threads; through *ours* (the released `codex-multi-auth serve` \
         with a pool of 5 accounts and a session per connection); through a bare *hyper* pass-through as the \
         libraries suggest it; through *nginx* without buffering or log, one worker per core.\n\n## Budgets\n\n{}",
        took.as_secs(),
        failures(rows),
        budgets::table(rows, sizes),
    );
    text.push_str(
        "\nNot measured here: the decision alone, 1,000 open streams (the agent admits 512), the soak of ten \
         minutes, `doctor`, the wrapper's overhead, a clean build.\n",
    );
    let missed: Vec<String> = budgets::of(rows, sizes).iter().filter_map(Budget::explained).collect();
    if !missed.is_empty() {
        let _ = write!(text, "\n### Where the rest goes\n\n{}\n", missed.join("\n\n"));
    }
    text.push_str("\n## Small answers: 8 KB in 40 chunks\n\n");
    for width in WIDTHS {
        text.push_str(&ways(rows, &small(width), &["rps", "p50 µs", "p99 µs"]));
    }
    text.push_str("Forty events per answer: multiply the rate by 40 for events per second.\n\n## Streams\n\n");
    text.push_str(&ways(rows, PACED, &["events/s", "p50 µs", "p90 µs", "p99 µs"]));
    text.push_str(
        "Each event carries the instant just before it was written; the figures are its age on arrival, 64 \
         streams, 10 ms between events, the first of each stream left out.\n\n",
    );
    for cell in LONG {
        text.push_str(&ways(rows, cell, &["MB/s", "first byte µs"]));
    }
    text.push_str(
        "The first byte of such a stream is mostly the reader's wait for a core, where writer and proxy keep two of \
         them busy; we write the head together with the first 16 KB.\n\n",
    );
    text.push_str("## Programs and memory\n\n");
    text.push_str(&programs(rows));
    text.push_str("\n## Every value\n\nOne line per figure, one value per round.\n\n```text\n");
    for (cell, way, name, values) in rows.all() {
        let values: Vec<String> = values.iter().map(|value| figure(*value)).collect();
        let _ = writeln!(text, "{cell} | {way} | {name}: {}", values.join(" "));
    }
    text.push_str("```\n");
    text
}

fn failures(rows: &Rows) -> String {
    let failed: Vec<String> =
        rows.failures().map(|(cell, way, count)| format!("{count} failed in {cell}, {way}")).collect();
    if failed.is_empty() { "none failed".to_owned() } else { failed.join("; ") }
}

/// A table of one cell: a row per way, with the first figure's ratio to nginx.
fn ways(rows: &Rows, cell: &str, figures: &[&'static str]) -> String {
    let mut text =
        format!("| {cell} | {} | against nginx |\n|---|{}---|\n", figures.join(" | "), "---|".repeat(figures.len()));
    for way in WAYS {
        let medians: Vec<Option<f64>> = figures.iter().map(|figure| rows.median(cell, way, figure)).collect();
        if medians.iter().all(Option::is_none) {
            continue;
        }
        let shown: Vec<String> = medians.into_iter().map(|median| median.map_or_else(|| "—".into(), figure)).collect();
        let ratio = rows.ratio(cell, (way, "nginx"), figures[0]);
        let ratio = ratio.map_or_else(|| "—".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(text, "| {way} | {} | {ratio} |", shown.join(" | "));
    }
    text.push('\n');
    text
}

fn programs(rows: &Rows) -> String {
    let mut text =
        "| Whole process | ms | against the empty program | against `node -e 0` |\n|---|---|---|---|\n".to_owned();
    for name in ["empty", "--version", "list", "node -e 0"] {
        let Some(median) = rows.median(PROCESS, name, "ms") else { continue };
        let ratio = |other| rows.ratio(PROCESS, (name, other), "ms").map_or_else(|| "—".into(), |r| format!("{r:.2}"));
        let _ = writeln!(text, "| {name} | {} | {} | {} |", figure(median), ratio("empty"), ratio("node -e 0"));
    }
    text.push_str("\n| Store and agent | |\n|---|---|\n");
    let lines = [
        ("open, parse and decide with 50 accounts, ms", STORE, OPEN, "ms"),
        ("a token kept beside 10 accounts, ms", STORE, COMMIT[0], "commit ms"),
        ("a token kept beside 1,000 accounts, ms", STORE, COMMIT[1], "commit ms"),
        ("until the documents say it, too, 10 accounts, ms", STORE, COMMIT[0], "documents ms"),
        ("until the documents say it, too, 1,000 accounts, ms", STORE, COMMIT[1], "documents ms"),
        ("start to ready, ms", START, "ours", "ms"),
        ("resident when idle, MB", MEMORY, "ours", "idle MB"),
        ("open streams", MEMORY, "ours", "streams"),
        ("resident with them, after 200 KB each, MB", MEMORY, "ours", "open MB"),
        ("per stream, KB", MEMORY, "ours", "KB per stream"),
        ("resident after they closed, MB", MEMORY, "ours", "after MB"),
        ("rps at c = 16 with 5 accounts", POOLS, "5", "rps"),
        ("rps at c = 16 with 500 accounts", POOLS, "500", "rps"),
    ];
    for (what, cell, way, name) in lines {
        let median = rows.median(cell, way, name).map_or_else(|| "—".to_owned(), figure);
        let _ = writeln!(text, "| {what} | {median} |");
    }
    text
}
