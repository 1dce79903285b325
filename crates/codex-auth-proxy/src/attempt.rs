//! One attempt with one account, as a value: whatever happens in between, its lease is settled exactly once, and it is
//! written down on the request's account exactly once.

use std::sync::Arc;

use codex_auth_core::{
    Ending, Finish, Held, Lease, Outcome, Reaction, RecordId, Timestamp, Usage, UsageOutcome, Whose,
};

use crate::{
    accounting::{Tab, attempt_of, tokens_in},
    begun::Begun,
    leases::Caller,
    proxy::Proxy,
    rules::Room,
    verdict,
};

/// An attempt under way. Dropped unsettled, it counts as left by the client.
#[derive(Debug)]
pub(crate) struct Attempt {
    proxy: Arc<Proxy>,
    lease: Option<Lease>,
    /// Whether the account's credential was already renewed for this request.
    pub(crate) refreshed: bool,
    room: Arc<Room>,
    tab: Option<Tab>,
    /// Whether anything was sent: what was not is no attempt to be written down.
    is_sent: bool,
    began: Timestamp,
    status: Option<u16>,
    code: Option<String>,
}

impl Attempt {
    /// Takes charge of a lease, for the request with this account.
    pub(crate) fn new(proxy: Arc<Proxy>, lease: Lease, refreshed: bool, (room, tab): (Arc<Room>, Option<Tab>)) -> Self {
        let began = proxy.ports.clock.now();
        Self { proxy, lease: Some(lease), refreshed, room, tab, is_sent: false, began, status: None, code: None }
    }

    /// The lease.
    pub(crate) fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("a lease is taken out only by settling, which consumes the attempt")
    }

    /// The account with the tokens it is asked with.
    pub(crate) fn worn(&self) -> &Held {
        &self.lease().held
    }

    /// The account asked.
    pub(crate) fn record(&self) -> &RecordId {
        &self.worn().account.record
    }

    /// Notes the renewed tokens that the account is asked with: what its answer says concerns these and no others.
    pub(crate) fn wear(&mut self, held: Held) {
        if let Some(lease) = &mut self.lease {
            lease.held = held;
        }
    }

    /// Notes that the answer has begun: the session stays with this account from here on.
    pub(crate) fn answering(&self, caller: &Caller) {
        self.proxy.rotation.answering(self.lease(), self.proxy.ports.clock.now());
        self.proxy.leases.served(caller, self.record());
        self.room.answered();
    }

    /// Notes that this answer goes to the client.
    pub(crate) fn relaying(&mut self, status: u16) {
        self.status = Some(status);
        if let Some(tab) = &self.tab {
            tab.relaying(status);
        }
    }

    /// Notes what the backend refused with.
    pub(crate) fn answered(&mut self, status: u16, code: Option<String>) {
        (self.status, self.code) = (Some(status), code);
    }

    /// The request is about to be sent: from here on it is an attempt, whatever becomes of it.
    pub(crate) fn sending(&mut self) {
        self.is_sent = true;
    }

    /// Ends the attempt and says what to do next. A marker that must be durable first is, when this returns.
    pub(crate) async fn settle(mut self, outcome: &Outcome) -> Reaction {
        self.note(UsageOutcome::of_attempt(outcome));
        let Some(lease) = self.lease.take() else { return Reaction::Stop };
        let settled = self.proxy.rotation.settle(lease, outcome, self.refreshed, self.proxy.ports.clock.now());
        match settled.edit {
            Some(edit) if settled.is_urgent => {
                if let Err(error) = self.proxy.keeping.keep_now(edit).await {
                    tracing::error!(%error, "the mark of a signed-out account could not be written");
                }
            }
            Some(edit) => self.proxy.keeping.keep(edit),
            None => {}
        }
        settled.reaction
    }

    /// Ends the attempt with an answer that is complete, or said in its terminal event what it came to.
    pub(crate) fn complete(self, begun: &mut Begun) {
        let verdict = verdict::of_end(begun.end(), self.proxy.ports.clock.now());
        self.proxy.note_quota(self.record(), &verdict.told);
        let (ending, last_words) = begun.ending(self.status(), Finish::Whole);
        self.end(&verdict.outcome, ending, last_words);
    }

    /// Ends the attempt where nothing can be awaited: at the end of a stream, with its last words.
    pub(crate) fn end(mut self, outcome: &Outcome, ending: Ending, last_words: Option<Vec<u8>>) {
        if let (Some(took), Some(lease)) = (last_words.as_deref().and_then(tokens_in), &self.lease) {
            let usage = Usage { prompt_tokens: took.input, cached_tokens: took.cached_input };
            self.proxy.rotation.answered(lease, usage);
        }
        let tab = self.tab.clone();
        self.code = ending.code().map(str::to_owned);
        self.note(ending.outcome());
        if let Some(tab) = tab {
            tab.ended(ending, last_words);
        }
        self.finish(outcome);
    }

    /// The status that goes to the client.
    pub(crate) fn status(&self) -> u16 {
        self.status.unwrap_or(200)
    }

    /// Writes the attempt down on its request's account.
    fn note(&mut self, outcome: UsageOutcome) {
        let (Some(tab), Some(lease), true) = (self.tab.take(), &self.lease, self.is_sent) else { return };
        let whose = Whose::of(&lease.held.account);
        let now = self.proxy.ports.clock.now();
        tab.attempted(attempt_of(whose, (self.began, now), (outcome, self.status, self.code.as_deref())));
    }

    fn finish(&mut self, outcome: &Outcome) {
        let Some(lease) = self.lease.take() else { return };
        self.room.ended(outcome, self.proxy.ports.clock.as_ref());
        let settled = self.proxy.rotation.settle(lease, outcome, true, self.proxy.ports.clock.now());
        if let Some(edit) = settled.edit {
            self.proxy.keeping.keep(edit);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.note(UsageOutcome::Cancelled);
        self.finish(&Outcome::Cancelled);
    }
}
