//! A session of a client: it thinks, asks, is served or refused, and may leave at any time.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Held, KeepError, Lease, Outcome, Query, Reaction, RefreshPlan, SessionKey, Settled, plan};

use super::{Flaw, agent::Agent};

/// A lease that is settled whatever happens.
struct Attempt {
    agent: Arc<Agent>,
    lease: Option<Lease>,
    is_refreshed: bool,
}

impl Attempt {
    fn settle(&mut self, outcome: &Outcome) -> Option<Settled> {
        let lease = self.lease.take()?;
        Some(self.agent.rotation.settle(lease, outcome, self.is_refreshed, self.agent.world.now()))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.agent.flaw == Flaw::LeakyLeases {
            return;
        }
        if let Some(Settled { edit: Some(edit), .. }) = self.settle(&Outcome::Cancelled) {
            self.agent.keep(edit);
        }
    }
}

/// Goes on until calm weather comes.
pub(crate) async fn live(agent: Arc<Agent>, session: SessionKey) {
    while !agent.world.is_calm() {
        let is_long = agent.world.below(12) == 0;
        agent.world.a_while(Duration::from_secs(if is_long { 2400 } else { 60 })).await;
        let quota_key = (agent.world.below(2) == 0).then(|| "gpt-5.2:gpt-5.5".to_owned());
        ask(&agent, Query { session: Some(session.clone()), quota_key, ..Query::default() }).await;
    }
}

/// One request, as the attempt loop of the proxy serves it.
async fn ask(agent: &Arc<Agent>, mut query: Query) {
    let mut refreshed = Vec::new();
    let mut is_marked = false;
    loop {
        let now = agent.world.now();
        if is_marked && agent.rotation.wave(now).is_some() {
            return agent.world.count(|tally| tally.refused += 1);
        }
        let pool = agent.rotation.pool();
        let lease = match agent.rotation.acquire(&query, now) {
            Ok(lease) => lease,
            Err(refusal) => {
                agent.rules.refused(&refusal, &pool, &query);
                return agent.world.count(|tally| tally.refused += 1);
            }
        };
        agent.rules.leased(&lease, &pool, &query);
        let record = lease.held.account.record.clone();
        let is_refreshed = refreshed.contains(&record);
        let attempt = Attempt { agent: agent.clone(), lease: Some(lease), is_refreshed };
        match attempt_of(agent, attempt, &query).await {
            Next::Done => return,
            Next::Another { marked } => {
                is_marked |= marked;
                query.tried.push(record);
                query.again = None;
            }
            Next::Again => {
                refreshed.push(record.clone());
                query.again = Some(record);
            }
        }
        let bound = 3 * (pool.accounts.len() + 1);
        agent.world.must(query.tried.len() + refreshed.len() <= bound, || "a request never ends".into());
    }
}

enum Next {
    Done,
    Another { marked: bool },
    Again,
}

async fn attempt_of(agent: &Arc<Agent>, mut attempt: Attempt, query: &Query) -> Next {
    let held = attempt.lease.as_ref().expect("not settled yet").held.clone();
    let Ok(held) = ready(agent, &held).await else { return Next::Another { marked: false } };
    attempt.lease.as_mut().expect("not settled yet").held = held.clone();
    let access = held.credential.access.clone().expect("every sign-in brings one");
    let mut outcome = agent.vendor.answer(access.expose()).await;
    let session = query.session.as_ref().expect("every session has a name");
    if outcome == Outcome::Served {
        agent.rules.answering(session, &held.account.record);
        outcome = stream(agent, &attempt).await;
    }
    match outcome {
        Outcome::Served => agent.rules.answered(session, &held.account.record),
        Outcome::PolicyRefused => agent.rules.answering(session, &held.account.record),
        _ => {}
    }
    let Some(settled) = attempt.settle(&outcome) else { return Next::Done };
    agent.rules.learned(&held, &outcome);
    match settled.edit {
        Some(edit) if settled.is_urgent => agent.keep_now(edit).await,
        Some(edit) => agent.keep(edit),
        None => {}
    }
    match settled.reaction {
        Reaction::Relay | Reaction::Stop => Next::Done,
        // Bytes have gone out: the client asks anew itself.
        Reaction::TryAnother if outcome == Outcome::NetworkFault && agent.world.below(2) == 0 => Next::Done,
        Reaction::TryAnother => Next::Another { marked: false },
        Reaction::MarkAndTryOne => Next::Another { marked: true },
        Reaction::RewriteAndRetry => Next::Again,
        Reaction::RefreshAndRetry => match agent.renew(&held).await {
            Ok(_) => Next::Again,
            Err(_) => Next::Another { marked: false },
        },
    }
}

/// The answer's body: the session belongs to the account from its first byte on.
async fn stream(agent: &Agent, attempt: &Attempt) -> Outcome {
    let now = agent.world.now();
    agent.rotation.answering(attempt.lease.as_ref().expect("not settled yet"), now);
    agent.world.a_while(Duration::from_secs(30)).await;
    if agent.world.strikes(20) {
        return Outcome::NetworkFault;
    }
    agent.world.count(|tally| tally.served += 1);
    Outcome::Served
}

async fn ready(agent: &Arc<Agent>, held: &Held) -> Result<Held, KeepError> {
    let now = agent.world.now();
    match plan(held, now) {
        RefreshPlan::Use => Ok(held.clone()),
        RefreshPlan::RefreshBehind => {
            drop(agent.renewal(held));
            Ok(held.clone())
        }
        RefreshPlan::RefreshFirst => agent.renew(held).await,
        RefreshPlan::AskForLogin => Err(KeepError::NeedsLogin { code: "none".into() }),
    }
}
