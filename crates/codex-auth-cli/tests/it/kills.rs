//! SIGKILL at any moment of a refresh, a sign-in, a switch and an import: the pool opens and is old or new, nobody
//! presents a token twice, no family is revoked at the issuer, nothing is lost that is not told, one sign-in mends what
//! was told, and the next command works.
//!
//! `CODEX_AUTH_LONG=1` kills a thousand times, half of them refreshes, otherwise some seventy times.

mod moments;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    num::NonZero,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use codex_auth_core::{ANSWER_LOST, Clock, Held, LoginState, OfficialLogins as _, SavedPool, Timestamp};
use codex_auth_store::{FileStore, Layout, LayoutInputs, OfficialHomes};
use codex_auth_testkit::{PoolKnobs, Setup, SignIn, TokenSetup, Verdict, Who, fingerprint};
use serde_json::{Value, json};

use self::{
    moments::{Killed, Moment, Moments},
    support::Running,
};
use crate::world::{Said, World, in_millis, write};

/// No command may take longer after a kill; a lock nobody holds would make it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An operation that is killed.
struct Operation {
    name: &'static str,
    words: &'static [&'static str],
    /// How often it is killed in a long run and otherwise.
    times: (usize, usize),
    /// Prepares the world beyond a pool of three whose access tokens have ended.
    scene: fn(&World),
    /// Whether the pool, after a kill and the one before, is as before or as after.
    is_old_or_new: fn(&SavedPool, &SavedPool) -> bool,
}

#[test]
fn a_refresh_is_killed() {
    check(&Operation {
        name: "refresh",
        words: &["check", "--json"],
        times: (500, 40),
        scene: |world| {
            let login = world.fake().login_document(Who::Account(1), &codex_auth_testkit::LoginKnobs::default());
            write(&world.auth_json(), &login.to_string());
        },
        is_old_or_new: |old, new| records(old) == records(new) && old.active == new.active && old.pin == new.pin,
    });
}

#[test]
fn a_sign_in_is_killed() {
    check(&Operation {
        name: "login",
        words: &["login", "--no-browser"],
        times: (200, 8),
        scene: |world| {
            world.fake().next_login(SignIn::of(Who::Account(4)));
            world.fake().next_login(SignIn::of(Who::Account(4)));
        },
        is_old_or_new: |old, new| {
            new.accounts.starts_with_records_of(old) && new.accounts.len() <= old.accounts.len() + 1
        },
    });
}

#[test]
fn a_switch_is_killed() {
    check(&Operation {
        name: "switch",
        words: &["switch", "2"],
        times: (250, 10),
        scene: |world| {
            let login = world.fake().login_document(Who::Account(1), &codex_auth_testkit::LoginKnobs::default());
            write(&world.auth_json(), &login.to_string());
        },
        is_old_or_new: |old, new| {
            let second = Some(&new.accounts[1].account.record);
            let is_new = new.active.as_ref() == second && new.pin.as_ref() == second && new.affinity_generation == 1;
            let is_old = new.active == old.active && new.pin == old.pin && new.affinity_generation == 0;
            records(old) == records(new) && (is_old || is_new)
        },
    });
}

#[test]
fn an_import_is_killed() {
    check(&Operation {
        name: "import",
        words: &["import", "more.json", "--yes"],
        times: (200, 8),
        scene: |world| {
            let more = PoolKnobs { only: Some(vec![4, 5]), ..PoolKnobs::default() };
            write(&world.home().join("more.json"), &world.fake().pool_document(&more).to_string());
        },
        is_old_or_new: |old, new| new.accounts.starts_with_records_of(old) && [3, 5].contains(&new.accounts.len()),
    });
}

trait Records {
    fn starts_with_records_of(&self, old: &SavedPool) -> bool;
}

impl Records for Vec<Held> {
    fn starts_with_records_of(&self, old: &SavedPool) -> bool {
        let mine: Vec<_> = self.iter().map(|held| held.account.record.clone()).collect();
        mine.starts_with(&records(old))
    }
}

fn records(pool: &SavedPool) -> Vec<codex_auth_core::RecordId> {
    pool.accounts.iter().map(|held| held.account.record.clone()).collect()
}

/// What came of the kills so far.
struct Tally {
    moments: Moments,
    /// Moments that may still be tried: some never come, and some come too late; those are judged, and do not count.
    left: usize,
    kills: usize,
    lost: usize,
    met: BTreeMap<String, usize>,
}

