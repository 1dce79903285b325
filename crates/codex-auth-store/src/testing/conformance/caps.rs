//! Rules of what an engine says of itself.

use std::future::ready;

use codex_auth_core::capability::{Durability, Reach};

use super::{
    Effort, Proof, Rule, World,
    parts::{commit_over, ensure, lease, part},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "caps/one-word", check: |world, _| Box::pin(ready(one_word(world))) },
    Rule { name: "caps/plain-stays-home", check: |world, _| Box::pin(ready(plain_stays_home(world))) },
    Rule { name: "caps/durable", check: |world, effort| Box::pin(durable(world, effort)) },
];

/// Every handle says the same.
fn one_word(world: &World) -> Proof {
    let (first, second) = (world.open(), world.open());
    ensure(first.caps() == second.caps(), "two handles say different things")?;
    ensure(first.parts().names() == second.parts().names(), "two handles have different capabilities")?;
    ensure(!first.parts().names().is_empty(), "the engine has no capability at all")
}

/// An engine off this machine sees no token.
fn plain_stays_home(world: &World) -> Proof {
    let caps = world.open().caps();
    ensure(caps.reach < Reach::ManyHosts || !caps.takes_plain, "an engine of many machines takes plain tokens")?;
    ensure(caps.takes_plain || caps.takes_sealed, "the engine takes no token at all")
}

/// What it calls durable is there for the next handle, when the one that wrote it is gone.
async fn durable(world: &World, effort: Effort) -> Proof {
    let engine = world.open();
    if engine.caps().durability < Durability::Disk || engine.parts().vault.is_none() {
        return Ok(());
    }
    let id = world.account();
    let lease = lease(engine.as_ref(), id).await?;
    for round in 0..effort.rounds {
        let engine = world.open();
        let written =
            commit_over(engine.as_ref(), part(engine.parts().vault)?, &lease, id, &format!("kept-{round}")).await?;
        drop(engine);
        let next = world.open();
        let kept = part(next.parts().vault)?.get(id).await?;
        ensure(kept.generation == written, "a commit did not outlive its handle")?;
    }
    Ok(())
}
