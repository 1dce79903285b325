//! Every document beside the pool: what is unknown survives, what is broken or from the future is treated by its rule,
//! and two writers lose nothing.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use codex_auth_core::{BudgetLimit, QuotaSnapshot, QuotaWindow, Timestamp, Window};
use codex_auth_store::{
    Document, Found, Recovery, Schema, StateFile,
    documents::{
        account_policies::{AccountPolicies, AccountPolicy},
        app_bind::{AppBind, ConfigBackup, RouterStatus},
        budget_guards::{BudgetGuard, BudgetGuards},
        client_tokens::ClientTokens,
        first_run::FirstRun,
        observability::{Counter, Observability},
        opencode_affinity::{ModePins, SessionAffinity},
        opencode_cache::{ClientVersion, ModelCatalog, ModelsMeta},
        opencode_snapshots::QuotaSnapshots,
        quota_cache::{QuotaCache, QuotaEntry},
        routing_profiles::RoutingProfiles,
        usage_ledger::UsageTotals,
    },
};
use serde_json::{Value, json};

use crate::world::{NOW, World, sign_in};

const AT: Timestamp = Timestamp::from_secs(NOW);

fn file<D: Document>(world: &World) -> StateFile<D> {
    StateFile::under(world.layout().base())
}

fn holding<D: Document>(text: &str) -> (World, StateFile<D>) {
    let world = World::new();
    let file = file::<D>(&world);
    world.write(file.path(), text);
    (world, file)
}

fn text_of<D: Document>(file: &StateFile<D>) -> String {
    std::fs::read_to_string(file.path()).expect("there")
}

/// Changes a document that holds `before`, and compares the file with `after`, unknown keys and number text included.
#[track_caller]
fn changes<D: Document>(before: &Value, change: impl Fn(&mut D), after: &Value) {
    let spelled = |value: &Value| format!("{value:#}").replace(": 1.5", ": 1.50");
    let text = format!("\u{feff}{}", spelled(before));
    let (_world, file) = holding::<D>(&text);
    let idle = file.edit(AT, |_| {}).expect("nothing to do");
    assert!(!idle.is_written);
    assert_eq!(text_of(&file), text, "nothing changed is nothing written");
    assert!(file.edit(AT, |document| change(document)).expect("written").is_written);
    let written: Value = serde_json::from_str(&text_of(&file)).expect("JSON");
    assert_eq!(format!("{written:#}"), spelled(after), "{}", D::NAME);
    assert_eq!(text_of(&file).as_bytes().last(), Some(&b'\n'));
}

#[test]
fn f6_unknown_keys_survive_a_change() {
    let key = format!("sha256:{}", "0".repeat(64));
    let policy = |weight: Value, paused| {
        json!({ "version": 1, "later": 1.50, "accounts": {
            "odd": { "kept": true },
            &key: { "accountKey": key, "tags": ["a"], "weight": weight, "paused": paused, "drained": false,
                    "note": null, "updatedAt": 5, "mine": { "x": 12_345_678_901_234_567_890_u64 } },
        }})
    };
    changes::<AccountPolicies>(
        &policy(json!(0.5), false),
        |all| {
            for policy in all.accounts.values_mut() {
                *policy = AccountPolicy { weight: 0.75, is_paused: true, ..policy.clone() };
            }
        },
        &policy(json!(0.75), true),
    );
    let guard = |tokens| {
        json!({ "version": 1, "limits": { "global": {
            "key": "global", "window": "day", "maxTokens": tokens, "updatedAt": 5, "mine": 1.0 } }, "later": [] })
    };
    changes::<BudgetGuards>(
        &guard(10),
        |all| all.limits.values_mut().for_each(|limit| limit.limit.max_tokens = Some(20.0)),
        &guard(20),
    );
    let profile = |budget: &str| {
        json!({ "version": 1, "profiles": { "p": {
            "mine": 1, "projectKey": "p", "projectName": "P", "identityRoot": "/p", "preferredTags": [], "avoidTags": [],
            "modelAllowlist": ["m"], "modelDenylist": [], "accountWeightByKey": { "odd": 1 }, "budgetKey": budget,
            "updatedAt": 5 } } })
    };
    changes::<RoutingProfiles>(
        &profile("a"),
        |all| all.profiles.values_mut().for_each(|profile| profile.budget_key = Some("b".to_owned())),
        &profile("b"),
    );
}

