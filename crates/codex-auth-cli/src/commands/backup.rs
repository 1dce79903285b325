//! `backup`: the accounts kept under a name beside the pool, and the list of what is kept.

use std::process::ExitCode;

use codex_auth_store::{BackupError, BackupName, named_backups};
use codex_auth_view::{BackupList, BackupRow, Saved, SavedAs};

use crate::{assemble::Product, commands::export::show, error::CliError, json_flag::Json};

/// How a backup was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BackupArguments {
    /// Name of the new backup; without one, the backups are listed
    #[arg(value_name = "name")]
    name: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Makes a backup, or lists them.
pub(crate) fn backup(product: &Product, arguments: &BackupArguments) -> Result<ExitCode, CliError> {
    match &arguments.name {
        Some(name) => {
            let name = BackupName::parse(name).map_err(BackupError::from)?;
            let written = product.store.back_up(&name)?;
            let saved = Saved::new(SavedAs::Backup, written.path.into_string(), written.account_count);
            show(product, &saved, arguments.json);
        }
        None => product.ui.show(&list(product)?, arguments.json.is_wanted()),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(product: &Product) -> Result<BackupList, CliError> {
    let now = product.clock.now();
    let rows = named_backups(&product.layout, now)?.into_iter().map(|backup| BackupRow {
        path: backup.path.into_string(),
        file_name: backup.file_name,
        account_count: backup.account_count,
        mtime_ms: backup.modified_at.as_millis(),
    });
    Ok(BackupList::new(product.layout.backups_dir().into_string(), rows.collect(), now))
}
