//! One attempt with one account, as a value: whatever happens in between, its lease is settled exactly once.

use std::sync::Arc;

use codex_auth_core::{Held, Lease, Outcome, Reaction, RecordId, TokenUse};
use serde_json::Value;

use crate::{
    leases::Caller,
    observe::{Event, Observed},
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
}

impl Attempt {
    /// Takes charge of a lease.
    pub(crate) fn new(proxy: Arc<Proxy>, lease: Lease, refreshed: bool, room: Arc<Room>) -> Self {
        Self { proxy, lease: Some(lease), refreshed, room }
    }

    /// The lease.
    pub(crate) fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("a lease is taken out only by settling, which consumes the attempt")
    }

    /// The account asked.
    pub(crate) fn record(&self) -> &RecordId {
        &self.lease().held.account.record
    }

    /// Notes the tokens the account is asked with: what its answer says concerns these and no others.
    pub(crate) fn wear(&mut self, held: &Held) {
        if let Some(lease) = &mut self.lease {
            lease.held = held.clone();
        }
    }

    /// Notes that the answer has begun: the session stays with this account from here on.
    pub(crate) fn answering(&self, caller: &Caller) {
        self.proxy.rotation.answering(self.lease(), self.proxy.ports.clock.now());
        self.proxy.leases.served(caller, self.record());
        self.room.answered();
    }

    /// Notes what the answer's last event says that it took. Whether it failed or not, it was used.
    fn told(&self, terminal: &Event) {
        let Some(event) = terminal.json() else { return };
        let count = |pointer: &str| event.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        self.room.took(TokenUse {
            input: count("/response/usage/input_tokens"),
            cached_input: count("/response/usage/input_tokens_details/cached_tokens"),
            output: count("/response/usage/output_tokens"),
            reasoning: count("/response/usage/output_tokens_details/reasoning_tokens"),
        });
    }

    /// Ends the attempt and says what to do next. A marker that must be durable first is, when this returns.
    pub(crate) async fn settle(mut self, outcome: &Outcome) -> Reaction {
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
    pub(crate) fn complete(self, seen: &Observed) {
        if let Some(terminal) = &seen.terminal {
            self.told(terminal);
        }
        let verdict = verdict::of_end(seen, self.proxy.ports.clock.now());
        self.proxy.note_quota(self.record(), &verdict.told);
        self.end(&verdict.outcome);
    }

    /// Ends the attempt where nothing can be awaited: at the end of a stream.
    pub(crate) fn end(mut self, outcome: &Outcome) {
        self.finish(outcome);
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
        self.finish(&Outcome::Cancelled);
    }
}
