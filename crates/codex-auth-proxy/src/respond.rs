//! Answers of our own: every status code the proxy itself gives is chosen in this file.
//!
//! The codes and shapes are those the official client is known to act on sensibly: it stops after one request on a
//! 429 `usage_limit_reached` with an integer `resets_at`, and on a 400 it shows the body. It never sees a 401 of the
//! backend, because that would make it renew or drop its own login.

use std::time::Duration;

use codex_auth_core::{
    Blocker, Cause, Denial, DeniedBy, Exit, RecordId, Refusal, SavedPool, Standing, Timestamp, UsageOutcome,
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    accounting::Accounted,
    body::{BodyStream, whole},
};

/// What every answer of ours is.
pub(crate) type Answer = http::Response<BodyStream>;

/// A JSON answer.
pub(crate) fn document(status: StatusCode, body: &Value) -> Answer {
    let mut answer = http::Response::new(whole(format!("{body}\n")));
    *answer.status_mut() = status;
    if !status.is_success() {
        let code = body.pointer("/error/code").and_then(Value::as_str).map(str::to_owned);
        answer.extensions_mut().insert(Accounted { outcome: UsageOutcome::Failure, code });
    }
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    answer
}

/// The same, written down as this.
fn accounted_as(outcome: UsageOutcome, mut answer: Answer) -> Answer {
    if let Some(accounted) = answer.extensions_mut().get_mut::<Accounted>() {
        accounted.outcome = outcome;
    }
    answer
}

/// An error answer with a code and a sentence.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    document(status, &json!({ "error": { "message": message, "code": code } }))
}

/// The caller may not talk to us.
pub(crate) fn unauthorized() -> Answer {
    error(
        StatusCode::UNAUTHORIZED,
        "runtime_rotation_proxy_unauthorized",
        "This address serves programs started by codex-multi-auth only.",
    )
}

/// A capability that is unknown, has expired or was revoked; which of them it is, is not told.
pub(crate) fn permit_ended() -> Answer {
    let message =
        "This capability is not valid, or not any more. Run `codex-multi-auth token` where the agent runs to make one.";
    accounted_as(UsageOutcome::Blocked, error(StatusCode::UNAUTHORIZED, "runtime_rotation_proxy_unauthorized", message))
}

/// A capability whose requests are used up. The official client stops after one such answer and tells the time at
/// which a capability of this name begins anew.
pub(crate) fn permit_spent(ends: Timestamp) -> Answer {
    let body = json!({ "error": {
        "type": "usage_limit_reached",
        "code": "capability_requests_spent",
        "message": "All requests of this capability are used up.",
        "plan_type": "unknown",
        "resets_at": ends.as_secs_ceil(),
        "hint": "`codex-multi-auth token list` shows it; `codex-multi-auth token --requests <n>` makes another one.",
    } });
    accounted_as(UsageOutcome::Blocked, document(StatusCode::TOO_MANY_REQUESTS, &body))
}

/// A capability that is not for the model asked.
pub(crate) fn permit_model(models: &[String]) -> Answer {
    let models = models.join(", ");
    let message = format!("This capability is for {models} only, and the request names no such model.");
    accounted_as(UsageOutcome::Blocked, error(StatusCode::FORBIDDEN, "capability_model_not_allowed", &message))
}

/// A request that could not be counted is not let in.
pub(crate) fn permit_uncounted() -> Answer {
    let message =
        "The request could not be counted, so it was not let in. `codex-multi-auth files` shows the agent's files.";
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "capability_not_counted", message);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// Whose only account cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// A capability's.
    Capability,
    /// A project's.
    Project,
}

impl Bound {
    /// What it is the only account of, and how another one is taken.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Capability => ("this capability", "Run `codex-multi-auth token --account <n>` for another one."),
            Self::Project => {
                ("this project", "Run `codex-multi-auth profile unbind` in the project to use the others.")
            }
        }
    }
}

/// The one account of a capability or a project cannot serve; like a pin, it never spills.
pub(crate) fn bound_account(
    of: Bound,
    refusal: &Refusal,
    (record, until): (&RecordId, Option<Timestamp>),
    pool: &SavedPool,
    plan: Option<&str>,
    now: Timestamp,
) -> Answer {
    const CODE: &str = "codex_pinned_account_unavailable";
    let (what, another) = of.words();
    let Some(number) = pool.number_of(record) else {
        let message = format!("The only account of {what} is no longer in the pool. {another}");
        return error(StatusCode::BAD_REQUEST, CODE, &message);
    };
    if let Some(until) = until {
        let message = format!("Account {number}, the only one of {what}, rests.");
        return usage_limited(CODE, &message, (refusal, plan), until, now);
    }
    let standing = refusal.standings.iter().find(|standing| standing.record == *record);
    let (why, mend) = (reason_of(standing), mend(standing, number));
    let message = format!("Account {number}, the only one of {what}, cannot serve ({why}). {mend}");
    error(StatusCode::BAD_REQUEST, CODE, &message)
}

