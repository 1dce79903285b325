//! What must hold of every request, seen from the far side and from the client, independently of the code it judges.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use codex_auth_core::{
    Exit, Held, PolicySource as _, Query, RecordId, Rulebook, SavedPool, SessionKey, Strategy, Subject, Timestamp,
    USABLE_FOR,
};
use codex_auth_proxy::Proxy;
use http::HeaderMap;

use crate::{backend::REQUEST, vendor::record_of, world::World};

/// How long a session keeps its account.
const STAYS: Duration = Duration::from_mins(20);
/// How soon everybody knows what was said.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Attempts that one account may see of one request: as it came, with a renewed token, without foreign ciphertext.
const MOST_OF_ONE: usize = 3;

/// The judge of one agent's life.
pub(crate) struct Judge {
    world: Arc<World>,
    strategy: Strategy,
    proxy: Mutex<Option<Arc<Proxy>>>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    open: BTreeMap<String, Open>,
    /// Requests whose client is gone.
    gone: BTreeSet<String>,
    sessions: BTreeMap<String, (RecordId, Timestamp)>,
    limited: BTreeMap<RecordId, (Timestamp, u64)>,
    /// Tokens of which the vendor said that they were signed out, and when it first did.
    signed_out: BTreeMap<String, Timestamp>,
    /// What people wanted, newest last.
    wishes: Vec<Wish>,
    generation: u64,
}

/// Who was to serve, as far as the agent knew since then.
#[derive(Debug, PartialEq)]
struct Wish {
    since: Timestamp,
    pin: Option<RecordId>,
    paused: Vec<RecordId>,
}

impl Wish {
    fn of(world: &World, pool: &SavedPool) -> Self {
        let rules = world.rules.read(pool).expect("memory obeys").accounts;
        let paused = rules.into_iter().filter(|(_, rules)| rules.is_paused).map(|(record, _)| record);
        Self { since: world.now(), pin: pool.pin.clone(), paused: paused.collect() }
    }

    fn allows(&self, record: &RecordId) -> bool {
        self.pin.as_ref().is_none_or(|pin| pin == record) && !self.paused.contains(record)
    }
}

/// One request under way.
struct Open {
    began: Timestamp,
    /// How often people had changed the files by then.
    edits: u64,
    asked: Vec<RecordId>,
    is_forbidden: bool,
    /// After that at most one other account is asked.
    met_a_sign_out: bool,
}

/// The wishes that the agent may have gone by since then.
fn since(wishes: &[Wish], began: Timestamp) -> &[Wish] {
    let first = wishes.iter().rposition(|wish| wish.since.after(AT_ONCE) <= began).unwrap_or(0);
    &wishes[first..]
}

impl fmt::Debug for Judge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the judge")
    }
}

impl Judge {
    pub(crate) fn new(world: &Arc<World>, strategy: Strategy, pool: &SavedPool) -> Arc<Self> {
        let wishes = vec![Wish::of(world, pool)];
        let books = Books { wishes, generation: pool.affinity_generation, ..Books::default() };
        Arc::new(Self { world: world.clone(), strategy, proxy: Mutex::default(), books: Mutex::new(books) })
    }

