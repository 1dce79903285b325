//! Folding sign-ins into a pool: idempotent, in any order, and the newest tokens win.

use std::collections::BTreeMap;

use codex_auth_core::{Held, LoginState, SavedPool, Timestamp, UserId, WorkspaceId};
use codex_auth_store::{MergeOutcome, import, login_of, merge, testing::auth_json};
use proptest::prelude::*;

use crate::world::{NOW, credential, sign_in};

const AT: Timestamp = Timestamp::from_secs(NOW);

/// A sign-in of one of three persons in one of three workspaces, `age` seconds old.
fn arrival(person: usize, workspace: usize, age: i64) -> Held {
    let (user, workspace) = (format!("user-{person}"), format!("ws-{workspace}"));
    let refresh = format!("{user}/{workspace}/{age}");
    let mut held = sign_in(person, &refresh, age);
    held.account.owner.user = UserId::parse(&user);
    held.account.owner.workspace = WorkspaceId::parse(&workspace);
    held.credential = credential(&user, &workspace, &refresh, age);
    held
}

fn arrivals() -> impl Strategy<Value = Vec<Held>> {
    prop::collection::vec((0_usize..3, 0_usize..3, 0_i64..1000), 0..12)
        .prop_map(|all| all.into_iter().map(|(person, workspace, age)| arrival(person, workspace, age)).collect())
}

fn tokens(pool: &SavedPool) -> BTreeMap<String, String> {
    let named =
        |held: &Held| (format!("{:?}", held.account.owner.identity()), held.credential.refresh.expose().to_owned());
    pool.accounts.iter().map(named).collect()
}

fn merged(arrivals: &[Held]) -> SavedPool {
    let mut pool = SavedPool::default();
    merge(&mut pool, arrivals.to_vec(), AT);
    pool
}

proptest! {
    #[test]
    fn doing_it_twice_changes_nothing(arrivals in arrivals()) {
        let once = merged(&arrivals);
        let mut twice = once.clone();
        let outcomes = merge(&mut twice, arrivals, AT);
        prop_assert_eq!(twice, once);
        prop_assert!(outcomes.iter().all(|outcome| matches!(outcome, MergeOutcome::Unchanged(_))));
    }

    #[test]
    fn the_order_does_not_matter(arrivals in arrivals(), seed in any::<prop::sample::Index>()) {
        let mut turned = arrivals.clone();
        if !turned.is_empty() {
            turned.rotate_left(seed.index(arrivals.len()));
            turned.reverse();
        }
        prop_assert_eq!(tokens(&merged(&turned)), tokens(&merged(&arrivals)));
    }

    #[test]
    fn the_newest_tokens_win(arrivals in arrivals()) {
        let pool = merged(&arrivals);
        for held in &pool.accounts {
            let rivals = arrivals.iter().filter(|other| other.account.owner.identity() == held.account.owner.identity());
            let newest = rivals.map(|other| other.credential.obtained_at).max().flatten();
            prop_assert_eq!(held.credential.obtained_at, newest);
        }
    }
}

#[test]
fn a_sign_in_again_mends_the_account_and_keeps_what_the_user_decided() {
    let mut pool = merged(&[arrival(1, 1, 500), arrival(2, 2, 500)]);
    let account = &mut pool.accounts[0].account;
    account.alias = Some("work".into());
    account.enabled = false;
    account.needs_login = Some(codex_auth_core::NeedsLogin { code: "x".into(), at: AT });
    let record = account.record.clone();
    assert_eq!(merge(&mut pool, vec![arrival(1, 1, 0)], AT), [MergeOutcome::Updated(record.clone())]);
    let account = &pool.find(&record).expect("there").account;
    assert_eq!((account.alias.as_deref(), account.enabled, &account.needs_login), (Some("work"), false, &None));
    assert_eq!(pool.find(&record).expect("there").credential.generation, 1);
}

#[test]
fn an_account_that_knows_no_person_finds_its_place_whatever_comes_first() {
    let nameless = || {
        let mut held = arrival(1, 1, 700);
        held.account.owner.user = None;
        held.credential.access = None;
        held.credential.id = None;
        held
    };
    assert_eq!(tokens(&merged(&[nameless(), arrival(1, 1, 0)])), tokens(&merged(&[arrival(1, 1, 0), nameless()])));
    assert_eq!(merged(&[nameless(), arrival(1, 1, 0)]).accounts.len(), 1);
    assert_eq!(merged(&[nameless(), arrival(2, 1, 0)]).accounts.len(), 2, "another mail, another person");
}

#[test]
fn an_official_login_becomes_an_account() {
    let bytes = auth_json("user-1", "ws-1", "R", NOW + 100).to_string();
    let LoginState::Usable(login) = login_of("auth.json".into(), bytes.as_bytes()) else { panic!("usable") };
    let held = import::from_login(*login, AT);
    assert!(held.account.enabled && held.credential.id.is_some());
    assert_eq!(held.account.owner.email.as_deref(), Some("user-1@example.test"));
}

#[test]
fn a_predecessors_file_becomes_accounts() {
    let v1 = br#"{"version":1,"activeIndex":0,"accounts":[{"refreshToken":"A","accountId":"w","email":"x@y"}]}"#;
    let found = import::from_document("old.json".into(), v1, AT).expect("a document");
    assert_eq!(found.accounts[0].credential.refresh.expose(), "A");
    let error = import::from_document("old.json".into(), b"{", AT).expect_err("half a file");
    assert!(error.to_string().ends_with("nothing was imported"), "{error}");
}