/// There is no such route.
pub(crate) fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, "runtime_rotation_proxy_not_found", "The agent does not serve this path.")
}

/// The body is over the cap.
pub(crate) fn too_large(cap: usize) -> Answer {
    let message = format!("The request body is larger than {} MiB.", cap / (1024 * 1024));
    let mut answer = error(StatusCode::PAYLOAD_TOO_LARGE, "runtime_rotation_proxy_payload_too_large", &message);
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// We do not speak WebSocket; the client falls back to HTTP after this one answer.
pub(crate) fn upgrade_required() -> Answer {
    error(StatusCode::UPGRADE_REQUIRED, "websocket_not_relayed", "Use HTTP; the agent does not relay WebSocket.")
}

/// An account was signed out by the issuer and another one too: a wave, in which nobody else's token is shown.
pub(crate) fn wave(pool: &SavedPool, hit: &[RecordId]) -> Answer {
    let accounts = numbers(pool, hit);
    let command = hit.first().and_then(|record| pool.number_of(record)).unwrap_or(1);
    let message = format!(
        "The issuer signed out accounts {accounts} within ten minutes, so no other account was tried. \
         Run `codex-multi-auth login --account {command}` for each of them."
    );
    error(StatusCode::BAD_REQUEST, "token_invalidated_wave", &message)
}

/// Nobody can serve: one answer per cause.
pub(crate) fn refused(refusal: &Refusal, pool: &SavedPool, plan: Option<&str>, now: Timestamp) -> Answer {
    accounted_as(UsageOutcome::of_refusal(&refusal.cause), refused_by_cause(refusal, pool, plan, now))
}

fn refused_by_cause(refusal: &Refusal, pool: &SavedPool, plan: Option<&str>, now: Timestamp) -> Answer {
    match &refusal.cause {
        Cause::NoAccounts => error(
            StatusCode::BAD_REQUEST,
            "needs_login",
            "No accounts are configured. Run `codex-multi-auth login` to add one.",
        ),
        Cause::NeedsUser => error(StatusCode::BAD_REQUEST, "needs_login", &needs_user(refusal, pool)),
        Cause::NothingSelected => error(
            StatusCode::BAD_REQUEST,
            "needs_login",
            "The selected account cannot serve, and the strategy `manual` never moves by itself. \
             Run `codex-multi-auth switch <n>` with an account that can.",
        ),
        Cause::UsageLimited { until } => {
            let message = "All accounts have reached their usage limit.";
            usage_limited("codex_runtime_rotation_pool_exhausted", message, (refusal, plan), *until, now)
        }
        Cause::Pinned { record, until: Some(until) } => {
            let number = pool.number_of(record).unwrap_or_default();
            let message = format!("Pinned account {number} rests; run `codex-multi-auth unpin` to use the others.");
            usage_limited("codex_pinned_account_unavailable", &message, (refusal, plan), *until, now)
        }
        Cause::Pinned { record, until: None } => {
            let number = pool.number_of(record).unwrap_or_default();
            let standing = refusal.standings.iter().find(|standing| standing.record == *record);
            let mend = mend(standing, number);
            let message = format!(
                "Pinned account {number} cannot serve ({}). {}, or `codex-multi-auth unpin` to use the others.",
                standing.map_or("missing", told),
                mend.trim_end_matches('.'),
            );
            error(StatusCode::BAD_REQUEST, "codex_pinned_account_unavailable", &message)
        }
        Cause::Unreachable { .. } => unreachable_backend(),
        Cause::Denied(denial) => denied(denial, (refusal, plan), now),
        Cause::NoModel { until } => {
            let message = format!(
                "No account that may serve has access to this model; that is asked anew in {} minutes. \
                 Choose another model with `-m`.",
                until.since(now).as_secs().div_ceil(60)
            );
            error(StatusCode::BAD_REQUEST, "model_not_supported", &message)
        }
    }
}

/// A rule of the user refuses the request. A budget that starts anew is a limit like the backend's own.
fn denied(denial: &Denial, refused: (&Refusal, Option<&str>), now: Timestamp) -> Answer {
    let Denial { by, reason, until } = denial;
    match (by, until) {
        (DeniedBy::Budget, Some(until)) => usage_limited(by.code(), reason, refused, *until, now),
        (DeniedBy::Budget | DeniedBy::Policy, _) => {
            let shows = match by {
                DeniedBy::Budget => "budget list",
                DeniedBy::Policy => "profile show",
            };
            let hint = format!("Run `codex-multi-auth {shows}` in the project to see its rules.");
            let message = format!("Runtime policy blocked this local request: {reason}. {hint}");
            let body = json!({ "message": message, "code": by.code(), "reasons": [reason], "hint": hint });
            document(StatusCode::BAD_REQUEST, &json!({ "error": body }))
        }
    }
}

/// The user's rules could not be read, so nobody can say whether the request is within them.
pub(crate) fn rules_unavailable(why: &str) -> Answer {
    let message = format!("Runtime policy could not be loaded for this local request: {why}.");
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "runtime_policy_unavailable", &message);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// The backend failed everybody and left no answer of its own to pass on.
pub(crate) fn unreachable_backend() -> Answer {
    let message = "The backend could not be reached with any account. `codex-multi-auth status` shows each one.";
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "codex_runtime_rotation_pool_exhausted", message);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

fn usage_limited(
    code: &str,
    message: &str,
    (refusal, plan): (&Refusal, Option<&str>),
    until: Timestamp,
    now: Timestamp,
) -> Answer {
    let wait = until.since(now);
    let hint = if code == DeniedBy::Budget.code() {
        "Run `codex-multi-auth budget list` to see the limits."
    } else {
        "Run `codex-multi-auth rotation status` to see when each account comes back."
    };
    let skipped: serde_json::Map<String, Value> = refusal
        .standings
        .iter()
        .enumerate()
        .map(|(index, standing)| (index.to_string(), reason_of(Some(standing)).into()))
        .collect();
    let body = json!({ "error": {
        "type": "usage_limit_reached",
        "code": code,
        "message": message,
        "plan_type": plan.unwrap_or("unknown"),
        "resets_at": until.as_secs_ceil(),
        "reason": "rate-limit",
        "retry_after_ms": u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        "account_skip_reasons": skipped,
        "hint": hint,
    } });
    let mut answer = document(StatusCode::TOO_MANY_REQUESTS, &body);
    let seconds = wait.as_secs() + u64::from(wait > Duration::from_secs(wait.as_secs()));
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    answer
}

fn needs_user(refusal: &Refusal, pool: &SavedPool) -> String {
    let parts: Vec<String> = refusal
        .standings
        .iter()
        .map(|standing| {
            let number = pool.number_of(&standing.record).unwrap_or_default();
            format!("account {number}: {}", told(standing))
        })
        .collect();
    let parts = parts.join("; ");
    let dead = refusal.standings.iter().find_map(|standing| Some((standing, code_of(standing)?)));
    let meant = dead.map(|(standing, _)| standing).or(refusal.standings.first());
    let number = meant.and_then(|meant| pool.number_of(&meant.record)).unwrap_or(1);
    match dead {
        Some((_, code)) => {
            format!("{code}: no account can serve ({parts}). Run: codex-multi-auth login --account {number}")
        }
        None => format!("No account can serve ({parts}). {}", mend(meant, number)),
    }
}

/// What keeps an account away; the issuer's own code where it needs a new sign-in.
fn told(standing: &Standing) -> &str {
    code_of(standing).unwrap_or_else(|| reason_of(Some(standing)))
}

/// What helps an account that does not come back by itself: a command of its own blocker where the user keeps it away,
/// else a new sign-in.
fn mend(standing: Option<&Standing>, number: usize) -> String {
    let held = standing.into_iter().flat_map(|standing| &standing.blockers);
    let held = held.into_iter().find(|blocker| matches!(blocker, Blocker::Held { .. })).map(Blocker::exit);
    match held {
        Some(Exit::Command(command)) => {
            format!("Run `{}` to let it serve again.", command.replace("{n}", &number.to_string()))
        }
        Some(Exit::Wait { .. } | Exit::NextRequest) | None => {
            format!("Run `codex-multi-auth login --account {number}` to mend it.")
        }
    }
}

/// The code by which an account is marked.
fn code_of(standing: &Standing) -> Option<&str> {
    standing.blockers.iter().find_map(Blocker::needs_login)
}

fn reason_of(standing: Option<&Standing>) -> &'static str {
    standing.and_then(|standing| standing.blockers.first()).map_or("missing", Blocker::code)
}

fn numbers(pool: &SavedPool, records: &[RecordId]) -> String {
    let known = records.iter().filter_map(|record| pool.number_of(record));
    known.map(|number| number.to_string()).collect::<Vec<_>>().join(" and ")
}