    /// Judges this proxy.
    pub(crate) fn watch(&self, proxy: &Arc<Proxy>) {
        *self.proxy.lock().unwrap() = Some(proxy.clone());
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// A client begins to ask.
    pub(crate) fn begins(&self, request: &str) {
        let edits = self.world.tally().edits;
        let open =
            Open { began: self.world.now(), edits, asked: Vec::new(), is_forbidden: false, met_a_sign_out: false };
        self.books().open.insert(request.to_owned(), open);
    }

    /// Its client is gone, or has its answer.
    pub(crate) fn ends(&self, request: &str, session: &str) {
        let mut books = self.books();
        let last = books.open.remove(request).and_then(|open| open.asked.last().cloned());
        if last.is_some() && last.as_ref() != books.sessions.get(session).map(|(record, _)| record) {
            // A refusal that was passed on keeps the session, one that was not does not; that is not seen from here.
            books.sessions.remove(session);
        }
        books.gone.insert(request.to_owned());
    }

    /// The agent took in a pool.
    pub(crate) fn adopted(&self, pool: &SavedPool) {
        let wish = Wish::of(&self.world, pool);
        let mut books = self.books();
        books.wishes.push(wish);
        if pool.affinity_generation > books.generation {
            books.sessions.clear();
        }
        books.generation = pool.affinity_generation;
    }

    /// An account is asked.
    pub(crate) fn asked(&self, headers: &HeaderMap, access: &str, person: Option<usize>) {
        let (now, world) = (self.world.now(), &self.world);
        let (request, session) = (text(headers, REQUEST), text(headers, "session-id"));
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
        open.asked.push(record.clone());
        let times = open.asked.iter().filter(|asked| **asked == record).count();
        world.must(times <= MOST_OF_ONE, || format!("{record} is asked {times} times for one request"));
        // A wish counts from the moment the agent knows of it; a request under way may still be at the one before.
        let began = open.began;
        let is_allowed = since(&books.wishes, began).iter().any(|wish| wish.allows(&record));
        world.must(is_allowed, || format!("{record} is asked and the wish is {:?}", books.wishes.last()));
        if let Some((until, edits)) = books.limited.get(&record) {
            let is_over = *until <= now || world.tally().edits != *edits;
            world.must(is_over, || format!("{record} is asked although its quota is spent until {until}"));
        }
        let Some((bound, at)) = books.sessions.get(&session) else { return };
        if *bound == record || now.since(*at) >= STAYS {
            return;
        }
        world.count(|tally| tally.moved += 1);
        let is_wanted = since(&books.wishes, began).iter().all(|wish| wish.allows(bound));
        let could_stay = is_wanted && !open.asked.contains(bound) && world.tally().edits == open.edits;
        // What a move of `hybrid` is worth is judged where prices are seen; here are those that never pay one.
        let must_stay = self.strategy == Strategy::Sticky && could_stay && self.could_serve_since(bound, open.began);
        world.must(!must_stay, || format!("{session} moved from {bound} to {record}, and {bound} could serve"));
    }

    /// Whether nothing kept this account away at any time since then. The choice itself cannot be seen from here: it was
    /// made before the token was made good.
    fn could_serve_since(&self, record: &RecordId, began: Timestamp) -> bool {
        let Some(proxy) = self.proxy.lock().unwrap().clone() else { return false };
        let now = self.world.now();
        let standings = proxy.rotation().decide(&self.query(""), now).standings;
        let is_ready = standings.iter().any(|standing| standing.record == *record && standing.is_ready());
        let pool = proxy.rotation().pool();
        let Some(Held { account, credential }) = pool.find(record) else { return false };
        let had_a_token = credential.is_live(now, USABLE_FOR) && credential.obtained_at.is_some_and(|at| at <= began);
        is_ready && had_a_token && account.rests.iter().all(|rest| rest.until <= began)
    }

    /// What a session asks, under the rules as they stand.
    fn query(&self, session: &str) -> Query {
        let rules = self.world.rules.read(&SavedPool::default()).expect("memory obeys");
        let ruling = Rulebook::of(rules).compose(Subject::default());
        Query { session: SessionKey::parse(session), ruling, ..Query::default() }
    }

    /// Somebody begins to answer a session.
    pub(crate) fn answers(&self, request: &str, session: &str) {
        let now = self.world.now();
        let mut books = self.books();
        let served = books.open.get(request).and_then(|open| open.asked.last().cloned());
        if let Some(record) = served {
            books.sessions.insert(session.to_owned(), (record, now));
        }
    }

    /// The vendor refuses the content.
    pub(crate) fn forbidden(&self, headers: &HeaderMap) {
        self.world.count(|tally| tally.policy += 1);
        if let Some(open) = self.books().open.get_mut(&text(headers, REQUEST)) {
            open.is_forbidden = true;
        }
    }

    /// The vendor says that a quota is spent.
    pub(crate) fn limited(&self, person: usize, until: Timestamp) {
        let edits = self.world.tally().edits;
        self.books().limited.insert(record_of(person), (until, edits));
    }

    /// The vendor says that a token was signed out.
    pub(crate) fn signed_out(&self, headers: &HeaderMap, access: &str) {
        let now = self.world.now();
        let mut books = self.books();
        if let Some(open) = books.open.get_mut(&text(headers, REQUEST)) {
            open.met_a_sign_out = true;
        }
        books.signed_out.entry(access.to_owned()).or_insert(now);
    }

    /// A request was refused: everybody is blocked now, or was asked.
    pub(crate) fn refused(&self, request: &str, session: &str, code: &str) {
        self.world.count(|tally| tally.refused += 1);
        let proxy = self.proxy.lock().unwrap().clone();
        let Some(proxy) = proxy else { return };
        let now = self.world.now();
        let decision = proxy.rotation().decide(&self.query(session), now);
        let books = self.books();
        let Some(open) = books.open.get(request) else { return };
        for standing in &decision.standings {
            let may_have_been_tried =
                open.asked.contains(&standing.record) || open.met_a_sign_out || proxy.rotation().wave(now).is_some();
            // One whose token could not be made good was tried as well; it rested since.
            let could_serve = standing.is_ready() && self.could_serve_since(&standing.record, open.began);
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
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
