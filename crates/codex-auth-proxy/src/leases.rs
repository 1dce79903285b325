//! Who is being served: open leases, their tokens, and the logins of their homes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use codex_auth_core::{
    AccessToken, ClientToken, Entropy, Login, LoginState, OfficialLogins, Place, RecordId, RefreshToken, Timestamp,
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    inbound::workspaces_of,
    permits::{Holder, Permits},
    rules::Origin,
};

/// What a client says of itself when it asks for a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRequest {
    /// Process that runs the client.
    pub pid: u32,
    /// Where it works.
    pub cwd: String,
    /// Its `CODEX_HOME`; the login found there identifies it.
    pub codex_home: Option<String>,
}

/// An open lease, for screens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseFacts {
    /// What the client said of itself.
    pub request: LeaseRequest,
    /// When it began.
    pub since: Timestamp,
    /// Account that served it last.
    pub served_by: Option<RecordId>,
    /// Model requests so far.
    pub requests: u64,
}

/// Name of a lease within this agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

/// Who a request comes from, once it may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A program that read our client token.
    Client,
    /// The client behind one lease.
    Lease(LeaseId),
    /// A client of a leased home, shown by that home's own access token.
    Home(String),
    /// Somebody who holds a capability.
    Permit(Holder),
}

/// All open leases.
#[derive(Debug)]
pub struct Leases {
    table: Mutex<Table>,
    logins: Arc<dyn OfficialLogins>,
    client_token: ClientToken,
    permits: Permits,
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: BTreeMap<LeaseId, Open>,
    homes: HashMap<String, Home>,
    /// Until when leases of the agent before this one may still come back.
    back_by: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    facts: LeaseFacts,
    token: ClientToken,
    /// The project it works in.
    place: Option<Place>,
}

/// The current and the previous login of a home: a running client keeps using the one it started with.
#[derive(Debug, Default)]
struct Home {
    logins: Vec<Login>,
}

impl Leases {
    /// No leases yet; `client_token` admits programs that can read our private directory.
    pub fn new(logins: Arc<dyn OfficialLogins>, client_token: ClientToken) -> Self {
        let permits = Permits::in_memory();
        Self { table: Mutex::default(), logins, client_token, permits, count: watch::Sender::new(0) }
    }

    /// The same, with these capabilities.
    #[must_use]
    pub fn with_permits(self, permits: Permits) -> Self {
        Self { permits, ..self }
    }

    /// The capabilities.
    pub fn permits(&self) -> &Permits {
        &self.permits
    }

    /// Opens a lease under this token.
    pub fn open(&self, request: LeaseRequest, token: ClientToken, now: Timestamp) -> LeaseId {
        if let Some(home) = &request.codex_home {
            self.look_at(home);
        }
        let mut table = self.lock();
        table.last += 1;
        let id = LeaseId(table.last);
        let facts = LeaseFacts { request, since: now, served_by: None, requests: 0 };
        table.open.insert(id, Open { facts, token, place: None });
        self.count.send_replace(table.open.len());
        id
    }

    /// Notes the project a lease works in.
    pub fn settle_in(&self, id: LeaseId, place: Option<Place>) {
        if let Some(open) = self.lock().open.get_mut(&id) {
            open.place = place;
        }
    }

    /// The project a request comes from. Sessions of one home share its login: there, the request itself has to say in
    /// which directory it works.
    pub(crate) fn origin(&self, caller: &Caller, headers: &HeaderMap) -> Origin {
        let table = self.lock();
        let project = |open: &Open| open.place.as_ref().map(|place| place.project.clone());
        let newest = table.lease_of(caller).and_then(|id| table.open.get(&id));
        let (Some(newest), Caller::Home(home)) = (newest, caller) else {
            return Origin { project: newest.and_then(project), unclear: Vec::new() };
        };
        let of_home = || table.open.values().filter(|open| open.facts.request.codex_home.as_ref() == Some(home));
        let all: BTreeSet<Option<String>> = of_home().map(project).collect();
        if all.len() < 2 {
            return Origin { project: project(newest), unclear: Vec::new() };
        }
        let named = workspaces_of(headers);
        let is_named =
            |open: &&Open| open.place.as_ref().is_some_and(|place| place.roots.iter().any(|root| named.contains(root)));
        let told: BTreeSet<Option<String>> = of_home().filter(is_named).map(project).collect();
        match (told.len(), told.into_iter().next()) {
            (1, Some(project)) => Origin { project, unclear: Vec::new() },
            _ => Origin { project: project(newest), unclear: all.into_iter().collect() },
        }
    }

    /// Ends a lease; its token is worth nothing from here on.
    pub fn close(&self, id: LeaseId) {
        let mut table = self.lock();
        table.open.remove(&id);
        self.count.send_replace(table.open.len());
        let Table { open, homes, .. } = &mut *table;
        homes.retain(|home, _| open.values().any(|lease| lease.facts.request.codex_home.as_ref() == Some(home)));
    }

    /// How many leases are open, as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// The open leases, oldest first.
    pub fn list(&self) -> Vec<LeaseFacts> {
        self.lock().open.values().map(|open| open.facts.clone()).collect()
    }

