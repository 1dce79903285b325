//! The suite of the product's own port: what every `AccountStore` and its `RefreshClaim` must do.

use std::{any::Any, fmt, sync::Arc};

use codex_auth_core::{
    AccessToken, AccountStore, Credential, Intent, NeedsLogin, RecordId, RefreshToken, StoreError, Timestamp,
};

use super::{
    Effort, Ended, Proof, Report, Rule,
    parts::{at_once, ensure},
    verdict_of,
};

/// One fresh store with two accounts.
pub struct StoreWorld {
    accounts: [RecordId; 2],
    open: Box<dyn Fn() -> Arc<dyn AccountStore> + Send + Sync>,
    _kept: Box<dyn Any + Send + Sync>,
}

impl StoreWorld {
    /// A world whose pool holds `accounts`. `open` makes a handle on the same pool that waits for a claim no longer
    /// than a test may; `kept` lives as long as the world.
    pub fn new(
        accounts: [RecordId; 2],
        open: impl Fn() -> Arc<dyn AccountStore> + Send + Sync + 'static,
        kept: impl Any + Send + Sync,
    ) -> Self {
        Self { accounts, open: Box::new(open), _kept: Box::new(kept) }
    }

    fn open(&self) -> Arc<dyn AccountStore> {
        (self.open)()
    }

    fn account(&self) -> &RecordId {
        &self.accounts[0]
    }
}

impl fmt::Debug for StoreWorld {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StoreWorld({:?})", self.accounts)
    }
}

const RULES: &[Rule<StoreWorld>] = &[
    Rule { name: "accounts/edits-add-up", check: |world, effort| Box::pin(edits_add_up(world, effort)) },
    Rule { name: "accounts/stamp", check: |world, _| Box::pin(stamp(world)) },
    Rule { name: "accounts/one-claim", check: |world, _| Box::pin(one_claim(world)) },
    Rule { name: "accounts/unknown", check: |world, _| Box::pin(unknown(world)) },
    Rule { name: "accounts/presented-once", check: |world, _| Box::pin(presented_once(world)) },
    Rule { name: "accounts/commit", check: |world, effort| Box::pin(commit(world, effort)) },
    Rule { name: "accounts/sign-in-stands", check: |world, _| Box::pin(sign_in_stands(world)) },
    Rule { name: "accounts/refuse", check: |world, _| Box::pin(refuse(world)) },
];

/// Every rule's name.
pub fn rules() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

/// Puts a store through every rule; needs a runtime with a timer.
pub async fn run(make: impl Fn() -> StoreWorld, effort: Effort) -> Report {
    let mut report = Report::default();
    for rule in RULES {
        let world = make();
        report.0.push((rule.name, verdict_of((rule.check)(&world, effort).await)));
    }
    report
}

fn fresh(name: &str, generation: u64) -> Credential {
    Credential {
        access: Some(AccessToken::new(format!("access-{name}"))),
        refresh: RefreshToken::new(format!("refresh-{name}")),
        id: None,
        expires_at: None,
        obtained_at: None,
        generation,
    }
}

async fn credential(store: &dyn AccountStore, record: &RecordId) -> Result<Credential, Ended> {
    let held = store.read().await?.find(record).cloned();
    held.map(|held| held.credential).ok_or_else(|| Ended::Broken("an account is gone".to_owned()))
}

/// Many who edit at once: each edit sees what was before, and none is lost.
async fn edits_add_up(world: &StoreWorld, effort: Effort) -> Proof {
    let before = world.open().read().await?.affinity_generation;
    let ended = at_once(effort.tasks, |_| {
        let store = world.open();
        async move {
            for _ in 0..effort.rounds {
                store.edit(Box::new(|pool| pool.affinity_generation += 1)).await?;
            }
            Ok::<(), StoreError>(())
        }
    })
    .await?;
    ended.into_iter().collect::<Result<Vec<()>, _>>()?;
    let pool = world.open().read().await?;
    let (seen, expect) = (pool.affinity_generation, before + (effort.tasks * effort.rounds) as u64);
    ensure(seen == expect, format!("{expect} edits were acknowledged, and {seen} are there"))?;
    ensure(pool.accounts.len() == 2, "an account is gone")
}

