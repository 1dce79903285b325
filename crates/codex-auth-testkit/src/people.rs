//! Owns who exists: the numbered accounts and the one outsider, with ids that follow from the number alone.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::setup::PeopleSetup;

/// Whose login, token or request something is. In JSON: a number from 1, or `"outsider"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// An account by its number, from 1. Numbers beyond the pool are people who have not joined it yet.
    Account(usize),
    /// A login of this issuer that belongs to no pool.
    Outsider,
}

/// Whose login a document is to hold.
pub type LoginFor = Who;

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(number) => write!(out, "account {number}"),
            Self::Outsider => out.write_str("the outsider"),
        }
    }
}

impl Serialize for Who {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Account(number) => serializer.serialize_u64(*number as u64),
            Self::Outsider => serializer.serialize_str("outsider"),
        }
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value == "outsider" {
            return Ok(Self::Outsider);
        }
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
        number.map(Self::Account).ok_or_else(|| D::Error::custom("expected an account number from 1, or \"outsider\""))
    }
}

/// One sign-in identity: a person in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Number, or the outsider.
    pub who: Who,
    /// `chatgpt_user_id`.
    pub user_id: String,
    /// `chatgpt_account_id`: the workspace, shaped like a UUID.
    pub account_id: String,
    /// The address, under `example.test`.
    pub email: String,
    /// Plan as it stands in the claims.
    pub plan: String,
}

/// Everybody this fake knows; a number beyond the pool is a person all the same.
#[derive(Clone, Debug)]
pub(crate) struct People {
    pool: usize,
    setup: PeopleSetup,
}

impl People {
    pub(crate) fn new(pool: usize, setup: PeopleSetup) -> Self {
        Self { pool, setup }
    }

    /// The pool's account numbers.
    pub(crate) fn pool(&self) -> impl Iterator<Item = usize> + use<> {
        1..=self.pool
    }

    pub(crate) fn person(&self, who: Who) -> Person {
        match who {
            Who::Account(number) => self.account(number),
            Who::Outsider => Person {
                who,
                user_id: "user-fake-outsider".to_owned(),
                account_id: "fa4e0000-0000-4000-9000-000000000000".to_owned(),
                email: "outsider@example.test".to_owned(),
                plan: "plus".to_owned(),
            },
        }
    }

    /// Everybody who is the same person as `who`, in number order, `who` included.
    pub(crate) fn workspaces(&self, who: Who) -> Vec<Person> {
        let asked = self.person(who);
        let mut all: Vec<Person> = self
            .pool()
            .map(|number| self.account(number))
            .filter(|person| person.user_id == asked.user_id || person.who == who)
            .collect();
        if all.is_empty() {
            all.push(asked);
        }
        all
    }

    fn account(&self, number: usize) -> Person {
        let same = self.setup.same_person.iter().find(|(_, other)| *other == number);
        let human = same.map_or(number, |(first, _)| *first);
        let plan = self.setup.plans.iter().find(|(of, _)| *of == number);
        Person {
            who: Who::Account(number),
            user_id: format!("user-fake-{human}"),
            account_id: format!("fa4e0000-0000-4000-8000-{number:012}"),
            email: format!("person{human}@example.test"),
            plan: plan.map_or_else(|| "plus".to_owned(), |(_, plan)| plan.clone()),
        }
    }
}
