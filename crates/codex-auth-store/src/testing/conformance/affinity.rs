//! Rules of affinity.

use codex_auth_core::{
    SessionKey,
    capability::{Binding, CapabilityError, StorageEngine},
};

use super::{
    Effort, Ended, Proof, Rule, World,
    parts::{HOUR, PAST_TTL, TTL, at_once, ensure, part, refused, set_back},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "affinity/one-owner", check: |world, effort| Box::pin(one_owner(world, effort)) },
    Rule { name: "affinity/move-what-is", check: |world, effort| Box::pin(move_what_is(world, effort)) },
    Rule { name: "affinity/no-old-move", check: |world, _| Box::pin(no_old_move(world)) },
    Rule { name: "affinity/ends", check: |world, _| Box::pin(ends(world)) },
];

fn session() -> Result<SessionKey, Ended> {
    SessionKey::parse("session-1").ok_or(Ended::LeftOut("no name"))
}

/// All who bind one session are told of the same owner.
async fn one_owner(world: &World, effort: Effort) -> Proof {
    let key = session()?;
    let told = at_once(effort.tasks, |task| {
        let (engine, key) = (world.open(), key.clone());
        let account = world.accounts[task % 2].clone();
        async move { Ok::<_, Ended>(part(engine.parts().affinity)?.bind_if_absent(&key, &account, TTL).await?) }
    })
    .await?;
    let told = told.into_iter().collect::<Result<Vec<Binding>, _>>()?;
    ensure(told.iter().all(|binding| *binding == told[0]), "a session has two owners")?;
    let engine = world.open();
    let found = part(engine.parts().affinity)?.lookup(&key).await?;
    ensure(found.as_ref() == told.first(), "the owner is another one than was told")
}

/// Of many who move one binding, one does.
async fn move_what_is(world: &World, effort: Effort) -> Proof {
    let engine = world.open();
    let affinity = part(engine.parts().affinity)?;
    let bound = affinity.bind_if_absent(&session()?, world.account(), TTL).await?;
    let moved = at_once(effort.tasks, |_| {
        let (engine, bound, to) = (world.open(), bound.clone(), world.other().clone());
        async move { move_to(engine.as_ref(), &bound, &to).await }
    })
    .await?;
    let moved: Vec<Binding> = moved.into_iter().filter_map(Result::ok).collect();
    ensure(moved.len() == 1, format!("{} moved one binding", moved.len()))?;
    ensure(moved[0].account == *world.other(), "a move led to another account")?;
    ensure(affinity.lookup(&bound.key).await?.as_ref() == moved.first(), "a move was not kept")
}

async fn move_to(
    engine: &dyn StorageEngine,
    bound: &Binding,
    to: &codex_auth_core::RecordId,
) -> Result<Binding, CapabilityError> {
    match engine.parts().affinity {
        Some(affinity) => affinity.move_to(bound, to, TTL).await,
        None => Err(CapabilityError::Gone { what: "the capability".to_owned() }),
    }
}

/// A binding that came back to its first account is another one than before.
async fn no_old_move(world: &World) -> Proof {
    let engine = world.open();
    let affinity = part(engine.parts().affinity)?;
    let first = affinity.bind_if_absent(&session()?, world.account(), TTL).await?;
    let there = affinity.move_to(&first, world.other(), TTL).await?;
    let back = affinity.move_to(&there, world.account(), TTL).await?;
    refused(affinity.move_to(&first, world.other(), TTL).await, "a move over an old binding succeeded")?;
    ensure(affinity.lookup(&first.key).await? == Some(back), "a refused move changed something")
}

/// A binding ends after its time and stays ended, whatever is done to the host's clock.
async fn ends(world: &World) -> Proof {
    let (engine, clock, key) = (world.open(), world.hand()?, session()?);
    let affinity = part(engine.parts().affinity)?;
    let bound = affinity.bind_if_absent(&key, world.account(), TTL).await?;
    set_back(clock, HOUR);
    ensure(affinity.lookup(&key).await?.is_some(), "a binding ended before its time")?;
    clock.advance(PAST_TTL);
    ensure(affinity.lookup(&key).await?.is_none(), "a clock that was set back made a binding longer")?;
    set_back(clock, HOUR);
    ensure(affinity.lookup(&key).await?.is_none(), "a binding came back to life")?;
    refused(affinity.move_to(&bound, world.other(), TTL).await, "a binding that ended was moved")?;
    let next = affinity.bind_if_absent(&key, world.other(), TTL).await?;
    ensure(next.account == *world.other() && next.version != bound.version, "an ended binding stands in the way")
}