    /// Notes which account served a caller. Several sessions of one home share its login; the newest is meant.
    pub(crate) fn served(&self, caller: &Caller, record: &RecordId) {
        let mut table = self.lock();
        let lease = table.lease_of(caller);
        if let Some(open) = lease.and_then(|id| table.open.get_mut(&id)) {
            open.facts.requests += 1;
            open.facts.served_by = Some(record.clone());
        }
    }

    /// The directory a caller works in, as far as its lease tells.
    pub(crate) fn cwd_of(&self, caller: &Caller) -> Option<String> {
        let table = self.lock();
        Some(table.open.get(&table.lease_of(caller)?)?.facts.request.cwd.clone())
    }

    /// The account that served a caller last.
    pub(crate) fn last_served(&self, caller: &Caller) -> Option<RecordId> {
        let table = self.lock();
        table.open.get(&table.lease_of(caller)?)?.facts.served_by.clone()
    }

    /// Whom a token belongs to. An unknown one makes us look once more at the leased homes, whose clients may have
    /// renewed their login meanwhile.
    pub(crate) fn caller(&self, token: &str) -> Option<Caller> {
        if let Some(caller) = self.known(token) {
            return Some(caller);
        }
        self.look_again();
        self.known(token)
    }

    /// Expects the leases of the agent before this one. Their clients' requests may be here before they are.
    pub(crate) fn expect_back(&self, within: Duration) {
        self.lock().back_by = Some(Instant::now() + within);
    }

    /// Whom a token belongs to, once the lease it came with is back.
    pub(crate) async fn caller_soon(&self, token: &str) -> Option<Caller> {
        self.once_back(|| self.caller(token)).await
    }

    /// What `look` finds, if need be after the leases of the agent before this one have come back.
    pub(crate) async fn once_back<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        let mut count = self.watch();
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            let back_by = self.lock().back_by?;
            timeout_at(back_by, count.changed()).await.ok()?.ok()?;
        }
    }

    /// The login of a leased home that holds this refresh token.
    pub(crate) fn login_with(&self, token: &RefreshToken) -> Option<Login> {
        let table = self.lock();
        let logins = table.homes.values().flat_map(|home| home.logins.iter());
        logins.into_iter().find(|login| same(login.credential.refresh.expose(), token.expose())).cloned()
    }

    /// The login a bearer comes from.
    pub(crate) fn login_of(&self, bearer: &str) -> Option<Login> {
        let table = self.lock();
        let mut logins = table.homes.values().flat_map(|home| home.logins.iter());
        logins
            .find(|login| login.credential.access.as_ref().is_some_and(|access| same(access.expose(), bearer)))
            .cloned()
    }

    /// The homes of open leases.
    pub fn homes(&self) -> Vec<String> {
        self.lock().homes.keys().cloned().collect()
    }

    fn known(&self, token: &str) -> Option<Caller> {
        if same(token, self.client_token.expose()) {
            return Some(Caller::Client);
        }
        let table = self.lock();
        if let Some((id, _)) = table.open.iter().find(|(_, open)| same(token, open.token.expose())) {
            return Some(Caller::Lease(*id));
        }
        let holds = |access: &Option<AccessToken>| access.as_ref().is_some_and(|access| same(token, access.expose()));
        let mut homes = table.homes.iter();
        let home = homes.find(|(_, home)| home.logins.iter().any(|login| holds(&login.credential.access)));
        home.map(|(path, _)| Caller::Home(path.clone()))
    }

    /// Looks once more at the leased homes.
    pub(crate) fn look_again(&self) {
        for home in self.homes() {
            self.look_at(&home);
        }
    }

    /// Reads a home's login and keeps it with the one before.
    fn look_at(&self, home: &str) {
        let found = self.logins.login(home);
        let mut table = self.lock();
        let entry = table.homes.entry(home.to_owned()).or_default();
        if let Ok(LoginState::Usable(login)) = found
            && entry.logins.first() != Some(login.as_ref())
        {
            entry.logins.insert(0, *login);
            entry.logins.truncate(2);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn lease_of(&self, caller: &Caller) -> Option<LeaseId> {
        match caller {
            Caller::Client | Caller::Permit(_) => None,
            Caller::Lease(id) => Some(*id),
            Caller::Home(home) => {
                let mut open = self.open.iter();
                open.rfind(|(_, open)| open.facts.request.codex_home.as_ref() == Some(home)).map(|(id, _)| *id)
            }
        }
    }
}

/// A fresh token of our own: 32 unpredictable bytes in hexadecimal.
pub fn mint(entropy: &dyn Entropy) -> ClientToken {
    let mut bytes = [0_u8; 32];
    entropy.fill(&mut bytes);
    ClientToken::new(hex(&bytes))
}

/// Compares in constant time whatever the lengths, by comparing hashes.
fn same(left: &str, right: &str) -> bool {
    !left.is_empty() && Sha256::digest(left).ct_eq(&Sha256::digest(right)).into()
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
