//! `files`: every known file that is there and how it is. Read only; exit code 1 when one cannot be used.

use std::process::ExitCode;

use codex_auth_store::{
    OsFs,
    catalog::{self, FoundFile, Health, Places},
    opencode_config_root,
};
use codex_auth_view::{FileHealth, FileRow, Files};

use crate::{assemble::Product, json_flag::Json};

/// How it was asked for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct FilesArguments {
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Shows the files.
pub(crate) fn files(product: &Product, arguments: FilesArguments) -> ExitCode {
    let root = product.layout.root().to_owned();
    let codex_home = product.layout.codex_home().to_owned();
    let xdg_config_home = product.environment.text("XDG_CONFIG_HOME");
    let opencode = opencode_config_root(product.layout.home(), xdg_config_home);
    let places = Places { root: Some(root.clone()), codex_home: Some(codex_home), opencode: Some(opencode) };
    let rows = catalog::look(&places, &OsFs).into_iter().map(row).collect();
    let files = Files::new(root, rows, product.clock.now());
    product.ui.show(&files, arguments.json.is_wanted());
    if files.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(found: FoundFile) -> FileRow {
    FileRow {
        path: found.path.into_string(),
        owner: found.known.owner.as_str().to_owned(),
        holds: found.known.holds.to_owned(),
        version: found.version,
        health: match found.health {
            Health::Sound => FileHealth::Ok,
            Health::Broken { why } => FileHealth::Broken { why },
            Health::UnknownVersion { .. } => FileHealth::UnknownVersion,
        },
        quarantined: found.quarantined,
        size: found.bytes,
        mode: found.mode,
        modified_at: found.modified_at.as_millis(),
    }
}
