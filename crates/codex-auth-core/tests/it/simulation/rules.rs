//! What must hold whenever an account is leased or refused, said once more and independently of the code it judges.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use codex_auth_core::{
    AccessToken, Blocker, Cause, Exit, Held, Lease, Outcome, Query, RecordId, Refusal, RestScope, SavedPool,
    SessionKey, Strategy, Timestamp,
};

use super::world::World;

/// How long a session keeps its account.
const STAYS: Duration = Duration::from_mins(20);

/// The judge of one agent.
#[derive(Debug)]
pub(crate) struct Rules {
    world: Arc<World>,
    strategy: Strategy,
    sessions: Mutex<Sessions>,
    learned: Mutex<BTreeMap<RecordId, Learned>>,
    faults: Mutex<Faults>,
}

/// Failures at the backend since somebody was answered.
#[derive(Debug, Default)]
struct Faults {
    seen: Vec<(RecordId, Timestamp)>,
    /// Whether three accounts failed within ten seconds.
    are_burst: bool,
}

/// What an answer said about its account.
#[derive(Debug)]
struct Learned {
    /// Until when it keeps the account away; for ever, when it signed out the token that was worn.
    until: Option<Timestamp>,
    worn: Option<AccessToken>,
    /// How often other programs had edited the store by then: what they do may end it.
    edits: u64,
}

#[derive(Debug, Default)]
struct Sessions {
    served: BTreeMap<SessionKey, (RecordId, Timestamp)>,
    generation: u64,
}

