//! What the snapshot for other programs is told of requests and questions since it was last told something.

use codex_auth_core::{AttemptSpent, RequestSpent, SavedPool, Timestamp, UsageOutcome, Whose};

use crate::documents::observability::{Counter, LastAccount, Observability};

/// Counts since the last time.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Vec<(Counter, u64)>,
    served: Option<(Whose, Timestamp)>,
    last_at: Option<Timestamp>,
    last_error: Option<String>,
}

impl Tally {
    pub(super) fn is_nothing(&self) -> bool {
        self.last_at.is_none()
    }

    /// Counts one request with its attempts.
    pub(super) fn count(&mut self, request: &RequestSpent) {
        self.add(Counter::Total, 1);
        self.add(Counter::Latency, u64::try_from(request.took.as_millis()).unwrap_or(u64::MAX));
        self.last_at = self.last_at.max(Some(request.at));
        match request.outcome {
            UsageOutcome::Success => self.add(Counter::Successful, 1),
            UsageOutcome::Failure | UsageOutcome::Blocked => self.add(Counter::Failed, 1),
            UsageOutcome::Cancelled => self.add(Counter::UserAborts, 1),
        }
        request.attempts.iter().for_each(|attempt| self.attempt(attempt));
        if request.operation.asks_a_model() {
            self.of_a_model(request);
        }
    }

    /// A question is asked of whom it concerns, or of several at once: none of them is a retry.
    fn of_a_model(&mut self, request: &RequestSpent) {
        self.add(Counter::Responses, 1);
        if request.attempts.is_empty() && request.outcome == UsageOutcome::Failure {
            self.add(Counter::PoolFastFails, 1);
        }
        for pair in request.attempts.windows(2) {
            let is_same = pair[0].account.record == pair[1].account.record;
            self.add(if is_same { Counter::SameAccountRetries } else { Counter::Rotations }, 1);
        }
        if let Some(whose) = &request.account {
            self.served = Some((whose.clone(), request.at));
        }
        self.last_error = request.error_code.clone().or(self.last_error.take());
    }

    fn attempt(&mut self, attempt: &AttemptSpent) {
        self.add(Counter::Attempts, 1);
        match (attempt.status, attempt.outcome) {
            (Some(429), _) => self.add(Counter::RateLimited, 1),
            (Some(500..), _) => self.add(Counter::ServerErrors, 1),
            (None, UsageOutcome::Failure) => self.add(Counter::NetworkErrors, 1),
            (Some(_) | None, _) => {}
        }
    }

    fn add(&mut self, counter: Counter, by: u64) {
        self.counts.push((counter, by));
    }

    /// Changes the snapshot, which another process may have changed meanwhile.
    pub(super) fn tell(self, snapshot: &mut Observability, pool: &SavedPool, now: Timestamp) {
        for (counter, by) in self.counts {
            snapshot.add(counter, by);
        }
        if let Some((whose, at)) = self.served
            && let Some(index) =
                pool.accounts.iter().position(|held| Some(&held.account.record) == whose.record.as_ref())
        {
            snapshot.last_account = Some(LastAccount {
                record: whose.record.as_ref().map(ToString::to_string),
                account_id: whose.owner.workspace.as_ref().map(|id| id.as_str().to_owned()),
                index,
                at,
            });
        }
        snapshot.last_request_at = snapshot.last_request_at.max(self.last_at);
        snapshot.last_error = self.last_error.or(snapshot.last_error.take());
        snapshot.updated_at = Some(now);
        snapshot.place(pool);
    }
}