/// The stamp stands still while nothing changes, and moves with each change.
async fn stamp(world: &StoreWorld) -> Proof {
    let (writer, reader) = (world.open(), world.open());
    let mut last = reader.stamp();
    ensure(reader.stamp() == last, "the stamp moves by itself")?;
    for generation in 1..4 {
        writer.edit(Box::new(move |pool| pool.affinity_generation = 100 + generation)).await?;
        let now = reader.stamp();
        ensure(now != last, "a change did not move the stamp")?;
        last = now;
    }
    Ok(())
}

/// One claim per account at a time; dropped, it is free; others are free all the time.
async fn one_claim(world: &StoreWorld) -> Proof {
    let (first, second) = (world.open(), world.open());
    let claim = first.claim(world.account()).await?;
    let taken = second.claim(world.account()).await;
    ensure(matches!(taken, Err(StoreError::Locked { .. })), "an account was claimed twice, or nobody was named")?;
    drop(second.claim(&world.accounts[1]).await?);
    drop(claim);
    drop(second.claim(world.account()).await?);
    Ok(())
}

/// An account that is not there cannot be claimed.
async fn unknown(world: &StoreWorld) -> Proof {
    let nobody = RecordId::parse("record:nobody").ok_or(Ended::LeftOut("no name"))?;
    let claim = world.open().claim(&nobody).await;
    ensure(claim.err() == Some(StoreError::NoSuchAccount(nobody)), "an unknown account was claimed")
}

/// A token is presented once, whoever asks; one that was not sent may be.
async fn presented_once(world: &StoreWorld) -> Proof {
    let token = credential(world.open().as_ref(), world.account()).await?.refresh;
    let mut claim = world.open().claim(world.account()).await?;
    ensure(claim.intend(&token).await? == Intent::Clear, "a new token may be spent")?;
    claim.unspent().await?;
    ensure(claim.intend(&token).await? == Intent::Clear, "a token that was not sent may not be sent")?;
    drop(claim);
    let mut claim = world.open().claim(world.account()).await?;
    ensure(claim.intend(&token).await? == Intent::MaybeSpent, "a token may be sent twice")
}

/// What a claim commits is there for everybody, and its generation grows.
async fn commit(world: &StoreWorld, effort: Effort) -> Proof {
    let reader = world.open();
    for round in 0..effort.rounds {
        let before = credential(reader.as_ref(), world.account()).await?;
        let mut claim = world.open().claim(world.account()).await?;
        let seen = claim.look_again().await?.credential;
        ensure(seen == before, "a claim sees another credential than a reader")?;
        ensure(claim.intend(&seen.refresh).await? == Intent::Clear, "a new token may be spent")?;
        claim.commit(&fresh(&format!("round-{round}"), seen.generation + 1)).await?;
        let after = credential(reader.as_ref(), world.account()).await?;
        ensure(after.refresh == fresh(&format!("round-{round}"), 0).refresh, "a commit is not there")?;
        ensure(after.generation > before.generation, "a commit did not raise the generation")?;
    }
    Ok(())
}

/// A sign-in made while a token was renewed is not overwritten by what the old token bought.
async fn sign_in_stands(world: &StoreWorld) -> Proof {
    let (store, record) = (world.open(), world.account().clone());
    let mut claim = store.claim(&record).await?;
    let seen = claim.look_again().await?.credential;
    claim.intend(&seen.refresh).await?;
    let signed_in = record.clone();
    let edited = store.edit(Box::new(move |pool| {
        if let Some(held) = pool.find_mut(&signed_in) {
            held.credential = fresh("sign-in", held.credential.generation + 1);
        }
    }));
    edited.await?;
    claim.commit(&fresh("old-grant", seen.generation + 1)).await?;
    let kept = credential(store.as_ref(), &record).await?;
    ensure(kept.refresh == fresh("sign-in", 0).refresh, "an old grant overwrote a sign-in")
}

/// A refusal marks the account, for everybody.
async fn refuse(world: &StoreWorld) -> Proof {
    let mut claim = world.open().claim(world.account()).await?;
    let seen = claim.look_again().await?.credential;
    claim.intend(&seen.refresh).await?;
    claim.refuse(NeedsLogin { code: "refused".to_owned(), at: Timestamp::from_secs(1) }).await?;
    let pool = world.open().read().await?;
    let marked = pool.find(world.account()).and_then(|held| held.account.needs_login.as_ref());
    ensure(marked.is_some_and(|needs| needs.code == "refused"), "a refused account is not marked")?;
    let other = pool.find(&world.accounts[1]).is_some_and(|held| held.account.needs_login.is_none());
    ensure(other, "another account is marked")
}
