//! `profile`: the rules of the project one works in.

use std::process::ExitCode;

use codex_auth_core::{Kind, PolicySource as _, Rulebook, account_tag, budget_key};
use codex_auth_store::{
    Operation, OsPlaces, Project,
    documents::{
        account_policies::key_in,
        routing_profiles::{RoutingProfile, RoutingProfiles},
    },
};
use codex_auth_view::{AccountWeight, Named, Profile, RuleChanged};

use crate::{
    accounts::{Chosen, chosen},
    assemble::Product,
    error::CliError,
};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProfileArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Show the rules of this project (default)
    Show,
    /// Let one account only serve this project; it never spills
    Bind {
        /// Number, alias, e-mail or workspace of the account
        account: String,
    },
    /// Let the others serve it again
    Unbind,
    /// Prefer accounts with these tags
    Prefer {
        /// The tags
        #[arg(required = true)]
        tags: Vec<String>,
    },
    /// Avoid accounts with these tags
    Avoid {
        /// The tags
        #[arg(required = true)]
        tags: Vec<String>,
    },
    /// Allow only models whose names contain one of these
    Allow {
        /// Parts of names
        #[arg(required = true)]
        models: Vec<String>,
    },
    /// Refuse models whose names contain one of these
    Deny {
        /// Parts of names
        #[arg(required = true)]
        models: Vec<String>,
    },
    /// Set the weight of an account in this project: 0 to 10
    Weight {
        /// Number, alias, e-mail or workspace of the account
        account: String,
        /// The weight
        weight: String,
    },
    /// Count this project's use towards a budget
    Budget {
        /// The budget's key
        key: String,
    },
    /// Take rules back: one kind of them, or all
    Clear {
        /// Which kind
        #[arg(value_enum)]
        what: Option<Kinds>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kinds {
    Bind,
    Prefer,
    Avoid,
    Allow,
    Deny,
    Weight,
    Budget,
}

impl ProfileArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None | Some(What::Show) => "profile show",
            Some(What::Bind { .. }) => "profile bind",
            Some(What::Unbind) => "profile unbind",
            Some(What::Prefer { .. }) => "profile prefer",
            Some(What::Avoid { .. }) => "profile avoid",
            Some(What::Allow { .. }) => "profile allow",
            Some(What::Deny { .. }) => "profile deny",
            Some(What::Weight { .. }) => "profile weight",
            Some(What::Budget { .. }) => "profile budget",
            Some(What::Clear { .. }) => "profile clear",
        }
    }

    /// Whether a document is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Shows or changes the rules of the project of the working directory.
