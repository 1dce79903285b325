//! `budget`: how much may be spent in an hour, a day, a week, a month.

use std::process::ExitCode;

use codex_auth_core::{BudgetLimit, Kind, Meter, PolicySource as _, Rulebook, Window, budget_key};
use codex_auth_store::{
    Operation,
    documents::budget_guards::{BudgetGuard, BudgetGuards},
};
use codex_auth_view::{BudgetCheck, BudgetList, RuleChanged, limit_words};

use crate::{assemble::Product, error::CliError};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BudgetArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Set a limit: `global`, `project:<key>`, or a key that profiles name
    Limit {
        /// The budget's key
        key: Option<String>,
        /// Calendar window in UTC: hour, day, week (from Monday) or month
        #[arg(long, value_name = "window")]
        window: Option<String>,
        /// Most requests
        #[arg(long, value_name = "n", allow_hyphen_values = true)]
        requests: Option<String>,
        /// Most tokens
        #[arg(long, value_name = "n", allow_hyphen_values = true)]
        tokens: Option<String>,
        /// Highest estimated cost in dollars
        #[arg(long, value_name = "usd", allow_hyphen_values = true)]
        cost: Option<String>,
    },
    /// Show what is spent of a limit; the exit code is 1 where nothing is left
    Check {
        /// The budget's key
        key: Option<String>,
    },
    /// Show all limits
    List,
    /// Remove a limit
    Remove {
        /// The budget's key
        key: Option<String>,
    },
}

impl BudgetArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None => "budget",
            Some(What::Limit { .. }) => "budget limit",
            Some(What::Check { .. }) => "budget check",
            Some(What::List) => "budget list",
            Some(What::Remove { .. }) => "budget remove",
        }
    }

    /// Whether a document is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Shows or sets limits.
pub(crate) fn budget(product: &Product, arguments: BudgetArguments) -> Result<ExitCode, CliError> {
    let as_json = arguments.json;
    match arguments.what {
        None => product.ui.data(&crate::cli::help_of("budget")),
        Some(What::Limit { key, window, requests, tokens, cost }) => {
            let key = key_of(key.as_deref()).ok_or_else(|| CliError::usage("Budget key is required.").hint(USAGE))?;
            let limit = BudgetLimit {
                window: window_of(window.as_deref())?,
                max_requests: positive("--requests", requests.as_deref())?,
                max_tokens: positive("--tokens", tokens.as_deref())?,
                max_cost_usd: positive("--cost", cost.as_deref())?,
            };
            set(product, &key, limit, as_json)?;
        }
        Some(What::Check { key }) => return check(product, &named(key.as_deref(), "check")?, as_json),
        Some(What::List) => {
            let limits = product.policies().budgets()?.limits.into_iter();
            let rows = limits.map(|(key, guard)| (key, guard.limit, guard.updated_at)).collect();
            product.ui.show(&BudgetList::new(rows), as_json);
        }
        Some(What::Remove { key }) => remove(product, &named(key.as_deref(), "remove")?, as_json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn set(product: &Product, key: &str, limit: BudgetLimit, as_json: bool) -> Result<(), CliError> {
    if limit.max_requests.is_none() && limit.max_tokens.is_none() && limit.max_cost_usd.is_none() {
        return Err(CliError::usage("At least one of --requests, --tokens, or --cost is required.").hint(USAGE));
    }
    let guard = BudgetGuard { limit, updated_at: product.clock.now() };
    let operation = format!("set the budget {key}");
    let changed =
        product.store.change_rule(Operation::new("budget limit", &operation), key, |all: &mut BudgetGuards| {
            if all.limits.get(key).is_none_or(|known| known.limit != limit) {
                all.limits.insert(key.to_owned(), guard);
            }
        })?;
    product.tell_the_agent();
    let said = format!("Set budget {key}: {}.", limit_words(&limit));
    product.ui.show(&RuleChanged::new("budget limit", said, changed), as_json);
    Ok(())
}

fn check(product: &Product, key: &str, as_json: bool) -> Result<ExitCode, CliError> {
    let (rules, now) = (product.policies(), product.clock.now());
    let book = Rulebook::of(rules.read(&product.store.read_now()?)?);
    let spent = rules.spent(now)?;
    let projects = spent.iter().filter_map(|spent| spent.project.as_deref());
    let budget = book.budget(key, projects).ok_or_else(|| not_found(key))?;
    let meter = Meter::default();
    meter.seed(&spent);
    let view = BudgetCheck::new(key.to_owned(), &budget.limit, meter.stands(&budget, now).0, now);
    product.ui.show(&view, as_json);
    Ok(if view.is_allowed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn remove(product: &Product, key: &str, as_json: bool) -> Result<(), CliError> {
    let operation = format!("removed the budget {key}");
    let changed =
        product.store.change_rule(Operation::new("budget remove", &operation), key, |all: &mut BudgetGuards| {
            all.limits.remove(key);
        })?;
    if !changed {
        return Err(not_found(key));
    }
    product.tell_the_agent();
    let said = format!("Removed budget {key}. `codex-multi-auth undo` brings it back.");
    product.ui.show(&RuleChanged::new("budget remove", said, true), as_json);
    Ok(())
}

const USAGE: &str = "Usage: codex-multi-auth budget limit <key> --window <hour|day|week|month> [--requests <n>] \
                     [--tokens <n>] [--cost <usd>]";

fn not_found(key: &str) -> CliError {
    CliError::new(Kind::Usage, "no_such_budget", format!("Budget limit not found: {key}"))
        .hint("Run `codex-multi-auth budget list` to see the limits.")
}

fn named(key: Option<&str>, command: &str) -> Result<String, CliError> {
    let missing = || CliError::usage(format!("Missing budget key. Usage: codex-multi-auth budget {command} <key>"));
    key_of(key).ok_or_else(missing)
}

fn key_of(key: Option<&str>) -> Option<String> {
    key.map(budget_key).filter(|key| !key.is_empty())
}

fn window_of(word: Option<&str>) -> Result<Window, CliError> {
    let word = word.ok_or_else(|| CliError::usage("--window is required.").hint(USAGE))?;
    Window::parse(word).ok_or_else(|| CliError::usage("--window must be hour, day, week, or month."))
}

fn positive(flag: &str, told: Option<&str>) -> Result<Option<f64>, CliError> {
    let parsed = |text: &str| text.parse::<f64>().ok().filter(|most| most.is_finite() && *most > 0.0);
    let refused = || CliError::usage(format!("{flag} requires a positive number."));
    told.map(|text| parsed(text).ok_or_else(refused)).transpose()
}
