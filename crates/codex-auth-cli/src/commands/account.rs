//! `account`: what the user wants of single accounts: tags, weight, pause, drain, reserve, note.

use std::process::ExitCode;

use codex_auth_core::account_tag;
use codex_auth_store::{
    Operation,
    documents::account_policies::{AccountPolicies, AccountPolicy, key_in},
};
use codex_auth_view::{Named, PolicyList, PolicyRow, RuleChanged};

use crate::{
    accounts::{Chosen, chosen},
    assemble::Product,
    error::CliError,
};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AccountArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Give an account a tag, by which projects prefer or avoid it
    Tag(Words),
    /// Take a tag away
    Untag(Words),
    /// Set how large its share of new work is: 0 to 10, 1 is usual, 0 means only when nobody else can
    Weight(Words),
    /// Use it for nothing until it is unpaused
    Pause(Words),
    /// Use it again
    Unpause(Words),
    /// Give it no new sessions; those it has may go on
    Drain(Words),
    /// Give it new sessions again
    Undrain(Words),
    /// Leave this percentage of its quota alone while another account can serve; 0 leaves nothing
    Reserve(Words),
    /// Keep a note about it; without words, no note
    Note(Words),
    /// Show what is wanted of every account
    Policy {
        /// `list`
        #[arg(value_name = "list")]
        what: Option<String>,
    },
}

/// An account and what is said of it.
#[derive(Debug, Clone, clap::Args)]
struct Words {
    /// Number, alias, e-mail or workspace of the account
    #[arg(value_name = "account")]
    account: Option<String>,
    /// What is said
    #[arg(value_name = "words", allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A change of one account's rules.
struct Change {
    command: &'static str,
    /// What it does, for the log.
    what: String,
    /// What the user reads afterwards.
    said: fn(usize, &AccountPolicy) -> String,
    act: Box<dyn FnOnce(&mut AccountPolicy)>,
}

impl AccountArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None => "account",
            Some(What::Tag(_)) => "account tag",
            Some(What::Untag(_)) => "account untag",
            Some(What::Weight(_)) => "account weight",
            Some(What::Pause(_)) => "account pause",
            Some(What::Unpause(_)) => "account unpause",
            Some(What::Drain(_)) => "account drain",
            Some(What::Undrain(_)) => "account undrain",
            Some(What::Reserve(_)) => "account reserve",
            Some(What::Note(_)) => "account note",
            Some(What::Policy { .. }) => "account policy list",
        }
    }

    /// Whether a document is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Shows or changes.
