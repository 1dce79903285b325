//! Owns what the product is measured against: turn by turn, and pure stickiness.

use std::collections::HashMap;

use super::{run::Policy, traffic::Request};

/// The accounts in turn, whoever asks; or each session where it was, and only new ones in turn.
#[derive(Debug)]
pub(crate) struct Baseline {
    sticks: bool,
    /// A new session goes where the last one went, instead of to the next.
    packs: bool,
    until: Vec<i64>,
    next: usize,
    homes: HashMap<usize, usize>,
}

impl Baseline {
    fn new(accounts: usize, sticks: bool, packs: bool) -> Self {
        Self { sticks, packs, until: vec![0; accounts], next: 0, homes: HashMap::new() }
    }

    /// Every request goes to the next account.
    pub(crate) fn round_robin(accounts: usize) -> Self {
        Self::new(accounts, false, false)
    }

    /// A session stays while its account can serve; a new one goes to the next account.
    pub(crate) fn sticky(accounts: usize) -> Self {
        Self::new(accounts, true, false)
    }

    /// A session stays while its account can serve; a new one goes to the selected account, which changes when it
    /// is spent.
    pub(crate) fn packed(accounts: usize) -> Self {
        Self::new(accounts, true, true)
    }
}

impl Policy for Baseline {
    fn choose(&mut self, request: &Request, tried: &[usize], now: i64) -> Option<usize> {
        let count = self.until.len();
        let can = |account: &usize| self.until[*account] <= now && !tried.contains(account);
        if let Some(home) = self.homes.get(&request.session).copied().filter(|home| self.sticks && can(home)) {
            return Some(home);
        }
        let chosen = (self.next..self.next + count).map(|place| place % count).find(can)?;
        self.next = if self.packs { chosen } else { (chosen + 1) % count };
        Some(chosen)
    }

    fn begins(&mut self, request: &Request, account: usize, _: [(f64, i64); 2], _: i64) {
        self.homes.insert(request.session, account);
    }

    fn ends(&mut self, _: &Request, _: usize, _: u64, _: i64) {}

    fn limited(&mut self, _: &Request, account: usize, until: i64, _: i64) {
        self.until[account] = until;
    }
}