/// Kills the operation at its moments, each time in a world of its own, and tells how often which moment was met.
fn check(operation: &Operation) {
    let is_long = std::env::var("CODEX_AUTH_LONG").is_ok_and(|long| long == "1");
    let times = if is_long { operation.times.0 } else { operation.times.1 };
    let whole = {
        let world = world(operation);
        let began = Instant::now();
        Running::start(&world, operation.words, PATIENCE).said(&world).ok();
        began.elapsed()
    };
    let moments = Moments::seeded(operation.name, whole);
    let tally = Mutex::new(Tally { moments, left: 4 * times, kills: 0, lost: 0, met: BTreeMap::new() });
    let next = || {
        let mut tally = tally.lock().expect("nobody panics under it");
        if tally.kills >= times || tally.left == 0 {
            return None;
        }
        tally.left -= 1;
        tally.moments.next()
    };
    // Each of them mostly waits, for a command or for its moment.
    let workers = thread::available_parallelism().map_or(2, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(moment) = next() {
                    kill(operation, moment, &tally);
                }
            });
        }
    });
    let Tally { kills, lost, met, .. } = tally.into_inner().expect("nobody panics under it");
    let told: Vec<String> = met.iter().map(|(what, count)| format!("  {count:4} {what}")).collect();
    let line = format!("\n{}: {kills} kills, {lost} answers lost and told\n{}\n", operation.name, told.join("\n"));
    std::io::stdout().write_all(line.as_bytes()).expect("somebody listens");
    assert!(kills >= times, "most moments never came");
}

/// One world, one kill, one judgement.
fn kill(operation: &Operation, moment: Moment, tally: &Mutex<Tally>) {
    let world = world(operation);
    let old = pool(&world, "before");
    let killed = moments::kill(&world, operation.words, moment, PATIENCE);
    let when = format!("{} killed {moment:?} ({killed:?})", operation.name);
    let met = format!("{}, {}", moment.name(), traces(&world));
    let lost = judge(&world, operation, &old, &when);
    let mut tally = tally.lock().expect("nobody panics under it");
    tally.lost += lost;
    if killed == Killed::InTime {
        tally.kills += 1;
        *tally.met.entry(met).or_default() += 1;
    }
}

/// A pool of three whose access tokens have all ended, and which end as soon as they are granted.
fn world(operation: &Operation) -> World {
    let tokens = TokenSetup { access_lifetime_secs: 1, ..TokenSetup::default() };
    let setup = Setup { accounts: 5, tokens, ..Setup::default() };
    let knobs = PoolKnobs { only: Some(vec![1, 2, 3]), expired_access: vec![1, 2, 3], ..PoolKnobs::default() };
    let world = World::with_pool_in_memory(&setup, &knobs);
    (operation.scene)(&world);
    world
}

/// What was left holds; returns how many answers were lost.
fn judge(world: &World, operation: &Operation, old: &SavedPool, when: &str) -> usize {
    let left = pool(world, when);
    assert!((operation.is_old_or_new)(old, &left), "{when}: neither old nor new: {left:#?}");
    predecessor_reads(&world.pool(), when);
    let login = OfficialHomes::new().login(world.codex_home().as_str()).expect("readable");
    assert!(!matches!(login, LoginState::Unusable { .. }), "{when}: {login:?}");
    // What was intended may have been done: only the issuer knows, and it is not asked twice.
    let (spent, was_intended) = (presented(world), is_intended(world));
    for held in &left.accounts {
        let was = old.find(&held.account.record).is_some_and(|old| old.credential.refresh == held.credential.refresh);
        assert!(was || is_newest(world, held), "{when}: {} holds a token of nobody", held.account.record);
    }
    let listed = Running::start(world, &["list", "--json"], PATIENCE).said(world).ok();
    assert_eq!(listed.document()["accounts"].as_array().map(Vec::len), Some(left.accounts.len()), "{when}");
    // The same again, now to its end; only an account whose answer was lost may refuse.
    let again = Running::start(world, operation.words, PATIENCE).said(world);
    let told = format!("{}{}", again.out, again.err);
    assert!(again.code == Some(0) || told.contains("needs a new sign-in"), "{when}: {again}");
    Running::start(world, &["check", "--json"], PATIENCE).said(world).ok();
    let after = pool(world, when);
    let dead: Vec<_> = after.accounts.iter().filter(|held| held.account.needs_login.is_some()).collect();
    for held in &dead {
        let token = fingerprint(held.credential.refresh.expose());
        assert!(was_intended || spent.contains(&token), "{when}: given up, though its token was never presented");
    }
    assert!(dead.len() <= 1, "{when}: one refresh at a time, and {} accounts are lost", dead.len());
    for held in after.accounts.iter().filter(|held| held.account.needs_login.is_none()) {
        assert!(is_newest(world, held), "{when}: {} lost its newest token", held.account.record);
    }
    let not_fresh: Vec<_> = world.fake().log().into_iter().filter_map(|record| record.body.presented).collect();
    let not_fresh: Vec<_> = not_fresh.into_iter().filter(|presented| presented.verdict != Verdict::Fresh).collect();
    assert!(not_fresh.is_empty(), "{when}: presented twice: {not_fresh:?}");
    let state = world.fake().state();
    let revoked: Vec<_> = state.accounts.iter().filter(|account| account.revoked).map(|it| it.account).collect();
    assert!(revoked.is_empty(), "{when}: revoked: {revoked:?}");
    if let Ok(LoginState::Usable(login)) = OfficialHomes::new().login(world.codex_home().as_str()) {
        let mut copies = after.accounts.iter().filter(|held| held.account.owner.agrees_with(&login.owner));
        let is_old = |held: &Held| held.account.needs_login.is_none() && !held.credential.same_grant(&login.credential);
        assert!(!copies.any(is_old), "{when}: the client's own login holds a spent token");
    }
    for held in &dead {
        mend(world, &after, held, when);
    }
    dead.len()
}

