//! A refresh, with an issuer that grants once per token and would notice a second presentation.

use std::sync::Arc;

use codex_auth_core::{AccountStore as _, Intent, NeedsLogin, StoreError, Timestamp};
use codex_auth_store::{
    FileStore,
    testing::{FaultFs, auth_json},
};

use super::{
    SOON,
    judge::{Mishap, Scene},
    operations::asynchronously,
};
use crate::world::{NOW, World, credential, sign_in};

/// The other side: which token is good, and which were spent.
#[derive(Debug)]
struct Issuer {
    good: String,
    spent: Vec<String>,
}

impl Issuer {
    fn new(good: &str) -> Self {
        Self { good: good.to_owned(), spent: Vec::new() }
    }

    #[track_caller]
    fn grant(&mut self, token: &str, when: &str) -> String {
        assert!(!self.spent.iter().any(|spent| spent == token), "{when}: {token} was presented twice");
        assert_eq!(self.good, token, "{when}: a token nobody granted");
        self.spent.push(token.to_owned());
        self.good = format!("R1-{}", self.spent.len());
        self.good.clone()
    }
}

/// From the claim to the commit, as the keeper does it. `false` when the account now waits for a sign-in.
async fn refresh(store: &FileStore, issuer: &mut Issuer, when: &str) -> Result<bool, StoreError> {
    let record = store.read_now()?.accounts[0].account.record.clone();
    let mut claim = store.claim(&record).await?;
    let held = claim.look_again().await?;
    if claim.intend(&held.credential.refresh).await? == Intent::MaybeSpent {
        let why = NeedsLogin { code: "refresh_outcome_unknown".into(), at: Timestamp::from_secs(NOW) };
        claim.refuse(why).await?;
        return Ok(false);
    }
    let granted = issuer.grant(held.credential.refresh.expose(), when);
    let mut fresh = credential("user-1", "ws-1", &granted, 0);
    fresh.generation = held.credential.generation + 1;
    claim.commit(&fresh).await?;
    assert!(store.published(SOON));
    Ok(true)
}

/// A refresh on every bad day, then another one on a good day.
fn check(scene: Scene, good: &str, at_least: u64) {
    let steps = {
        let world = world(scene);
        let disk = Arc::new(FaultFs::default());
        let done = asynchronously(refresh(&world.store_over(disk.clone()), &mut Issuer::new(good), "no fault"));
        assert!(done.expect("no fault"));
        disk.steps()
    };
    assert!(steps >= at_least, "journal, sidecar, document, journal: {steps} steps");
    for mishap in Mishap::all(steps) {
        let when = format!("{mishap:?}");
        let (world, mut issuer) = (world(scene), Issuer::new(good));
        let disk = mishap.disk();
        let kept = asynchronously(refresh(&world.store_over(disk.clone()), &mut issuer, &when));
        mishap.strike(&disk);
        let store = world.quick();
        let pool = store.read_now().unwrap_or_else(|error| panic!("{when}: {error}"));
        let is_newest = pool.accounts[0].credential.refresh.expose() == issuer.good;
        assert!(is_newest || kept.is_err(), "{when} lost the token that was said to be kept");
        assert!(pool.accounts[0].credential.id.is_some(), "{when} lost the id token");
        assert_eq!(pool.accounts[1].credential.refresh.expose(), "R2", "{when}");
        let again = asynchronously(refresh(&store, &mut issuer, &when)).unwrap_or_else(|e| panic!("{when}: {e}"));
        let held = store.read_now().expect("readable").accounts[0].clone();
        if again {
            assert_eq!(held.credential.refresh.expose(), issuer.good, "{when} spoiled the next refresh");
            assert_eq!(held.account.needs_login, None, "{when}");
        } else {
            assert!(!issuer.spent.is_empty() || kept.is_err(), "{when}: given up without a reason");
            assert_eq!(held.account.needs_login.map(|why| why.code).as_deref(), Some("refresh_outcome_unknown"));
        }
        store.edit_now(|pool| pool.affinity_generation = 8).unwrap_or_else(|error| panic!("{when}: {error}"));
    }
}

fn world(scene: Scene) -> World {
    let world = World::with_rooms();
    world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    scene(&world);
    world
}

#[test]
fn a_refresh() {
    check(|_| {}, "R1", 14);
}

#[test]
fn a_refresh_that_a_login_follows() {
    let scene: Scene = |world| {
        let login = auth_json("user-1", "ws-1", "R1", NOW - 100 + 86_400);
        world.write(&world.layout().auth_json(), &login.to_string());
    };
    check(scene, "R1", 18);
}

#[test]
fn a_refresh_of_what_the_official_client_renewed() {
    let scene: Scene = |world| {
        let login = auth_json("user-1", "ws-1", "R1-by-client", NOW - 10 + 86_400);
        world.write(&world.layout().auth_json(), &login.to_string());
    };
    check(scene, "R1-by-client", 24);
}
