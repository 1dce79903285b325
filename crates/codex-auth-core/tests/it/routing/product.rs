//! Owns the product's side: the agent's own rotation, told what an agent is told.

use std::collections::HashMap;

use codex_auth_core::{
    Lease, Outcome, Query, QuotaSnapshot, QuotaWindow, RecordId, Report, RestPolicy, Rotation, SessionKey, Source,
    Strategy, Timestamp, Usage, testing::pool,
};

use super::{
    backend::Account,
    family::{Dice, Start},
    run::Policy,
    traffic::Request,
};

/// A rotation, and the requests it has under way.
#[derive(Debug)]
pub(crate) struct Product {
    rotation: Rotation,
    accounts: Vec<RecordId>,
    leases: HashMap<(usize, i64), Lease>,
}

impl Product {
    /// An agent that has read its accounts' quotas once, as `check` leaves them behind.
    pub(crate) fn new(starts: &[Start], strategy: Strategy) -> Self {
        let pool = pool(starts.len());
        let accounts: Vec<RecordId> = pool.accounts.iter().map(|held| held.account.record.clone()).collect();
        let rotation = Rotation::new(pool, strategy, RestPolicy::default());
        for (record, start) in accounts.iter().zip(starts) {
            let account = Account::new(*start);
            rotation.saw_quota(record, &snapshot([account.short.told(0), account.long.told(0)], Source::Usage, 0));
        }
        Self { rotation, accounts, leases: HashMap::new() }
    }
}

fn snapshot(windows: [(f64, i64); 2], source: Source, now: i64) -> Report {
    let [primary, secondary] = [(windows[0], 300), (windows[1], 10_080)].map(|((used_percent, ends), minutes)| {
        Some(QuotaWindow { used_percent, window_minutes: Some(minutes), resets_at: Some(at(ends)) })
    });
    QuotaSnapshot { primary, secondary, seen_at: at(now) }.report(source, None)
}

/// Runs begin on some day in 2026.
fn at(now: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + now)
}

/// A prompt's length in bytes tells its tokens within fifteen percent.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a prompt")]
fn estimate(request: &Request) -> u64 {
    let noise = Dice::new(u64::from(request.prompt[request.prompt.len() - 1].0)).fraction();
    (request.tokens() as f64 * (0.85 + 0.3 * noise)) as u64
}

fn session(number: usize) -> Option<SessionKey> {
    SessionKey::parse(&format!("session-{number}"))
}

impl Policy for Product {
    fn choose(&mut self, request: &Request, tried: &[usize], now: i64) -> Option<usize> {
        let query = Query {
            session: session(request.session),
            parent: request.parent.and_then(session),
            tokens: estimate(request),
            tried: tried.iter().map(|place| self.accounts[*place].clone()).collect(),
            ..Query::default()
        };
        let lease = self.rotation.acquire(&query, at(now)).ok()?;
        let place = self.accounts.iter().position(|record| *record == lease.held.account.record);
        self.leases.insert((request.session, request.at), lease);
        place
    }

    fn begins(&mut self, request: &Request, _: usize, windows: [(f64, i64); 2], now: i64) {
        let lease = &self.leases[&(request.session, request.at)];
        self.rotation.answering(lease, at(now));
        self.rotation.saw_quota(&lease.held.account.record, &snapshot(windows, Source::Headers, now));
    }

    fn ends(&mut self, request: &Request, _: usize, cached_tokens: u64, now: i64) {
        let lease = self.leases.remove(&(request.session, request.at)).expect("under way");
        self.rotation.answered(&lease, Usage { prompt_tokens: request.tokens(), cached_tokens });
        let _settled = self.rotation.settle(lease, &Outcome::Served, false, at(now));
    }

    fn limited(&mut self, request: &Request, _: usize, until: i64, now: i64) {
        let lease = self.leases.remove(&(request.session, request.at)).expect("under way");
        let limited = Outcome::UsageLimited { until: Some(at(until)) };
        let _settled = self.rotation.settle(lease, &limited, false, at(now));
    }
}
