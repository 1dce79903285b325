//! What the agent writes down: each request once, whoever hands it in and whatever stops them; its attempts beside it;
//! names that nobody can guess.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use camino::Utf8PathBuf;
use codex_auth_core::{
    AttemptSpent, PolicySource as _, RequestSpent, SessionKey, Sums, Timestamp, TokenUse, UsageOperation, UsageOutcome,
    UsageSource, Whose,
};
use codex_auth_store::{
    FilePolicies, FileStore, StateFile,
    documents::{
        observability::{Counter, Observability},
        usage_ledger::{AccountMark, AttemptRow, FileUsageBook, Salt, UsageLedger, UsageRow},
    },
    testing::{Fault, FaultFs},
};

use crate::world::{NOW, World, layout_in, sign_in};

mod questions;

const AT: Timestamp = Timestamp::from_secs(NOW);
const HOME: &str = "STORE_TEST_HOME";
const TASK: &str = "STORE_TEST_USAGE";
/// Requests that everybody hands in.
const SHARED: usize = 40;
/// Long after whatever a killed writer left was stale.
const LATER: Timestamp = Timestamp::from_secs(NOW + 400 * 86_400);
const TOOK: TokenUse = TokenUse { input: 1000, cached_input: 400, output: 200, reasoning: 50 };

fn whose(n: usize) -> Whose {
    Whose::of(&sign_in(n, &format!("R{n}"), 0).account)
}

/// Request `n`: refused by account 1, then served by account 2.
fn request(n: usize) -> RequestSpent {
    let attempt = |account, outcome, status, tokens| AttemptSpent {
        at: AT,
        account: whose(account),
        model: None,
        outcome,
        status: Some(status),
        error_code: None,
        took: Duration::from_millis(3),
        tokens,
    };
    RequestSpent {
        id: format!("request-{n}"),
        at: AT,
        source: UsageSource::RuntimeProxy,
        operation: UsageOperation::Responses,
        outcome: UsageOutcome::Success,
        model: Some("gpt-5.5".into()),
        instead_of: None,
        cwd: None,
        session: SessionKey::parse("SECRET-SESSION"),
        response: Some("SECRET-RESPONSE".into()),
        account: Some(whose(2)),
        status: Some(200),
        error_code: None,
        took: Duration::from_millis(7),
        tokens: TOOK,
        attempts: vec![
            attempt(1, UsageOutcome::Failure, 429, TokenUse::default()),
            attempt(2, UsageOutcome::Success, 200, TOOK),
        ],
    }
}

fn requests(range: std::ops::Range<usize>) -> Vec<RequestSpent> {
    range.map(request).collect()
}

fn ledger(world: &World) -> UsageLedger {
    UsageLedger::under(world.layout().base())
}

fn book(world: &World) -> FileUsageBook {
    FileUsageBook::beside(Arc::new(world.store()))
}