#[test]
fn f6_unknown_keys_survive_in_tokens_marks_and_bindings() {
    let token = |revoked: Value| {
        json!({ "version": 1, "tokens": [
            { "id": "i", "label": "l", "prefix": "cma_local_AAAAAAAA", "tokenHash": "sha256:0", "createdAt": 1,
              "lastUsedAt": null, "revokedAt": revoked, "mine": 1.50 },
            { "odd": true },
        ] })
    };
    changes::<ClientTokens>(&token(Value::Null), |all| assert!(all.revoke("i", AT)), &token(json!(NOW * 1000)));
    let mark = |completed: Value| json!({ "version": 2, "startedAt": 1, "completedAt": completed, "launcher": "skipped", "mine": 1.50 });
    changes::<FirstRun>(&mark(Value::Null), |mark| mark.completed_at = Some(AT), &mark(json!(NOW * 1000)));
    let bind = |port| {
        json!({ "version": 1, "platform": "linux", "port": port, "clientApiKey": "K", "startupPath": null,
                "launchAgentPath": null, "nodePath": "/n", "mine": 1.50 })
    };
    changes::<AppBind>(&bind(1), |bind| bind.port = Some(2), &bind(2));
    let backup = |existed| json!({ "version": 1, "existed": existed, "content": " x\n", "mine": 1.50 });
    changes::<ConfigBackup>(&backup(true), |backup| backup.existed = false, &backup(false));
    let status = |pid| {
        json!({ "kind": "router", "state": "running", "pid": pid, "lastAccountIndex": null, "lastAccountId": null,
                "lastError": null, "totalRequests": 3 })
    };
    changes::<RouterStatus>(&status(1), |status| status.pid = Some(2), &status(2));
}

#[test]
fn f6_unknown_keys_survive_in_the_quota_cache() {
    let pool = World::new().holding(vec![sign_in(1, "R1", 0)]).read_now().expect("readable");
    let record = pool.accounts[0].account.record.clone();
    let entry = |used: Value, at: i64| {
        json!({ "updatedAt": at, "status": 200, "model": "codex", "mine": 1.50,
                "primary": { "usedPercent": used, "windowMinutes": 300, "mine": 1.50 }, "secondary": {} })
    };
    let cache = |used: Value, at: i64| {
        json!({ "version": 1, "byAccountId": { "ws-1": entry(used.clone(), at), "odd": { "kept": true } },
                "byEmail": {}, "byRecordId": { record.as_str(): entry(used, at) }, "later": 1.50 })
    };
    let primary = Some(QuotaWindow { used_percent: 12.5, window_minutes: Some(300), resets_at: None });
    let told = QuotaEntry::of_usage(&QuotaSnapshot { primary, secondary: None, seen_at: AT }, None);
    changes::<QuotaCache>(&cache(json!(12), 5), |all| all.keep(&pool, &record, &told), &cache(json!(12.5), NOW * 1000));
}

#[test]
fn pins_are_written_as_the_plugin_writes_them() {
    let world = World::new();
    let file = file::<SessionAffinity>(&world);
    let at = Timestamp::from_millis;
    let mine = ModePins {
        seen: [("s2".to_owned(), at(20)), ("s1".to_owned(), at(10))].into(),
        sticky: [("s1".to_owned(), "idA".to_owned())].into(),
        ..ModePins::default()
    };
    file.edit(AT, |all| all.merge("native", &mine)).expect("written");
    let expect = "{\n  \"version\": 1,\n  \"native\": {\n    \"seenSessionKeys\": {\n      \"s1\": 10,\n      \"s2\": 20\n    },\n    \
                  \"stickyBySessionKey\": {\n      \"s1\": \"idA\"\n    },\n    \"hybridBySessionKey\": {}\n  }\n}\n";
    assert_eq!(text_of(&file), expect);
}

