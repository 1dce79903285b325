//! The account of one request, as a value: whoever lets go of it last hands it to the writer, so that there is exactly
//! one, however the request ends. A request nobody answered was left by its client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_auth_core::{
    AttemptSpent, Ending, Finish, RequestSpent, SessionKey, Timestamp, TokenUse, UsageOperation, UsageOutcome,
    UsageSource, Whose,
};

use super::told::{Told, code_word, told};
use crate::proxy::Proxy;

/// How an answer of our own is written down; it travels with the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accounted {
    pub(crate) outcome: UsageOutcome,
    pub(crate) code: Option<String>,
}

/// What is known of a request when it comes in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) operation: UsageOperation,
    pub(crate) model: Option<String>,
    pub(crate) session: Option<SessionKey>,
    pub(crate) cwd: Option<String>,
}

/// The account of one request; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Tab(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    proxy: Arc<Proxy>,
    began: Timestamp,
    asked: Asked,
    page: Mutex<Page>,
}

#[derive(Debug, Default)]
struct Page {
    is_relayed: bool,
    is_revoked: bool,
    project: Option<String>,
    /// The model the client named, and the one that is asked for in its place.
    instead: Option<(String, String)>,
    status: Option<u16>,
    outcome: Option<UsageOutcome>,
    code: Option<String>,
    /// The terminal event, or what was copied of a document; read when everybody has what they wait for.
    last_words: Option<Vec<u8>>,
    attempts: Vec<AttemptSpent>,
}

impl Tab {
    /// Opens the account of a request that has just come in.
    pub(crate) fn open(proxy: &Arc<Proxy>, asked: Asked) -> Self {
        let began = proxy.ports.clock.now();
        Self(Arc::new(Inner { proxy: proxy.clone(), began, asked, page: Mutex::default() }))
    }

    /// Notes an attempt that has ended.
    pub(crate) fn attempted(&self, attempt: AttemptSpent) {
        let mut page = self.0.page();
        let model = page.instead.as_ref().map(|(_, next)| next.clone());
        page.attempts.push(AttemptSpent { model, ..attempt });
    }

    /// From here on `next` is asked for in place of the client's own model.
    pub(crate) fn asking(&self, own: &str, next: &str) {
        self.0.page().instead = Some((own.to_owned(), next.to_owned()));
    }

    /// The backend's answer is on its way to the client; how it ends is told by [`Tab::ended`], or by nobody.
    pub(crate) fn relaying(&self, status: u16) {
        let mut page = self.0.page();
        page.is_relayed = true;
        page.status = Some(status);
    }

    /// The relayed answer has ended.
    pub(crate) fn ended(&self, ending: Ending, last_words: Option<Vec<u8>>) {
        let mut page = self.0.page();
        page.outcome = Some(ending.outcome());
        page.code = ending.code().map(str::to_owned);
        page.last_words = last_words;
    }

    /// The client has an answer: ours, or a refusal of the backend's that was passed on.
    pub(crate) fn answered(&self, status: u16, accounted: Option<&Accounted>) {
        let mut page = self.0.page();
        if page.is_relayed {
            return;
        }
        page.status = Some(status);
        if let Some(Accounted { outcome, code }) = accounted {
            page.outcome = Some(*outcome);
            page.code = code.as_deref().and_then(code_word);
        } else {
            let ending = Ending { status, is_events: false, terminal: None, finish: Finish::Whole };
            page.outcome = Some(ending.outcome());
            // What was passed on may be what an earlier attempt was answered with.
            let passed_on = page.attempts.iter().rev().find(|attempt| attempt.status == Some(status));
            page.code = passed_on.and_then(|attempt| attempt.error_code.clone());
        }
    }

    /// Whose budgets it counts towards.
    pub(crate) fn in_project(&self, project: Option<String>) {
        self.0.page().project = project;
    }

    /// The capability it came with was revoked meanwhile.
    pub(crate) fn revoked(&self) {
        self.0.page().is_revoked = true;
    }
}

impl Inner {
    fn page(&self) -> MutexGuard<'_, Page> {
        // Each note is complete in itself.
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let page = std::mem::take(&mut *self.page());
        let at = self.proxy.ports.clock.now();
        let request = spent(self, page, at);
        self.proxy.accounting.enter(request);
    }
}

fn spent(inner: &mut Inner, page: Page, at: Timestamp) -> RequestSpent {
    let Page { is_relayed: _, is_revoked, project, instead, status, outcome, code, last_words, mut attempts } = page;
    let finish = if is_revoked { Finish::Revoked } else { Finish::Left };
    // Nobody said how it ended.
    let left = Ending { status: status.unwrap_or(200), is_events: true, terminal: None, finish };
    let (outcome, code) = match outcome {
        Some(outcome) => (outcome, code),
        None => (left.outcome(), left.code().map(str::to_owned)),
    };
    let Told { tokens, response, model, code: told_code } = last_words.as_deref().map(told).unwrap_or_default();
    let code = if outcome == UsageOutcome::Success { None } else { told_code.clone().or(code) };
    let tokens = tokens.unwrap_or_default();
    if let Some(last) = attempts.last_mut() {
        // What was told at the end is the last one's, and says more than how its bytes ended.
        last.tokens = tokens;
        let own = told_code.or_else(|| last.error_code.take()).or_else(|| code.clone());
        last.error_code = own.filter(|_| last.outcome != UsageOutcome::Success);
    }
    for attempt in attempts.iter_mut().filter(|attempt| attempt.outcome == UsageOutcome::Cancelled) {
        if outcome != UsageOutcome::Cancelled {
            // It was not the client who broke it off.
            (attempt.outcome, attempt.error_code) = (outcome, Some("given_up".to_owned()));
        }
    }
    let (own, instead) = instead.unzip();
    for attempt in attempts.iter_mut().filter(|attempt| attempt.model.is_none()) {
        attempt.model.clone_from(&own);
    }
    let Asked { operation, model: asked, session, cwd } = &mut inner.asked;
    let (operation, session, cwd) = (*operation, session.take(), cwd.take());
    let model = instead.or_else(|| asked.take()).or(model);
    inner.proxy.rules.took(project, at, tokens, model.as_deref());
    RequestSpent {
        id: inner.proxy.accounting.name(),
        at,
        source: UsageSource::RuntimeProxy,
        operation,
        outcome,
        model,
        instead_of: own,
        cwd,
        session,
        response,
        account: whose(operation, &attempts),
        status: status.filter(|_| outcome != UsageOutcome::Cancelled || status.is_some()),
        error_code: code,
        took: at.since(inner.began),
        tokens,
        attempts,
    }
}

/// Who answered. A list of models is everybody's who was asked.
fn whose(operation: UsageOperation, attempts: &[AttemptSpent]) -> Option<Whose> {
    let is_shared = operation == UsageOperation::Models && attempts.len() > 1;
    attempts.last().filter(|_| !is_shared).map(|attempt| attempt.account.clone())
}

/// One attempt, ended.
pub(crate) fn attempt_of(
    account: Whose,
    (began, now): (Timestamp, Timestamp),
    (outcome, status, code): (UsageOutcome, Option<u16>, Option<&str>),
) -> AttemptSpent {
    AttemptSpent {
        at: now,
        account,
        model: None,
        outcome,
        status,
        error_code: code.and_then(code_word),
        took: now.since(began),
        tokens: TokenUse::default(),
    }
}
