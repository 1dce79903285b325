//! Rules of counters.

use codex_auth_core::capability::{CapabilityError, Grant, StorageEngine, Usage};

use super::{
    Effort, Ended, Proof, Rule, World,
    parts::{HOUR, PAST_TTL, TTL, at_once, ensure, part, refused, set_back},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "counters/within-limit", check: |world, effort| Box::pin(within_limit(world, effort)) },
    Rule { name: "counters/all-room-is-given", check: |world, _| Box::pin(all_room_is_given(world)) },
    Rule { name: "counters/ends-once", check: |world, _| Box::pin(ends_once(world)) },
    Rule { name: "counters/truth-counts", check: |world, _| Box::pin(truth_counts(world)) },
    Rule { name: "counters/orphans-expire", check: |world, _| Box::pin(orphans_expire(world)) },
];

const KEY: &str = "streams";

async fn reserve(engine: &dyn StorageEngine, amount: u64, limit: u64) -> Result<Grant, CapabilityError> {
    match engine.parts().counters {
        Some(counters) => counters.reserve(KEY, amount, limit, TTL).await,
        None => Err(CapabilityError::Gone { what: "the capability".to_owned() }),
    }
}

/// What was granted to many at once never exceeds the limit, and all of it is given.
async fn within_limit(world: &World, effort: Effort) -> Proof {
    let limit = (effort.tasks * effort.rounds) as u64;
    let granted = at_once(effort.tasks, |_| {
        let engine = world.open();
        async move {
            let mut granted = 0;
            for _ in 0..effort.rounds {
                match reserve(engine.as_ref(), 2, limit).await {
                    Ok(grant) => granted += grant.amount,
                    Err(CapabilityError::Full { .. }) => {}
                    Err(error) => return Err(Ended::from(error)),
                }
            }
            Ok(granted)
        }
    })
    .await?;
    let granted: u64 = granted.into_iter().collect::<Result<Vec<u64>, _>>()?.iter().sum();
    ensure(granted <= limit, format!("{granted} of {limit} were granted"))?;
    ensure(granted + 1 >= limit, format!("{granted} of {limit} were granted, and more were asked for"))?;
    let engine = world.open();
    let usage = part(engine.parts().counters)?.usage(KEY).await?;
    ensure(usage == Usage { used: 0, reserved: granted }, format!("{granted} were granted, and it says {usage:?}"))
}

/// The last unit is given, and one more is not.
async fn all_room_is_given(world: &World) -> Proof {
    let engine = world.open();
    let first = reserve(engine.as_ref(), 3, 4).await?;
    refused(reserve(engine.as_ref(), 2, 4).await, "more was granted than was left")?;
    let _last = reserve(engine.as_ref(), 1, 4).await?;
    refused(reserve(engine.as_ref(), 1, 4).await, "more was granted than was left")?;
    part(engine.parts().counters)?.release(first).await?;
    let _again = reserve(engine.as_ref(), 3, 4).await?;
    Ok(())
}

/// Settled or released, a grant cannot end again.
async fn ends_once(world: &World) -> Proof {
    let engine = world.open();
    let counters = part(engine.parts().counters)?;
    let (settled, released) = (reserve(engine.as_ref(), 2, 9).await?, reserve(engine.as_ref(), 3, 9).await?);
    ensure(settled.id != released.id, "two grants have one number")?;
    counters.settle(settled.clone(), 2).await?;
    counters.release(released.clone()).await?;
    for grant in [settled, released] {
        refused(counters.settle(grant.clone(), 2).await, "a grant was settled after its end")?;
        refused(counters.release(grant).await, "a grant was released after its end")?;
    }
    let usage = counters.usage(KEY).await?;
    ensure(usage == Usage { used: 2, reserved: 0 }, format!("2 were used, and it says {usage:?}"))
}

/// What was really used counts, be it more than was reserved.
async fn truth_counts(world: &World) -> Proof {
    let engine = world.open();
    let counters = part(engine.parts().counters)?;
    let grant = reserve(engine.as_ref(), 2, 5).await?;
    let usage = counters.settle(grant, 6).await?;
    ensure(usage == Usage { used: 6, reserved: 0 }, format!("6 were used, and it says {usage:?}"))?;
    refused(reserve(engine.as_ref(), 1, 5).await, "more was granted than was left")
}

/// A grant whose holder died gives its room back after its time; who wakes up late cannot use it.
async fn orphans_expire(world: &World) -> Proof {
    let (engine, clock) = (world.open(), world.hand()?);
    let counters = part(engine.parts().counters)?;
    let orphan = reserve(engine.as_ref(), 4, 4).await?;
    set_back(clock, HOUR);
    refused(reserve(engine.as_ref(), 1, 4).await, "room was given twice")?;
    clock.advance(PAST_TTL);
    let _next = reserve(engine.as_ref(), 4, 4).await?;
    refused(counters.settle(orphan, 1).await, "a grant was settled after its room was given away")?;
    set_back(clock, HOUR);
    let usage = counters.usage(KEY).await?;
    ensure(usage == Usage { used: 0, reserved: 4 }, format!("4 are reserved, and it says {usage:?}"))
}
