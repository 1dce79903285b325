//! `login`: a person signs in, and the account comes into the pool without disturbing what is alive there.

use std::process::ExitCode;

use codex_auth_core::{Held, Kind, Login, Owner, RecordId, SavedPool};
use codex_auth_store::{MergeOutcome, merge, merge_as};
use codex_auth_view::{Added, Addition, AdditionOutcome, Cancelled, Named};

use crate::{
    accounts::{Chosen, chosen},
    assemble::Product,
    error::CliError,
    json_flag::Json,
    misuse::missing_org,
};

mod choice;
mod debugging;
mod device;
mod page;
mod person;
mod port_holder;
mod qr;
mod scratch;
mod typed;
mod ways;
mod workspaces;

use choice::Way;
pub(crate) use person::Person;

/// Said once, when a second account comes into a pool.
const TERMS: &str = "Several accounts: use only your own, and see that the terms you agreed to with OpenAI allow it. \
                     This program is independent of OpenAI, and it does not help to evade limits or bans.";
/// The browser remembers the sign-in before.
const TIP: &str = "Tip: a private window lets you sign in as somebody else than the browser remembers.";

/// How a sign-in was asked for.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct LoginArguments {
    /// Sign in with a code typed on another device; no browser and no port is needed here
    #[arg(long)]
    pub(crate) device_auth: bool,
    /// Print the address, listen on no port, and read the callback's address from a line you paste
    #[arg(long)]
    pub(crate) manual: bool,
    /// Print the address and open no browser; the callback, or its address pasted, is taken
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Sign in again to this account (number, alias or e-mail address); another identity is refused
    #[arg(long, value_name = "index")]
    pub(crate) account: Option<String>,
    /// Accept only a sign-in to this workspace
    #[arg(long, value_name = "id")]
    pub(crate) org: Option<String>,
    /// Let codex sign in by itself, in a home of its own, and take over what it gets
    #[arg(long, conflicts_with_all = ["manual", "no_browser", "org"])]
    pub(crate) official: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

impl LoginArguments {
    /// The way the flags name, if they name one and no two that exclude each other.
    fn way(&self) -> Result<Option<Way>, CliError> {
        if self.org.as_ref().is_some_and(|id| id.trim().is_empty()) {
            return Err(missing_org());
        }
        let others = [(self.manual, "--manual"), (self.no_browser, "--no-browser")];
        let others: Vec<&str> = others.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag).collect();
        match (self.device_auth, others.as_slice()) {
            (true, []) => Ok(Some(Way::Device)),
            (true, [..]) => Err(CliError::usage(format!("Cannot combine --device-auth with {}", others.join(" and ")))
                .hint("Run `codex-multi-auth login --help` to see the options.")),
            (false, _) if self.manual => Ok(Some(Way::Paste)),
            (false, _) if self.no_browser => Ok(Some(Way::Address)),
            (false, _) => Ok(None),
        }
    }
}

/// What a sign-in was to the pool.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The account and what it was.
    pub(crate) addition: Addition,
    /// Its record.
    pub(crate) record: RecordId,
    /// The pool afterwards.
    pub(crate) pool: SavedPool,
}

