//! Owns the product's side: the agent's own rotation, told what an agent is told.

use std::collections::HashMap;

use codex_auth_core::{
    Lease, Outcome, Query, QuotaSnapshot, QuotaWindow, RestPolicy, Rotation, SessionKey, Source, Strategy, Timestamp,
    testing::pool,
};

use super::{run::Policy, traffic::Request};

/// A rotation, and the requests it has under way.
#[derive(Debug)]
pub(crate) struct Product {
    rotation: Rotation,
    leases: HashMap<(usize, i64), Lease>,
}

impl Product {
    pub(crate) fn new(accounts: usize, strategy: Strategy) -> Self {
        Self { rotation: Rotation::new(pool(accounts), strategy, RestPolicy::default()), leases: HashMap::new() }
    }
}

/// Runs begin on some day in 2026.
fn at(now: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + now)
}

fn session(number: usize) -> Option<SessionKey> {
    SessionKey::parse(&format!("session-{number}"))
}

impl Policy for Product {
    fn choose(&mut self, request: &Request, tried: &[usize], now: i64) -> Option<usize> {
        let pool = self.rotation.pool();
        let tried = tried.iter().map(|place| pool.accounts[*place].account.record.clone()).collect();
        let query = Query { session: session(request.session), tried, ..Query::default() };
        let lease = self.rotation.acquire(&query, at(now)).ok()?;
        let place = pool.accounts.iter().position(|held| held.account.record == lease.held.account.record);
        self.leases.insert((request.session, request.at), lease);
        place
    }

    fn begins(&mut self, request: &Request, _: usize, windows: [(f64, i64); 2], now: i64) {
        let lease = &self.leases[&(request.session, request.at)];
        let [primary, secondary] = [(windows[0], 300), (windows[1], 10_080)].map(|((used_percent, ends), minutes)| {
            Some(QuotaWindow { used_percent, window_minutes: Some(minutes), resets_at: Some(at(ends)) })
        });
        self.rotation.answering(lease, at(now));
        let quota = QuotaSnapshot { primary, secondary, seen_at: at(now) };
        self.rotation.saw_quota(&lease.held.account.record, &quota.report(Source::Headers, None));
    }

    fn ends(&mut self, request: &Request, _: usize, _: u64, now: i64) {
        let lease = self.leases.remove(&(request.session, request.at)).expect("under way");
        let _settled = self.rotation.settle(lease, &Outcome::Served, false, at(now));
    }

    fn limited(&mut self, request: &Request, _: usize, until: i64, now: i64) {
        let lease = self.leases.remove(&(request.session, request.at)).expect("under way");
        let limited = Outcome::UsageLimited { until: Some(at(until)) };
        let _settled = self.rotation.settle(lease, &limited, false, at(now));
    }
}
