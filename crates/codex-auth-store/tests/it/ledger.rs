//! The usage ledger: what is summed, how little is read for it, and what a torn line or another writer may do.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use camino::Utf8Path;
use codex_auth_core::{Budget, BudgetLimit, Meter, PriceTable, Timestamp, Window};
use codex_auth_store::{
    Fs, OsFs, Write,
    documents::usage_ledger::{
        AccountMark, Sums, Tokens, UsageGroup, UsageLedger, UsageOperation, UsageOutcome, UsageRow, UsageSource,
    },
};
use serde_json::{Value, json};

use crate::world::{NOW, World, sign_in};

const AT: Timestamp = Timestamp::from_secs(NOW);

/// The real disk; counts the bytes that were read.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn counted(&self, bytes: io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
        let bytes = bytes?;
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Fs for Counting {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        // The sums are small; what counts is the ledger.
        if path.extension() == Some("jsonl") { self.counted(OsFs.read(path)) } else { OsFs.read(path) }
    }

    fn read_from(&self, path: &Utf8Path, start: u64) -> io::Result<Vec<u8>> {
        self.counted(OsFs.read_from(path, start))
    }

    fn put(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
        OsFs.put(path, bytes, how)
    }

    fn sync_file(&self, path: &Utf8Path) -> io::Result<()> {
        OsFs.sync_file(path)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        OsFs.rename(from, to)
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        OsFs.remove(path)
    }

    fn sync_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        OsFs.sync_dir(dir)
    }

    fn make_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        OsFs.make_dir(dir)
    }
}

fn row(n: usize, outcome: UsageOutcome) -> UsageRow {
    let tokens = Tokens::new(1000, 200, 400, 50);
    UsageRow {
        id: format!("id-{n}"),
        created_at: AT,
        source: UsageSource::RuntimeProxy,
        operation: UsageOperation::Responses,
        outcome,
        model: Some("gpt-5.5".into()),
        instead_of: None,
        project: None,
        account: Some(AccountMark::of(&sign_in(1, "SECRET-TOKEN", 0).account, 0)),
        request_id: None,
        status: Some(200),
        error_code: None,
        duration_ms: Some(5),
        cost_e8: PriceTable::default().cost_e8("gpt-5.5", tokens.into(), AT),
        tokens,
        session: None,
        response: None,
    }
}

fn rows(range: std::ops::Range<usize>) -> Vec<UsageRow> {
    range.map(|n| row(n, UsageOutcome::Success)).collect()
}

fn ledger(world: &World) -> UsageLedger {
    UsageLedger::under(world.layout().base())
}

fn all(ledger: &UsageLedger) -> Sums {
    ledger.totals(AT).expect("summed").since(Timestamp::default(), None)
}

#[test]
fn a_row_holds_hashes_and_no_names() {
    let world = World::new();
    ledger(&world).append(&rows(0..1), AT).expect("written");
    let text = std::fs::read_to_string(ledger(&world).path()).expect("there");
    for secret in ["SECRET-TOKEN", "ws-1", "user-1", "@"] {
        assert!(!text.contains(secret), "{text}");
    }
    let written: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(written["costUsd"].to_string(), "0.00368");
    assert_eq!(written["tokens"]["totalTokens"], json!(1200));
    assert!(written["account"]["accountHash"].as_str().is_some_and(|hash| hash.starts_with("sha256:")));
}

#[test]
fn f21_rows_that_counted_reasoning_twice_are_summed_once() {
    let world = World::new();
    let theirs = json!({
        "version": 1, "id": "x", "createdAt": NOW * 1000, "source": "runtime-proxy", "operation": "responses",
        "outcome": "success", "model": "openai/GPT-5.5-high", "account": null, "costUsd": 0.00428,
        "tokens": { "inputTokens": 1000, "outputTokens": 200, "cachedInputTokens": 400, "reasoningTokens": 50,
                    "totalTokens": 1250 },
    });
    world.write(&ledger(&world).path(), &format!("{theirs}\n"));
    let sums = all(&ledger(&world));
    assert_eq!((sums.total, sums.cost_e8), (1200, 368_000));
}

#[test]
fn f22_a_summary_reads_only_what_is_new() {
    let world = World::new();
    let disk = Arc::new(Counting::default());
    let ledger = ledger(&world).over(disk.clone());
    ledger.append(&rows(0..500), AT).expect("written");
    assert_eq!(all(&ledger).requests, 500);
    let line = usize::try_from(ledger.path().metadata().expect("there").len()).expect("small") / 500;
    ledger.append(&rows(500..501), AT).expect("written");
    disk.0.store(0, Ordering::Relaxed);
    assert_eq!(all(&ledger).requests, 501);
    let read = disk.0.load(Ordering::Relaxed);
    assert!(read <= 4 * line, "{read} bytes were read for one new line of {line}");
}

