//! `forecast`: the evaluator's decision with its reasons as numbers, and how long what is left will last.
//!
//! Nothing is changed but the quota cache, and that only with `--live`.

use std::{process::ExitCode, time::Duration};

use codex_auth_core::{
    Account, Decision, ForecastBook, Held, Member, Prospect, Query, SavedPool, Trouble, WindowReading, quota_key,
};
use codex_auth_store::{
    StateFile,
    documents::{forecast::ForecastFile, quota_cache::QuotaCache},
};
use codex_auth_view::{
    AccountForecast, CalibrationReport, CheckOutcome, Forecast, ForecastAsk, LiveQuota, QuotaView, RefreshFailure,
    WindowForecast,
};

use crate::{
    agent::decided,
    assemble::Product,
    commands::check::{self, Finding},
    error::CliError,
    json_flag::Json,
};

/// The model a forecast is about unless told otherwise; it limits the question to no model.
const ANY_MODEL: &str = "gpt-5.6-sol";

/// How it was asked for.
#[expect(clippy::struct_excessive_bools, reason = "one for each flag of the command")]
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ForecastArguments {
    /// Ask the backend how much is left first; no model is asked
    #[arg(long, short)]
    live: bool,
    /// Tell the reasons of every account once more
    #[arg(long)]
    explain: bool,
    /// The model the request will be for
    #[arg(long, short)]
    model: Option<String>,
    /// Decide from the files, whatever a running agent says
    #[arg(long)]
    no_runtime_overlay: bool,
    /// Tell how often what was said held
    #[arg(long, conflicts_with_all = ["live", "explain", "model"])]
    calibration: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// What is known of a pool: where everybody stands, and what was found out just now.
pub(super) struct Known {
    pub(super) decision: Decision,
    pub(super) prospects: Vec<Prospect>,
    findings: Vec<Option<Finding>>,
}

/// Shows the forecast.
pub(crate) fn forecast(product: &Product, arguments: &ForecastArguments) -> Result<ExitCode, CliError> {
    if arguments.calibration {
        let (book, note) = past(product);
        product.ui.show(&CalibrationReport::new(&book.calibrations).noting(note), arguments.json.is_wanted());
        return Ok(ExitCode::SUCCESS);
    }
    let findings = if arguments.live { look(product)? } else { Vec::new() };
    let pool = product.store.read_now()?;
    let told = match (arguments.no_runtime_overlay || arguments.model.is_some(), arguments.live) {
        (false, false) => Some(decided(product, &pool)?.1),
        (_, _) => None,
    };
    let known = know(product, &pool, arguments.model.as_deref(), told, findings);
    let now = product.clock.now();
    let book = with_what_is_told(past(product).0, &quotas(product), &pool);
    let members = pool.accounts.iter().zip(&known.prospects);
    let members: Vec<_> = members.filter_map(|(held, it)| Member::of(&held.account, it, now)).collect();
    let together = book.pool_runs_out(&members, now);
    let rows = pool.accounts.iter().zip(&known.findings);
    let rows = rows.map(|(held, finding)| AccountForecast {
        windows: windows(&book, held, now),
        live: finding.as_ref().and_then(|finding| live(finding, arguments.model.as_deref(), now)),
        failure: finding.as_ref().and_then(failure),
    });
    let rows = rows.collect();
    let asked = ForecastAsk {
        model: arguments.model.clone().unwrap_or_else(|| ANY_MODEL.to_owned()),
        is_live: arguments.live,
        asks_agent: !arguments.no_runtime_overlay,
        explains: arguments.explain,
    };
    let forecast = Forecast::new(asked, &pool, (&known.decision, &known.prospects), (rows, together), now);
    product.ui.show(&forecast, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}

/// Asks the backend about every account, and keeps what it says, by record.
pub(super) fn look(product: &Product) -> Result<Vec<(codex_auth_core::RecordId, Finding)>, CliError> {
    let pool = product.store.read_now()?;
    if pool.accounts.is_empty() {
        return Ok(Vec::new());
    }
    product.check_network("forecast --live")?;
    product.say_overrides();
    let findings = check::ask_all(product, &pool)?;
    Ok(pool.accounts.iter().map(|held| held.account.record.clone()).zip(findings).collect())
}

/// Puts together what is known; `told` is a decision that somebody better informed made.
pub(super) fn know(
    product: &Product,
    pool: &SavedPool,
    model: Option<&str>,
    told: Option<Decision>,
    mut findings: Vec<(codex_auth_core::RecordId, Finding)>,
) -> Known {
    let now = product.clock.now();
    let query = Query { quota_key: model.and_then(quota_key), ..Query::default() };
    let decision = told.unwrap_or_else(|| product.decide_for(pool, &query));
    let cache = quotas(product);
    let mut prospects = Vec::new();
    let mut by_place = Vec::new();
    for (held, standing) in pool.accounts.iter().zip(&decision.standings) {
        let record = &held.account.record;
        let place = findings.iter().position(|(of, _)| of == record);
        let finding = place.map(|place| findings.swap_remove(place).1);
        let trouble = finding.as_ref().and_then(trouble);
        let used = used(&cache, pool, record, now);
        let is_current = pool.active.as_ref() == Some(record);
        prospects.push(Prospect::of(&held.account, standing, &used, trouble.as_ref(), (is_current, now)));
        by_place.push(finding);
    }
    Known { decision, prospects, findings: by_place }
}

fn quotas(product: &Product) -> QuotaCache {
    StateFile::<QuotaCache>::under(product.layout.base()).read().map(|found| found.document).unwrap_or_default()
}

/// How windows were used before, and what is wrong with the file that says so; the agent makes it anew.
fn past(product: &Product) -> (ForecastBook, Option<String>) {
    match StateFile::<ForecastFile>::under(product.layout.base()).read() {
        Ok(found) => (found.document.book, found.note),
        Err(error) => (ForecastBook::default(), Some(error.to_string())),
    }
}

/// How much of each window is used, where it has not started anew since.
fn used(
    cache: &QuotaCache,
    pool: &SavedPool,
    record: &codex_auth_core::RecordId,
    now: codex_auth_core::Timestamp,
) -> Vec<(Option<Duration>, f64)> {
    let Some(entry) = cache.find(pool, record) else { return Vec::new() };
    let windows = entry.primary.into_iter().chain(entry.secondary);
    let lasting = windows.filter(|window| window.resets_at.is_none_or(|reset| now < reset));
    lasting.map(|window| (window.window_minutes.map(Duration::from_mins), window.used_percent)).collect()
}

/// The past of all windows, and what the cache knows better.
fn with_what_is_told(mut book: ForecastBook, cache: &QuotaCache, pool: &SavedPool) -> ForecastBook {
    for Held { account: Account { record, .. }, .. } in &pool.accounts {
        let Some(entry) = cache.find(pool, record) else { continue };
        for window in [entry.primary, entry.secondary].into_iter().flatten() {
            let Some(minutes) = window.window_minutes else { continue };
            let (length, seen_at) = (Duration::from_mins(minutes), entry.updated_at);
            let (used_percent, resets_at) = (window.used_percent, window.resets_at);
            book.saw(record, WindowReading { length, used_percent, resets_at, seen_at });
        }
    }
    book
}

/// Each window of an account with what is to be expected of it.
fn windows(book: &ForecastBook, held: &Held, now: codex_auth_core::Timestamp) -> Vec<WindowForecast> {
    let outlooks = book.outlooks(&held.account.record, now);
    let told =
        outlooks.iter().map(|(length, outlook)| WindowForecast::new(*length, outlook, book.runs_out(*length, outlook)));
    told.collect()
}

fn live(finding: &Finding, model: Option<&str>, now: codex_auth_core::Timestamp) -> Option<LiveQuota> {
    let quota = finding.quota.as_ref().map(|quota| QuotaView::of(quota, now));
    let mut parts: Vec<_> = quota.iter().flat_map(|quota| quota.told(now)).collect();
    parts.extend(finding.plan.as_ref().map(|plan| format!("plan:{plan}")));
    let is_told = matches!(finding.outcome, CheckOutcome::Available | CheckOutcome::Exhausted);
    is_told.then(|| LiveQuota {
        status: 200,
        plan_type: finding.plan.clone(),
        model: model.unwrap_or(ANY_MODEL).to_owned(),
        summary: parts.join(", "),
        quota,
    })
}

fn trouble(finding: &Finding) -> Option<Trouble> {
    let why = finding.detail.clone().unwrap_or_else(|| "nothing was told".to_owned());
    match finding.outcome {
        CheckOutcome::NeedsLogin => Some(Trouble::Dead(why)),
        CheckOutcome::SignedInOnly => Some(Trouble::Failed(why)),
        CheckOutcome::Available | CheckOutcome::Exhausted | CheckOutcome::Disabled => None,
    }
}

fn failure(finding: &Finding) -> Option<RefreshFailure> {
    let failed = |reason, message| RefreshFailure { kind: "failed", reason, message };
    match trouble(finding)? {
        Trouble::Dead(why) => Some(failed("hard", why)),
        Trouble::Failed(why) => Some(failed("soft", why)),
    }
}

impl Known {
    /// What could not be asked, as a list of sentences.
    pub(super) fn probe_errors(&self, pool: &SavedPool) -> Vec<String> {
        let named = codex_auth_view::Named::all(pool);
        let failures = named.iter().zip(&self.findings).filter_map(|(named, finding)| {
            let failure = failure(finding.as_ref()?)?;
            Some(format!("{}: {}", codex_auth_view::masked(&named.label), failure.message))
        });
        failures.collect()
    }
}
