//! The loads: small answers at several widths, paced streams, long streams, and a large pool against a small one.

use std::time::Duration;

use serde_json::Value;

use crate::child::{self, Echo};

use super::Plan;
use super::rows::Rows;
use super::stage::{Stage, Way};

/// Widths of the closed loop.
pub(crate) const WIDTHS: [usize; 4] = [1, 16, 32, 64];
/// Name of the cell of small answers at a width.
pub(crate) fn small(width: usize) -> String {
    format!("small c={width}")
}
/// Name of the cell of paced streams.
pub(crate) const PACED: &str = "paced c=64";
/// Names of the cells of long streams.
pub(crate) const LONG: [&str; 2] = ["20 MB in 1 KB", "20 MB in 200 B"];
/// Name of the cell of the large pool.
pub(crate) const POOLS: &str = "accounts c=16";
/// Pairs of runs of the large and the small pool.
const PAIRS: usize = 5;

/// How long a load may take beyond its own time before it is stopped.
const SLACK: Duration = Duration::from_secs(20);

/// Runs all loads.
pub(crate) fn measure(stage: &Stage, plan: Plan, rows: &mut Rows) -> Result<(), String> {
    for round in 1..=plan.rounds {
        println!("round {round} of {}", plan.rounds);
        for width in WIDTHS {
            for way in &stage.ways {
                let load = Load { shape: "small", width, lasts: Some(plan.cell) };
                loop_cell(stage, way, load, (&small(width), way.name), rows)?;
            }
        }
        for way in &stage.ways {
            paced(stage, way, rows)?;
        }
        for (name, shape) in LONG.into_iter().zip(["long-1024", "long-200"]) {
            for way in &stage.ways {
                let load = Load { shape, width: 1, lasts: Some(plan.cell / 2) };
                loop_cell(stage, way, load, (name, way.name), rows)?;
            }
        }
    }
    for _ in 0..PAIRS {
        for (way, name) in [(stage.ours(), "5"), (&stage.many_accounts, "500")] {
            let load = Load { shape: "small", width: 16, lasts: Some(plan.cell) };
            loop_cell(stage, way, load, (POOLS, name), rows)?;
        }
    }
    Ok(())
}

/// What is asked for, by how many, for how long.
#[derive(Clone, Copy)]
struct Load {
    shape: &'static str,
    width: usize,
    /// Without it each thread asks once.
    lasts: Option<Duration>,
}

fn loop_cell(stage: &Stage, way: &Way, load: Load, name: (&str, &str), rows: &mut Rows) -> Result<(), String> {
    let seen = run(stage, way, load)?;
    let figure = |key: &str| seen[key].as_f64().unwrap_or(0.0);
    let (cell, way) = name;
    rows.failed(cell, way, seen["failures"].as_u64().unwrap_or(0));
    if figure("requests") == 0.0 {
        return Ok(());
    }
    if load.shape == "small" {
        rows.add(cell, way, "rps", figure("requests") / figure("seconds"));
        rows.add(cell, way, "p50 µs", figure("p50_us"));
        rows.add(cell, way, "p99 µs", figure("p99_us"));
    } else {
        rows.add(cell, way, "MB/s", figure("bytes") / figure("seconds") / 1e6);
        rows.add(cell, way, "first byte µs", figure("first_byte_us"));
    }
    Ok(())
}

fn paced(stage: &Stage, way: &Way, rows: &mut Rows) -> Result<(), String> {
    let seen = run(stage, way, Load { shape: "paced-60", width: 64, lasts: None })?;
    let figure = |key: &str| seen[key].as_f64().unwrap_or(0.0);
    rows.failed(PACED, way.name, seen["failures"].as_u64().unwrap_or(0));
    rows.add(PACED, way.name, "events/s", figure("events") / figure("seconds"));
    for (figure_name, key) in [("p50 µs", "p50_us"), ("p90 µs", "p90_us"), ("p99 µs", "p99_us")] {
        rows.add(PACED, way.name, figure_name, figure(key));
    }
    Ok(())
}

fn run(stage: &Stage, way: &Way, load: Load) -> Result<Value, String> {
    let mut command = std::process::Command::new(stage.program("bench-load"));
    command.args(["--port", &way.port.to_string(), "--shape", load.shape, "--concurrency", &load.width.to_string()]);
    if let Some(lasts) = load.lasts {
        command.args(["--millis", &lasts.as_millis().to_string()]);
    }
    if let Some(file) = &way.token_file {
        command.arg("--token-file").arg(file);
    }
    let limit = load.lasts.unwrap_or_default() + SLACK;
    let said = child::capture(&mut command, limit, Echo::Silent).map_err(|e| e.to_string())?;
    serde_json::from_str(said.trim()).map_err(|e| format!("bench-load said `{said}`: {e}"))
}