/// What was lost is told with the command that mends it, and one sign-in does.
fn mend(world: &World, pool: &SavedPool, held: &Held, when: &str) {
    let record = &held.account.record;
    let number = pool.number_of(record).expect("it is in the pool");
    let told = |said: &Said| said.document()["accounts"][number - 1].clone();
    let said = Running::start(world, &["check", "--json"], PATIENCE).said(world).ok();
    let (row, command) = (told(&said).to_string(), format!("codex-multi-auth login --account {number}"));
    assert!(row.contains(ANSWER_LOST) && row.contains(&command), "{when}: {said}");
    let workspace = held.account.owner.workspace.as_ref().map(ToString::to_string);
    let accounts = world.fake().state().accounts;
    let owner = accounts.iter().find(|account| Some(&account.account_id) == workspace.as_ref()).expect("known");
    world.fake().next_login(SignIn::of(owner.account));
    Running::start(world, &["login", "--no-browser"], PATIENCE).said(world).ok();
    Running::start(world, &["check", "--json"], PATIENCE).said(world).ok();
    let mended = self::pool(world, when);
    let held = mended.find(record).unwrap_or_else(|| panic!("{when}: {record} is gone"));
    assert!(held.account.needs_login.is_none() && is_newest(world, held), "{when}: a sign-in does not mend it");
}

/// Digits of all refresh tokens the issuer was shown.
fn presented(world: &World) -> BTreeSet<String> {
    world.fake().log().into_iter().filter_map(|record| record.body.presented?.token).collect()
}

/// Whether a journal says that a token was about to be presented.
fn is_intended(world: &World) -> bool {
    let entries = world.root().join("journal").read_dir_utf8();
    entries.into_iter().flatten().flatten().any(|entry| entry.path().extension() == Some("json"))
}

/// Whether an account holds what the issuer granted last.
fn is_newest(world: &World, held: &Held) -> bool {
    let workspace = held.account.owner.workspace.as_ref().map(ToString::to_string);
    let accounts = world.fake().state().accounts;
    let mine = accounts.iter().find(|account| Some(&account.account_id) == workspace.as_ref());
    let newest = mine.and_then(|account| account.tokens.as_ref()).map(|tokens| tokens.refresh.clone());
    newest == Some(fingerprint(held.credential.refresh.expose()))
}

/// What the predecessor insists on.
fn predecessor_reads(document: &Value, when: &str) {
    let rows = document["accounts"].as_array().unwrap_or_else(|| panic!("{when}: no list"));
    assert_eq!(document["version"], json!(3), "{when}");
    assert!(rows.iter().all(|row| row["refreshToken"].as_str().is_some_and(|token| !token.is_empty())), "{when}");
    let in_range = |index: &Value| index.as_u64().is_some_and(|index| index < rows.len().max(1) as u64);
    assert!(in_range(&document["activeIndex"]), "{when}: {}", document["activeIndex"]);
    assert!(document.get("pinnedAccountIndex").is_none_or(in_range), "{when}");
}

/// Which half-done work lies about, for the report.
fn traces(world: &World) -> String {
    let any = |dir: &str, test: fn(&str) -> bool| {
        let mut entries = world.root().join(dir).read_dir_utf8().into_iter().flatten().flatten();
        entries.any(|entry| test(entry.file_name()))
    };
    let found = [
        (any("", |name| name.strip_suffix(".tmp").is_some()), "half a file"),
        (is_intended(world), "a journal"),
        (any("journal", |name| name.strip_suffix(".tmp").is_some()), "half a journal"),
        (world.root().join("codex-auth.json").exists(), "a sidecar"),
    ];
    let found: Vec<&str> = found.into_iter().filter_map(|(is_there, what)| is_there.then_some(what)).collect();
    if found.is_empty() { "leaving nothing".to_owned() } else { format!("leaving {}", found.join(" and ")) }
}

fn pool(world: &World, when: &str) -> SavedPool {
    let inputs = LayoutInputs { home: world.home().to_string(), ..LayoutInputs::default() };
    let store = FileStore::new(Layout::resolve(&inputs), Arc::new(Now));
    store.read_now().unwrap_or_else(|error| panic!("{when}: {error}"))
}

#[derive(Debug)]
struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(in_millis(0))
    }
}
