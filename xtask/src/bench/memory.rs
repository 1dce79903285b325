//! What the agent holds: fresh and idle, with open streams after a burst each, and after they have gone.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Plan;
use super::rows::Rows;
use super::running::Running;
use super::stage::{Stage, Way};

/// Name of the cell.
pub(crate) const MEMORY: &str = "memory";

/// How long things may calm down before they are looked at.
const CALM: Duration = Duration::from_millis(300);

/// Looks at a fresh agent. The first stream only brings program pages in; the figure per stream is that of the others.
pub(crate) fn measure(stage: &Stage, plan: Plan, rows: &mut Rows) -> Result<(), String> {
    let (agent, way) = stage.fresh_agent("remembered")?;
    thread::sleep(CALM);
    rows.add(MEMORY, "ours", "idle MB", resident(agent.pid())? / 1e6);
    let (_first, _) = hold(stage, &way, 1)?;
    thread::sleep(CALM);
    let before = resident(agent.pid())?;
    let (holding, held) = hold(stage, &way, plan.streams)?;
    thread::sleep(CALM);
    let open = resident(agent.pid())?;
    rows.add(MEMORY, "ours", "streams", held);
    rows.add(MEMORY, "ours", "open MB", open / 1e6);
    rows.add(MEMORY, "ours", "KB per stream", (open - before) / held / 1e3);
    drop(holding);
    thread::sleep(CALM);
    rows.add(MEMORY, "ours", "after MB", resident(agent.pid())? / 1e6);
    Ok(())
}

/// Opens streams that have had their burst and stay open as long as the load runs; tells how many there are.
fn hold(stage: &Stage, way: &Way, streams: usize) -> Result<(Running, f64), String> {
    let mut load = Command::new(stage.program("bench-load"));
    load.args(["--port", &way.port.to_string(), "--shape", "held", "--concurrency", &streams.to_string()]);
    if let Some(file) = &way.token_file {
        load.arg("--token-file").arg(file);
    }
    let holding = Running::start(&mut load)?;
    let said: Value = serde_json::from_str(&holding.said).map_err(|e| format!("bench-load: {e}"))?;
    let held = said["held"].as_f64().filter(|held| *held >= 1.0).ok_or("no stream was held")?;
    Ok((holding, held))
}

/// Resident bytes of a process, shared pages of its program file included.
fn resident(pid: u32) -> Result<f64, String> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).map_err(|e| format!("read {file}: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().map_err(|e| format!("VmRSS {line}: {e}"))?;
    Ok(kilobytes * 1024.0)
}
