//! `cargo xtask counts`: how many instructions the work of every request takes, held to what was recorded; and how
//! long a decision takes.
//!
//! Times of single microseconds differ from run to run, instructions hardly do: a change of three percent is a change
//! of the program. The record names the compiler, because another one makes another program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::child::{self, Echo};
use crate::workspace::Workspace;

/// Where the counts are recorded.
const RECORD: &str = "tests/bench/counts.json";
/// How far a count may be from its record, in percent.
const TOLERANCE: f64 = 3.0;
/// What is counted is the difference between these two numbers of repetitions.
const REPEATED: [u32; 2] = [2, 12];
/// A decision may take so many microseconds.
const TIMES: [(&str, f64); 2] = [("decide-200", 20.0), ("decide-10000", 1000.0)];
/// Timed without a limit: all that routing does for a request whose session has no account yet.
const SHOWN: [&str; 2] = ["route-200", "route-10000"];

const BUILD_LIMIT: Duration = Duration::from_mins(20);
const RUN_LIMIT: Duration = Duration::from_mins(2);

#[derive(Args)]
pub(crate) struct CountsArgs {
    /// Write what is counted into tests/bench/counts.json instead of comparing
    #[arg(long)]
    record: bool,
}

/// Builds the counted program and compares.
pub(crate) fn check(workspace: &Workspace) -> Result<String, String> {
    run(workspace, &CountsArgs { record: false })
}

/// Builds the counted program and compares, or records.
pub(crate) fn run(workspace: &Workspace, args: &CountsArgs) -> Result<String, String> {
    child::succeed(
        &mut workspace.cargo(&["build", "--release", "-p", "codex-auth-bench", "--bin", "bench-counts"]),
        BUILD_LIMIT,
    )
    .map_err(|e| e.to_string())?;
    let program = workspace.target.join("release/bench-counts");
    let counted = count(&program)?;
    let times = time(&program)?;
    let compiler = say(workspace.command("rustc").arg("--version"))?;
    let path = workspace.root.join(RECORD);
    if args.record {
        let text = format!("{:#}\n", json!({ "compiler": compiler, "instructions": counted }));
        fs::write(&path, text).map_err(|e| format!("write {}: {e}", path.display()))?;
        return Ok(format!("recorded in {RECORD}\n{}", times.0));
    }
    let text = fs::read(&path).map_err(|e| format!("read {}: {e}", path.display()))?;
    let recorded: Value = serde_json::from_slice(&text).map_err(|e| format!("{RECORD}: {e}"))?;
    let (mut table, mut is_well) = compare(&recorded["instructions"], &counted);
    if recorded["compiler"] != compiler.as_str() {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "recorded with {}, counted with {compiler}", recorded["compiler"]);
    }
    table.push_str(&times.0);
    is_well &= times.1;
    if is_well {
        return Ok(table);
    }
    Err(format!("the work of a request changed; where that is meant, `cargo xtask counts --record`\n{table}"))
}

/// Instructions of one repetition of each piece of work.
fn count(program: &Path) -> Result<BTreeMap<String, u64>, String> {
    let names = say(Command::new(program).arg("list"))?;
    let one = |name: &str| {
        let [few, many] = REPEATED.map(|times| instructions(program, name, times));
        Ok((name.to_owned(), many?.saturating_sub(few?) / u64::from(REPEATED[1] - REPEATED[0])))
    };
    names.lines().map(one).collect()
}

fn instructions(program: &Path, name: &str, times: u32) -> Result<u64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--log-fd=1"]);
    valgrind.arg(program).args(["repeat", name, &times.to_string()]);
    let said = say(&mut valgrind)?;
    refs(&said).ok_or_else(|| format!("valgrind counted nothing of {name}: {said}"))
}

/// The number after `I refs:`, of which valgrind writes thousands apart.
fn refs(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("refs:"))?;
    line.split_once("refs:")?.1.trim().replace(',', "").parse().ok()
}

/// Decision times beside their limits, and whether all of them are kept.
fn time(program: &Path) -> Result<(String, bool), String> {
    let said = say(Command::new(program).arg("time"))?;
    let seen: Value = serde_json::from_str(&said).map_err(|e| format!("bench-counts said `{said}`: {e}"))?;
    let (mut table, mut is_well) = (String::new(), true);
    for (name, most) in TIMES {
        let took = seen[name].as_f64().ok_or_else(|| format!("bench-counts timed no {name}"))?;
        is_well &= took <= most;
        let verdict = if took <= most { "ok" } else { "TOO LONG" };
        let _ = writeln!(table, "{name:<16} {took:>14.1} µs, at most {most} µs  {verdict}");
    }
    for name in SHOWN {
        let took = seen[name].as_f64().ok_or_else(|| format!("bench-counts timed no {name}"))?;
        let _ = writeln!(table, "{name:<16} {took:>14.1} µs");
    }
    Ok((table, is_well))
}

/// One line for each piece of work that is recorded or counted, and whether all are as recorded.
fn compare(recorded: &Value, counted: &BTreeMap<String, u64>) -> (String, bool) {
    let known = recorded.as_object().into_iter().flatten();
    let known: BTreeMap<&str, u64> = known.filter_map(|(name, count)| Some((name.as_str(), count.as_u64()?))).collect();
    let (mut table, mut is_well) = (String::new(), true);
    for (name, count) in counted {
        let verdict = known.get(name.as_str()).map_or(Verdict::Unknown, |before| Verdict::of(*before, *count));
        is_well &= verdict == Verdict::AsRecorded;
        let _ = writeln!(table, "{name:<16} {count:>14} instructions  {}", verdict.text());
    }
    for name in known.keys().filter(|name| !counted.contains_key(**name)) {
        is_well = false;
        let _ = writeln!(table, "{name:<16} is recorded and no longer counted");
    }
    (table, is_well)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    AsRecorded,
    More,
    Fewer,
    Unknown,
}

impl Verdict {
    fn of(before: u64, now: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "instructions of one piece of work, far below 2^52")]
        let percent = (now as f64 - before as f64) * 100.0 / (before as f64).max(1.0);
        if percent > TOLERANCE {
            Self::More
        } else if percent < -TOLERANCE {
            Self::Fewer
        } else {
            Self::AsRecorded
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::AsRecorded => "as recorded",
            Self::More => "MORE than recorded",
            Self::Fewer => "FEWER than recorded",
            Self::Unknown => "NOT recorded",
        }
    }
}

fn say(command: &mut Command) -> Result<String, String> {
    let said = child::capture(command, RUN_LIMIT, Echo::Silent).map_err(|e| e.to_string())?;
    Ok(said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: u64, now: u64, expect: Verdict) {
        assert_eq!(Verdict::of(before, now), expect);
    }

    #[test]
    fn three_percent_either_way_are_as_recorded() {
        check(1000, 1030, Verdict::AsRecorded);
        check(1000, 1031, Verdict::More);
        check(1000, 970, Verdict::AsRecorded);
        check(1000, 969, Verdict::Fewer);
    }

    #[test]
    fn what_is_not_recorded_or_no_longer_counted_fails() {
        let counted = BTreeMap::from([("a".to_owned(), 10)]);
        assert!(compare(&json!({ "a": 10 }), &counted).1);
        assert!(!compare(&json!({}), &counted).1);
        assert!(!compare(&json!({ "a": 10, "b": 10 }), &counted).1);
    }

    #[test]
    fn the_count_is_read_out_of_what_valgrind_says() {
        assert_eq!(refs("==7== \n==7== I   refs:      1,234,567\n"), Some(1_234_567));
        assert_eq!(refs("==7== no such file"), None);
    }
}