/// Signs somebody in and keeps what comes of it, as often as the person wants.
pub(crate) fn login(product: &Product, arguments: &LoginArguments) -> Result<ExitCode, CliError> {
    let person = Person::at(product.ui);
    let mut added = 0;
    loop {
        let Some(joined) = signed_in(product, arguments, &person, &[])? else {
            cancelled(product, arguments.json);
            return Ok(ExitCode::SUCCESS);
        };
        added += 1;
        show(product, "login", joined, arguments.json);
        let may_go_on = person.can_type() && arguments.account.is_none() && !arguments.json.is_wanted();
        if !may_go_on || !ways::wants_another(&person, added)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The account of a fresh sign-in, once it is in the pool; `None` when the person ended it. `config` is for codex's own
/// sign-in.
pub(crate) fn signed_in(
    product: &Product,
    arguments: &LoginArguments,
    person: &Person,
    config: &[String],
) -> Result<Option<Joined>, CliError> {
    let way = arguments.way()?;
    // A pool that cannot be read is never written over, and nobody signs in for nothing.
    let pool = product.store.read_now()?;
    let again = arguments.account.as_deref().map(|selector| chosen(&pool, selector)).transpose()?;
    let held = if arguments.official {
        Some(scratch::sign_in(product, arguments.device_auth, config)?)
    } else {
        let way = way.map_or_else(|| ways::without_a_flag(product), Ok)?;
        let fresh = !pool.accounts.is_empty();
        ways::sign_in(product, person, &ways::Wanted { way, org: arguments.org.as_deref(), fresh })
            .map_err(|error| again.as_ref().map_or(error.clone(), |again| for_account(error, again.named.number)))?
    };
    let Some(held) = held else { return Ok(None) };
    if let Some(again) = &again {
        refuse_another(again, &held)?;
    }
    joined(product, "login", held, again.as_ref().map(|again| &again.held.account.record)).map(Some)
}

/// The next step of a failed renewal names the account that was to be renewed.
fn for_account(error: CliError, number: usize) -> CliError {
    let login = "`codex-multi-auth login";
    let named = |hint: String| hint.replace(login, &format!("{login} --account {number}"));
    CliError { hint: error.hint.map(named), account: Some(number), ..error }
}

/// A person's own end of a sign-in is no failure.
pub(crate) fn cancelled(product: &Product, json: Json) {
    product.ui.show(&Cancelled::of("login"), json.is_wanted());
}

/// `login --account` renews one account; somebody else's sign-in is not stored under its name.
fn refuse_another(again: &Chosen, held: &Held) -> Result<(), CliError> {
    let (mine, theirs) = (&again.held.account.owner, &held.account.owner);
    let same = match (mine.identity(), theirs.identity()) {
        (Some(mine), Some(theirs)) => mine == theirs,
        // An account that names no identity yet gets it by this sign-in.
        (None, _) | (_, None) => !mine.contradicts(theirs),
    };
    if same {
        return Ok(());
    }
    let (number, what) = (again.named.number, "Nothing was stored, and nothing was revoked.");
    Err(CliError::new(
        Kind::NeedsLogin,
        "other_identity",
        format!(
            "This sign-in is of {}, not of {}, which is {}. {what}",
            identity(theirs),
            again.named.label,
            identity(mine)
        ),
    )
    .hint(format!(
        "Run `codex-multi-auth login --account {number}` and sign in as {}, or `codex-multi-auth login` to add the other \
         one as an account of its own.",
        mine.email.as_deref().unwrap_or("the same person")
    ))
    .account(number))
}

/// `me@corp.test in workspace 0000…`
fn identity(owner: &Owner) -> String {
    let email = owner.email.as_deref().unwrap_or("somebody without an address");
    let workspace = owner.workspace.as_ref().map_or_else(|| "no workspace".to_owned(), |id| format!("workspace {id}"));
    format!("{email} in {workspace}")
}

/// Folds a sign-in into the pool; one made for an account already there belongs to that one.
pub(crate) fn joined(
    product: &Product,
    command: &str,
    held: Held,
    again: Option<&RecordId>,
) -> Result<Joined, CliError> {
    let now = product.clock.now();
    let mut outcome = None;
    let pool = product.change(command, "signed in", |pool| {
        outcome = match again {
            Some(record) => Some(merge_as(pool, record, held, now)),
            None => merge(pool, vec![held], now).pop(),
        };
    })?;
    let outcome = outcome.expect("one sign-in has one outcome");
    let (record, kind) = sorted(&outcome);
    let account = Named::of(&pool, &record).expect("it was just put there");
    Ok(Joined { addition: Addition { outcome: kind, account }, record, pool })
}

/// An outcome as views tell it.
pub(crate) fn sorted(outcome: &MergeOutcome) -> (RecordId, AdditionOutcome) {
    match outcome {
        MergeOutcome::Added(record) => (record.clone(), AdditionOutcome::Added),
        MergeOutcome::Updated(record) => (record.clone(), AdditionOutcome::Updated),
        MergeOutcome::Unchanged(record) => (record.clone(), AdditionOutcome::Unchanged),
    }
}

/// Shows what a sign-in was, and the notice that belongs to a second account.
pub(crate) fn show(product: &Product, command: &'static str, joined: Joined, json: Json) {
    let Joined { addition, pool, .. } = joined;
    let is_second = addition.outcome == AdditionOutcome::Added && pool.accounts.len() == 2;
    let held = &pool.accounts[addition.account.index];
    let number = addition.account.number;
    if !held.account.enabled {
        product.ui.say(&format!("Account {number} stays disabled; `codex-multi-auth switch {number}` enables it."));
    }
    let others = workspaces::others(product, held, &pool);
    product.ui.show(&Added::new(command, addition, pool.accounts.len()).beside(others), json.is_wanted());
    if held.credential.id.is_none() {
        product.ui.say(&format!(
            "The issuer granted no id token: requests through the pool work, but codex itself would fail with `missing \
             field id_token`. `codex-multi-auth login --account {number}` signs in again."
        ));
    }
    if is_second {
        product.ui.say(TERMS);
    }
}

/// Whether an official login is one of the pool's accounts.
pub(crate) fn is_in_pool(pool: &SavedPool, login: &Login) -> bool {
    pool.accounts
        .iter()
        .any(|held| held.account.owner.agrees_with(&login.owner) || held.credential.same_grant(&login.credential))
}
