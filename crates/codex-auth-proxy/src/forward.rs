//! The attempt loop: lease an account, make its token good, send, settle, react. Every retry of the product is here.

use std::sync::Arc;

use bytes::Bytes;
use codex_auth_core::{
    Cause, Held, KeepError, Outcome, Query, Reaction, RecordId, Recovery, RefreshPlan, RefreshReason, Refusal, Renewed,
    Ruling, Timestamp, USABLE_FOR, UsageOutcome, plan, reason_ahead,
};
use http::StatusCode;
use http_body_util::{BodyExt, Limited};

use crate::{
    accounting::{Accounted, code_in},
    attempt::Attempt,
    begun::Begun,
    body::{BodyStream, whole},
    call::Call,
    headers::{Wearing, inbound, outbound},
    inbound::{model_of, parent_of, quota_key_of, session_of, tokens_of},
    instead::Instead,
    permits::asked_model,
    proxy::Proxy,
    relay::relay,
    respond::{self, Answer, Bound},
    rewrite,
    rules::{Origin, Room},
    upstream::UpstreamError,
    verdict::{self, Verdict},
};

/// Error answers are read whole to learn what they mean; larger ones speak by their status.
const LARGEST_REFUSAL: usize = 1024 * 1024;

/// What is remembered over the attempts of one call.
#[derive(Debug, Default)]
struct Search {
    tried: Vec<RecordId>,
    /// Those of them that lack the model.
    lacking: Vec<RecordId>,
    /// Accounts whose credential was renewed after a 401, and what that came to.
    recoveries: Vec<(RecordId, Recovery)>,
    /// The account to be asked once more.
    again: Option<RecordId>,
    /// The request as it was changed.
    rewritten: Option<Call>,
    /// Whether what another account's backend encrypted was left out; done at most once.
    is_stripped: bool,
    /// The models asked for in place of the client's.
    instead: Instead,
    /// How many accounts had been tried when the first one turned out to be signed out by the issuer.
    marked_after: Option<usize>,
    /// The accounts whose sign-outs keep everybody's token from being renewed, once somebody's needed it.
    held_back: Option<Vec<RecordId>>,
    /// The backend's own fault answer, passed on when nobody does better.
    fault: Option<Answer>,
}

/// What the user's rules mean for a call.
type Admitted = (Ruling, Arc<Room>);

/// Serves a model call with whichever account can.
pub(crate) async fn forward(proxy: &Arc<Proxy>, call: &Call) -> Answer {
    let origin = proxy.leases.origin(&call.caller, &call.headers);
    let model = || model_of(&call.headers).or_else(|| asked_model(&call.headers, &call.body));
    let (ruling, room) = match proxy.rules.admit(&origin, call.only(), model, proxy.ports.clock.now()) {
        Ok(admitted) => admitted,
        Err(unjudged) => return respond::rules_unavailable(&unjudged.to_string()),
    };
    if let Some(tab) = &call.tab {
        tab.in_project(origin.project.clone());
    }
    // On the heap, or each of the layers above would carry its six kilobytes, and copy them on the way in.
    let search = Box::pin(search(proxy, (call, &origin), (ruling, room.clone())));
    let answer = tokio::time::timeout(proxy.config.search_within, search).await;
    room.searched();
    answer.unwrap_or_else(|_| respond::unreachable_backend())
}

