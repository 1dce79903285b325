//! `import`: the accounts of files come into the pool. The files stay as they are, and nothing alive is overwritten.

use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Held, SavedPool};
use codex_auth_store::{import, merge};
use codex_auth_view::{Addition, AdditionOutcome, Imports, Named, Screen};

use crate::{
    assemble::Product,
    commands::{import_current::refuse_foreign_issuer, login::sorted},
    error::CliError,
    json_flag::Json,
};

/// How an import was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ImportArguments {
    /// Accounts files of codex-multi-auth or OpenCode, or auth.json and accounts.json files of codex
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
    let done: Imports = done.expect("the change ran");
    let done = done.applied();
    product.ui.show(&done, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}

/// Folds sign-ins into a pool and tells what each of them was.
fn folded(pool: &mut SavedPool, files: Vec<String>, incoming: Vec<Held>, product: &Product) -> Imports {
    let outcomes = merge(pool, incoming, product.clock.now());
    let additions = outcomes.iter().filter_map(|outcome| {
        let (record, outcome) = sorted(outcome);
        Some(Addition { outcome, account: Named::of(pool, &record)? })
    });
    let additions: Vec<Addition> = additions.collect();
    let shared =
        additions.iter().filter(|addition| addition.outcome != AdditionOutcome::Unchanged).filter_map(|addition| {
            let provenance = pool.accounts[addition.account.index].account.provenance.as_ref();
            provenance.filter(|from| from.shared).map(|from| (addition.account.number, from.format.clone()))
        });
    let shared: Vec<_> = shared.collect();
    Imports::preview(files, additions, pool.accounts.len(), &shared)
}

/// The sign-ins of one file.
fn accounts_of(product: &Product, file: &Utf8Path) -> Result<Vec<Held>, CliError> {
    let mut imported = import::from_file(file, product.clock.now())?;
    let is_replica = is_codexs_own(product, file);
    for held in &mut imported.accounts {
        refuse_foreign_issuer(product, file.as_str(), held.account.issuer.as_deref())?;
        if let Some(provenance) = held.account.provenance.as_mut().filter(|_| is_replica) {
            provenance.shared = false;
        }
    }
    Ok(imported.accounts)
}

/// Whether it is a file of the client we live beside: such a sign-in is renewed for both.
fn is_codexs_own(product: &Product, file: &Utf8Path) -> bool {
    let own = product.layout.client_files(product.layout.codex_home());
    let real = |path: &Utf8Path| path.canonicalize_utf8().ok();
    real(file).is_some_and(|file| [own.auth, own.accounts].iter().any(|own| real(own).as_ref() == Some(&file)))
}
