//! Properties of bringing pools to their normal form: idempotent, in any order, and the newest tokens win.
//!
//! `CODEX_AUTH_LONG=1` asks for 20,000 cases instead of 256.

use std::{collections::BTreeSet, io, sync::Arc};

use camino::Utf8Path;
use codex_auth_core::{FAMILIES, Held, SavedPool, Timestamp};
use codex_auth_store::{FileStore, Fs, OsFs, Write, import, merge};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{NOW, World, credential, sign_in};

const AT: Timestamp = Timestamp::from_secs(NOW);

fn cases() -> ProptestConfig {
    #[expect(clippy::disallowed_methods, reason = "the size of a proof is chosen by whoever runs it")]
    let is_long = std::env::var_os("CODEX_AUTH_LONG").is_some_and(|value| value == "1");
    ProptestConfig::with_cases(if is_long { 20_000 } else { 256 })
}

/// A row that knows any part of who it is, or nothing of it. Each was added at a time of its own.
fn rows() -> impl Strategy<Value = Vec<Value>> {
    let names = |all: &'static [&'static str]| prop::option::of(prop::sample::select(all));
    let row = (
        names(&["u", "v"]),
        names(&["A", "B"]),
        names(&["x@y", "z@y"]),
        prop::sample::select(&["r1", "r2", "r3", "r4"][..]),
        0_i64..4,
        prop::option::of(prop::bool::ANY),
    );
    prop::collection::vec(row, 0..7).prop_map(|rows| {
        let rows = rows.into_iter().enumerate();
        rows.map(|(at, (user, workspace, email, token, age, enabled))| {
            let mut row = json!({ "refreshToken": token, "addedAt": at + 1, "lastUsed": age, "mine": at });
            for (key, value) in [("accountId", workspace), ("email", email)] {
                if let Some(value) = value {
                    row[key] = json!(value);
                }
            }
            if let Some(user) = user {
                let claims = json!({ "iat": NOW - age, "https://api.openai.com/auth": { "chatgpt_user_id": user } });
                row["accessToken"] = json!(codex_auth_store::testing::jwt(&claims));
            }
            if let Some(enabled) = enabled {
                row["enabled"] = json!(enabled);
            }
            row
        })
        .collect()
    })
}

fn document(version: i64, rows: &[Value], pin: usize) -> Value {
    json!({ "version": version, "accounts": rows, "activeIndex": pin, "pinnedAccountIndex": pin, "affinityGeneration": 3 })
}

fn read(document: &Value) -> SavedPool {
    import::from_document("pool.json".into(), document.to_string().as_bytes(), AT).expect("a document")
}

/// What is known of an account, apart from its place and name.
fn facts(held: &Held) -> String {
    let Held { account, credential } = held;
    format!("{:?} {} {:?} {}", account.owner, credential.refresh.expose(), account.seen, account.enabled)
}

/// The disk without waiting for it: what these properties say does not depend on a crash.
#[derive(Debug)]
struct Quick;

impl Fs for Quick {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        OsFs.read(path)
    }

    fn put(&self, path: &Utf8Path, bytes: &[u8], _how: Write) -> io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn sync_file(&self, _path: &Utf8Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        OsFs.rename(from, to)
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        OsFs.remove(path)
    }

    fn sync_dir(&self, _dir: &Utf8Path) -> io::Result<()> {
        Ok(())
    }

    fn make_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }
}

fn all_facts(pool: &SavedPool) -> BTreeSet<String> {
    pool.accounts.iter().map(facts).collect()
}

/// A sign-in of one of three persons in one of three workspaces, `age` seconds old.
fn arrival(person: usize, workspace: usize, age: i64) -> Held {
    let (user, workspace) = (format!("user-{person}"), format!("ws-{workspace}"));
    let refresh = format!("{user}/{workspace}/{age}");
    let mut held = sign_in(person, &refresh, age);
    held.account.owner.user = codex_auth_core::UserId::parse(&user);
    held.account.owner.workspace = codex_auth_core::WorkspaceId::parse(&workspace);
    held.credential = credential(&user, &workspace, &refresh, age);
    held
}