async fn search(proxy: &Arc<Proxy>, (call, origin): (&Call, &Origin), (ruling, room): Admitted) -> Answer {
    let mut search = Search::default();
    let mut query = Query {
        session: session_of(&call.headers),
        parent: parent_of(&call.headers),
        tokens: tokens_of(&call.headers, &call.body),
        quota_key: quota_key_of(&call.headers),
        only: call.only().cloned(),
        ruling,
        ..Query::default()
    };
    loop {
        let now = proxy.ports.clock.now();
        if search.marked_after.is_some()
            && let Some(wave) = proxy.rotation.wave(now)
        {
            return respond::wave(&proxy.rotation.pool(), &wave.hit);
        }
        query.tried = search.tried_with(proxy);
        query.lacking.clone_from(&search.lacking);
        query.again = search.again.take();
        let current = search.rewritten.as_ref().unwrap_or(call);
        let lease = match proxy.rotation.acquire(&query, now) {
            Ok(lease) => lease,
            Err(refusal) => {
                // After an invalidation at most one other account is asked, for whatever model.
                let may_go_on = search.marked_after.is_none();
                let step = |instead: &mut Instead, query| instead.step(proxy, (current, origin), &refusal, query);
                let renamed = if may_go_on { step(&mut search.instead, &mut query) } else { None };
                let Some(renamed) = renamed else { return nobody(proxy, search, &refusal, (&query, now)) };
                search.rewritten = Some(renamed);
                // Who lacked the model before may have this one.
                let lacking = std::mem::take(&mut search.lacking);
                search.tried.retain(|record| !lacking.contains(record));
                continue;
            }
        };
        let is_bound = query.session.as_ref().and_then(|session| proxy.rotation.bound(session, now)).as_ref()
            == Some(&lease.held.account.record);
        let refreshed = search.recovery_of(&lease.held.account.record).is_over();
        let attempt = Attempt::new(proxy.clone(), lease, refreshed, (room.clone(), call.tab.clone()));
        let current = search.rewritten.as_ref().unwrap_or(call);
        match one(proxy, current, attempt, is_bound).await {
            Step::Answer(answer) => return search.instead.told(answer),
            Step::Next { record, fault, marked, lacks_model } => {
                search.lacking.extend(lacks_model.then(|| record.clone()));
                search.tried.push(record);
                search.fault = fault.or(search.fault);
                search.marked_after = search.marked_after.or(marked.then_some(search.tried.len()));
            }
            Step::Unready { record, why } => {
                search.tried.push(record);
                if let KeepError::HeldBack { hit, .. } = why {
                    search.held_back = Some(hit);
                }
            }
            Step::Again { renewed } => {
                let record = renewed.held.account.record.clone();
                search.recovery_of(&record).came_to(&renewed);
                search.again = Some(record);
            }
            Step::Foreign { record, answer } => {
                let rewritten = if search.is_stripped { None } else { rewrite::without_ciphertext(current) };
                let Some(rewritten) = rewritten else { return search.instead.told(answer) };
                search.is_stripped = true;
                tracing::info!(%record, "another account's encrypted reasoning was left out");
                search.rewritten = Some(rewritten);
                search.again = Some(record);
            }
        }
    }
}

impl Search {
    fn recovery_of(&mut self, record: &RecordId) -> &mut Recovery {
        let place = self.recoveries.iter().position(|(known, _)| known == record).unwrap_or_else(|| {
            self.recoveries.push((record.clone(), Recovery::default()));
            self.recoveries.len() - 1
        });
        &mut self.recoveries[place].1
    }

    /// The accounts that are out of the question. After an invalidation at most one other account is asked.
    fn tried_with(&self, proxy: &Proxy) -> Vec<RecordId> {
        if self.marked_after.is_some_and(|count| self.tried.len() > count) {
            return proxy.rotation.pool().accounts.into_iter().map(|held| held.account.record).collect();
        }
        self.tried.clone()
    }
}

enum Step {
    /// The client's answer.
    Answer(Answer),
    /// This account is no good for this call.
    Next { record: RecordId, fault: Option<Answer>, marked: bool, lacks_model: bool },
    /// This account has no token to ask with.
    Unready { record: RecordId, why: KeepError },
    /// The same account, with a renewed token.
    Again { renewed: Box<Renewed> },
    /// The same account, without another's ciphertext; or this answer where that cannot be left out.
    Foreign { record: RecordId, answer: Answer },
}

impl Step {
    /// The account has left nothing to say.
    fn passed(record: RecordId) -> Self {
        Self::Next { record, fault: None, marked: false, lacks_model: false }
    }
}

