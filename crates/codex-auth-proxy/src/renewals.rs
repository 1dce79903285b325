//! Renewals in this process: one at a time per account, joined by everybody who waits, ended by nobody who leaves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use codex_auth_core::{
    Clock, Credential, CredentialKeeper, KeepError, RecordId, RefreshError, RefreshReason, Renewed, RestPolicy,
    Rotation, Timestamp, USABLE_FOR,
};
use tokio::{runtime::Handle, sync::watch};

type CameTo = Result<Renewed, KeepError>;
type Waiting = watch::Receiver<Option<CameTo>>;

/// An issuer answers within half a minute or not at all.
const FINISH_WITHIN: Duration = Duration::from_secs(35);

/// How long a renewal that nobody waits for stays away after one failed.
const QUIET: Duration = Duration::from_mins(1);

/// The renewals in flight.
#[derive(Debug, Clone)]
pub(crate) struct Renewals {
    keeper: CredentialKeeper,
    rotation: Arc<Rotation>,
    clock: Arc<dyn Clock>,
    in_flight: Arc<Mutex<HashMap<RecordId, Waiting>>>,
    /// Accounts whose last renewal failed, and until when nobody tries one that can wait.
    quiet: Arc<Mutex<HashMap<RecordId, Timestamp>>>,
    /// Where renewals run: the lane of a request may end before its renewal does.
    runtime: Handle,
}

impl Renewals {
    /// Renewals through this keeper, told to this rotation.
    pub(crate) fn new(keeper: CredentialKeeper, rotation: Arc<Rotation>, clock: Arc<dyn Clock>) -> Self {
        Self { keeper, rotation, clock, in_flight: Arc::default(), quiet: Arc::default(), runtime: Handle::current() }
    }

    /// Renews, or joins the renewal under way. The renewal goes on when the caller leaves.
    pub(crate) async fn renew(&self, record: &RecordId, seen: &Credential, why: RefreshReason) -> CameTo {
        let mut waiting = self.join_or_start(record, seen, why);
        match waiting.wait_for(Option::is_some).await {
            Ok(done) => done.clone().expect("waited for a value"),
            Err(_) => Err(KeepError::Issuer(RefreshError::Lost { why: "the renewal ended early".into() })),
        }
    }

    /// Begins a renewal that nobody waits for, unless one failed a moment ago.
    pub(crate) fn renew_behind(&self, record: &RecordId, seen: &Credential, why: RefreshReason) {
        if self.quiet_until(record).is_none_or(|until| until <= self.clock.now()) {
            drop(self.join_or_start(record, seen, why));
        }
    }

    /// Until when renewals of this account that can wait do wait.
    pub(crate) fn quiet_until(&self, record: &RecordId) -> Option<Timestamp> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner).get(record).copied()
    }

    /// Waits (bounded) until no renewal is under way: one that ended early would have spent a token for nothing.
    pub(crate) async fn finish(&self) {
        let under_way: Vec<Waiting> =
            self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let all = async {
            for mut waiting in under_way {
                // A renewal that vanished is as much at its end as one that answered.
                drop(waiting.wait_for(Option::is_some).await);
            }
        };
        if tokio::time::timeout(FINISH_WITHIN, all).await.is_err() {
            tracing::warn!("a renewal was still under way at the end; its journal tells the next one");
        }
    }

    fn join_or_start(&self, record: &RecordId, seen: &Credential, why: RefreshReason) -> Waiting {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = in_flight.get(record) {
            return waiting.clone();
        }
        let (done, waiting) = watch::channel(None);
        in_flight.insert(record.clone(), waiting.clone());
        let (renewals, record, seen) = (self.clone(), record.clone(), seen.clone());
        self.runtime.spawn(async move {
            let result = renewals.keeper.recover(&record, &seen, why).await;
            renewals.tell(&record, &seen, &result);
            renewals.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&record);
            done.send_replace(Some(result));
        });
        waiting
    }

    /// The rotation learns of it before any waiter does.
    fn tell(&self, record: &RecordId, seen: &Credential, result: &CameTo) {
        let now = self.clock.now();
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match result {
            Ok(renewed) => {
                quiet.remove(record);
                return self.rotation.renewed(&renewed.held);
            }
            Err(error) => error,
        };
        let rest = error.rest(RestPolicy::default(), now);
        let until = rest.as_ref().map_or_else(|| held_back_until(error), |rest| Some(rest.until));
        quiet.insert(record.clone(), now.after(QUIET).max(until.unwrap_or_default()));
        match (error, rest) {
            (KeepError::NeedsLogin { code }, _) => self.rotation.needs_login(record, code, now),
            // A live token serves to its end, whatever became of its renewal.
            (_, Some(rest)) if !seen.is_live(now, USABLE_FOR) => {
                tracing::warn!(%record, %error, "a credential could not be renewed");
                self.rotation.rest(record, rest);
            }
            (_, _) => tracing::warn!(%record, %error, "a credential could not be renewed ahead of time"),
        }
    }
}

fn held_back_until(error: &KeepError) -> Option<Timestamp> {
    match error {
        KeepError::HeldBack { until, .. } => Some(*until),
        KeepError::NeedsLogin { .. } | KeepError::Paused { .. } | KeepError::Issuer(_) | KeepError::Store(_) => None,
    }
}