/// The lines of the file that begin a request, by id.
fn ids(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(ledger(world).path()).unwrap_or_default();
    let rows = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let requests = rows.filter(|row| row["version"] == 1);
    requests.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

#[track_caller]
fn each_once(world: &World, count: usize) {
    let mut seen = ids(world);
    seen.sort();
    let mut expect: Vec<String> = (0..count).map(|n| format!("request-{n}")).collect();
    expect.sort();
    assert_eq!(seen, expect);
}

fn sums(world: &World) -> Sums {
    ledger(world).totals(AT).expect("summed").since(Timestamp::default(), None)
}

#[test]
fn a_request_that_is_handed_in_again_is_not_written_again() {
    let world = World::new();
    let first = book(&world);
    assert_eq!(first.enter_now(&requests(0..3), AT).expect("written"), 3);
    assert_eq!(first.enter_now(&requests(1..4), AT).expect("written"), 1, "by the same writer");
    assert_eq!(book(&world).enter_now(&requests(0..5), AT).expect("written"), 1, "by another one");
    let twice = [requests(5..6), requests(5..6)].concat();
    assert_eq!(first.enter_now(&twice, AT).expect("written"), 1, "within one batch");
    ledger(&world).rotate(0, AT).expect("archived").expect("not empty");
    assert_eq!(first.enter_now(&requests(4..7), AT).expect("written"), 1, "after the file was archived");
    ledger(&world).rotate(0, AT).expect("archived").expect("not empty");
    assert_eq!(book(&world).enter_now(&requests(6..7), AT).expect("written"), 0, "by one who never saw it");
    assert_eq!(sums(&world).requests, 7);
}

#[test]
fn a_request_that_asked_for_another_model_names_both() {
    let world = World::new();
    let mut other = RequestSpent { model: Some("gpt-5.4".into()), instead_of: Some("gpt-5.5".into()), ..request(0) };
    for (attempt, model) in other.attempts.iter_mut().zip(["gpt-5.5", "gpt-5.4"]) {
        attempt.model = Some(model.into());
    }
    book(&world).enter_now(&[other, request(1)], AT).expect("written");
    let rows = ledger(&world).rows(AT, AT).expect("read");
    let named: Vec<_> = rows.requests.iter().map(|row| (row.model.as_deref(), row.instead_of.as_deref())).collect();
    assert_eq!(named, [(Some("gpt-5.4"), Some("gpt-5.5")), (Some("gpt-5.5"), None)]);
    let asked: Vec<_> = rows.attempts.iter().map(|row| row.model.as_deref()).collect();
    assert_eq!(asked, [Some("gpt-5.5"), Some("gpt-5.4"), None, None]);
    assert!(rows.requests[1].document().get("insteadOfModel").is_none(), "an ordinary row has no key more than before");
}

#[test]
fn what_is_counted_is_the_request() {
    let world = World::new();
    book(&world).enter_now(&requests(0..2), AT).expect("written");
    let Sums { requests, total, reasoning, cost_e8, .. } = sums(&world);
    assert_eq!((requests, total, reasoning, cost_e8), (2, 2400, 100, 2 * 368_000));
    let rows = ledger(&world).rows(AT, AT).expect("read");
    let seen: Vec<_> =
        rows.attempts.iter().map(|one: &AttemptRow| (one.request_id.as_str(), one.number, one.status)).collect();
    let expect = [
        ("request-0", 1, Some(429)),
        ("request-0", 2, Some(200)),
        ("request-1", 1, Some(429)),
        ("request-1", 2, Some(200)),
    ];
    assert_eq!(seen, expect);
    assert_eq!(rows.requests.iter().map(UsageRow::entry).map(|entry| entry.sums.total).sum::<u64>(), 2400);
    assert_eq!(rows.unreadable, 0);
}

#[test]
fn rows_are_read_from_archives_too_and_by_their_time() {
    let world = World::new();
    let (early, late) = (Timestamp::from_secs(NOW - 10 * 86_400), Timestamp::from_secs(NOW));
    let old = RequestSpent { at: early, ..request(0) };
    book(&world).enter_now(&[old], early).expect("written");
    ledger(&world).rotate(0, early).expect("archived").expect("not empty");
    book(&world).enter_now(&requests(1..3), late).expect("written");
    let ids = |since, until| {
        let rows = ledger(&world).rows(since, until).expect("read");
        rows.requests.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Timestamp::default(), late), ["request-0", "request-1", "request-2"]);
    assert_eq!(ids(early, early), ["request-0"]);
    assert_eq!(ids(late, late), ["request-1", "request-2"]);
}

#[test]
fn nobody_who_guesses_a_name_finds_it() {
    let world = World::new();
    book(&world).enter_now(&requests(0..1), AT).expect("written");
    let text = std::fs::read_to_string(ledger(&world).path()).expect("there");
    for secret in ["SECRET", "ws-2", "user-2", "@", "R2"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let account = sign_in(2, "R2", 0).account;
    let guessed = AccountMark::of(&account, 0);
    assert!(!text.contains(guessed.name().expect("a hash")), "the predecessor's hash of an id can be guessed");
    let salt = ledger(&world).salt_if_made().expect("read").expect("made");
    assert!(text.contains(AccountMark::salted(&account.owner, &salt).name().expect("a hash")));
    assert!(text.contains(&salt.session("SECRET-SESSION")) && text.contains(&salt.response("SECRET-RESPONSE")));
    assert_ne!(salt.session("x"), salt.response("x"));
    assert!(!format!("{salt:?}").contains("sha"), "{salt:?}");
}

#[test]
fn two_people_of_one_workspace_are_two_accounts() {
    let salt = Salt::new("salt");
    let (mut one, other) = (sign_in(1, "R1", 0).account.owner, sign_in(2, "R2", 0).account.owner);
    one.workspace = other.workspace.clone();
    assert_ne!(AccountMark::salted(&one, &salt), AccountMark::salted(&other, &salt));
}

#[test]
fn a_salt_is_made_once_and_kept() {
    let world = World::new();
    assert_eq!(ledger(&world).salt_if_made().expect("read"), None);
    let salts = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| ledger(&world).salt(AT).expect("made"))).collect();
        makers.into_iter().map(|maker| maker.join().expect("ended")).collect::<Vec<_>>()
    });
    assert!(salts.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(ledger(&world).salt_if_made().expect("read").as_ref(), salts.first());
    world.write(&world.layout().base().join("usage/salt"), "torn");
    assert_ne!(ledger(&world).salt(AT).expect("made anew"), salts[0]);
}