async fn one(proxy: &Arc<Proxy>, call: &Call, mut attempt: Attempt, is_bound: bool) -> Step {
    let record = attempt.record().clone();
    match ready(proxy, attempt.worn()).await {
        Ok(None) => {}
        Ok(Some(renewed)) => attempt.wear(renewed),
        Err(error) => {
            tracing::info!(%record, %error, "skipped: no usable token");
            return Step::Unready { record, why: error };
        }
    }
    let Some(request) = request_as(proxy, call, attempt.worn(), is_bound) else {
        return Step::passed(record);
    };
    attempt.sending();
    let sent = tokio::time::timeout(proxy.config.headers_within, proxy.ports.upstream.send(request)).await;
    match sent.unwrap_or_else(|_| Err(UpstreamError::Broken("no answer in time".into()))) {
        Ok(answer) if answer.status().as_u16() < 400 => pass_on(proxy, call, attempt, answer).await,
        Ok(answer) => refused(proxy, attempt, answer).await,
        Err(error) => {
            tracing::info!(%record, %error, "the backend did not answer");
            attempt.settle(&Outcome::NetworkFault).await;
            Step::passed(record)
        }
    }
}

/// Makes this account's credential usable: `None` where it is. A live one serves, whatever becomes of its renewal.
async fn ready(proxy: &Arc<Proxy>, held: &Held) -> Result<Option<Held>, KeepError> {
    let now = proxy.ports.clock.now();
    match plan(held, now) {
        RefreshPlan::Use => Ok(None),
        RefreshPlan::RefreshBehind => {
            let why = reason_ahead(&held.credential);
            proxy.renewals.renew_behind(&held.account.record, &held.credential, why);
            Ok(None)
        }
        RefreshPlan::RefreshFirst => {
            proxy.renew(held, reason_ahead(&held.credential)).await.map(|renewed| Some(renewed.held))
        }
        RefreshPlan::AskForLogin => Err(KeepError::NeedsLogin { code: "no token".into() }),
    }
}

fn request_as(proxy: &Proxy, call: &Call, held: &Held, is_bound: bool) -> Option<http::Request<Bytes>> {
    let access = held.credential.access.as_ref()?;
    let wearing = Wearing { access, workspace: held.account.owner.workspace.as_ref(), keeps_turn_state: is_bound };
    let mut request = http::Request::new(call.body.clone());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = proxy.config.backend_url(&call.path, call.query.as_deref())?;
    *request.headers_mut() = outbound(&call.headers, wearing)?;
    Some(request)
}

/// Passes an answer on, unless its first event says that it failed and another account may do better.
async fn pass_on(proxy: &Arc<Proxy>, call: &Call, mut attempt: Attempt, answer: http::Response<BodyStream>) -> Step {
    let told = verdict::told_by(answer.headers(), proxy.ports.clock.now());
    proxy.note_quota(attempt.record(), told.as_slice());
    let (head, body) = answer.into_parts();
    let begun = Begun::awaited(body, &head.headers).await;
    let passed = |body| {
        let mut passed = http::Response::new(body);
        *passed.status_mut() = head.status;
        *passed.headers_mut() = inbound(&head.headers);
        passed
    };
    if begun.seen().terminal.as_ref().is_some_and(verdict::is_failure) {
        let verdict = verdict::of_end(begun.seen(), proxy.ports.clock.now());
        if verdict.outcome.reaction(true) == Reaction::TryAnother {
            let record = attempt.record().clone();
            proxy.note_quota(&record, &verdict.told);
            let told = begun.seen().terminal.as_ref().and_then(|event| code_in(&event.data));
            let code = Some(told.unwrap_or_else(|| "response_failed".to_owned()));
            attempt.answered(head.status.as_u16(), code.clone());
            attempt.settle(&verdict.outcome).await;
            let fault = verdict.outcome.is_told_where_nobody_serves().then(|| {
                let mut fault = passed(relay(begun, None, proxy.config.silence));
                fault.extensions_mut().insert(Accounted { outcome: UsageOutcome::Failure, code });
                fault
            });
            let lacks_model = verdict.outcome == Outcome::LacksModel;
            return Step::Next { record, fault, marked: false, lacks_model };
        }
    }
    attempt.answering(&call.caller);
    attempt.relaying(head.status.as_u16());
    Step::Answer(passed(relay(begun, Some(attempt), proxy.config.silence)))
}

