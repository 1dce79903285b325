//! Many real processes change one root at random: nothing anybody did is lost, and the predecessor never reads a file
//! it would not accept.
//!
//! `CODEX_AUTH_LONG=1` runs 16 processes of 200 operations, otherwise 8 of 25.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    AccountStore as _, Held, Intent, RecordId, Rest, RestReason, SavedPool, StoreError, Timestamp, testing::ManualClock,
};
use codex_auth_store::{FileStore, Waits, merge};
use serde_json::{Value, json};

use crate::world::{NOW, World, credential, layout_in, sign_in};

const HOME: &str = "STORE_TEST_HOME";
const TASK: &str = "STORE_TEST_CROWD";
/// Accounts everybody renews.
const SHARED: usize = 4;
/// Own accounts a process has at most, so that the pool stays one of a size that exists.
const OWN: usize = 6;
/// No operation may wait longer for its turn, however many others there are.
const TURN: Duration = Duration::from_mins(2);
/// Everybody has ended by then, or hangs.
const END: Duration = Duration::from_mins(9);

/// What a process did, by its own account.
#[derive(Debug, Default)]
struct Ledger {
    /// Own accounts by number: alias and rest.
    own: BTreeMap<usize, (Option<String>, Option<i64>)>,
    removed: Vec<usize>,
    /// How often it renewed each shared account.
    renewed: [u64; SHARED],
    switched: u64,
}

impl Ledger {
    fn json(&self) -> Value {
        let own: Vec<Value> = self.own.iter().map(|(n, (alias, rest))| json!([n, alias, rest])).collect();
        json!({ "own": own, "removed": self.removed, "renewed": self.renewed, "switched": self.switched })
    }
}

/// One process: its store, its dice, its ledger.
struct Worker {
    store: FileStore,
    number: usize,
    made: usize,
    chance: u64,
    ledger: Ledger,
}

impl Worker {
    fn roll(&mut self, sides: usize) -> usize {
        // Marsaglia's xorshift; any would do.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        usize::try_from(self.chance >> 33).expect("31 bits") % sides
    }

    async fn act(&mut self) -> Result<(), StoreError> {
        let which = self.roll(self.ledger.own.len().max(1));
        let own = self.ledger.own.keys().nth(which).copied();
        match (self.roll(10), own) {
            (0..=1, Some(own)) if self.ledger.own.len() >= OWN => self.remove(own),
            (0..=1, _) | (2..=4, None) => self.add(),
            (2, Some(own)) => self.remove(own),
            (3, Some(own)) => self.name(own),
            (4, Some(own)) => self.rest(own),
            (5..=7, _) => self.renew().await,
            (8, _) => self.switch(),
            _ => self.write_login(),
        }
    }

    fn add(&mut self) -> Result<(), StoreError> {
        self.made += 1;
        let n = self.number * 1000 + self.made;
        self.store
            .edit_now(|pool| drop(merge(pool, vec![sign_in(n, &format!("R{n}"), 0)], Timestamp::from_secs(NOW))))?;
        self.ledger.own.insert(n, (None, None));
        Ok(())
    }

    fn remove(&mut self, own: usize) -> Result<(), StoreError> {
        self.store.edit_now(|pool| {
            let gone = place(pool, own);
            let gone = pool.accounts.remove(gone).account.record;
            pool.pin.take_if(|pin| *pin == gone);
            pool.active.take_if(|active| *active == gone);
        })?;
        self.ledger.own.remove(&own);
        self.ledger.removed.push(own);
        Ok(())
    }

    fn name(&mut self, own: usize) -> Result<(), StoreError> {
        let alias = format!("name-{own}-{}", self.roll(1_000_000));
        self.store.edit_now(|pool| held(pool, own).account.alias = Some(alias.clone()))?;
        self.ledger.own.entry(own).or_default().0 = Some(alias);
        Ok(())
    }