#[test]
fn a_price_table_that_is_broken_changes_no_price() {
    let world = World::new();
    let (book, path) = (book(&world), world.layout().base().join("usage-prices.json"));
    let cost = |n: usize| {
        book.enter_now(&requests(n..n + 1), AT).expect("written");
        let rows = ledger(&world).rows(AT, AT).expect("read").requests;
        rows.into_iter().find(|row| row.id == format!("request-{n}")).expect("there").cost_e8
    };
    assert_eq!(cost(0), Some(368_000), "ours");
    world.write(&path, r#"{"version":1,"prices":{"gpt-5.5":{"input":1,"cachedInput":1,"output":1}}}"#);
    assert_eq!(cost(1), Some(120_000), "the user's");
    world.write(&path, r#"{"version":1,"prices":{"gpt-5.5":{"input":"one"}}}"#);
    assert_eq!(cost(2), Some(120_000), "the last good one");
    std::fs::remove_file(&path).expect("there");
    assert_eq!(cost(3), Some(368_000), "ours again");
}

#[test]
fn other_programs_are_told_what_was_done() {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 0), sign_in(2, "R2", 0)]);
    let book = FileUsageBook::beside(Arc::new(store));
    let left = RequestSpent { outcome: UsageOutcome::Cancelled, attempts: Vec::new(), account: None, ..request(9) };
    book.enter_now(&[requests(0..2), vec![left]].concat(), AT).expect("written");
    book.publish_now(AT).expect("told");
    book.publish_now(AT).expect("nothing new");
    let told = StateFile::<Observability>::under(world.layout().base()).read().expect("readable").document;
    let counts = [Counter::Total, Counter::Successful, Counter::UserAborts, Counter::Attempts, Counter::RateLimited];
    assert_eq!(counts.map(|counter| told.count(counter)), [3, 2, 1, 4, 2]);
    assert_eq!(told.count(Counter::Rotations), 2);
    let last = told.last_account.expect("somebody served");
    assert_eq!((last.index, last.account_id.as_deref(), last.at), (1, Some("ws-2"), AT));
    // Accounts that are asked for one list are no retries, and a list is answered by nobody in particular.
    let theirs = RequestSpent { account: Some(whose(1)), ..questions::list(0) };
    book.enter_now(&[questions::list(1), theirs], AT).expect("written");
    book.publish_now(AT).expect("told");
    let told = StateFile::<Observability>::under(world.layout().base()).read().expect("readable").document;
    let counts = [Counter::Total, Counter::Responses, Counter::Attempts, Counter::Rotations];
    assert_eq!(counts.map(|counter| told.count(counter)), [5, 3, 8, 2]);
    assert_eq!(told.last_account.map(|last| last.index), Some(1));
}

/// Every step at which the disk may fail or stop: what was acknowledged is there, and handed in again, all is, once.
#[test]
fn whatever_stops_a_writer_each_request_is_there_once() {
    for fault in [Fault::Fail, Fault::Stop] {
        for step in 0..60 {
            let world = World::with_rooms();
            book(&world).enter_now(&requests(0..2), AT).expect("written");
            let disk = Arc::new(FaultFs::with(fault(step)));
            let broken = ledger(&world).over(disk.clone());
            let salt = Salt::new("salt");
            let rows = |range: std::ops::Range<usize>| -> Vec<(UsageRow, Vec<AttemptRow>)> {
                let written = ledger(&world).rows(AT, AT).expect("read").requests.remove(0);
                let mark = Some(AccountMark::salted(&whose(1).owner, &salt));
                range
                    .map(|n| {
                        (UsageRow { id: format!("request-{n}"), account: mark.clone(), ..written.clone() }, Vec::new())
                    })
                    .collect()
            };
            let acknowledged = broken.enter(&rows(2..6), AT).is_ok();
            let was_over = disk.steps() <= step;
            if acknowledged {
                each_once(&world, 6);
            }
            // The half minute after which a lock that was left behind counts no more is over.
            ledger(&world).enter(&rows(1..7), LATER).expect("written");
            each_once(&world, 7);
            assert!(!was_over || acknowledged);
            if was_over {
                assert!(step > 2, "no step at all was tried");
                break;
            }
            assert!(step < 59, "it never ends");
        }
    }
}