#[test]
fn f22_the_sums_follow_rotation_and_rewriting() {
    let world = World::new();
    let ledger = ledger(&world);
    ledger.append(&rows(0..3), AT).expect("written");
    assert_eq!(all(&ledger).requests, 3);
    let archive = ledger.rotate(1, AT).expect("rotated").expect("it was larger");
    assert_eq!(archive.file_name(), Some("usage-ledger.20260921T141320000Z.jsonl"));
    assert_eq!(ledger.rotate(0, AT).expect("asked"), None, "nothing to archive");
    ledger.append(&rows(3..5), AT).expect("written");
    assert_eq!(all(&ledger).requests, 5, "archives count");
    ledger.rotate(0, AT).expect("rotated").expect("not empty");
    assert_eq!(all(&ledger).requests, 5);
    ledger.append(&rows(5..9), AT).expect("written");
    assert_eq!(all(&ledger).requests, 9);
    let text = std::fs::read_to_string(ledger.path()).expect("there");
    let other: Vec<&str> = text.lines().rev().take(3).collect();
    world.write(&ledger.path(), &format!("{}\n", other.join("\n")));
    assert_eq!(all(&ledger).requests, 8, "another file of the same name");
    std::fs::remove_file(&archive).expect("removed");
    assert_eq!(all(&ledger).requests, 5, "a deleted archive counts no more");
}

#[test]
fn a_torn_line_spoils_no_other() {
    let world = World::new();
    let ledger = ledger(&world);
    ledger.append(&rows(0..2), AT).expect("written");
    let text = std::fs::read_to_string(ledger.path()).expect("there");
    world.write(&ledger.path(), &text[..text.len() - 30]);
    assert_eq!(all(&ledger).requests, 1, "a line is whole when it is ended");
    ledger.append(&rows(2..3), AT).expect("written");
    assert_eq!(all(&ledger).requests, 2);
}

#[test]
fn two_writers_lose_no_row_and_leave_no_lock() {
    let world = World::new();
    std::thread::scope(|scope| {
        for part in [0, 100] {
            let ledger = ledger(&world);
            scope.spawn(move || (part..part + 20).for_each(|n| ledger.append(&rows(n..n + 1), AT).expect("written")));
        }
    });
    assert_eq!(all(&ledger(&world)).requests, 40);
    assert!(!world.layout().base().join("usage/usage-ledger.jsonl.lock").exists());
}

#[test]
fn groups_and_windows() {
    let world = World::new();
    let ledger = ledger(&world);
    let mut mixed = rows(0..2);
    mixed.push(row(2, UsageOutcome::Blocked));
    mixed[1].created_at = AT.after(Duration::from_hours(24));
    mixed[1].project = Some("p".into());
    ledger.append(&mixed, AT).expect("written");
    let totals = ledger.totals(AT).expect("summed");
    let by = |group| {
        let groups = totals.by(group, AT, AT.after(Duration::from_hours(48)));
        groups.into_iter().map(|(name, sums)| format!("{name}:{}", sums.requests)).collect::<Vec<_>>()
    };
    assert_eq!(by(UsageGroup::Day), ["2026-09-21:2", "2026-09-22:1"]);
    assert_eq!(by(UsageGroup::Outcome), ["blocked:1", "success:2"]);
    assert_eq!(by(UsageGroup::Project), ["global:2", "p:1"]);
    assert_eq!(by(UsageGroup::Model), ["gpt-5.5:3"]);
    let limit =
        BudgetLimit { window: Window::Month, max_requests: Some(2.0), max_tokens: Some(1e9), max_cost_usd: None };
    let meter = Meter::default();
    meter.seed(&totals.spent(limit.window.begins(AT)));
    let spent = |projects: Option<&str>| {
        let projects = projects.map(|project| vec![project.to_owned()]);
        meter.stands(&Budget { key: "any".to_owned(), limit, projects }, AT.after(Duration::from_hours(24))).0
    };
    assert_eq!(spent(None).requests, 2, "f60: a refused request is no spent one");
    assert_eq!([spent(Some("p")).requests, spent(Some("q")).requests], [1, 0]);
}
