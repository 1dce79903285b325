//! The plan carried out, step by step on a clock that stands still.

use std::{collections::HashMap, sync::Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use codex_auth_core::{
    AccessToken, ClientToken, Clock as _, Granted, HeldLock, RefreshError, RefreshReason, RefreshToken, RestPolicy,
    RotationSettings, SettingsSource,
    testing::{ManualClock, MemoryBook, MemoryPolicies, MemoryStore, ScriptedIssuer, SeededEntropy, held, pool},
};

use super::*;
use crate::{
    body::BodyStream,
    config::ProxyConfig,
    leases::Leases,
    proxy::Ports,
    upstream::{Upstream, UpstreamError},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What nobody here asks for.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Upstream for Nothing {
    async fn send(&self, _request: http::Request<Bytes>) -> Result<http::Response<BodyStream>, UpstreamError> {
        Err(UpstreamError::Broken("nobody is there".into()))
    }
}

impl SettingsSource for Nothing {
    fn stamp(&self) -> u64 {
        0
    }

    fn rotation(&self) -> Result<RotationSettings, StoreError> {
        Ok(RotationSettings::default())
    }
}

/// Account 2 is signed in at the home.
#[derive(Debug)]
struct Second;

impl OfficialLogins for Second {
    fn login(&self, _codex_home: &str) -> Result<LoginState, StoreError> {
        let held = held(2);
        let login = codex_auth_core::Login { owner: held.account.owner, credential: held.credential, issuer: None };
        Ok(LoginState::Usable(Box::new(login)))
    }
}

/// What the agents of a machine share, in memory.
#[derive(Debug, Default)]
struct Shared(Mutex<HashMap<String, Vec<u8>>>, Arc<Mutex<bool>>);

#[derive(Debug)]
struct Taken(Arc<Mutex<bool>>);

impl HeldLock for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = false;
    }
}

impl StateDir for Shared {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }

    fn try_lock(&self, _name: &str) -> Result<Option<Box<dyn HeldLock>>, StoreError> {
        let was_taken = std::mem::replace(&mut *self.1.lock().unwrap(), true);
        Ok((!was_taken).then(|| Box::new(Taken(self.1.clone())) as Box<dyn HeldLock>))
    }

    fn path_of(&self, name: &str) -> String {
        name.to_owned()
    }
}

struct World {
    refresher: Refresher,
    issuer: ScriptedIssuer,
    clock: Arc<ManualClock>,
}

impl World {
    /// Three accounts whose tokens end within the minute; the first two were used, the second one is logged in.
    async fn over(shared: Arc<Shared>, answers: Vec<Result<Granted, RefreshError>>) -> Self {
        let mut pool = pool(3);
        for held in &mut pool.accounts {
            held.credential.expires_at = Some(NOW.after(Duration::from_mins(1)));
        }
        pool.accounts[0].account.seen.last_used_at = NOW;
        let (issuer, clock) = (ScriptedIssuer::answering(answers), Arc::new(ManualClock::at(NOW)));
        let ports = Ports {
            store: Arc::new(MemoryStore::holding(pool)),
            issuer: Arc::new(issuer.clone()),
            upstream: Arc::new(Nothing),
            settings: Arc::new(Nothing),
            policy: Arc::new(MemoryPolicies::default()),
            book: Arc::new(MemoryBook::default()),
            entropy: Arc::new(SeededEntropy::new(7)),
            clock: clock.clone(),
        };
        let config = ProxyConfig::against(http::Uri::from_static("http://127.0.0.1:1"));
        let leases = Leases::new(Arc::new(Second), ClientToken::new("token"));
        let proxy = Proxy::ready(ports, config, leases).await.unwrap();
        let refresher = Refresher::new(proxy, shared, (Arc::new(Second), "/home".to_owned()), &SeededEntropy::new(7));
        Self { refresher, issuer, clock }
    }

    fn presented(&self) -> Vec<String> {
        self.issuer.presented().iter().map(|token| token.expose().to_owned()).collect()
    }
}

fn granted(n: usize) -> Granted {
    Granted {
        access: Some(AccessToken::new(format!("access-{n}-next"))),
        refresh: Some(RefreshToken::new(format!("refresh-{n}-next"))),
        expires_at: Some(NOW.after(Duration::from_hours(240))),
        ..Granted::default()
    }
}

#[tokio::test]
async fn accounts_in_use_are_renewed_one_after_the_other_and_no_others() {
    let world = World::over(Arc::default(), vec![Ok(granted(1)), Ok(granted(1))]).await;
    assert_eq!(world.refresher.step().await, APART);
    assert_eq!(world.presented().len(), 1);
    for left in [5, 3, 1] {
        assert_eq!(world.refresher.step().await, Duration::from_secs(left));
        world.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(world.presented().len(), 1, "five seconds are between two presentations");
    assert_eq!(world.refresher.step().await, APART);
    let mut presented = world.presented();
    presented.sort_unstable();
    assert_eq!(presented, ["refresh-1", "refresh-2"]);
    assert_eq!(world.issuer.reasons(), [RefreshReason::ProactiveExpiry; 2]);
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(world.refresher.step().await, LOOK, "what is left was not used for a week, or lives for long");
    assert_eq!(world.presented().len(), 2);
}

#[tokio::test]
async fn two_agents_of_one_machine_take_turns() {
    let shared = Arc::<Shared>::default();
    let one = World::over(shared.clone(), vec![Ok(granted(1))]).await;
    let other = World::over(shared.clone(), vec![Ok(granted(1))]).await;
    let lock = shared.try_lock(LOCK).unwrap().expect("free");
    assert_eq!(one.refresher.step().await, APART);
    assert!(one.presented().is_empty(), "the other agent is at it");
    drop(lock);
    one.refresher.step().await;
    assert_eq!(other.refresher.step().await, APART, "it waits for its turn");
    assert_eq!((one.presented().len(), other.presented().len()), (1, 0));
    other.clock.advance(APART);
    other.refresher.step().await;
    assert_eq!(other.presented().len(), 1);
}

#[tokio::test]
async fn after_a_failure_the_account_is_left_alone_for_a_while() {
    let unsent = || Err(RefreshError::Unsent { why: "refused".into() });
    let slow = || Err(RefreshError::Throttled { wait: Some(Duration::from_mins(3)) });
    let world = World::over(Arc::default(), vec![unsent(), slow(), Ok(granted(1)), Ok(granted(1))]).await;
    let mut at = Vec::new();
    for _ in 0..200 {
        let before = world.presented().len();
        let wait = world.refresher.step().await;
        if world.presented().len() > before {
            at.push(world.clock.now().since(NOW).as_secs());
        }
        world.clock.advance(wait);
    }
    assert_eq!(at, [0, 5, 60, 185]);
    assert!(RestPolicy::default().network < Duration::from_mins(1));
}
