//! `login`: a person signs in, and the account comes into the pool without disturbing what is alive there.

use std::process::ExitCode;

use codex_auth_core::{Credential, Held, Kind, Login, Owner, RecordId, SavedPool, WorkspaceId};
use codex_auth_oauth::{BrowserLogin, Endpoints, LoginPorts, SignedIn, Wishes, sign_in};
use codex_auth_store::{MergeOutcome, import::from_sign_in, merge, merge_as};
use codex_auth_view::{Added, Addition, AdditionOutcome, Named, label};

use crate::{
    accounts::{Chosen, chosen},
    assemble::Product,
    commands::login::person::Person,
    error::CliError,
    json_flag::Json,
};

mod person;
mod scratch;

/// Said once, when a second account comes into a pool.
const TERMS: &str = "Several accounts: use only your own, and see that the terms you agreed to with OpenAI allow it. \
                     This program is independent of OpenAI, and it does not help to evade limits or bans.";

/// How a sign-in was asked for.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct LoginArguments {
    /// Print the address and open no browser
    #[arg(long, visible_alias = "manual")]
    pub(crate) no_browser: bool,
    /// Sign in again to this account (number, alias or e-mail address); another identity is refused
    #[arg(long, value_name = "index")]
    pub(crate) account: Option<String>,
    /// Accept only a sign-in to this workspace
    #[arg(long, value_name = "id")]
    pub(crate) org: Option<String>,
    /// Let codex sign in with a code typed on another device, in a home of its own
    #[arg(long, conflicts_with_all = ["no_browser", "org"])]
    pub(crate) device_auth: bool,
    /// Let codex sign in by itself, in a home of its own, and take over what it gets
    #[arg(long, conflicts_with_all = ["no_browser", "org"])]
    pub(crate) official: bool,
    #[command(flatten)]
    pub(crate) json: Json,
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

/// Signs somebody in and keeps what comes of it.
pub(crate) fn login(product: &Product, arguments: &LoginArguments) -> Result<ExitCode, CliError> {
    let joined = signed_in(product, arguments, &[])?;
    show(product, "login", joined, arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// The account of a fresh sign-in, once it is in the pool. `config` is for codex's own sign-in.
pub(crate) fn signed_in(product: &Product, arguments: &LoginArguments, config: &[String]) -> Result<Joined, CliError> {
    // A pool that cannot be read is never written over, and nobody signs in for nothing.
    let pool = product.store.read_now()?;
    let again = arguments.account.as_deref().map(|selector| chosen(&pool, selector)).transpose()?;
    let held = if arguments.device_auth || arguments.official {
        scratch::sign_in(product, arguments.device_auth, config)?
    } else {
        by_browser(product, arguments, !pool.accounts.is_empty())?
    };
    if let Some(again) = &again {
        refuse_another(again, &held)?;
    }
    joined(product, "login", held, again.as_ref().map(|again| &again.held.account.record))
}

fn by_browser(product: &Product, arguments: &LoginArguments, fresh: bool) -> Result<Held, CliError> {
    let person = Person::here(product, arguments.no_browser)?;
    product.say_overrides();
    let login = wanted(product, arguments, fresh)?;
    product.check_network("login")?;
    let http = product.http();
    let ports =
        LoginPorts { http: &http, entropy: product.entropy.as_ref(), clock: product.clock.as_ref(), ui: &person };
    let signed_in = Product::runtime()?.block_on(sign_in(&login, ports))?;
    Ok(held_of(signed_in, product))
}

/// Where and how to sign in.
fn wanted(product: &Product, arguments: &LoginArguments, fresh: bool) -> Result<BrowserLogin, CliError> {
    let endpoints = product.endpoints()?;
    let mut workspaces = Vec::new();
    if let Some(id) = arguments.org.as_deref().or_else(|| product.environment.text("CODEX_AUTH_ACCOUNT_ID")) {
        let workspace = WorkspaceId::parse(id).filter(|id| !id.is_platform_organisation());
        let workspace = workspace.ok_or_else(|| {
            CliError::usage(format!("{id} is no workspace id: ids that begin with org- are platform organisations."))
                .hint("Take the account id that `codex-multi-auth list --json` shows.")
        })?;
        product.ui.say(&format!("Binding this login to workspace org id: {workspace}"));
        workspaces.push(workspace);
    }
    let login = BrowserLogin::at(endpoints);
    let callback_ports = if is_on_this_machine(&login.endpoints) { vec![0] } else { login.callback_ports };
    Ok(BrowserLogin { wishes: Wishes { fresh, workspaces }, callback_ports, ..login })
}

/// An issuer on this machine accepts any port of a callback; the vendor's accepts the registered ones only.
fn is_on_this_machine(endpoints: &Endpoints) -> bool {
    endpoints.issuer().starts_with("http://")
}

fn held_of(signed_in: SignedIn, product: &Product) -> Held {
    let SignedIn { credential, claims, issuer } = signed_in;
    let owner = Owner { user: claims.user, workspace: claims.workspace, email: claims.email, plan: claims.plan };
    let credential = Credential { expires_at: credential.expires_at.or(claims.expires_at), ..credential };
    from_sign_in(owner, credential, Some(issuer), product.clock.now())
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
    let who = label(again.named.number, &held.account).replacen(&format!("Account {}", again.named.number), "", 1);
    Err(CliError::new(
        Kind::NeedsLogin,
        "other_identity",
        format!("This sign-in is of somebody else{who}, not of {}. It was not stored.", again.named.label),
    )
    .hint("Run `codex-multi-auth login` without --account to add it as an account of its own.")
    .account(again.named.number))
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
    if !held.account.enabled {
        let number = addition.account.number;
        product.ui.say(&format!("Account {number} stays disabled; `codex-multi-auth switch {number}` enables it."));
    }
    product.ui.show(&Added::new(command, addition, pool.accounts.len()), json.is_wanted());
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
