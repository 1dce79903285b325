//! What the pool on disk costs: opening it and deciding, and keeping one renewed token beside few and many others.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::child::{self, Echo};

use super::Plan;
use super::rows::Rows;
use super::stage::Stage;

/// Name of the cell.
pub(crate) const STORE: &str = "store";
/// The way that opens a pool of fifty and decides.
pub(crate) const OPEN: &str = "50 accounts";
/// The ways that keep a token, by the number of other accounts.
pub(crate) const COMMIT: [&str; 2] = ["10", "1000"];

const LIMIT: Duration = Duration::from_mins(5);

/// Measures on the disk of the target directory.
pub(crate) fn measure(stage: &Stage, plan: Plan, rows: &mut Rows) -> Result<(), String> {
    let dir = stage.room("store");
    fs::create_dir_all(&dir).map_err(|e| format!("make {}: {e}", dir.display()))?;
    let mut command = Command::new(stage.program("bench-store"));
    command.arg("--dir").arg(&dir).args(["--rounds", &plan.processes.to_string()]);
    let said = child::capture(&mut command, LIMIT, Echo::Silent).map_err(|e| e.to_string())?;
    let seen: Value = serde_json::from_str(said.trim()).map_err(|e| format!("bench-store said `{said}`: {e}"))?;
    let values =
        |seen: &Value| -> Vec<f64> { seen.as_array().into_iter().flatten().filter_map(Value::as_f64).collect() };
    for value in values(&seen["open_us"]) {
        rows.add(STORE, OPEN, "ms", value / 1e3);
    }
    for others in COMMIT {
        for (key, figure) in [("commit_us", "commit ms"), ("publish_us", "documents ms")] {
            for value in values(&seen[key][others]) {
                rows.add(STORE, others, figure, value / 1e3);
            }
        }
    }
    Ok(())
}
