//! Owns the state of one fake behind one lock, and how a request enters it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use crate::ask::Ask;
use crate::backend::Backend;
use crate::clock::Clock;
use crate::fault::{Act, Faults};
use crate::grants::Verdict;
use crate::issuer::Issuer;
use crate::jwt::sha256_hex;
use crate::log::{Asked, Body, Caller, Headers, Log, Presented, Record, shown};
use crate::people::{People, Who};
use crate::route::Route;

/// Everything one fake knows.
pub(crate) struct World {
    pub people: People,
    pub issuer: Issuer,
    pub backend: Backend,
    pub faults: Faults,
    pub log: Log,
    pub counts: BTreeMap<Who, Counts>,
    /// Answers that wait to be released.
    pub held: usize,
}

/// What somebody's tokens were used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How often one of their refresh tokens was presented.
    pub presentations: u32,
    /// How many of those presentations were of a spent token.
    pub reuses: u32,
    /// How many turns were asked for with their bearer.
    pub model_requests: u32,
    /// How many of those turns were answered with a stream.
    pub served: u32,
}

/// The world, its clock, and the two signals that come out of it.
pub(crate) struct Shared {
    pub clock: Clock,
    world: Mutex<World>,
    changed: Condvar,
    released: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(world: World, clock: Clock) -> Self {
        Self { clock, world: Mutex::new(world), changed: Condvar::new(), released: watch::Sender::new(0) }
    }

    /// Looks at the world, or changes it, and wakes whoever waits for a change.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let answer = act(&mut self.lock());
        self.changed.notify_all();
        answer
    }

    /// Waits on the calling thread until `happened` says yes; `false` when the time is over.
    pub(crate) fn wait(&self, limit: Duration, mut happened: impl FnMut(&World) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut world = self.lock();
        loop {
            if happened(&world) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            world = self.changed.wait_timeout(world, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until somebody releases what is held.
    pub(crate) async fn hold(&self) {
        let mut released = self.released.subscribe();
        let held = Held::new(self);
        // The sender lives as long as we do, so the wait cannot end in an error.
        let _ = released.changed().await;
        drop(held);
    }

    /// Releases everything that is held; answers how much that was.
    pub(crate) fn release(&self) -> usize {
        let held = self.change(|world| world.held);
        self.released.send_modify(|round| *round += 1);
        held
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One held answer; gone from the count however the waiting ends.
struct Held<'a>(&'a Shared);

impl<'a> Held<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.change(|world| world.held += 1);
        Self(shared)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.change(|world| world.held -= 1);
    }
}

impl World {
    /// Writes a request down and finds the fault that strikes it.
    pub(crate) fn arrive(&mut self, ask: &Ask, now_ms: i64) -> (u64, Option<Act>) {
        let presented = self.issuer.presented(ask);
        let (bearer, owner) = self.issuer.grants.bearer(ask.bearer(), now_ms);
        self.count(ask.route, owner, presented.as_ref());
        let struck = presented.as_ref().map_or(owner, |presented| presented.account);
        let secret = matches!(ask.route, Route::Token | Route::Revoke | Route::DeviceToken | Route::Authorize);
        let serial = self.log.arrived(Record {
            serial: 0,
            at_ms: now_ms,
            connection: ask.connection,
            asked: Asked {
                method: ask.method.to_string(),
                path: shown(&ask.path),
                route: ask.route,
                query_keys: ask.query.iter().map(|(key, _)| shown(key)).collect(),
            },
            caller: Caller { account: owner, bearer },
            headers: Headers::of(&ask.headers),
            body: Body {
                bytes: ask.body.len(),
                sha256: (!secret && !ask.body.is_empty()).then(|| sha256_hex(&ask.body)),
                turn: ask.turn_note(),
                presented,
            },
            answer: None,
        });
        (serial, self.faults.strike(ask.route, struck))
    }

    fn count(&mut self, route: Route, owner: Option<Who>, presented: Option<&Presented>) {
        let refresh = presented.filter(|presented| presented.grant_type == "refresh_token");
        if let Some((who, verdict)) = refresh.and_then(|refresh| Some((refresh.account?, refresh.verdict))) {
            let counts = self.counts.entry(who).or_default();
            counts.presentations += 1;
            counts.reuses += u32::from(verdict == Verdict::Reused);
        }
        if let Some(who) = owner.filter(|_| route == Route::Responses) {
            self.counts.entry(who).or_default().model_requests += 1;
        }
    }
}