/// Reads a refusal and decides. A 401 never reaches the client: it would renew or drop its own login over it.
async fn refused(proxy: &Arc<Proxy>, mut attempt: Attempt, refusal: http::Response<BodyStream>) -> Step {
    let worn = attempt.worn().clone();
    let record = worn.account.record.clone();
    let (head, body) = refusal.into_parts();
    let read = tokio::time::timeout(proxy.config.silence, Limited::new(body, LARGEST_REFUSAL).collect()).await;
    let body = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let Verdict { outcome, told } =
        verdict::of_refusal(head.status.as_u16(), &head.headers, &body, proxy.ports.clock.now());
    proxy.note_quota(&record, &told);
    attempt.answered(head.status.as_u16(), verdict::code_of(&body));
    let original = || {
        let mut original = http::Response::new(whole(body.clone()));
        *original.status_mut() = head.status;
        *original.headers_mut() = inbound(&head.headers);
        original
    };
    let refreshed = attempt.refreshed;
    let reaction = attempt.settle(&outcome).await;
    match reaction {
        Reaction::Relay => Step::Answer(original()),
        Reaction::RefreshAndRetry => match proxy.renew(&worn, RefreshReason::UnauthorizedRecovery).await {
            Ok(renewed) => Step::Again { renewed: Box::new(renewed) },
            Err(error) => {
                tracing::info!(%record, %error, "the refused token could not be renewed");
                Step::Unready { record, why: error }
            }
        },
        Reaction::TryAnother => {
            let fault = outcome.is_told_where_nobody_serves().then(original);
            if refreshed && head.status == StatusCode::UNAUTHORIZED {
                tracing::warn!(%record, "refused again right after a renewal");
            }
            Step::Next { record, fault, marked: false, lacks_model: outcome == Outcome::LacksModel }
        }
        Reaction::RewriteAndRetry => Step::Foreign { record, answer: original() },
        Reaction::MarkAndTryOne => Step::Next { record, fault: None, marked: true, lacks_model: false },
        Reaction::Stop => Step::Answer(respond::unreachable_backend()),
    }
}

fn nobody(proxy: &Proxy, search: Search, refusal: &Refusal, asked: (&Query, Timestamp)) -> Answer {
    let Search { instead, fault, held_back, .. } = search;
    let tells_more = match &refusal.cause {
        Cause::Unreachable { .. } | Cause::NoModel { .. } => true,
        Cause::NothingSelected => refusal.wants_model,
        Cause::NoAccounts | Cause::NeedsUser | Cause::UsageLimited { .. } | Cause::Pinned { .. } | Cause::Denied(_) => {
            false
        }
    };
    let theirs = fault.filter(|_| tells_more);
    instead.told(theirs.unwrap_or_else(|| of_our_own(proxy, held_back, refusal, asked)))
}

fn of_our_own(
    proxy: &Proxy,
    held_back: Option<Vec<RecordId>>,
    refusal: &Refusal,
    (query, now): (&Query, Timestamp),
) -> Answer {
    let pool = proxy.rotation.pool();
    if let Some(hit) = held_back {
        return respond::wave(&pool, &hit);
    }
    let plan = pool.accounts.iter().find_map(|held| held.account.owner.plan.clone());
    if let Cause::Pinned { record, until } = &refusal.cause {
        let of = match (&query.only, &query.ruling.bound) {
            (Some(_), _) => Some(Bound::Capability),
            (None, Some(_)) => Some(Bound::Project),
            (None, None) => None,
        };
        if let Some(of) = of {
            return respond::bound_account(of, refusal, (record, *until), &pool, plan.as_deref(), now);
        }
    }
    respond::refused(refusal, &pool, plan.as_deref(), now)
}

/// Whether a credential serves without renewal.
pub(crate) fn is_usable(held: &Held, now: Timestamp) -> bool {
    held.account.needs_login.is_none() && held.credential.is_live(now, USABLE_FOR)
}
