//! `undo`: the last change, or one by its number, is taken back.

use std::process::ExitCode;

use codex_auth_store::{Aside, Logged, Remark, Undone};
use codex_auth_view::{LoginAgain, Named, OperationList, OperationRow, TakenBack};

use crate::{assemble::Product, error::CliError, json_flag::Json};

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
    let undone = product.store.undo(arguments.number)?;
    product.tell_the_agent();
    let login = login_again(&undone);
    let Undone { operation, remarks, after } = undone;
    let remarks = remarks.iter().map(ToString::to_string).collect();
    let taken = TakenBack::new(row(&operation, true), after.accounts.len(), login, remarks);
    product.ui.show(&taken, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
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