pub(crate) fn account(product: &Product, arguments: AccountArguments) -> Result<ExitCode, CliError> {
    let (command, as_json) = (arguments.name(), arguments.json);
    match arguments.what {
        None => product.ui.data(&crate::cli::help_of("account")),
        Some(What::Policy { what }) => list(product, what.as_deref(), as_json)?,
        Some(What::Tag(words)) => tag(product, &words, command, as_json)?,
        Some(What::Untag(words)) => untag(product, &words, command, as_json)?,
        Some(What::Weight(words)) => weight(product, &words, command, as_json)?,
        Some(What::Reserve(words)) => reserve(product, &words, command, as_json)?,
        Some(What::Note(words)) => note(product, &words, command, as_json)?,
        Some(What::Pause(words)) => hold(product, &words, command, as_json, |policy| policy.is_paused = true)?,
        Some(What::Unpause(words)) => hold(product, &words, command, as_json, |policy| policy.is_paused = false)?,
        Some(What::Drain(words)) => hold(product, &words, command, as_json, |policy| policy.is_drained = true)?,
        Some(What::Undrain(words)) => hold(product, &words, command, as_json, |policy| policy.is_drained = false)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(product: &Product, what: Option<&str>, as_json: bool) -> Result<(), CliError> {
    if let Some(word) = what.filter(|word| *word != "list") {
        return Err(CliError::usage(format!("Unknown account policy command: {word}"))
            .hint("Run `codex-multi-auth account policy list`."));
    }
    let pool = product.store.read_now()?;
    let policies = product.policies().accounts()?;
    let row = |(place, named): (usize, Named)| {
        let account = &pool.accounts.get(place)?.account;
        let policy = policies.of(account);
        let key = key_in(&pool, account);
        Some(PolicyRow::new(named.number, named.label, key, &policy.rules(), policy.note))
    };
    let rows = Named::all(&pool).into_iter().enumerate().filter_map(row).collect();
    product.ui.show(&PolicyList::new(rows), as_json);
    Ok(())
}

fn tag(product: &Product, words: &Words, command: &'static str, as_json: bool) -> Result<(), CliError> {
    let tag = tag_of(words, "tag")?;
    let what = format!("gave {{who}} the tag {tag}");
    let said = |number: usize, policy: &AccountPolicy| format!("Tagged account {number}: {}", joined(&policy.tags));
    let change = move |policy: &mut AccountPolicy| {
        if !policy.tags.contains(&tag) {
            policy.tags.push(tag);
            policy.tags.sort();
        }
    };
    apply(product, words, Change { command, what, said, act: Box::new(change) }, as_json)
}

fn untag(product: &Product, words: &Words, command: &'static str, as_json: bool) -> Result<(), CliError> {
    let tag = tag_of(words, "untag")?;
    let what = format!("took the tag {tag} from {{who}}");
    let said =
        |number: usize, policy: &AccountPolicy| format!("Removed tag from account {number}: {}", joined(&policy.tags));
    let change = move |policy: &mut AccountPolicy| policy.tags.retain(|known| *known != tag);
    apply(product, words, Change { command, what, said, act: Box::new(change) }, as_json)
}

fn weight(product: &Product, words: &Words, command: &'static str, as_json: bool) -> Result<(), CliError> {
    let weight = within(words, 10.0).ok_or_else(|| CliError::usage("weight requires a number from 0 to 10."))?;
    let what = format!("set the weight of {{who}} to {weight}");
    let said = |number: usize, policy: &AccountPolicy| format!("Set account {number} weight to {}.", policy.weight);
    apply(product, words, Change { command, what, said, act: Box::new(move |policy| policy.weight = weight) }, as_json)
}

fn reserve(product: &Product, words: &Words, command: &'static str, as_json: bool) -> Result<(), CliError> {
    let reserve =
        within(words, 100.0).ok_or_else(|| CliError::usage("reserve requires a percentage from 0 to 100."))?;
    let what = format!("set the reserve of {{who}} to {reserve}%");
    let said =
        |number: usize, policy: &AccountPolicy| format!("Set account {number} reserve to {}%.", policy.reserve_percent);
    let change = Box::new(move |policy: &mut AccountPolicy| policy.reserve_percent = reserve);
    apply(product, words, Change { command, what, said, act: change }, as_json)
}

fn note(product: &Product, words: &Words, command: &'static str, as_json: bool) -> Result<(), CliError> {
    let note: String = words.words.join(" ").trim().chars().take(500).collect();
    let what = "changed the note of {who}".to_owned();
    let said = |number: usize, _: &AccountPolicy| format!("Updated account {number} note.");
    let change = Box::new(move |policy: &mut AccountPolicy| policy.note = (!note.is_empty()).then_some(note));
    apply(product, words, Change { command, what, said, act: change }, as_json)
}

fn hold(
    product: &Product,
    words: &Words,
    command: &'static str,
    as_json: bool,
    change: fn(&mut AccountPolicy),
) -> Result<(), CliError> {
    let said: fn(usize, &AccountPolicy) -> String = match command {
        "account pause" => |number, _| format!("Updated account {number}: pause."),
        "account unpause" => |number, _| format!("Updated account {number}: unpause."),
        "account drain" => |number, _| format!("Updated account {number}: drain."),
        _ => |number, _| format!("Updated account {number}: undrain."),
    };
    let verb = command.trim_start_matches("account ");
    apply(product, words, Change { command, what: format!("{verb}: {{who}}"), said, act: Box::new(change) }, as_json)
}

fn apply(product: &Product, words: &Words, change: Change, as_json: bool) -> Result<(), CliError> {
    let pool = product.store.read_now()?;
    let required = || CliError::usage("Account index is required and must reference a configured account.");
    let selector = words.account.as_deref().ok_or_else(|| required().hint(USAGE))?;
    let Chosen { named, held } = chosen(&pool, selector).map_err(|error| {
        let hint = error.hint.unwrap_or_default();
        required().hint(hint)
    })?;
    let Change { command, what, said, act } = change;
    let (key, now) = (key_in(&pool, &held.account), product.clock.now());
    let mut after = AccountPolicy::default();
    let changed = product.store.change_rule(
        Operation::new(command, &what.replace("{who}", &format!("account {}", named.number))),
        &key,
        |all: &mut AccountPolicies| {
            let before = all.of(&held.account);
            after = before.clone();
            act(&mut after);
            if after != before {
                after.updated_at = now;
                all.accounts.insert(key.clone(), after.clone());
            }
        },
    )?;
    product.tell_the_agent();
    product.ui.show(&RuleChanged::new(command, said(named.number, &after), changed), as_json);
    Ok(())
}

const USAGE: &str = "Usage: codex-multi-auth account <tag|untag|weight|pause|unpause|drain|undrain|reserve|note> <n>";

/// The first word after the account is the tag.
fn tag_of(words: &Words, command: &str) -> Result<String, CliError> {
    let tag = words.words.first().map(|word| account_tag(word)).filter(|tag| !tag.is_empty());
    tag.ok_or_else(|| CliError::usage(format!("{command} requires a tag value.")))
}

fn within(words: &Words, most: f64) -> Option<f64> {
    let told: f64 = words.words.first()?.parse().ok()?;
    (0.0..=most).contains(&told).then_some(told)
}

fn joined(tags: &[String]) -> String {
    if tags.is_empty() { "none".to_owned() } else { tags.join(", ") }
}
