//! `import`: the accounts of files come into the pool. The files stay as they are, and nothing alive is overwritten.

use std::{io::ErrorKind, process::ExitCode};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Held, Kind, LoginState, StoreError};
use codex_auth_store::{
    Fs, OsFs,
    import::{from_document, from_login},
    login_of, merge,
};
use codex_auth_view::{Addition, Imports, Named, Screen};
use serde_json::Value;

use crate::{
    assemble::Product,
    commands::{import_current::refuse_foreign_issuer, login::sorted},
    error::CliError,
    json_flag::Json,
};

/// Larger files are no accounts files.
const LARGEST: u64 = 4 * 1024 * 1024;

const NOTHING: &str = "Nothing was imported.";

/// How an import was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ImportArguments {
    /// Accounts files (version 1 or 3), or auth.json files of codex
    #[arg(required = true, value_name = "file")]
    files: Vec<Utf8PathBuf>,
    /// Only show what would be imported
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Imports files.
pub(crate) fn import(product: &Product, arguments: &ImportArguments) -> Result<ExitCode, CliError> {
    let mut incoming = Vec::new();
    for file in &arguments.files {
        incoming.extend(accounts_of(product, file)?);
    }
    let mut pool = product.store.read_now()?;
    let names: Vec<String> = arguments.files.iter().map(ToString::to_string).collect();
    let preview = folded(&mut pool, names.clone(), incoming.clone(), product);
    if arguments.dry_run {
        product.ui.show(&preview.dry_run(), arguments.json.is_wanted());
        return Ok(ExitCode::SUCCESS);
    }
    if preview.is_news() && product.ui.can_ask && !arguments.yes {
        product.ui.say(preview.text(product.ui.width).trim_end());
        let answer = product.ui.ask("Import these accounts? [y/N] ").unwrap_or_default().to_lowercase();
        if !matches!(answer.as_str(), "y" | "yes") {
            product.ui.say("Nothing was imported.");
            return Ok(ExitCode::FAILURE);
        }
    }
    let mut done = None;
    product.change("import", &format!("imported {}", names.join(", ")), |pool| {
        done = Some(folded(pool, names, incoming, product));
    })?;
    let done = done.expect("the change ran").applied();
    product.ui.show(&done, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}

/// Folds sign-ins into a pool and tells what each of them was.
fn folded(
    pool: &mut codex_auth_core::SavedPool,
    files: Vec<String>,
    incoming: Vec<Held>,
    product: &Product,
) -> Imports {
    let outcomes = merge(pool, incoming, product.clock.now());
    let additions = outcomes.iter().filter_map(|outcome| {
        let (record, outcome) = sorted(outcome);
        Some(Addition { outcome, account: Named::of(pool, &record)? })
    });
    let additions: Vec<_> = additions.collect();
    Imports::preview(files, additions, pool.accounts.len())
}

/// The sign-ins of one file.
fn accounts_of(product: &Product, file: &Utf8Path) -> Result<Vec<Held>, CliError> {
    let bytes = bytes_of(file)?;
    let now = product.clock.now();
    let document: Value = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))
        .map_err(|_| refused(format!("Invalid JSON in import file: {file}")))?;
    if document.get("accounts").is_some_and(Value::is_array) {
        let read = from_document(file, &bytes, now);
        return Ok(read.map_err(|error| CliError::from(error).hint(NOTHING))?.accounts);
    }
    if document.get("tokens").is_none()
        && document.get("auth_mode").is_none()
        && document.get("OPENAI_API_KEY").is_none()
    {
        return Err(refused(format!("Invalid account storage format: {file}")));
    }
    match login_of(file, &bytes) {
        LoginState::Usable(login) => {
            refuse_foreign_issuer(product, file.as_str(), &login)?;
            Ok(vec![from_login(*login, now)])
        }
        LoginState::Unusable { why } => Err(refused(crate::error::capitalised(&why))),
        LoginState::Absent => Err(refused(format!("Import file not found: {file}"))),
    }
}

fn bytes_of(file: &Utf8Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => refused(format!("Import file not found: {file}")),
        _ => StoreError::Io { verb: "read", path: file.to_string(), why: error.to_string() }.into(),
    };
    let found = file.metadata().map_err(|error| failed(&error))?;
    if found.len() > LARGEST {
        return Err(refused(format!("Import file exceeds maximum size of {LARGEST} bytes: {file}")));
    }
    OsFs.read(file).map_err(|error| failed(&error))
}

fn refused(message: String) -> CliError {
    CliError::new(Kind::Usage, "import_refused", message).hint(NOTHING)
}