#[test]
fn f6_unknown_keys_survive_in_caches() {
    let seen = |total: u64| {
        json!({ "version": 1, "updatedAt": null, "currentRequestId": "r", "responsesRequests": 0,
                "authRefreshRequests": 0, "diagnosticProbeRequests": 0, "lastPoolExhaustionReason": null,
                "lastPoolExhaustionRetryAfterMs": null, "accountSkipReasons": { "4": "x" },
                "accountSkipReasonsByRecordId": {},
                "runtimeMetrics": { "totalRequests": total, "mine": 1.50, "lastRequestAt": null, "lastError": null } })
    };
    changes::<Observability>(&seen(3), |seen| seen.add(Counter::Total, 2), &seen(5));
    let version = |version: &str| json!({ "version": version, "fetchedAt": 1, "mine": 1.50 });
    changes::<ClientVersion>(&version("0.1.0"), |known| known.version = Some("0.2.0".into()), &version("0.2.0"));
    let meta = |tag: &str| json!({ "mine": 1.50, "tag": tag });
    changes::<ModelsMeta>(&meta("rust-v1.0.0"), |meta| meta.tag = Some("rust-v2.0.0".into()), &meta("rust-v2.0.0"));
    let catalog = |slug: &str| json!({ "fetchedAt": 1, "models": [{ "slug": slug, "x": 1.50 }], "mine": 1 });
    changes::<ModelCatalog>(&catalog("a"), |all| all.models[0]["slug"] = json!("b"), &catalog("b"));
    let left = |percent: Value| {
        json!({ "k": { "updatedAt": 1, "modelFamily": "codex", "limits": [{ "name": "requests", "leftPct": percent }],
                       "credits": { "x": 1.50 } }, "odd": 3 })
    };
    changes::<QuotaSnapshots>(
        &left(json!(40)),
        |all| all.by_identity.values_mut().for_each(|known| known.limits[0].left_percent = 12.5),
        &left(json!(12.5)),
    );
    let pins = |to: &str| {
        json!({ "version": 1, "native": { "seenSessionKeys": { "s": 1 }, "stickyBySessionKey": { "s": to },
                "hybridBySessionKey": {}, "mine": 1.50 }, "extra": 1 })
    };
    changes::<SessionAffinity>(
        &pins("a"),
        |all| all.modes.values_mut().for_each(|mode| drop(mode.sticky.insert("s".into(), "b".into()))),
        &pins("b"),
    );
}

/// A document of a version we do not know is refused and left as it is, for readers and writers alike.
#[track_caller]
fn keeps_the_future<D: Document>() {
    if D::SCHEMA == Schema::Unversioned {
        return;
    }
    for (version, named) in [("9", "9"), ("\"1\"", "that is a text")] {
        let text = format!("{{\"version\":{version},\"new\":true}}");
        let (_world, file) = holding::<D>(&text);
        let error = file.read().expect_err("unknown");
        assert_eq!(file.edit(AT, |_| {}).expect_err("unknown"), error);
        assert!(error.to_string().contains(&format!("has version {named}, which")), "{error}");
        assert_eq!(text_of(&file), text);
    }
}

#[test]
fn f7_an_unknown_version_is_refused_and_kept() {
    keeps_the_future::<AccountPolicies>();
    keeps_the_future::<AppBind>();
    keeps_the_future::<BudgetGuards>();
    keeps_the_future::<ClientTokens>();
    keeps_the_future::<ConfigBackup>();
    keeps_the_future::<FirstRun>();
    keeps_the_future::<Observability>();
    keeps_the_future::<QuotaCache>();
    keeps_the_future::<RouterStatus>();
    keeps_the_future::<RoutingProfiles>();
    keeps_the_future::<SessionAffinity>();
    keeps_the_future::<UsageTotals>();
}

/// What decides over accounts and money fails closed: an error for readers, and never written over.
#[track_caller]
fn fails_closed<D: Document>(text: &str, why: &str) {
    assert_eq!(D::RECOVERY, Recovery::Refuse);
    let (_world, file) = holding::<D>(text);
    let error = file.read().expect_err("broken");
    assert_eq!(file.edit(AT, |document| *document = D::default()).expect_err("broken"), error);
    let said = error.to_string();
    let remedy = format!("`mv {0} {0}.broken`", file.path());
    assert!(said.contains(why) && said.contains(&remedy), "{said}");
    assert_eq!(text_of(&file), text, "never written over");
}

#[test]
fn f20_a_broken_policy_decides_nothing_and_is_never_written_over() {
    fails_closed::<AccountPolicies>("{\"version\":1,\"accounts\":", "it ends in the middle");
    fails_closed::<AccountPolicies>("{\"version\":1,\"accounts\":[]}", "its `accounts` is not an object");
    fails_closed::<RoutingProfiles>("", "it is empty");
    fails_closed::<BudgetGuards>("[]", "it is JSON but not an object");
    fails_closed::<ClientTokens>("{\"version\":1,\"tokens\":{}}", "its `tokens` is not a list");
    fails_closed::<FirstRun>("x", "it is not JSON");
    fails_closed::<AppBind>("x", "it is not JSON");
}

#[test]
fn f20_a_limit_that_cannot_be_read_is_no_absence_of_a_limit() {
    for limit in [json!(3), json!({ "window": "year" }), json!({ "window": "day", "maxTokens": "many" })] {
        let text = json!({ "version": 1, "limits": { "Global": limit } }).to_string();
        fails_closed::<BudgetGuards>(&text, "its limit `global` cannot be read");
    }
}

