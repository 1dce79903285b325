//! `check`: every enabled account is asked for its usage, a few at a time. No model is asked, and nothing is enabled.

use std::{process::ExitCode, sync::Arc};

use codex_auth_core::{Account, Held, SavedPool, Timestamp};
use codex_auth_store::{
    StateFile,
    documents::quota_cache::{QuotaCache, QuotaEntry},
};
use codex_auth_view::{CheckOutcome, CheckRow, Checked, Named, QuotaView};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{assemble::Product, commands::check::asking::Asking, error::CliError, json_flag::Json};

mod asking;
mod usage;

pub(crate) use asking::Finding;

/// How many accounts are asked at one time.
const AT_ONCE: usize = 4;

/// How it was asked for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct CheckArguments {
    /// Tell by the exit code: 2 = a new sign-in is needed, 3 = no quota is left anywhere, 4 = an account could not be asked
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Checks every account. A store that keeps nothing is a failure of the whole check.
pub(crate) fn check(product: &Product, arguments: CheckArguments) -> Result<ExitCode, CliError> {
    let pool = product.store.read_now()?;
    let asking = Arc::new(Asking::new(product)?);
    if !pool.accounts.is_empty() {
        product.check_network("check")?;
        product.say_overrides();
        if product.ui.talks_to_a_person {
            product.ui.say(&format!("Checking {} account(s)...", pool.accounts.len()));
        }
    }
    let findings = Product::runtime()?.block_on(all(&asking, &pool));
    remember(product, &pool, &findings);
    let unusable = findings.iter().find_map(|found| found.store.clone());
    if let (Some(error), true) = (&unusable, arguments.json.is_wanted()) {
        return Err(error.clone().into());
    }
    let now = product.clock.now();
    let rows = pool.accounts.iter().enumerate().zip(findings);
    let rows = rows.map(|((index, held), finding)| row(index, &held.account, finding, now)).collect();
    let checked = Checked::new(rows, now);
    product.ui.show(&checked, arguments.json.is_wanted());
    if let Some(error) = unusable {
        return Err(error.into());
    }
    Ok(if arguments.exit_code { ExitCode::from(checked.exit_code()) } else { ExitCode::SUCCESS })
}

/// Asks about every account of a pool and keeps what was told. A store that keeps nothing is a failure.
pub(crate) fn ask_all(product: &Product, pool: &SavedPool) -> Result<Vec<Finding>, CliError> {
    let asking = Arc::new(Asking::new(product)?);
    let findings = Product::runtime()?.block_on(all(&asking, pool));
    remember(product, pool, &findings);
    match findings.iter().find_map(|found| found.store.clone()) {
        Some(error) => Err(error.into()),
        None => Ok(findings),
    }
}

/// Keeps what was told, so that `list` can show it later. That this fails is said, and is no failure of the check.
fn remember(product: &Product, pool: &SavedPool, findings: &[Finding]) {
    let told: Vec<_> = pool
        .accounts
        .iter()
        .zip(findings)
        .filter_map(|(held, found)| {
            Some((&held.account.record, QuotaEntry::of_usage(found.quota.as_ref()?, found.plan.clone())))
        })
        .collect();
    if told.is_empty() {
        return;
    }
    let cache = StateFile::<QuotaCache>::under(product.layout.base());
    let kept = cache.edit(product.clock.now(), |cache| {
        for (record, entry) in &told {
            cache.keep(pool, record, entry);
        }
    });
    match kept.map(|edited| edited.quarantined) {
        Ok(None) => {}
        Ok(Some(copy)) => {
            product.ui.say(&format!("{} was broken and is made anew; its bytes are in {copy}.", cache.path()));
        }
        Err(error) => product.ui.say(&format!("The answers are not remembered: {error}.")),
    }
}

/// The findings in pool order.
async fn all(asking: &Arc<Asking>, pool: &SavedPool) -> Vec<Finding> {
    let turnstile = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (index, held) in pool.accounts.iter().enumerate() {
        let (asking, turnstile, held): (_, _, Held) = (asking.clone(), turnstile.clone(), held.clone());
        running.spawn(async move {
            let _turn = turnstile.acquire().await.expect("nobody closes the turnstile");
            (index, asking.look(held).await)
        });
    }
    let mut findings = running.join_all().await;
    findings.sort_by_key(|(index, _)| *index);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

fn row(index: usize, account: &Account, finding: Finding, now: Timestamp) -> CheckRow {
    let Finding { outcome, detail, plan, quota, store: _ } = finding;
    let account = Named::at(index, account);
    let number = account.number;
    let detail = match outcome {
        CheckOutcome::NeedsLogin => {
            let why = detail.unwrap_or_else(|| "its tokens are no longer accepted".to_owned());
            Some(format!("{why}: codex-multi-auth login --account {number}"))
        }
        CheckOutcome::Available | CheckOutcome::Exhausted | CheckOutcome::SignedInOnly | CheckOutcome::Disabled => {
            detail
        }
    };
    CheckRow { account, outcome, detail, plan, quota: quota.map(|quota| QuotaView::of(&quota, now)) }
}