pub(crate) fn profile(product: &Product, arguments: ProfileArguments) -> Result<ExitCode, CliError> {
    let project = Project::of(Product::working_directory().as_ref(), product.layout.codex_home(), &OsPlaces);
    let project = project.ok_or_else(|| {
        CliError::new(Kind::Usage, "no_project", "This directory belongs to no project.")
            .hint("Run the command in a directory with a `.git`, or with a file that marks a project.")
    })?;
    let (command, as_json) = (arguments.name(), arguments.json);
    let pool = product.store.read_now()?;
    let found = |account: &str| chosen(&pool, account);
    let name = project.name().to_owned();
    let change = |what: String, change: Box<dyn FnOnce(&mut RoutingProfile)>| {
        changed(product, &project, (command, what), change, as_json)
    };
    let with = |words: Vec<String>, name: fn(&str) -> String| {
        let words = words.iter().map(|word| name(word)).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>()
    };
    match arguments.what {
        None | Some(What::Show) => show(product, &project, as_json)?,
        Some(What::Bind { account }) => {
            let Chosen { named, held } = found(&account)?;
            let said = format!("Bound project {name} to account {}.", named.number);
            change(said, Box::new(move |profile| profile.bound = Some(held.account.record)))?;
        }
        Some(What::Unbind) => {
            change(format!("Project {name} is bound to no account."), Box::new(|profile| profile.bound = None))?;
        }
        Some(What::Prefer { tags }) => {
            let tags = with(tags, account_tag);
            let said = format!("Project {name} prefers {}.", tags.join(", "));
            change(said, Box::new(move |profile| add(&mut profile.preferred_tags, tags)))?;
        }
        Some(What::Avoid { tags }) => {
            let tags = with(tags, account_tag);
            let said = format!("Project {name} avoids {}.", tags.join(", "));
            change(said, Box::new(move |profile| add(&mut profile.avoid_tags, tags)))?;
        }
        Some(What::Allow { models }) => {
            let models = with(models, model_part);
            let said = format!("Project {name} allows models with {}.", models.join(" or "));
            change(said, Box::new(move |profile| add(&mut profile.allowed_models, models)))?;
        }
        Some(What::Deny { models }) => {
            let models = with(models, model_part);
            let said = format!("Project {name} denies models with {}.", models.join(" or "));
            change(said, Box::new(move |profile| add(&mut profile.denied_models, models)))?;
        }
        Some(What::Weight { account, weight }) => {
            let told = weight.parse().ok().filter(|told| (0.0..=10.0).contains(told));
            let told: f64 = told.ok_or_else(|| CliError::usage("weight requires a number from 0 to 10."))?;
            let Chosen { named, held } = found(&account)?;
            let key = key_in(&pool, &held.account);
            let said = format!("Set account {} weight to {told} in project {name}.", named.number);
            change(said, Box::new(move |profile| profile.weights.extend([(key, told)])))?;
        }
        Some(What::Budget { key }) => {
            let key = budget_key(&key);
            let said = format!("Project {name} counts towards budget {key}.");
            change(said, Box::new(move |profile| profile.budget_key = Some(key)))?;
        }
        Some(What::Clear { what }) => {
            let said = format!("Took rules of project {name} back. `codex-multi-auth undo` brings them back.");
            change(said, Box::new(move |profile| clear(profile, what)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn changed(
    product: &Product,
    project: &Project,
    (command, said): (&'static str, String),
    change: Box<dyn FnOnce(&mut RoutingProfile)>,
    as_json: bool,
) -> Result<(), CliError> {
    let (key, now) = (project.key(), product.clock.now());
    let what = format!("changed the rules of project {}", project.name());
    let changed = product.store.change_rule(Operation::new(command, &what), &key, |all: &mut RoutingProfiles| {
        let known = all.profiles.get(&key).cloned();
        let before = known.clone().unwrap_or_default();
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return;
        }
        after.name.get_or_insert_with(|| project.name().to_owned());
        after.identity_root.get_or_insert_with(|| project.identity_root.to_string());
        after.updated_at = now;
        if after.is_blank() {
            all.profiles.remove(&key);
        } else {
            all.profiles.insert(key.clone(), after);
        }
    })?;
    product.tell_the_agent();
    product.ui.show(&RuleChanged::new(command, said, changed), as_json);
    Ok(())
}

fn show(product: &Product, project: &Project, as_json: bool) -> Result<(), CliError> {
    let (pool, key) = (product.store.read_now()?, project.key());
    let book = Rulebook::of(product.policies().read(&pool)?);
    let rules = book.policies().projects.get(&key).cloned().unwrap_or_default();
    let named = rules.bound.as_ref().and_then(|record| Named::of(&pool, record));
    let weight = |(record, weight): (&codex_auth_core::RecordId, &f64)| {
        Some(AccountWeight { account: pool.number_of(record)?, weight: *weight })
    };
    let mut weights: Vec<AccountWeight> = rules.weights.iter().filter_map(weight).collect();
    weights.sort_by_key(|one| one.account);
    let view = Profile {
        project_name: project.name().to_owned(),
        root: project.identity_root.to_string(),
        bound: rules.bound.is_some(),
        account: named.as_ref().map(|named| named.number),
        account_label: named.map(|named| named.label),
        preferred_tags: rules.preferred_tags,
        avoid_tags: rules.avoid_tags,
        model_allowlist: rules.allowed_models,
        model_denylist: rules.denied_models,
        account_weights: weights,
        budget_key: rules.budget_key,
        budgets: book.budgets(Some(&key)).into_iter().map(|budget| budget.key).collect(),
        project_key: key,
    };
    product.ui.show(&view, as_json);
    Ok(())
}

/// Adds words to a set of words.
fn add(known: &mut Vec<String>, words: Vec<String>) {
    known.extend(words);
    known.sort();
    known.dedup();
}

fn model_part(word: &str) -> String {
    word.trim().to_lowercase()
}

fn clear(profile: &mut RoutingProfile, what: Option<Kinds>) {
    let is = |kind| what.is_none_or(|what| what == kind);
    if is(Kinds::Bind) {
        profile.bound = None;
    }
    if is(Kinds::Prefer) {
        profile.preferred_tags.clear();
    }
    if is(Kinds::Avoid) {
        profile.avoid_tags.clear();
    }
    if is(Kinds::Allow) {
        profile.allowed_models.clear();
    }
    if is(Kinds::Deny) {
        profile.denied_models.clear();
    }
    if is(Kinds::Weight) {
        profile.weights.clear();
    }
    if is(Kinds::Budget) {
        profile.budget_key = None;
    }
}