fn tokens(pool: &SavedPool) -> BTreeSet<String> {
    let shown = |held: &Held| format!("{:?} {}", held.account.owner.identity(), held.credential.refresh.expose());
    pool.accounts.iter().map(shown).collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn folding_is_idempotent(rows in rows(), pin in 0_usize..7) {
        let once = read(&document(3, &rows, pin));
        let mut twice = once.clone();
        let outcomes = merge(&mut twice, Vec::new(), AT);
        prop_assert!(outcomes.is_empty());
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn folding_does_not_depend_on_the_order(
        (rows, turned) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        prop_assert_eq!(all_facts(&read(&document(3, &rows, 0))), all_facts(&read(&document(3, &turned, 0))));
    }

    #[test]
    fn folding_keeps_every_identity_and_the_pin(rows in rows(), pin in 0_usize..7) {
        let pool = read(&document(3, &rows, pin));
        let pinned = rows.get(pin).map(|row| &row["refreshToken"]);
        prop_assert_eq!(pool.pin.is_some(), pinned.is_some());
        for row in &rows {
            let mut alone = read(&document(3, std::slice::from_ref(row), 0)).accounts.remove(0).account.owner;
            // People change their address; who they are and where they work stays.
            alone.email = None;
            let is_kept = pool.accounts.iter().any(|held| !held.account.owner.contradicts(&alone)
                && (alone.identity().is_none() || alone.identity() == held.account.owner.identity()));
            prop_assert!(is_kept, "{:?} is not in {:?}", alone, pool);
        }
    }

    #[test]
    fn as_written_so_read(rows in rows(), pin in 0_usize..7) {
        let world = World::new();
        world.write(&world.layout().accounts(), &document(3, &rows, pin).to_string());
        let store = FileStore::over(world.layout(), world.clock.clone(), Arc::new(Quick));
        let written = store.edit_now(|pool| pool.affinity_generation += 1).expect("written");
        prop_assert_eq!(store.read_now().expect("readable"), written.clone());
        let mut again = written.clone();
        merge(&mut again, Vec::new(), AT);
        prop_assert_eq!(again, written);
    }

    #[test]
    fn migrating_first_changes_nothing(rows in rows(), pin in 0_usize..7) {
        let mut v3 = document(3, &rows, pin);
        v3["activeIndexByFamily"] = FAMILIES.iter().map(|family| ((*family).to_owned(), json!(pin))).collect();
        prop_assert_eq!(read(&document(1, &rows, pin)), read(&v3));
    }

    #[test]
    fn merging_commutes_on_tokens(
        (arrivals, turned) in prop::collection::vec((0_usize..3, 0_usize..3, 0_i64..1000), 0..12)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let one_by_one = |all: &[(usize, usize, i64)]| {
            let mut pool = SavedPool::default();
            for (person, workspace, age) in all {
                merge(&mut pool, vec![arrival(*person, *workspace, *age)], AT);
            }
            pool
        };
        let mut at_once = SavedPool::default();
        merge(&mut at_once, turned.iter().map(|(p, w, age)| arrival(*p, *w, *age)).collect(), AT);
        prop_assert_eq!(tokens(&one_by_one(&arrivals)), tokens(&one_by_one(&turned)));
        prop_assert_eq!(tokens(&one_by_one(&arrivals)), tokens(&at_once));
    }

    #[test]
    fn merging_anything_in_any_order_is_the_same(
        rows in rows(),
        (incoming, turned) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let merged = |rows: &[Value], incoming: &[Value]| {
            let mut pool = read(&document(3, rows, 0));
            let held = incoming.iter().flat_map(|row| read(&document(3, std::slice::from_ref(row), 0)).accounts);
            merge(&mut pool, held.collect(), AT);
            let mut again = pool.clone();
            merge(&mut again, Vec::new(), AT);
            (all_facts(&pool), again == pool)
        };
        let (one, is_settled) = merged(&rows, &incoming);
        prop_assert!(is_settled);
        prop_assert_eq!(one, merged(&rows, &turned).0);
    }
}
