//! Owns one run: a policy answers the requests of a family under one seed, in virtual time.

use std::collections::{BTreeMap, HashMap};

use super::{backend::Account, family::Family, traffic::Request};

/// Somebody who chooses accounts, by their places.
pub(crate) trait Policy {
    /// Who is to serve; `None` when nobody can.
    fn choose(&mut self, request: &Request, tried: &[usize], now: i64) -> Option<usize>;

    /// The answer has begun; these are the windows its head tells: percent used and end, short and long.
    fn begins(&mut self, request: &Request, account: usize, windows: [(f64, i64); 2], now: i64);

    /// The answer is over; so many tokens of the prompt had been cached.
    fn ends(&mut self, request: &Request, account: usize, cached: u64, now: i64);

    /// The account said that it is spent.
    fn limited(&mut self, request: &Request, account: usize, until: i64, now: i64);
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By request: the tokens that were not cached; nothing where nobody could serve.
    pub(crate) uncached: Vec<Option<u64>>,
    /// The first request nobody could serve.
    pub(crate) dry_at: Option<i64>,
    /// How often a session was served by another account than the last time.
    pub(crate) moves: u64,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Begins { account: usize, request: usize },
    Ends { account: usize, request: usize, cached: u64 },
}

/// An answer begins this long after its request.
pub(super) const BEGINS: i64 = 2000;

/// Lets a policy serve a family.
pub(crate) fn run(family: &Family, requests: &[Request], policy: &mut dyn Policy) -> Found {
    let mut accounts: Vec<Account> = family.accounts.iter().copied().map(Account::new).collect();
    let (mut found, mut homes) = (Found::default(), HashMap::new());
    let mut events: BTreeMap<(i64, usize, u8), Event> = BTreeMap::new();
    for (number, request) in requests.iter().enumerate() {
        let now = request.at;
        let later = events.split_off(&(now + 1, 0, 0));
        for ((at, ..), event) in std::mem::replace(&mut events, later) {
            happens(event, requests, &mut accounts, policy, at);
        }
        let Some(account) = served_by(request, &accounts, policy, now) else {
            found.dry_at.get_or_insert(now);
            found.uncached.push(None);
            continue;
        };
        let cached = accounts[account].cached(request, now);
        found.uncached.push(Some(request.tokens() - cached));
        if homes.insert(request.session, account).is_some_and(|home| home != account) {
            found.moves += 1;
        }
        events.insert((now + BEGINS, number, 0), Event::Begins { account, request: number });
        events.insert((now + request.lasts, number, 1), Event::Ends { account, request: number, cached });
    }
    found
}

fn served_by(request: &Request, accounts: &[Account], policy: &mut dyn Policy, now: i64) -> Option<usize> {
    let mut tried = Vec::new();
    loop {
        let account = policy.choose(request, &tried, now)?;
        assert!(!tried.contains(&account), "account {account} was asked twice for one request");
        match accounts[account].spent_until(now) {
            None => return Some(account),
            Some(until) => policy.limited(request, account, until, now),
        }
        tried.push(account);
    }
}

fn happens(event: Event, requests: &[Request], accounts: &mut [Account], policy: &mut dyn Policy, now: i64) {
    match event {
        Event::Begins { account, request } => {
            let windows = [accounts[account].short.told(now), accounts[account].long.told(now)];
            accounts[account].keep(&requests[request], now);
            policy.begins(&requests[request], account, windows, now);
        }
        Event::Ends { account, request, cached } => {
            let request = &requests[request];
            accounts[account].charge((request.tokens(), cached, request.output), now);
            policy.ends(request, account, cached, now);
        }
    }
}
