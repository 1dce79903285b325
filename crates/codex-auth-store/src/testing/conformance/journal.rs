//! Rules of the journal: crashes are handles that are dropped.

use codex_auth_core::{
    RecordId,
    capability::{
        CapabilityError, Commit, FencedLease, Journal, Noted, OpId, Outcome, Recovery, StorageEngine, TokenName,
    },
};

use super::{
    Effort, Ended, Proof, Rule, World,
    parts::{at_once, contents, ensure, lease, part, refused, token_name},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "journal/one-goes-on", check: |world, effort| Box::pin(one_goes_on(world, effort)) },
    Rule { name: "journal/never-twice", check: |world, _| Box::pin(never_twice(world)) },
    Rule { name: "journal/unspent", check: |world, _| Box::pin(unspent(world)) },
    Rule { name: "journal/answer-kept", check: |world, _| Box::pin(answer_kept(world)) },
    Rule { name: "journal/one-at-a-time", check: |world, _| Box::pin(one_at_a_time(world)) },
    Rule { name: "journal/no-orphans", check: |world, _| Box::pin(no_orphans(world)) },
    Rule { name: "journal/recovery", check: |world, _| Box::pin(recovery(world)) },
];

/// Of all who want to present one token, one is told to go on.
async fn one_goes_on(world: &World, effort: Effort) -> Proof {
    let token = TokenName::from_hash("00".repeat(32));
    let told = at_once(effort.tasks, |_| {
        let (engine, id, token) = (world.open(), world.account().clone(), token.clone());
        async move { intend(engine.as_ref(), &id, &token).await }
    })
    .await?;
    let mut clear = 0;
    for told in told {
        match told {
            Ok(Noted::Clear(_)) => clear += 1,
            // To be sent away is as good as to be told no.
            Ok(Noted::MaybeSpent(_)) | Err(CapabilityError::Held { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ensure(clear == 1, format!("{clear} were told to present one token"))
}

async fn intend(engine: &dyn StorageEngine, id: &RecordId, token: &TokenName) -> Result<Noted, CapabilityError> {
    match engine.parts().journal {
        Some(journal) => journal.intent(id, token).await,
        None => Err(CapabilityError::Gone { what: "the capability".to_owned() }),
    }
}

/// Notes the token that the vault holds, or a made-up one without a vault.
async fn begin(world: &World, engine: &dyn StorageEngine) -> Result<OpId, Ended> {
    let journal = part(engine.parts().journal)?;
    match journal.intent(world.account(), &current(world, engine).await?).await? {
        Noted::Clear(op) => Ok(op),
        Noted::MaybeSpent(_) => Err(Ended::Broken("a token that was never presented may be spent".to_owned())),
    }
}

async fn current(world: &World, engine: &dyn StorageEngine) -> Result<TokenName, Ended> {
    match engine.parts().vault {
        Some(vault) => Ok(token_name(&vault.get(world.account()).await?.contents)),
        None => Ok(TokenName::from_hash("11".repeat(32))),
    }
}

async fn must_be_spent(journal: &dyn Journal, op: &OpId, when: &str) -> Proof {
    let noted = journal.intent(&op.record, &op.token).await?;
    ensure(noted == Noted::MaybeSpent(op.clone()), format!("a token was clear again {when}"))
}

/// A token once marked stays marked, whatever ended.
async fn never_twice(world: &World) -> Proof {
    let engine = world.open();
    let op = begin(world, engine.as_ref()).await?;
    must_be_spent(part(engine.parts().journal)?, &op, "at once").await?;
    drop(engine);
    let next = world.open();
    let journal = part(next.parts().journal)?;
    must_be_spent(journal, &op, "after a crash").await?;
    journal.outcome(&op, Outcome::Lost).await?;
    must_be_spent(journal, &op, "after it was lost").await?;
    journal.outcome(&op, Outcome::Lost).await?;
    drop(next);
    let last = world.open();
    must_be_spent(part(last.parts().journal)?, &op, "after its end and a crash").await?;
    ensure(part(last.parts().journal)?.open_ops().await?.is_empty(), "an ended operation is open")
}

/// A token that certainly was not sent may be.
async fn unspent(world: &World) -> Proof {
    let engine = world.open();
    let journal = part(engine.parts().journal)?;
    let op = begin(world, engine.as_ref()).await?;
    journal.outcome(&op, Outcome::Unspent).await?;
    ensure(journal.open_ops().await?.is_empty(), "an ended operation is open")?;
    let again = journal.intent(&op.record, &op.token).await?;
    ensure(again == Noted::Clear(op.clone()), "a token that was not sent may not be sent")?;
    must_be_spent(journal, &op, "after its second intent").await
}

/// An answer outlives the one who got it, and nobody can say that there was none.
async fn answer_kept(world: &World) -> Proof {
    let engine = world.open();
    let op = begin(world, engine.as_ref()).await?;
    let answer = contents(engine.caps(), "answer");
    part(engine.parts().journal)?.outcome(&op, Outcome::Answered(answer.clone())).await?;
    drop(engine);
    let next = world.open();
    let journal = part(next.parts().journal)?;
    let open = journal.open_ops().await?;
    let is_kept =
        open.len() == 1 && open[0].op == op && open[0].answer.as_ref().is_some_and(|kept| kept.same_tokens(&answer));
    ensure(is_kept, "an answer was lost in a crash")?;
    for outcome in [Outcome::Unspent, Outcome::Lost, Outcome::Answered(contents(next.caps(), "other"))] {
        refused(journal.outcome(&op, outcome).await, "a kept answer was given up")?;
    }
    journal.outcome(&op, Outcome::Answered(answer)).await?;
    Ok(())
}

/// A second token of an account waits until the first is resolved.
async fn one_at_a_time(world: &World) -> Proof {
    let engine = world.open();
    let journal = part(engine.parts().journal)?;
    let op = begin(world, engine.as_ref()).await?;
    let second = journal.intent(&op.record, &TokenName::from_hash("22".repeat(32))).await;
    refused(second, "an open operation was overwritten by another token")?;
    let open = journal.open_ops().await?;
    ensure(open.len() == 1 && open[0].op == op, "an open operation was lost")?;
    let other = OpId { record: world.other().clone(), token: TokenName::from_hash("33".repeat(32)) };
    let noted = journal.intent(&other.record, &other.token).await?;
    ensure(noted == Noted::Clear(other), "another account had to wait")
}

/// What was never begun has no outcome.
async fn no_orphans(world: &World) -> Proof {
    let engine = world.open();
    let journal = part(engine.parts().journal)?;
    let op = OpId { record: world.account().clone(), token: TokenName::from_hash("44".repeat(32)) };
    let answer = Outcome::Answered(contents(engine.caps(), "answer"));
    for outcome in [answer, Outcome::Committed, Outcome::Unspent, Outcome::Lost] {
        refused(journal.outcome(&op, outcome).await, "an operation that never began has an outcome")?;
    }
    Ok(())
}

/// Wherever a refresh stops, who comes next ends it: the answer is in the vault, or the account needs a sign-in, and
/// the token is never presented again.
async fn recovery(world: &World) -> Proof {
    let first = world.open();
    if first.parts().vault.is_none() {
        return Err(Ended::LeftOut("the engine has no vault to recover into"));
    }
    let lease = lease(first.as_ref(), world.account()).await?;
    drop(first);
    for steps in 1..=4 {
        let name = format!("answer-{steps}");
        let op = refresh(world, &lease, &name, steps).await?;
        let next = world.open();
        let (journal, vault) = (part(next.parts().journal)?, part(next.parts().vault)?);
        let mut needs_login = false;
        for open in journal.open_ops().await? {
            let kept = vault.get(&open.op.record).await?;
            let ended = match open.recovery(&token_name(&kept.contents)) {
                Recovery::Commit(answer) => {
                    let (id, fence) = (open.op.record.clone(), lease.fence);
                    vault.commit(Commit { id, expected: kept.generation, fence, contents: answer }).await?;
                    Outcome::Committed
                }
                Recovery::RetrySafe => Outcome::Committed,
                Recovery::NeedsLogin => {
                    needs_login = true;
                    Outcome::Lost
                }
            };
            journal.outcome(&open.op, ended).await?;
        }
        ensure(journal.open_ops().await?.is_empty(), format!("stopped after step {steps}, it hangs"))?;
        let kept = vault.get(world.account()).await?;
        let has_answer = kept.contents.same_tokens(&contents(next.caps(), &name));
        ensure(has_answer == (steps > 1), format!("stopped after step {steps}, the answer is lost or made up"))?;
        ensure(needs_login == (steps == 1), format!("stopped after step {steps}, the account is marked wrongly"))?;
        must_be_spent(journal, &op, &format!("after it stopped at step {steps}")).await?;
        if steps == 1 {
            // The new sign-in.
            let (id, fence) = (world.account().clone(), lease.fence);
            let contents = contents(next.caps(), "sign-in");
            vault.commit(Commit { id, expected: kept.generation, fence, contents }).await?;
        }
    }
    Ok(())
}

/// The first steps of a refresh, then a crash.
async fn refresh(world: &World, lease: &FencedLease, name: &str, steps: usize) -> Result<OpId, Ended> {
    let engine = world.open();
    let (journal, vault) = (part(engine.parts().journal)?, part(engine.parts().vault)?);
    let expected = vault.get(world.account()).await?.generation;
    let op = begin(world, engine.as_ref()).await?;
    let answer = contents(engine.caps(), name);
    if steps > 1 {
        journal.outcome(&op, Outcome::Answered(answer.clone())).await?;
    }
    if steps > 2 {
        let (id, fence) = (world.account().clone(), lease.fence);
        vault.commit(Commit { id, expected, fence, contents: answer }).await?;
    }
    if steps > 3 {
        journal.outcome(&op, Outcome::Committed).await?;
    }
    Ok(op)
}
