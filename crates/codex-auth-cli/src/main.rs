//! `codex-multi-auth`: sign in, see, switch, diagnose, and run codex through the agent.

mod accounts;
mod agent;
mod assemble;
mod changes;
mod child;
mod cli;
mod client_version;
mod command_line;
mod commands;
mod decided;
mod environment;
mod error;
mod invocation;
mod json_flag;
mod launch;
mod misuse;
mod official_binary;
mod pools;
mod span;
mod ui;
mod version_cache;

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let environment = environment::Environment::of_process();
    let columns = environment.text("COLUMNS").and_then(|text| text.parse().ok());
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_else(|| OsString::from("codex-multi-auth"));
    cli::answer(&program, words.collect(), environment, ui::Ui::of_process(columns))
}
