//! What must hold of a request that nobody serves: everybody is blocked, each blocker leads out, and nobody rests for a
//! limit that was not theirs.

use codex_auth_core::{
    Exit, Held, PolicySource as _, Query, RecordId, RestReason, RestScope, Rulebook, SavedPool, SessionKey, Strategy,
    Subject, Timestamp, USABLE_FOR, quota_key,
};

use super::{Judge, hour_of, wishes::since};
use crate::{backend::MODEL, vendor::person_of};

impl Judge {
    /// Whether nothing kept this account away at any time since then. The choice itself cannot be seen from here: it was
    /// made before the token was made good.
    pub(super) fn could_serve_since(&self, record: &RecordId, (began, model): (Timestamp, Option<&str>)) -> bool {
        let Some(proxy) = self.proxy.lock().unwrap().clone() else { return false };
        let now = self.world.now();
        let standings = proxy.rotation().decide(&self.query("", model), now).standings;
        let is_ready = standings.iter().any(|standing| standing.record == *record && standing.is_ready());
        let pool = proxy.rotation().pool();
        let Some(Held { account, credential }) = pool.find(record) else { return false };
        let had_a_token = credential.is_live(now, USABLE_FOR) && credential.obtained_at.is_some_and(|at| at <= began);
        let keeps_away = |scope: &RestScope| *scope == RestScope::Account || model.is_some();
        is_ready && had_a_token && account.rests.iter().all(|rest| rest.until <= began || !keeps_away(&rest.scope))
    }

    /// What a session asks, under the rules as they stand.
    fn query(&self, session: &str, model: Option<&str>) -> Query {
        let rules = self.world.rules.read(&SavedPool::default()).expect("memory obeys");
        let ruling = Rulebook::of(rules).compose(Subject::default());
        Query { session: SessionKey::parse(session), quota_key: model.and_then(quota_key), ruling, ..Query::default() }
    }

    /// A request was refused, or got an answer that had failed at once: everybody is blocked now, or was asked.
    pub(crate) fn refused(&self, request: &str, session: &str, code: &str) {
        self.world.count(|tally| tally.refused += 1);
        let proxy = self.proxy.lock().unwrap().clone();
        let Some(proxy) = proxy else { return };
        let now = self.world.now();
        let books = self.books();
        let Some(open) = books.open.get(request) else { return };
        let model = open.model.as_deref();
        let decision = proxy.rotation().decide(&self.query(session, model), now);
        for standing in &decision.standings {
            let may_have_been_tried =
                open.asked.contains(&standing.record) || open.met_a_sign_out || proxy.rotation().wave(now).is_some();
            // One whose token could not be made good was tried as well; it rested since.
            let could_serve = standing.is_ready() && self.could_serve_since(&standing.record, (open.began, model));
            // A pause that has ended holds until the agent has heard of it.
            let is_unwanted = since(&books.wishes, open.began).iter().any(|wish| !wish.allows(&standing.record));
            let is_blocked = !could_serve || is_unwanted || may_have_been_tried || self.strategy == Strategy::Manual;
            let (strategy, asked) = (self.strategy, &open.asked);
            self.world.must(is_blocked, || {
                format!(
                    "{request} is refused ({code}, {strategy}, asked {asked:?}) and {} could serve",
                    standing.record
                )
            });
            for blocker in &standing.blockers {
                let leads_out = match blocker.exit() {
                    Exit::Wait { until } => until > now,
                    Exit::Command(line) => line.starts_with("codex-multi-auth "),
                    Exit::NextRequest => true,
                };
                self.world.must(leads_out, || format!("{} is blocked by {blocker:?} for ever", standing.record));
            }
        }
    }

    /// A budget refused a request: it was used up, nobody was asked, and it says when it begins anew.
    pub(crate) fn denied(&self, request: &str, resets_at: Option<i64>) {
        self.world.count(|tally| tally.over_budget += 1);
        let now = self.world.now();
        let books = self.books();
        let Some(open) = books.open.get(request) else { return };
        let leads_out = resets_at.is_some_and(|at| Timestamp::from_secs(at) > now);
        self.world.must(leads_out, || format!("{request} is over its budget for ever"));
        self.world
            .must(open.asked.is_empty(), || format!("{request} is over its budget and {:?} were asked", open.asked));
        let counted = books.counted(now) + books.open.len() as u64 - 1;
        let is_due = self.world.budget.is_some_and(|most| counted >= most);
        self.world.must(is_due, || format!("{request} is over its budget after {counted} of {:?}", self.world.budget));
    }

    /// Nobody rests for a limit that was never told of them: not the account for its model's, nor the reverse.
    pub(super) fn nobody_rests_for_nothing(&self) {
        let Some(proxy) = self.proxy.lock().unwrap().clone() else { return };
        for held in proxy.rotation().pool().accounts {
            let record = &held.account.record;
            for rest in held.account.rests.iter().filter(|rest| rest.reason == RestReason::UsageLimit) {
                let told = |model: Option<&str>| {
                    let limited = (person_of(record), model.map(str::to_owned));
                    self.vendor.limits().was_told(limited, rest.until)
                };
                // A program that does not know us leaves a rest of everything as rests of all its families.
                let was_told = match &rest.scope {
                    RestScope::Account => told(None),
                    RestScope::QuotaKey(_) => told(Some(MODEL)) || told(None),
                };
                self.world.must(was_told, || format!("{record} rests for a limit that was never told: {rest:?}"));
            }
        }
    }
}

impl super::Books {
    /// How many requests of this hour counted towards the budget.
    pub(super) fn counted(&self, now: Timestamp) -> u64 {
        self.counted.get(&hour_of(now)).copied().unwrap_or_default()
    }
}
