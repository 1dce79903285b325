//! Rules of leases, most of them about clocks that are set.

use codex_auth_core::capability::{CapabilityError, Fence, FencedLease, StorageEngine};

use super::{
    Effort, Proof, Rule, World,
    parts::{HOUR, PAST_TTL, TTL, at_once, ensure, part, refused, set_back},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "leases/one-holder", check: |world, effort| Box::pin(one_holder(world, effort)) },
    Rule { name: "leases/fences-grow", check: |world, effort| Box::pin(fences_grow(world, effort)) },
    Rule { name: "leases/keys-apart", check: |world, _| Box::pin(keys_apart(world)) },
    Rule { name: "leases/expire", check: |world, _| Box::pin(expire(world)) },
    Rule { name: "leases/renew", check: |world, _| Box::pin(renew(world)) },
    Rule { name: "leases/no-revival", check: |world, _| Box::pin(no_revival(world)) },
    Rule { name: "leases/end-after-set-back", check: |world, _| Box::pin(end_after_set_back(world)) },
    Rule { name: "leases/jump-and-return", check: |world, _| Box::pin(jump_and_return(world)) },
    Rule { name: "leases/lost-release", check: |world, _| Box::pin(lost_release(world)) },
];

/// Of many who ask at once, one gets it.
async fn one_holder(world: &World, effort: Effort) -> Proof {
    for _ in 0..effort.rounds {
        let key = world.account().to_string();
        let asked = at_once(effort.tasks, |_| {
            let (engine, key) = (world.open(), key.clone());
            // The handle comes along: a handle that is dropped may be taken for a holder that died.
            async move { (ask(engine.as_ref(), &key).await, engine) }
        })
        .await?;
        let got: Vec<_> = asked.into_iter().filter_map(|(got, engine)| Some((got.ok()?, engine))).collect();
        ensure(got.len() == 1, format!("{} of {} got the lease", got.len(), effort.tasks))?;
        for (lease, engine) in got {
            part(engine.parts().leases)?.release(lease).await?;
        }
    }
    Ok(())
}

/// Each fence is greater than all before it, however the last lease ended.
async fn fences_grow(world: &World, effort: Effort) -> Proof {
    let key = world.account().as_str();
    let mut last = Fence(0);
    for round in 0..effort.rounds * 2 {
        // A new handle each time, as after a crash.
        let engine = world.open();
        let leases = part(engine.parts().leases)?;
        let lease = leases.acquire(key, TTL).await?;
        ensure(lease.fence > last, format!("fence {} came after {last}", lease.fence))?;
        last = lease.fence;
        match &world.clock {
            Some(clock) if round % 2 == 0 => clock.advance(PAST_TTL),
            Some(_) | None => leases.release(lease).await?,
        }
    }
    Ok(())
}

/// Leases of two keys do not know each other.
async fn keys_apart(world: &World) -> Proof {
    let engine = world.open();
    let leases = part(engine.parts().leases)?;
    for key in [world.account().as_str(), world.other().as_str(), "scheduler"] {
        let _lease = leases.acquire(key, TTL).await?;
    }
    Ok(())
}

/// A lease lasts as long as it was granted for, and no longer.
async fn expire(world: &World) -> Proof {
    let (engine, clock, key) = (world.open(), world.hand()?, world.account().as_str());
    let (leases, other) = (part(engine.parts().leases)?, world.open());
    let others = part(other.parts().leases)?;
    let _lease = leases.acquire(key, TTL).await?;
    clock.advance(TTL / 2);
    refused(others.acquire(key, TTL).await, "a lease was given away in its time")?;
    clock.advance(TTL);
    let _next = others.acquire(key, TTL).await?;
    Ok(())
}

/// A renewed lease keeps its fence and lasts from now on; one that has ended cannot be renewed.
async fn renew(world: &World) -> Proof {
    let (engine, clock, key) = (world.open(), world.hand()?, world.account().as_str());
    let leases = part(engine.parts().leases)?;
    let first = leases.acquire(key, TTL).await?;
    clock.advance(TTL / 2);
    let renewed = leases.renew(&first, TTL).await?;
    ensure(renewed.fence == first.fence, "renewing changed the fence")?;
    clock.advance(TTL / 2);
    refused(ask(world.open().as_ref(), key).await, "a renewed lease was given away in its time")?;
    clock.advance(TTL);
    refused(leases.renew(&renewed, TTL).await, "a lease was renewed after its end")
}

/// Asks on a handle of its own.
async fn ask(engine: &dyn StorageEngine, key: &str) -> Result<FencedLease, CapabilityError> {
    match engine.parts().leases {
        Some(leases) => leases.acquire(key, TTL).await,
        None => Err(CapabilityError::Gone { what: "the capability".to_owned() }),
    }
}

/// What was seen to have ended has ended, also when the host's clock is set back into its time.
async fn no_revival(world: &World) -> Proof {
    let (engine, clock, key) = (world.open(), world.hand()?, world.account().as_str());
    let leases = part(engine.parts().leases)?;
    let lease = leases.acquire(key, TTL).await?;
    clock.advance(PAST_TTL);
    refused(leases.renew(&lease, TTL).await, "a lease was renewed after its end")?;
    set_back(clock, HOUR);
    refused(leases.renew(&lease, TTL).await, "a lease came back to life when the clock was set back")?;
    let next = leases.acquire(key, TTL).await?;
    ensure(next.fence > lease.fence, "a fence came twice")
}

/// A lease ends after its time, also when the host's clock is set back meanwhile.
async fn end_after_set_back(world: &World) -> Proof {
    let (engine, clock, key) = (world.open(), world.hand()?, world.account().as_str());
    let leases = part(engine.parts().leases)?;
    let _lease = leases.acquire(key, TTL).await?;
    set_back(clock, HOUR);
    refused(leases.acquire(key, TTL).await, "a lease was given away in its time")?;
    clock.advance(PAST_TTL);
    let next = leases.acquire(key, TTL).await;
    ensure(next.is_ok(), "a clock that was set back made a lease longer")
}

/// After a jump forward and back again, leases go on as if nothing had been, one way or the other.
async fn jump_and_return(world: &World) -> Proof {
    let (engine, clock, key) = (world.open(), world.hand()?, world.account().as_str());
    let leases = part(engine.parts().leases)?;
    let first = leases.acquire(key, TTL).await?;
    clock.advance(HOUR);
    let second = leases.acquire(key, TTL).await?;
    ensure(second.fence > first.fence, "a fence came twice")?;
    set_back(clock, HOUR);
    refused(leases.renew(&first, TTL).await, "the lease before the jump came back to life")?;
    clock.advance(PAST_TTL);
    refused(leases.renew(&second, TTL).await, "a lease from within the jump did not end")?;
    let _third = leases.acquire(key, TTL).await?;
    Ok(())
}

/// Who lost a lease cannot give back the next one's.
async fn lost_release(world: &World) -> Proof {
    let (engine, clock, key) = (world.open(), world.hand()?, world.account().as_str());
    let (leases, other) = (part(engine.parts().leases)?, world.open());
    let others = part(other.parts().leases)?;
    let lost = leases.acquire(key, TTL).await?;
    clock.advance(PAST_TTL);
    let next = others.acquire(key, TTL).await?;
    leases.release(lost).await?;
    refused(ask(world.open().as_ref(), key).await, "a lost lease gave back its successor's")?;
    let _renewed = others.renew(&next, TTL).await?;
    Ok(())
}
