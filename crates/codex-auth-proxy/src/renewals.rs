//! Renewals in this process: one at a time per account, joined by everybody who waits, ended by nobody who leaves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use codex_auth_core::{
    Clock, Credential, CredentialKeeper, Held, KeepError, Kind, RecordId, Rest, RestPolicy, RestReason, Rotation,
    USABLE_FOR,
};
use tokio::sync::watch;

type Renewed = Result<Held, KeepError>;
type Waiting = watch::Receiver<Option<Renewed>>;

/// The renewals in flight.
#[derive(Debug, Clone)]
pub(crate) struct Renewals {
    keeper: CredentialKeeper,
    rotation: Arc<Rotation>,
    clock: Arc<dyn Clock>,
    in_flight: Arc<Mutex<HashMap<RecordId, Waiting>>>,
}

impl Renewals {
    /// Renewals through this keeper, told to this rotation.
    pub(crate) fn new(keeper: CredentialKeeper, rotation: Arc<Rotation>, clock: Arc<dyn Clock>) -> Self {
        Self { keeper, rotation, clock, in_flight: Arc::default() }
    }

    /// Renews, or joins the renewal under way. The renewal goes on when the caller leaves.
    pub(crate) async fn renew(&self, record: &RecordId, seen: &Credential) -> Renewed {
        let mut waiting = self.join_or_start(record, seen);
        match waiting.wait_for(Option::is_some).await {
            Ok(done) => done.clone().expect("waited for a value"),
            Err(_) => {
                Err(KeepError::Issuer(codex_auth_core::RefreshError::Lost { why: "the renewal ended early".into() }))
            }
        }
    }

    /// Begins a renewal that nobody waits for.
    pub(crate) fn renew_behind(&self, record: &RecordId, seen: &Credential) {
        drop(self.join_or_start(record, seen));
    }

    fn join_or_start(&self, record: &RecordId, seen: &Credential) -> Waiting {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = in_flight.get(record) {
            return waiting.clone();
        }
        let (done, waiting) = watch::channel(None);
        in_flight.insert(record.clone(), waiting.clone());
        let (renewals, record, seen) = (self.clone(), record.clone(), seen.clone());
        tokio::spawn(async move {
            let result = renewals.keeper.renew(&record, &seen).await;
            renewals.tell(&record, &seen, &result);
            renewals.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&record);
            done.send_replace(Some(result));
        });
        waiting
    }

    /// The rotation learns of it before any waiter does.
    fn tell(&self, record: &RecordId, seen: &Credential, result: &Renewed) {
        let now = self.clock.now();
        match result {
            Ok(held) => self.rotation.renewed(held, now),
            Err(KeepError::NeedsLogin { code }) => self.rotation.needs_login(record, code, now),
            // A live token serves to its end, whatever became of its renewal.
            Err(error) if seen.is_live(now, USABLE_FOR) => {
                tracing::warn!(%record, %error, "a credential could not be renewed ahead of time");
            }
            Err(error) => {
                let policy = RestPolicy::default();
                let (reason, span) = match error.kind() {
                    Kind::Network => (RestReason::Network, policy.network),
                    Kind::Usage
                    | Kind::NeedsLogin
                    | Kind::Wait { .. }
                    | Kind::Conflict
                    | Kind::Storage
                    | Kind::Internal => (RestReason::Auth, policy.auth),
                };
                tracing::warn!(%record, %error, "a credential could not be renewed");
                self.rotation.rest(record, Rest::of_account(reason, now.after(span), now));
            }
        }
    }
}
