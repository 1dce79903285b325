//! What must hold of every request, seen from the far side and from the client, independently of the code it judges.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use codex_auth_core::{RecordId, RequestSpent, SavedPool, Strategy, Timestamp};
use codex_auth_proxy::Proxy;
use http::HeaderMap;

use crate::{
    backend::{POLICY, request_of},
    vendor::{Vendor, record_of},
    world::World,
};

mod bonds;
mod far_side;
mod refusals;
mod request;
mod rows;
mod wishes;

pub(crate) use bonds::Bonds;
use request::{End, Open};
use rows::Rows;
use wishes::{Wish, since};

/// How long a session keeps its account.
const STAYS: Duration = Duration::from_mins(20);
/// How soon everybody knows what was said.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Attempts that one account may see of one request: as it came, with a pair that another program had written, with a
/// renewed one. Nobody brings another account's ciphertext here.
const MOST_OF_ONE: usize = 3;
/// The code of a refusal by a budget.
pub(crate) const OVER_BUDGET: &str = "budget_blocked";

/// The judge of one agent's life.
pub(crate) struct Judge {
    world: Arc<World>,
    vendor: Arc<Vendor>,
    strategy: Strategy,
    proxy: Mutex<Option<Arc<Proxy>>>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    open: BTreeMap<String, Open>,
    /// Requests whose client is gone.
    gone: BTreeSet<String>,
    bonds: Bonds,
    limited: BTreeMap<(RecordId, Option<String>), (Timestamp, u64)>,
    /// How much of each account's quota was used, as last told.
    used: BTreeMap<RecordId, u32>,
    /// Tokens of which the vendor said that they were signed out, and when it first did.
    signed_out: BTreeMap<String, Timestamp>,
    /// What people wanted, newest last.
    wishes: Vec<Wish>,
    /// Requests that counted towards the budget, by hour.
    counted: BTreeMap<i64, u64>,
    rows: Rows,
}

impl fmt::Debug for Judge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the judge")
    }
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(3_600_000)
}

impl Judge {
    pub(crate) fn new(world: &Arc<World>, vendor: &Arc<Vendor>, strategy: Strategy, pool: &SavedPool) -> Arc<Self> {
        let wishes = vec![Wish::of(world, pool)];
        let bonds = Bonds::new(pool.affinity_generation);
        let books = Books { bonds, wishes, ..Books::default() };
        Arc::new(Self {
            world: world.clone(),
            vendor: vendor.clone(),
            strategy,
            proxy: Mutex::default(),
            books: Mutex::new(books),
        })
    }