    fn rest(&mut self, own: usize) -> Result<(), StoreError> {
        let until = NOW + 1000 + i64::try_from(self.roll(1_000_000)).expect("small");
        self.store.edit_now(|pool| {
            let rest = Rest::of_account(RestReason::UsageLimit, Timestamp::from_secs(until), Timestamp::from_secs(NOW));
            let account = &mut held(pool, own).account;
            account.rests.clear();
            account.rest(rest);
        })?;
        self.ledger.own.entry(own).or_default().1 = Some(until);
        Ok(())
    }

    /// As the keeper does it; the token says how many went before.
    async fn renew(&mut self) -> Result<(), StoreError> {
        let n = self.roll(SHARED) + 1;
        let record = record_of(&self.store.read_now()?, n);
        let mut claim = self.store.claim(&record).await?;
        let held = claim.look_again().await?;
        let generation = held.credential.generation;
        assert_eq!(held.credential.refresh.expose(), token(n, generation), "somebody's answer was lost");
        assert_eq!(claim.intend(&held.credential.refresh).await?, Intent::Clear, "presented twice");
        let (user, workspace) = (format!("user-{n}"), format!("ws-{n}"));
        let mut fresh = credential(&user, &workspace, &token(n, generation + 1), 0);
        fresh.generation = generation + 1;
        claim.commit(&fresh).await?;
        self.ledger.renewed[n - 1] += 1;
        Ok(())
    }

    fn switch(&mut self) -> Result<(), StoreError> {
        let n = self.roll(SHARED) + 1;
        let pinned = self.roll(2) == 0;
        self.store.edit_now(|pool| {
            let record = record_of(pool, n);
            pool.pin = pinned.then(|| record.clone());
            pool.active = Some(record);
            pool.affinity_generation += 1;
        })?;
        self.ledger.switched += 1;
        Ok(())
    }

    fn write_login(&mut self) -> Result<(), StoreError> {
        let record = record_of(&self.store.read_now()?, self.roll(SHARED) + 1);
        let home = self.store.layout().codex_home().to_owned();
        self.store.write_login(&home, &record).unwrap_or_else(|error| panic!("{error}"));
        Ok(())
    }
}