impl Rules {
    pub(crate) fn new(world: &Arc<World>, strategy: Strategy, generation: u64) -> Self {
        let sessions = Sessions { generation, ..Sessions::default() };
        Self {
            world: world.clone(),
            strategy,
            sessions: Mutex::new(sessions),
            learned: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    /// Nobody is leased who may not serve, and a session moves only when its account cannot.
    pub(crate) fn leased(&self, lease: &Lease, pool: &SavedPool, query: &Query) {
        let now = self.world.now();
        let record = &lease.held.account.record;
        let held = pool.find(record);
        self.world.must(held.is_some_and(|held| may_serve(held, pool, query, now)), || {
            format!("{record} was leased although it may not serve")
        });
        if let Some(Learned { until, worn, edits }) = self.learned.lock().unwrap().get(record) {
            let is_over = until.map_or(lease.held.credential.access != *worn, |until| until <= now)
                || self.world.tally().edits != *edits;
            self.world
                .must(is_over, || format!("{record} was leased at {now}, but its answer kept it away until {until:?}"));
        }
        if let Some(again) = &query.again {
            let may = pool.find(again).is_some_and(|held| may_serve(held, pool, query, now));
            let must_be_it = self.strategy == Strategy::Hybrid && may;
            self.world.must(!must_be_it || again == record, || format!("{again} was to be asked again, not {record}"));
            return;
        }
        let sessions = self.sessions.lock().unwrap();
        let served = query.session.as_ref().and_then(|session| sessions.served.get(session));
        let Some((bound, at)) = served.filter(|(_, at)| now.since(*at) < STAYS) else { return };
        if bound == record {
            return;
        }
        self.world.count(|tally| tally.moved += 1);
        let could_stay = pool.find(bound).is_some_and(|held| may_serve(held, pool, query, now));
        let must_stay = self.strategy == Strategy::Hybrid && could_stay;
        self.world.must(!must_stay, || format!("a session moved from {bound} to {record} at {now}, last served {at}"));
    }

    /// A refusal comes when nobody can serve, and names a live blocker with an exit for everybody.
    pub(crate) fn refused(&self, refusal: &Refusal, pool: &SavedPool, query: &Query) {
        let now = self.world.now();
        let able = pool.accounts.iter().find(|held| {
            let is_active = pool.active.as_ref() == Some(&held.account.record);
            may_serve(held, pool, query, now) && (self.strategy != Strategy::Manual || pool.pin.is_some() || is_active)
        });
        let is_burst = self.faults.lock().unwrap().are_burst;
        self.world.must(able.is_none() || is_burst, || format!("a request was refused although {able:?} can serve"));
        let is_choosy = refusal.cause == Cause::NothingSelected;
        for (held, standing) in pool.accounts.iter().zip(&refusal.standings) {
            let name = &standing.record;
            self.world.must(*name == held.account.record, || format!("{name} stands in somebody else's place"));
            self.world.must(is_choosy || !standing.blockers.is_empty(), || format!("{name} was refused for nothing"));
            for blocker in &standing.blockers {
                let is_due = is_burst || !matches!(blocker, Blocker::Burst { .. });
                let is_live = is_due && is_true(blocker, held, pool, query, now) && leads_out(blocker, now);
                self.world.must(is_live, || format!("{name} is said to be blocked by {blocker:?} at {now}"));
            }
        }
        self.world.must(refusal.standings.len() == pool.accounts.len(), || "somebody has no standing".into());
        let is_due = match &refusal.cause {
            Cause::UsageLimited { until } | Cause::Unreachable { until: Some(until) } => *until > now,
            Cause::Pinned { record, until } => {
                pool.pin.as_ref() == Some(record) && until.is_none_or(|until| until > now)
            }
            Cause::NoAccounts => pool.accounts.is_empty(),
            // Nobody makes such rules in this world.
            Cause::Denied(_) | Cause::NoModel { .. } => false,
            Cause::NeedsUser | Cause::Unreachable { until: None } | Cause::NothingSelected => true,
        };
        self.world.must(is_due, || format!("a refusal gives {:?} at {now}", refusal.cause));
    }

    /// Notes what an answer said about its account.
    pub(crate) fn learned(&self, held: &Held, outcome: &Outcome) {
        self.weather(&held.account.record, outcome);
        let until = match outcome {
            Outcome::UsageLimited { until: Some(until) } => Some(*until),
            Outcome::TokenInvalidated { .. } => None,
            _ => return,
        };
        let learned = Learned { until, worn: held.credential.access.clone(), edits: self.world.tally().edits };
        self.learned.lock().unwrap().insert(held.account.record.clone(), learned);
    }

    /// Notes what an outcome says of the backend.
    fn weather(&self, record: &RecordId, outcome: &Outcome) {
        let (mut faults, now) = (self.faults.lock().unwrap(), self.world.now());
        match outcome {
            Outcome::ServerFault { .. } | Outcome::NetworkFault | Outcome::Overloaded { .. } | Outcome::Stalled => {
                faults.seen.retain(|(known, at)| known != record && now.since(*at) < Duration::from_secs(10));
                faults.seen.push((record.clone(), now));
                faults.are_burst |= faults.seen.len() >= 3;
            }
            Outcome::Cancelled => {}
            _ => *faults = Faults::default(),
        }
    }

    /// Notes that an account answers a session.
    pub(crate) fn answering(&self, session: &SessionKey, record: &RecordId) {
        *self.faults.lock().unwrap() = Faults::default();
        let served = (record.clone(), self.world.now());
        self.sessions.lock().unwrap().served.insert(session.clone(), served);
    }

    /// Notes that an answer is over: its session stays as much longer, unless another account began to answer since.
    pub(crate) fn answered(&self, session: &SessionKey, record: &RecordId) {
        let now = self.world.now();
        let mut sessions = self.sessions.lock().unwrap();
        let served = sessions.served.entry(session.clone()).or_insert((record.clone(), now));
        if served.0 == *record || now.since(served.1) >= STAYS {
            *served = (record.clone(), now);
        }
    }

    /// A decision of the user ends all affinity.
    pub(crate) fn adopting(&self, pool: &SavedPool) {
        let mut sessions = self.sessions.lock().unwrap();
        if pool.affinity_generation > sessions.generation {
            sessions.served.clear();
        }
        sessions.generation = pool.affinity_generation;
    }
}

/// Whether nothing known keeps this account from serving.
fn may_serve(held: &Held, pool: &SavedPool, query: &Query, now: Timestamp) -> bool {
    let account = &held.account;
    let rests = account.rests.iter().any(|rest| now < rest.until && keeps_away(&rest.scope, query));
    let is_meant = pool.pin.as_ref().is_none_or(|pin| *pin == account.record);
    account.enabled && account.needs_login.is_none() && !rests && is_meant && !query.tried.contains(&account.record)
}

fn keeps_away(scope: &RestScope, query: &Query) -> bool {
    match scope {
        RestScope::Account => true,
        RestScope::QuotaKey(key) => query.quota_key.as_deref().is_some_and(|asked| asked.starts_with(key.as_str())),
    }
}

fn is_true(blocker: &Blocker, held: &Held, pool: &SavedPool, query: &Query, now: Timestamp) -> bool {
    match blocker {
        Blocker::Disabled => !held.account.enabled,
        Blocker::NeedsLogin { .. } => held.account.needs_login.is_some(),
        Blocker::Resting { until, .. } => {
            *until > now && held.account.rests.iter().any(|rest| rest.until == *until && keeps_away(&rest.scope, query))
        }
        Blocker::NotPinned { pin, .. } => pool.pin.as_ref() == Some(pin) && *pin != held.account.record,
        Blocker::AlreadyTried => query.tried.contains(&held.account.record),
        Blocker::NoWorkspace => held.account.owner.workspace.is_none(),
        Blocker::Held { .. } | Blocker::QuotaSpent { .. } | Blocker::LacksModel { .. } | Blocker::Denied(_) => false,
        // Whether it is due is known to whoever counts failures.
        Blocker::Burst { until } => *until > now,
    }
}

fn leads_out(blocker: &Blocker, now: Timestamp) -> bool {
    match blocker.exit() {
        Exit::Wait { until } => until > now,
        Exit::Command(command) => command.starts_with("codex-multi-auth "),
        Exit::NextRequest => true,
    }
}