/// This test again, in a process of its own.
fn process(world: &World, task: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "usage_book::worker", "--nocapture"])
        .env(HOME, world.home().as_str())
        .env(TASK, task)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

/// Hands in what everybody hands in when it is started by another test; alone it has nothing to do.
#[test]
fn worker() {
    let (Ok(home), Ok(task)) = (std::env::var(HOME), std::env::var(TASK)) else { return };
    let clock = Arc::new(codex_auth_core::testing::ManualClock::at(AT));
    let store = FileStore::new(layout_in(&Utf8PathBuf::from(home)), clock);
    let book = FileUsageBook::beside(Arc::new(store));
    for n in 0..SHARED {
        book.enter_now(&requests(n..n + 1), AT).expect("written");
        if task == "tell" {
            writeln!(std::io::stdout(), "\nentered {n}").expect("somebody listens");
        }
    }
}

#[test]
fn two_processes_with_the_same_requests_write_each_once() {
    let world = World::new();
    let children = [process(&world, "quietly"), process(&world, "quietly"), process(&world, "quietly")];
    for mut child in children {
        assert!(child.wait().expect("ended").success());
    }
    each_once(&world, SHARED);
    assert_eq!(sums(&world).requests, SHARED as u64);
}

#[test]
fn a_killed_writer_loses_nothing_it_was_told_of_and_doubles_nothing() {
    for after in [1, 7, 19] {
        let world = World::new();
        let mut child = process(&world, "tell");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let entered = lines.map_while(Result::ok).filter(|line| line.starts_with("entered ")).take(after).count();
        child.kill().expect("it runs, or has ended");
        child.wait().expect("ended");
        let there = ids(&world).len();
        assert!(there >= entered, "{entered} were acknowledged, {there} are there");
        let next = FileUsageBook::beside(Arc::new(world.store()));
        next.enter_now(&requests(0..SHARED), LATER).expect("written");
        each_once(&world, SHARED);
    }
}

#[test]
fn what_others_wrote_is_told_once_and_what_was_handed_in_here_never() {
    let world = World::new();
    let (ours, theirs) = (book(&world), book(&world));
    let told = || {
        let spent = ours.spent_by_others_now(AT).expect("read");
        spent.iter().map(|one| (one.spent.requests, one.spent.tokens, one.spent.cost_e8)).collect::<Vec<_>>()
    };
    let each = (1, 1200, 368_000);
    theirs.enter_now(&requests(0..1), AT).expect("written");
    assert_eq!(told(), [], "from before the first look");
    ours.enter_now(&requests(1..3), AT).expect("written");
    assert_eq!(told(), []);
    theirs.enter_now(&requests(3..5), AT).expect("written");
    assert_eq!((told(), told()), (vec![each, each], vec![]));
    // Met while we write, and in an archive.
    theirs.enter_now(&requests(5..6), AT).expect("written");
    ours.enter_now(&requests(6..7), AT).expect("written");
    theirs.enter_now(&requests(7..8), AT).expect("written");
    ledger(&world).rotate(0, AT).expect("archived").expect("not empty");
    theirs.enter_now(&requests(8..9), AT).expect("written");
    assert_eq!((told(), told()), (vec![each, each, each], vec![]));
}

#[test]
fn a_change_of_the_prices_is_a_change_of_the_rules() {
    let world = World::new();
    let rules = FilePolicies::of(world.layout().clone());
    let cost = || rules.prices().expect("readable").cost_e8("gpt-5.5", TOOK, AT);
    let before = (rules.stamp(), cost());
    assert_eq!(before.1, Some(368_000));
    let dear = r#"{"version":1,"prices":{"gpt-5.5":[{"from":"2020-01-01","input":20,"output":20}]}}"#;
    let base = world.layout().base().to_owned();
    std::fs::create_dir_all(&base).expect("our own root is writable");
    std::fs::write(base.join("usage-prices.json"), dear).expect("our own root is writable");
    assert_ne!(rules.stamp(), before.0);
    assert_eq!(cost(), Some(2_400_000));
}
