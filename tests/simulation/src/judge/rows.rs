//! What the ledger must say: one row for every request, exactly once, with the attempts that were seen and the tokens
//! that were counted on the far side.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use codex_auth_core::{RequestSpent, Timestamp, TokenUse, UsageOutcome};

use super::request::Expected;
use crate::world::World;

/// How late a row may be: two refusals of the book and the pauses after them, and what waits behind them.
const LATE: Duration = Duration::from_secs(3);

/// Requests and rows of each session, in their order, until they have met. A session asks one thing after the other.
#[derive(Debug, Default)]
pub(super) struct Rows {
    ended: BTreeMap<String, VecDeque<Expected>>,
    written: BTreeMap<String, VecDeque<RequestSpent>>,
}

impl Rows {
    /// A request has ended.
    pub(super) fn ended(&mut self, world: &World, session: &str, expected: Expected) {
        self.ended.entry(session.to_owned()).or_default().push_back(expected);
        self.meet(world, session);
    }

    /// A row was written.
    pub(super) fn written(&mut self, world: &World, row: RequestSpent) {
        let session = row.session.as_ref().map(|session| session.as_str().to_owned()).unwrap_or_default();
        self.written.entry(session.clone()).or_default().push_back(row);
        self.meet(world, &session);
    }

    fn meet(&mut self, world: &World, session: &str) {
        let (Some(ended), Some(written)) = (self.ended.get_mut(session), self.written.get_mut(session)) else { return };
        while !ended.is_empty()
            && let Some(row) = written.pop_front()
            && let Some(expected) = ended.pop_front()
        {
            world.count(|tally| tally.rows += 1);
            compare(world, &expected, &row);
        }
    }

    /// Whatever ended before this instant has its row, and nothing has two.
    pub(super) fn all_met(&self, world: &World, before: Timestamp) {
        let missing = self.ended.values().flatten().find(|expected| expected.at < before);
        world.must(missing.is_none(), || format!("{} has no row in the ledger", missing.unwrap().request));
    }

    /// The same where the agent was killed: what was in its hands may be missing.
    pub(super) fn all_met_but_the_last(&self, world: &World) {
        self.all_met(world, Timestamp::from_millis(world.now().as_millis() - i64::try_from(LATE.as_millis()).unwrap()));
    }

    /// Nothing is left over once everything has ended.
    pub(super) fn none_left(&self, world: &World) {
        let over = self.written.values().flatten().next();
        world.must(over.is_none(), || format!("the ledger has a row that nobody asked for: {over:?}"));
    }
}

fn compare(world: &World, expected: &Expected, row: &RequestSpent) {
    let Expected { request, at: _, asked, outcome, status, completed, code } = expected;
    let says = |what: &str| format!("the row of {request} {what}: {row:?}, expected {expected:?}");
    world.must(row.outcome == *outcome, || says("tells another end"));
    let attempts = row.attempts.iter().map(|attempt| attempt.account.record.as_ref());
    world.must(attempts.eq(asked.iter().map(Some)), || says("tells other attempts"));
    world.must(status.is_none() || row.status == *status, || says("tells another status"));
    let (response, tokens) = match completed {
        Some((response, usage)) => (Some(response), *usage),
        None => (None, TokenUse::default()),
    };
    world.must(row.tokens == tokens, || says("tells other tokens"));
    world.must(response.is_none() || row.response.as_ref() == response, || says("is another request's"));
    world.must(row.outcome != UsageOutcome::Success || row.error_code.is_none(), || says("has a code and no fault"));
    world.must(code.is_none() || row.error_code == *code, || says("has another code than its answer"));
    let Some((last, earlier)) = row.attempts.split_last() else { return };
    let is_told_once = last.tokens == tokens && earlier.iter().all(|attempt| attempt.tokens == TokenUse::default());
    world.must(is_told_once, || says("has tokens at another attempt"));
    let have_failed = earlier.iter().all(|attempt| attempt.outcome == UsageOutcome::Failure);
    world.must(have_failed, || says("has an attempt after one that did not fail"));
    let is_success = (last.outcome == UsageOutcome::Success) == (row.outcome == UsageOutcome::Success);
    world.must(is_success, || says("and its last attempt tell different ends"));
}
