//! The rules every file keeps: length, a stated purpose, no unfinished work, no sleeping test, no trace of a machine.

mod manifest;
mod source;

use std::env;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::workspace::Workspace;

/// One line that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) file: String,
    /// 1-based; 0 means the file as a whole.
    pub(crate) line: usize,
    pub(crate) rule: String,
}

impl Finding {
    fn new(file: &Path, line: usize, rule: impl Into<String>) -> Self {
        Self { file: file.display().to_string(), line, rule: rule.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.file, self.rule),
            line => write!(out, "{}:{line}: {}", self.file, self.rule),
        }
    }
}

/// Checks every file git knows or would add; the error lists every finding.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let machine = machine_paths(workspace);
    let root_bans = read(workspace, Path::new("clippy.toml"))?;
    let files = workspace.files()?;
    let mut findings = Vec::new();
    for file in &files {
        // Goldens and locks are text too; what is not text holds no rule of ours.
        let Ok(text) = fs::read_to_string(workspace.root.join(file)) else { continue };
        findings.extend(source::traces(file, &text, &machine));
        if file.extension().is_some_and(|extension| extension == "rs") {
            findings.extend(source::rust(file, &text));
        }
        if file == Path::new("Cargo.toml") {
            findings.extend(manifest::unexplained_dependencies(file, &text));
        }
        if file.file_name().is_some_and(|name| name == "clippy.toml") {
            findings.extend(manifest::missing_bans(file, &text, &root_bans));
        }
    }
    if findings.is_empty() {
        println!("{} files, all tidy", files.len());
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(format!("{} finding(s)\n{}", lines.len(), lines.join("\n")))
}

/// Directories that exist on this machine only: the checkout, what stands beside it, and a person's home.
fn machine_paths(workspace: &Workspace) -> Vec<String> {
    let beside = workspace.root.parent().map(Path::to_path_buf);
    let home = env::var_os("HOME").map(std::path::PathBuf::from);
    // A checkout in the temporary directory says nothing about the machine: every machine has one.
    let tells = |dir: &Path| dir.components().count() > 1 && dir != env::temp_dir() && dir != Path::new("/tmp");
    let dirs = [beside, home].into_iter().flatten().filter(|dir| tells(dir));
    dirs.map(|dir| format!("{}/", dir.display())).collect()
}

fn read(workspace: &Workspace, file: &Path) -> Result<String, String> {
    fs::read_to_string(workspace.root.join(file)).map_err(|e| format!("read {}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_tidy() {
        check(&Workspace::find().unwrap()).unwrap();
    }
}
