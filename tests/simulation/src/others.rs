//! What people and other programs do to the files meanwhile: switch, pause, sign in, remove; and a program that knows no
//! lock of ours.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use codex_auth_core::{ANSWER_LOST, AccountRules, Credential, Held, IDENTITY_CHANGED, SavedPool};
use serde_json::Value;

use crate::{
    disk::{Disk, OnDisk},
    vendor::{Vendor, person_of, record_of},
    world::World,
};

/// The people of one seed.
#[derive(Debug)]
pub(crate) struct Others {
    world: Arc<World>,
    vendor: Arc<Vendor>,
    disk: Arc<Disk>,
    store: Arc<OnDisk>,
    /// Accounts that must be there, because nobody took them away.
    signed_in: Mutex<BTreeSet<usize>>,
}

impl Others {
    /// Signs in the first accounts.
    pub(crate) fn begin(world: &Arc<World>, vendor: &Arc<Vendor>, disk: &Arc<Disk>) -> Arc<Self> {
        let persons: Vec<usize> = (1..=2 + world.below(3)).collect();
        let accounts: Vec<Held> = persons.iter().map(|n| vendor.held(*n)).collect();
        let store = disk.open();
        let put = move |pool: &mut SavedPool| {
            pool.active = accounts.first().map(|held| held.account.record.clone());
            pool.accounts = accounts;
        };
        store.change(put).unwrap();
        let signed_in = Mutex::new(persons.into_iter().collect());
        Arc::new(Self { world: world.clone(), vendor: vendor.clone(), disk: disk.clone(), store, signed_in })
    }

    /// One act by chance.
    pub(crate) fn act(&self) {
        let (act, person) = (self.world.below(16), self.world.below(4) + 1);
        self.world.count(|tally| tally.edits += 1);
        match act {
            0 => self.with(person, |held| held.account.enabled = false),
            1 | 2 => self.change(|pool| pool.accounts.iter_mut().for_each(|held| held.account.enabled = true)),
            3 | 4 => self.change(move |pool| {
                // As `switch` does it: only an account that is there, and all sessions follow.
                if pool.find(&record_of(person)).is_some() {
                    pool.pin = Some(record_of(person));
                    pool.active = pool.pin.clone();
                    pool.affinity_generation += 1;
                }
            }),
            5..=8 => self.change(|pool| pool.pin = None),
            9 => self.remove(person),
            10 => self.without_a_lock(),
            11 => self.pause(Some(person)),
            12 => self.pause(None),
            _ => self.sign_in_again(person),
        }
    }

    fn change(&self, change: impl FnOnce(&mut SavedPool) + Send + 'static) {
        // On a bad day the person reads an error, and the files are as they were or as they were to be.
        let _told = self.store.change(change);
    }

    fn with(&self, person: usize, change: impl FnOnce(&mut Held) + Send + 'static) {
        self.change(move |pool| {
            if let Some(held) = pool.find_mut(&record_of(person)) {
                change(held);
            }
        });
    }

    /// One account is paused, or nobody is any more.
    fn pause(&self, person: Option<usize>) {
        let rules = |person| (record_of(person), AccountRules { is_paused: true, ..AccountRules::default() });
        self.world.rule(person.into_iter().map(rules).collect());
    }

    fn remove(&self, person: usize) {
        self.signed_in.lock().unwrap().remove(&person);
        self.change(move |pool| {
            if pool.accounts.len() > 1 {
                pool.accounts.retain(|held| held.account.record != record_of(person));
                pool.pin.take_if(|pin| *pin == record_of(person));
            }
        });
    }

    /// Mostly, people sign in where they are asked to; sometimes they bring a new account.
    fn sign_in_again(&self, person: usize) {
        let vendor = self.vendor.clone();
        let fresh = self.vendor.held(person);
        let may_add = self.world.below(3) == 0;
        let written = self.store.change(move |pool| {
            for held in pool.accounts.iter_mut().filter(|held| held.account.needs_login.is_some()) {
                let generation = held.credential.generation + 1;
                held.credential = Credential { generation, ..vendor.sign_in(person_of(&held.account.record)) };
                held.account.needs_login = None;
            }
            if may_add && pool.find(&fresh.account.record).is_none() {
                pool.accounts.push(fresh);
            }
        });
        if written.is_ok_and(|pool| pool.find(&record_of(person)).is_some()) && may_add {
            self.signed_in.lock().unwrap().insert(person);
        }
    }

    /// The predecessor writes the document whole, without what it does not know, while nobody is looking.
    fn without_a_lock(&self) {
        let path = self.disk.layout().accounts().clone();
        let Ok(bytes) = std::fs::read(&path) else { return };
        let Ok(mut document) = serde_json::from_slice::<Value>(&bytes) else { return };
        if let Some(document) = document.as_object_mut() {
            document.shift_remove("codexAuthRevision");
        }
        std::fs::write(&path, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
    }

    /// What is there at the end must be worth something or be marked for a reason; who is gone was taken away.
    pub(crate) fn nobody_is_lost(&self, pool: &SavedPool) {
        for person in self.signed_in.lock().unwrap().iter() {
            let record = record_of(*person);
            self.world.must(pool.find(&record).is_some(), || format!("{record} is gone and nobody removed it"));
        }
    }

    /// Whether an account was marked for a reason: its token is worth nothing or may be, the issuer answered for
    /// somebody else, or a crash left it in the dark.
    pub(crate) fn is_justified(&self, held: &Held, code: &str) -> bool {
        let token = &held.credential.refresh;
        let tally = self.world.tally();
        !self.vendor.is_good(token)
            || self.vendor.may_be_spent(token)
            || code == IDENTITY_CHANGED
            || (code == ANSWER_LOST && tally.crashes + tally.disk_errors > 0)
    }
}