#[test]
fn a_broken_cache_goes_to_quarantine_and_begins_anew() {
    let (world, file) = holding::<QuotaCache>("{\"version\":1,");
    let found = file.read().expect("empty");
    assert_eq!((found.document, found.is_there), (QuotaCache::default(), true));
    assert!(found.note.is_some_and(|note| note.contains("ends in the middle") && note.contains("made anew")));
    assert_eq!(text_of(&file), "{\"version\":1,", "a reader changes nothing");
    let edited = file.edit(AT, |_| {}).expect("made anew");
    let kept = edited.quarantined.expect("kept");
    assert_eq!(kept, world.layout().quarantine_dir().join(format!("quota-cache.json.{}.quarantine.json", NOW * 1000)));
    assert_eq!(std::fs::read_to_string(kept).expect("there"), "{\"version\":1,");
    assert_eq!(file.read().expect("sound").note, None);
}

#[test]
fn f2_files_and_directories_are_private_from_creation() {
    let world = World::new();
    let mode = |path: Utf8PathBuf| path.metadata().expect("there").permissions().mode() & 0o777;
    let bind = file::<AppBind>(&world);
    bind.edit(AT, |bind| bind.port = Some(1)).expect("written");
    assert_eq!(
        (mode(bind.path().to_owned()), mode(bind.path().parent().expect("a directory").to_owned())),
        (0o600, 0o700)
    );
    assert_eq!(mode(world.layout().base().to_owned()), 0o700);
    std::fs::set_permissions(bind.path(), std::fs::Permissions::from_mode(0o644)).expect("loosened");
    bind.edit(AT, |bind| bind.port = Some(2)).expect("written");
    assert_eq!(mode(bind.path().to_owned()), 0o600, "an open file is closed by the next change");
}

#[test]
fn f3_a_change_is_on_disk_before_it_is_told() {
    use codex_auth_store::testing::{Fault, FaultFs};
    let old = json!({ "version": 1, "limits": {} }).to_string();
    let limit = BudgetLimit { window: Window::Day, max_requests: Some(1.0), max_tokens: None, max_cost_usd: None };
    let guard = BudgetGuard { limit, updated_at: AT };
    for step in 0.. {
        let (_world, file) = holding::<BudgetGuards>(&old);
        let disk = std::sync::Arc::new(FaultFs::with(Fault::Stop(step)));
        let file = file.over(disk.clone());
        let told = file.edit(AT, |all| all.limits.insert("global".to_owned(), guard.clone()));
        let now = file.read().expect("the old or the new one").document;
        assert!(now.limits.is_empty() || now.limits["global"] == guard);
        if told.is_ok() {
            assert_eq!(now.limits.len(), 1, "told, so it holds");
            assert_eq!(disk.steps(), step, "every step was tried, the directory's sync included");
            assert!(step >= 4);
            return;
        }
    }
}

#[test]
fn a_deleted_file_stays_deleted_and_a_foreign_change_is_kept() {
    let (_world, file) = holding::<FirstRun>("{\"version\":2,\"startedAt\":5}");
    std::fs::remove_file(file.path()).expect("removed");
    assert_eq!(file.read().expect("nothing"), Found { document: FirstRun::default(), is_there: false, note: None });
    file.edit(AT, |mark| assert_eq!(mark.started_at, None)).expect("nothing to do");
    assert!(!file.path().exists());
}

#[test]
fn f4_two_writers_of_the_quota_cache_lose_nothing() {
    const EACH: usize = 20;
    let world = World::new();
    let pool =
        world.holding((0..2 * EACH).map(|n| sign_in(n, &format!("R{n}"), 0)).collect()).read_now().expect("read");
    let entry = |n: usize| {
        let used_percent = f64::from(u32::try_from(n).expect("small")) + 0.5;
        let primary = Some(QuotaWindow { used_percent, window_minutes: Some(300), resets_at: None });
        QuotaEntry::of_usage(&QuotaSnapshot { primary, secondary: None, seen_at: AT }, None)
    };
    std::thread::scope(|scope| {
        for part in [0..EACH, EACH..2 * EACH] {
            let (world, pool, entry) = (&world, &pool, &entry);
            scope.spawn(move || {
                for n in part {
                    let record = &pool.accounts[n].account.record;
                    file::<QuotaCache>(world).edit(AT, |cache| cache.keep(pool, record, &entry(n))).expect("written");
                }
            });
        }
    });
    let cache = file::<QuotaCache>(&world).read().expect("readable").document;
    for (n, held) in pool.accounts.iter().enumerate() {
        assert_eq!(cache.find(&pool, &held.account.record), Some(&entry(n)));
    }
}
