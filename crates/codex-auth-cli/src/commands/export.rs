//! `export`: the accounts, with their tokens, in a file a person names.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use codex_auth_view::{Saved, SavedAs};

use crate::{assemble::Product, error::CliError, json_flag::Json};

/// How an export was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExportArguments {
    /// The file to write
    #[arg(value_name = "file")]
    file: Utf8PathBuf,
    /// Replace a file that is there
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Writes the file.
pub(crate) fn export(product: &Product, arguments: &ExportArguments) -> Result<ExitCode, CliError> {
    let written = product.store.export_to(&arguments.file, arguments.force)?;
    show(product, &Saved::new(SavedAs::Export, written.path.into_string(), written.account_count), arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// Shows what was written, and what the person should know about such a file.
pub(crate) fn show(product: &Product, saved: &Saved, json: Json) {
    product.ui.show(saved, json.is_wanted());
    if !json.is_wanted() {
        saved.notes().iter().for_each(|note| product.ui.say(note));
    }
}
