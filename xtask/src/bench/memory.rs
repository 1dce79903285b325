//! What the agent holds: fresh and idle, with open streams after a burst each, and after they have gone.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Plan;
use super::rows::Rows;
use super::running::Running;
use super::stage::Stage;

/// Name of the cell.
pub(crate) const MEMORY: &str = "memory";

/// How long things may calm down before they are looked at.
const CALM: Duration = Duration::from_millis(300);

/// Looks at a fresh agent.
pub(crate) fn measure(stage: &Stage, plan: Plan, rows: &mut Rows) -> Result<(), String> {
    let (agent, way) = stage.fresh_agent("remembered")?;
    thread::sleep(CALM);
    let idle = resident(agent.pid())?;
    rows.add(MEMORY, "ours", "idle MB", idle / 1e6);
    let mut load = Command::new(stage.program("bench-load"));
    load.args(["--port", &way.port.to_string(), "--shape", "held", "--concurrency", &plan.streams.to_string()]);
    load.args(way.token_file.iter().flat_map(|file| [std::ffi::OsStr::new("--token-file"), file.as_os_str()]));
    let holding = Running::start(&mut load)?;
    let said: Value = serde_json::from_str(&holding.said).map_err(|e| format!("bench-load: {e}"))?;
    let held = said["held"].as_f64().unwrap_or(0.0).max(1.0);
    thread::sleep(CALM);
    let open = resident(agent.pid())?;
    rows.add(MEMORY, "ours", "streams", held);
    rows.add(MEMORY, "ours", "open MB", open / 1e6);
    rows.add(MEMORY, "ours", "KB per stream", (open - idle) / held / 1e3);
    drop(holding);
    thread::sleep(CALM);
    rows.add(MEMORY, "ours", "after MB", resident(agent.pid())? / 1e6);
    Ok(())
}

/// Resident bytes of a process, shared pages of its program file included.
fn resident(pid: u32) -> Result<f64, String> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).map_err(|e| format!("read {file}: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().map_err(|e| format!("VmRSS {line}: {e}"))?;
    Ok(kilobytes * 1024.0)
}
