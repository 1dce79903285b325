//! A recorded long run: one dated section in `docs/assurance.md`, with the commit and the machine it ran on.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::child::{self, Echo};
use crate::workspace::Workspace;

/// Appends the closing table of a successful run.
pub(crate) fn record(workspace: &Workspace, command: &str, table: &str) -> Result<(), String> {
    let path = workspace.root.join("docs/assurance.md");
    let mut text =
        fs::read_to_string(&path).unwrap_or_else(|_| "# Assurance\n\nWhat long runs showed, newest last.\n".to_owned());
    let commit = say(workspace.command("git").args(["describe", "--always", "--dirty", "--abbrev=12"]))?;
    let date = say(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let machine = say(Command::new("uname").arg("-srm"))?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    text.push_str(&section(&date, &commit, command, &format!("{machine}, {cores} cores"), table));
    fs::write(&path, text).map_err(|e| format!("write {}: {e}", path.display()))?;
    println!("recorded in {}", workspace.relative(&path).display());
    Ok(())
}

fn section(date: &str, commit: &str, command: &str, machine: &str, table: &str) -> String {
    format!("\n## {date}, commit {commit}\n\n`{command}` on {machine}:\n\n```text\n{table}\n```\n")
}

fn say(command: &mut Command) -> Result<String, String> {
    let said = child::capture(command, Duration::from_secs(30), Echo::Silent).map_err(|e| e.to_string())?;
    Ok(said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_names_date_commit_and_machine() {
        let text = section("2001-02-03", "abc", "cargo xtask test --long", "a machine, 2 cores", "9 passed, 0 failed");
        assert!(
            text.starts_with("\n## 2001-02-03, commit abc\n\n`cargo xtask test --long` on a machine, 2 cores:"),
            "{text}"
        );
        assert!(text.ends_with("9 passed, 0 failed\n```\n"), "{text}");
    }
}
