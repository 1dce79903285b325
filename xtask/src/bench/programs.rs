//! What whole processes cost, from the call to the exit, beside an empty program and beside node; and how soon the
//! agent is ready.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::Plan;
use super::rows::Rows;
use super::stage::Stage;

/// Name of the cell.
pub(crate) const PROCESS: &str = "process";
/// Name of the cell of starts.
pub(crate) const START: &str = "start";

/// Runs each in turn.
pub(crate) fn measure(stage: &Stage, plan: Plan, rows: &mut Rows) -> Result<(), String> {
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|answer| answer.status.success());
    for _ in 0..plan.processes {
        time(&mut Command::new(stage.program("bench-empty")), "empty", rows)?;
        time(&mut stage.listing(&["--version"])?, "--version", rows)?;
        time(&mut stage.listing(&["list"])?, "list", rows)?;
        if has_node {
            time(Command::new("node").args(["-e", "0"]), "node -e 0", rows)?;
        }
    }
    for _ in 0..plan.processes / 2 {
        let (running, _) = stage.fresh_agent("started")?;
        rows.add(START, "ours", "ms", running.ready_after.as_secs_f64() * 1e3);
    }
    Ok(())
}

fn time(command: &mut Command, name: &str, rows: &mut Rows) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().map_err(|e| format!("cannot run {name}: {e}"))?;
    let took = began.elapsed();
    if status.success() {
        rows.add(PROCESS, name, "ms", took.as_secs_f64() * 1e3);
    } else {
        rows.failed(PROCESS, name, 1);
    }
    Ok(())
}
