//! `wrapper`: one link named `codex` in one directory of ours, made and removed by explicit command only.
//!
//! No start file of a shell is touched: the line that puts the directory on `PATH` is printed.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use codex_auth_view::{WrapperChange, WrapperState, WrapperStatus};

use crate::{
    assemble::Product,
    commands::wrapper::link::Link,
    error::CliError,
    official_binary::{self, is_same},
};

mod link;

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WrapperArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum What {
    /// Show whether it is installed, and what `codex` means on PATH (default)
    Status,
    /// Make the link and print the line for PATH
    Install,
    /// Remove the link and everything made for it
    Remove,
}

impl WrapperArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None | Some(What::Status) => "wrapper status",
            Some(What::Install) => "wrapper install",
            Some(What::Remove) => "wrapper remove",
        }
    }

    /// Whether a document is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Shows, makes or removes the link.
pub(crate) fn wrapper(product: &Product, arguments: &WrapperArguments) -> Result<ExitCode, CliError> {
    let link = Link::below(product.layout.base(), &product.own_path)?;
    let change = match arguments.what {
        None | Some(What::Status) => WrapperChange::Looked,
        Some(What::Install) => link.install()?,
        Some(What::Remove) => link.remove()?,
    };
    product.ui.show(&status(product, &link, change)?, arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn status(product: &Product, link: &Link, change: WrapperChange) -> Result<WrapperStatus, CliError> {
    let first = first_on_path(product);
    let is_ours = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| is_same(&found, &product.own_path));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let state: WrapperState = link.state()?;
    Ok(WrapperStatus {
        change,
        state,
        link: link.path().to_string(),
        target: link.target(),
        path_line: link.path_line(),
        first_is_ours: first.as_ref().is_some_and(is_ours),
        first_on_path: first.as_deref().map(text),
        official: official_binary::find(&product.environment, &product.own_path).ok().as_deref().map(text),
    })
}

/// What a shell would start as `codex`.
fn first_on_path(product: &Product) -> Option<PathBuf> {
    let path = product.environment.raw("PATH").unwrap_or(OsStr::new(""));
    std::env::split_paths(path)
        .map(|directory| directory.join("codex"))
        .find(|candidate| std::fs::metadata(candidate).is_ok_and(|found| official_binary::is_executable(&found)))
}