/// Works when it is started by the test below; alone it has nothing to do.
#[test]
fn worker() {
    let (Ok(home), Ok(task)) = (std::env::var(HOME), std::env::var(TASK)) else { return };
    let (number, times) = task.split_once(' ').expect("a number and how often");
    let (number, times): (usize, usize) = (number.parse().expect("a number"), times.parse().expect("how often"));
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let waits = Waits { refresh: TURN, root: TURN, official: TURN };
    let store = FileStore::new(layout_in(&Utf8PathBuf::from(home)), clock).with_waits(waits);
    let chance = 0x9e37_79b9_7f4a_7c15 ^ (number as u64) << 20;
    let mut worker = Worker { store, number, made: 0, chance, ledger: Ledger::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for turn in 0..times {
        runtime.block_on(worker.act()).unwrap_or_else(|error| panic!("turn {turn}: {error}"));
    }
    writeln!(std::io::stdout(), "\nledger {}", worker.ledger.json()).expect("somebody listens");
}

fn process(world: &World, number: usize, times: usize) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "many_processes::worker", "--nocapture"])
        .env(HOME, world.home().as_str())
        .env(TASK, format!("{number} {times}"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

#[test]
fn nothing_that_anybody_did_is_lost() {
    let is_long = std::env::var("CODEX_AUTH_LONG").is_ok_and(|long| long == "1");
    let (processes, times) = if is_long { (16, 200) } else { (8, 25) };
    let world = World::new();
    let store = world.holding((1..=SHARED).map(|n| sign_in(n, &token(n, 0), 0)).collect());
    let mut crowd: Vec<Child> = (1..=processes).map(|number| process(&world, number, times)).collect();
    let (began, mut seen, mut reads) = (Instant::now(), BTreeMap::new(), 0_u64);
    while crowd.iter_mut().any(|child| child.try_wait().expect("a child").is_none()) {
        predecessor_reads(&world.layout().accounts());
        only_grow(&mut seen, &store.read_now().expect("never half a file"));
        reads += 1;
        if began.elapsed() > END {
            for child in &mut crowd {
                child.kill().expect("a child");
            }
            panic!("somebody waits for ever");
        }
    }
    let ledgers: Vec<Value> = crowd.into_iter().map(ledger).collect();
    let pool = store.read_now().expect("readable");
    only_grow(&mut seen, &pool);
    assert!(reads > 10, "the readers read meanwhile: {reads} times");
    let mut expect = SHARED;
    for ledger in &ledgers {
        for own in ledger["own"].as_array().expect("a list") {
            let n = usize::try_from(own[0].as_u64().expect("a number")).expect("small");
            let account = &pool.accounts[place(&pool, n)].account;
            assert_eq!(json!(account.alias), own[1], "the name of {n}");
            let rest = account.rests.first().map(|rest| rest.until.as_millis() / 1000);
            assert_eq!(json!(rest), own[2], "the rest of {n}");
            expect += 1;
        }
    }
    assert_eq!(pool.accounts.len(), expect, "removed accounts do not come back");
    let sum = |told: &dyn Fn(&Value) -> u64| ledgers.iter().map(told).sum::<u64>();
    for n in 1..=SHARED {
        let held = &pool.accounts[place(&pool, n)];
        let renewed = sum(&|ledger| ledger["renewed"][n - 1].as_u64().expect("a count"));
        assert_eq!(held.credential.generation, renewed, "each renewal of {n} counts once");
        assert_eq!(held.credential.refresh.expose(), token(n, renewed), "and the last one stands");
    }
    assert_eq!(pool.affinity_generation, sum(&|ledger| ledger["switched"].as_u64().expect("a count")));
}

/// The ledger a process told at its end.
fn ledger(mut child: Child) -> Value {
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("a child").success(), "{said}");
    let line = said.lines().find_map(|line| line.strip_prefix("ledger ")).expect("a ledger");
    serde_json::from_str(line).expect("JSON")
}

/// What the predecessor insists on, read as it reads: the file as it is, at any moment.
fn predecessor_reads(path: &Utf8Path) {
    let text = std::fs::read_to_string(path).expect("the file never is away");
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {} bytes", text.len()));
    let rows = document["accounts"].as_array().expect("a list");
    assert_eq!(document["version"], json!(3));
    assert!(rows.iter().all(|row| row["refreshToken"].as_str().is_some_and(|token| !token.is_empty())));
    let in_range = |index: &Value| index.as_u64().is_some_and(|index| index < rows.len() as u64);
    assert!(in_range(&document["activeIndex"]), "{}", document["activeIndex"]);
    assert!(document.get("pinnedAccountIndex").is_none_or(in_range));
    let families = document["activeIndexByFamily"].as_object().expect("an object");
    assert!(families.values().all(in_range), "{families:?}");
}

fn only_grow(seen: &mut BTreeMap<RecordId, u64>, pool: &SavedPool) {
    for held in &pool.accounts {
        let before = seen.insert(held.account.record.clone(), held.credential.generation);
        assert!(before.is_none_or(|before| before <= held.credential.generation), "{}", held.account.record);
    }
}

fn token(n: usize, generation: u64) -> String {
    format!("S{n}-{generation}")
}

fn place(pool: &SavedPool, n: usize) -> usize {
    let email = format!("user-{n}@example.test");
    let found = pool.accounts.iter().position(|held| held.account.owner.email.as_deref() == Some(&email));
    found.unwrap_or_else(|| panic!("account {n} is lost"))
}

fn held(pool: &mut SavedPool, n: usize) -> &mut Held {
    let place = place(pool, n);
    &mut pool.accounts[place]
}

fn record_of(pool: &SavedPool, n: usize) -> RecordId {
    pool.accounts[place(pool, n)].account.record.clone()
}
