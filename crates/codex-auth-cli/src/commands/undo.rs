//! `undo`: the last change, or one by its number, is taken back.

use std::process::ExitCode;

use codex_auth_core::{Held, SavedPool};
use codex_auth_store::{Aside, Logged, Remark, Undone};
use codex_auth_view::{LoginAgain, Named, OperationList, OperationRow, TakenBack};

use crate::{assemble::Product, commands::remove::REVOKED, error::CliError, json_flag::Json};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UndoArguments {
    /// Number of the operation, from `undo --list`; the last one without it
    #[arg(value_name = "number", conflicts_with = "list")]
    number: Option<u64>,
    /// Show what was done, newest first
    #[arg(long, short)]
    list: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Takes a change back.
pub(crate) fn undo(product: &Product, arguments: &UndoArguments) -> Result<ExitCode, CliError> {
    if arguments.list {
        let all = product.store.operations()?;
        let rows =
            all.iter().rev().map(|logged| row(logged, all.iter().any(|other| other.undoes == Some(logged.number))));
        product.ui.show(&OperationList::new(rows.collect(), product.clock.now()), arguments.json.is_wanted());
        return Ok(ExitCode::SUCCESS);
    }
    let before = product.store.read_now()?;
    let undone = product.store.undo(arguments.number)?;
    product.tell_the_agent();
    let login = login_again(&undone);
    let Undone { operation, remarks, after } = undone;
    let remarks = remarks.iter().map(ToString::to_string).chain(without_tokens(&before, &after)).collect();
    let taken = TakenBack::new(row(&operation, true), after.accounts.len(), login, remarks);
    product.ui.show(&taken, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}

/// Who came back, but was removed together with the sign-in: the tokens that came along are dead.
fn without_tokens(before: &SavedPool, after: &SavedPool) -> Vec<String> {
    let is_revoked = |held: &Held| held.account.needs_login.as_ref().is_some_and(|needs| needs.code == REVOKED);
    let is_back = |held: &&Held| before.find(&held.account.record).is_none() && is_revoked(held);
    let back = after.accounts.iter().filter(is_back).filter_map(|held| Named::of(after, &held.account.record));
    let said = back.map(|Named { number, label, .. }| {
        format!(
            "{label} was removed with --revoke: its tokens count as revoked and are not used again. Run `codex-multi-auth \
             login --account {number}`."
        )
    });
    said.collect()
}

/// Whose login codex has now that this was taken back.
fn login_again(undone: &Undone) -> LoginAgain {
    let Some(Aside::Login { before, .. }) = &undone.operation.aside else { return LoginAgain::Stays };
    if undone.remarks.iter().any(|remark| matches!(remark, Remark::LoginStays { .. })) {
        return LoginAgain::Stays;
    }
    before.as_ref().map_or(LoginAgain::Nobodys, |record| {
        Named::of(&undone.after, record).map_or(LoginAgain::Stays, |named| LoginAgain::Of(named.label))
    })
}

fn row(logged: &Logged, undone: bool) -> OperationRow {
    let Logged { number, at, command, change, .. } = logged.clone();
    OperationRow { number, at, command, change, undone }
}