    /// The agent under judgement.
    pub(crate) fn watch(&self, proxy: &Arc<Proxy>) {
        *self.proxy.lock().unwrap() = Some(proxy.clone());
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// A client asks.
    pub(crate) fn begins(&self, request: &str, model: Option<&str>) {
        let (began, edits) = (self.world.now(), self.world.tally().edits);
        let mut books = self.books();
        let (model, counted) = (model.map(str::to_owned), books.counted(began));
        books.open.insert(request.to_owned(), Open { began, model, edits, counted, ..Open::default() });
    }

    /// A client has what it asked for, or has left.
    pub(crate) fn ends(&self, request: &str, session: &str) {
        let now = self.world.now();
        let mut books = self.books();
        books.gone.insert(request.to_owned());
        if let Some(open) = books.open.remove(request) {
            if open.counts() {
                *books.counted.entry(hour_of(now)).or_default() += 1;
            }
            books.rows.ended(&self.world, session, open.expected(request, now));
        }
        drop(books);
        self.nobody_rests_for_nothing();
    }

    /// A row was written.
    pub(crate) fn written(&self, row: RequestSpent) {
        self.books().rows.written(&self.world, row);
    }

    /// The agent has come to its end, in good order or not; what it leaves behind.
    pub(crate) fn over(&self, is_killed: bool) -> Bonds {
        *self.proxy.lock().unwrap() = None;
        let mut books = self.books();
        if is_killed {
            books.rows.all_met_but_the_last(&self.world);
        } else {
            books.rows.all_met(&self.world, Timestamp::from_millis(i64::MAX));
            books.rows.none_left(&self.world);
        }
        std::mem::take(&mut books.bonds)
    }

    /// The agent has taken in what was changed.
    pub(crate) fn adopted(&self, pool: &SavedPool) {
        let wish = Wish::of(&self.world, pool);
        let mut books = self.books();
        books.bonds.decided(pool.affinity_generation);
        books.wishes.push(wish);
    }

    /// An account is asked.
    pub(crate) fn asked(&self, headers: &HeaderMap, access: &str, person: Option<usize>) {
        let (now, world) = (self.world.now(), &self.world);
        let (request, session) = (request_of(headers), text(headers, "session-id"));
        let Some(record) = person.map(record_of) else {
            return world.must(false, || "a made-up token was used".into());
        };
        let books = &mut *self.books();
        world.must(!books.gone.contains(&request), || format!("{request} goes on and its client is gone"));
        // Whoever was on the way at that very moment could not know.
        let is_news = books.signed_out.get(access).is_none_or(|said| now.since(*said) < AT_ONCE);
        world.must(is_news, || format!("{record} is asked with a token that was signed out"));
        let Some(open) = books.open.get_mut(&request) else { return };
        world.must(!open.is_forbidden, || format!("{record} is asked what policy refused to another"));
        world.must(!open.has_begun, || format!("{record} is asked for {request}, whose answer had begun"));
        let is_within = world.budget.is_none_or(|most| open.counted < most);
        world.must(is_within, || format!("{record} is asked after {} requests of {:?}", open.counted, world.budget));
        let was_asked = open.asked.clone();
        open.ask(&record);
        let (began, edits, model) = (open.began, open.edits, open.model.clone());
        let times = open.asked.iter().filter(|asked| **asked == record).count();
        world.must(times <= MOST_OF_ONE, || format!("{record} is asked {times} times for one request"));
        // A wish counts from the moment the agent knows of it; a request under way may still be at the one before.
        let is_allowed = since(&books.wishes, began).iter().any(|wish| wish.allows(&record));
        world.must(is_allowed, || format!("{record} is asked and the wish is {:?}", books.wishes.last()));
        for limit in [None, model.clone()].into_iter().collect::<BTreeSet<_>>() {
            if let Some((until, edits)) = books.limited.get(&(record.clone(), limit.clone())) {
                let is_over = *until <= now || world.tally().edits != *edits;
                world.must(is_over, || {
                    format!("{record} is asked although its quota ({limit:?}) is spent until {until}")
                });
            }
        }
        let Some((bound, at)) = books.bonds.of(&session) else { return };
        // An account that is asked once more, with a renewed token, is no new choice: a rest that kept the session's own
        // away when this one was chosen may be over by now, and so forgotten.
        if bound == record || now.since(at) >= STAYS || was_asked.last() == Some(&record) {
            return;
        }
        world.count(|tally| tally.moved += 1);
        let is_wanted = since(&books.wishes, began).iter().all(|wish| wish.allows(&bound));
        let could_stay = is_wanted && !was_asked.contains(&bound) && world.tally().edits == edits;
        let must_stay = could_stay
            && self.never_pays(books.used.get(&bound).copied(), now.since(at))
            && self.could_serve_since(&bound, (began, model.as_deref()));
        world.must(!must_stay, || {
            let strategy = self.strategy;
            format!("{session} ({strategy}, {model:?}) moved from {bound} to {record}, and {bound} could serve since {began}")
        });
    }

    /// Whether a move cannot be worth its price, said once more in round numbers: the account answered so lately that
    /// its cache holds the whole prompt, and so much is left of its quota that the session will hardly see the end of it.
    fn never_pays(&self, used_percent: Option<u32>, idle: Duration) -> bool {
        match self.strategy {
            Strategy::Hybrid if self.world.prompts_are_told => {
                idle < Duration::from_mins(4) && used_percent.is_some_and(|used| used <= 70)
            }
            Strategy::Hybrid | Strategy::Sticky => true,
            Strategy::Sequential | Strategy::RoundRobin | Strategy::DrainFirst | Strategy::Manual => false,
        }
    }

    /// The head of a good answer is at the client.
    pub(crate) fn answers(&self, request: &str, session: &str) {
        let now = self.world.now();
        let books = &mut *self.books();
        let Some(open) = books.open.get_mut(request) else { return };
        open.has_begun = true;
        if open.is_answered_by_the_last()
            && let Some(record) = open.asked.last()
        {
            books.bonds.bind(session, record, now);
        }
    }

    /// The client has read a good answer to its end.
    pub(crate) fn read(&self, request: &str, session: &str) {
        let (is_well, is_older) = self.books().open.get(request).map_or((false, false), |open| {
            (matches!(open.end, Some(End::Completed(..))), !open.is_answered_by_the_last())
        });
        if is_well {
            self.world.count(|tally| tally.served += 1);
        }
        // An answer that failed at once is passed on only where nobody does better.
        if is_older {
            self.refused(request, session, "it failed at once");
        }
    }

    /// The client was refused.
    pub(crate) fn saw(&self, request: &str, status: u16, code: &str) {
        self.with(request, |open| open.saw = Some((status, code.to_owned())));
        let is_forbidden = self.books().open.get(request).is_some_and(|open| open.is_forbidden);
        let is_told = !is_forbidden || code == POLICY;
        self.world.must(is_told, || format!("policy refused {request}, and its client hears {status} {code}"));
    }

    /// The client's answer broke off.
    pub(crate) fn broke(&self, request: &str) {
        self.with(request, |open| open.is_broken = true);
    }

    fn with(&self, request: &str, note: impl FnOnce(&mut Open)) {
        if let Some(open) = self.books().open.get_mut(request) {
            note(open);
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
