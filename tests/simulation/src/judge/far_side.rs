//! What the far side tells the judge, and what an agent knows of the sessions before its time.

use codex_auth_core::{SessionKey, Timestamp, TokenUse};
use codex_auth_proxy::Proxy;
use http::HeaderMap;

use super::{Bonds, Judge, STAYS, request::End, text};
use crate::{backend::request_of, limits::Limited, stream::Failure, vendor::record_of};

impl Judge {
    /// The backend answers with this status.
    pub(crate) fn told(&self, headers: &HeaderMap, status: u16) {
        self.with(&request_of(headers), |open| open.status = Some(status));
    }

    /// The name of the answer that is about to be given.
    pub(crate) fn answer_of(&self, request: &str) -> String {
        let attempt = self.books().open.get(request).map_or(0, |open| open.asked.len());
        format!("resp_{request}_{attempt}")
    }

    /// The answer has said that it is complete.
    pub(crate) fn completed(&self, request: &str, (response, usage): (&str, TokenUse)) {
        self.with(request, |open| open.end = Some(End::Completed(response.to_owned(), usage)));
    }

    /// The answer has said that it failed; `is_held` where nothing of it can have been passed on.
    pub(crate) fn failed(&self, request: &str, (person, how): (usize, Failure), is_held: bool) {
        if let Failure::Limit(until) = how {
            self.limited((person, None), until);
        }
        let is_forbidden = how == Failure::Policy;
        let is_held = is_held && !is_forbidden;
        self.world.count(|tally| if is_held { tally.failed_at_once += 1 } else { tally.failed_later += 1 });
        self.with(request, |open| {
            open.is_forbidden |= is_forbidden;
            open.end = Some(if is_held { End::FailedAtOnce } else { End::Failed(how) });
        });
    }

    /// The answer broke off.
    pub(crate) fn broke_off(&self, request: &str) {
        self.with(request, |open| open.end = Some(End::BrokeOff));
    }

    /// The vendor refuses the content. That, too, is an answer of the account's.
    pub(crate) fn forbidden(&self, headers: &HeaderMap) {
        self.world.count(|tally| tally.policy += 1);
        let (now, request) = (self.world.now(), request_of(headers));
        let books = &mut *self.books();
        if let Some(open) = books.open.get_mut(&request) {
            open.is_forbidden = true;
            if let Some(record) = open.asked.last() {
                books.bonds.bind(&text(headers, "session-id"), record, now);
            }
        }
    }

    /// The vendor says that a quota is spent.
    pub(crate) fn limited(&self, (person, model): Limited, until: Timestamp) {
        let edits = self.world.tally().edits;
        self.books().limited.insert((record_of(person), model), (until, edits));
    }

    /// The vendor says how much of a quota is used.
    pub(crate) fn used(&self, person: usize, percent: u32) {
        self.books().used.insert(record_of(person), percent);
    }

    /// The vendor says that a token was signed out.
    pub(crate) fn signed_out(&self, headers: &HeaderMap, access: &str) {
        let now = self.world.now();
        self.with(&request_of(headers), |open| open.met_a_sign_out = true);
        self.books().signed_out.entry(access.to_owned()).or_insert(now);
    }

    /// The agent has read what an earlier one wrote down of its sessions: those that it must know, it knows.
    pub(crate) fn remembers(&self, left: &Bonds, proxy: &Proxy) {
        let generation = proxy.rotation().pool().affinity_generation;
        let now = self.world.now();
        let known = left.must_be_known(generation, now, STAYS);
        let mut books = self.books();
        for (session, may_be) in known {
            let key = SessionKey::parse(session).unwrap();
            let bound = proxy.rotation().bound(&key, now);
            let is_kept = bound.as_ref().is_some_and(|bound| may_be.iter().any(|(record, _)| record == bound));
            self.world.must(is_kept, || format!("{session} was at {may_be:?}, and the next agent has it at {bound:?}"));
            self.world.count(|tally| tally.bonds_kept += 1);
            if let [(record, at)] = may_be {
                books.bonds.bind(session, record, *at);
            }
        }
    }
}
