//! Rules of watching.

use std::time::Duration;

use super::{
    Effort, Ended, Proof, Rule, World,
    parts::{commit_over, ensure, lease, part},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "watch/none-missed", check: |world, effort| Box::pin(none_missed(world, effort)) },
    Rule { name: "watch/quiet", check: |world, _| Box::pin(quiet(world)) },
    Rule { name: "watch/wakes", check: |world, _| Box::pin(wakes(world)) },
    Rule { name: "watch/follows", check: |world, effort| Box::pin(follows(world, effort)) },
];

/// Longer than any change takes to be told.
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(20);

/// Every commit after a cursor shows since it, also for a handle that is opened later.
async fn none_missed(world: &World, effort: Effort) -> Proof {
    let (engine, id) = (world.open(), world.account());
    let vault = part(engine.parts().vault)?;
    let lease = lease(engine.as_ref(), id).await?;
    let mut reader = world.open();
    ensure(part(reader.parts().watch)?.changes(None).await?.changed, "without a cursor nothing is new")?;
    for round in 0..effort.rounds {
        let before = part(reader.parts().watch)?.changes(None).await?.cursor;
        commit_over(engine.as_ref(), vault, &lease, id, &format!("a-{round}")).await?;
        commit_over(engine.as_ref(), vault, &lease, id, &format!("b-{round}")).await?;
        if round % 2 == 0 {
            reader = world.open();
        }
        let seen = part(reader.parts().watch)?.changes(Some(before)).await?;
        ensure(seen.changed, "a change was missed")?;
    }
    Ok(())
}

/// Where nothing changes, nothing is told, and waiting ends.
async fn quiet(world: &World) -> Proof {
    let engine = world.open();
    let watch = part(engine.parts().watch)?;
    let cursor = watch.changes(None).await?.cursor;
    for _ in 0..3 {
        let seen = watch.changes(Some(cursor)).await?;
        ensure(!seen.changed && seen.cursor == cursor, "a change was told, and nothing changed")?;
    }
    let other = world.open();
    let waited = part(other.parts().watch)?.wait(cursor, SHORT).await?;
    ensure(!waited.changed, "waiting ended with a change, and nothing changed")
}

/// Who waits is told of the change that comes, and at once of one that was.
async fn wakes(world: &World) -> Proof {
    let (engine, reader, id) = (world.open(), world.open(), world.account());
    let vault = part(engine.parts().vault)?;
    let lease = lease(engine.as_ref(), id).await?;
    let cursor = part(reader.parts().watch)?.changes(None).await?.cursor;
    let waiter = tokio::spawn(async move {
        let seen = part(reader.parts().watch)?.wait(cursor, LONG).await?;
        Ok::<bool, Ended>(seen.changed)
    });
    tokio::task::yield_now().await;
    commit_over(engine.as_ref(), vault, &lease, id, "news").await?;
    let told = waiter.await.map_err(|error| Ended::Broken(format!("a task ended early: {error}")))??;
    ensure(told, "who waited was not told")?;
    ensure(part(engine.parts().watch)?.wait(cursor, LONG).await?.changed, "a change that was is not told")
}

/// A reader that follows the changes ends up with the last commit, while others write.
async fn follows(world: &World, effort: Effort) -> Proof {
    let (engine, reader, id) = (world.open(), world.open(), world.account().clone());
    let last = part(engine.parts().vault)?.get(&id).await?.generation + (effort.tasks * effort.rounds) as u64;
    let lease = lease(engine.as_ref(), &id).await?;
    let watched = id.clone();
    let follower = tokio::spawn(async move {
        let (watch, vault) = (part(reader.parts().watch)?, part(reader.parts().vault)?);
        let mut seen = watch.changes(None).await?;
        while vault.get(&watched).await?.generation < last {
            seen = watch.wait(seen.cursor, LONG).await?;
            ensure(seen.changed, "a follower hangs before the last commit")?;
        }
        Ok::<(), Ended>(())
    });
    for n in 0..effort.tasks * effort.rounds {
        commit_over(engine.as_ref(), part(engine.parts().vault)?, &lease, &id, &format!("n-{n}")).await?;
    }
    follower.await.map_err(|error| Ended::Broken(format!("a task ended early: {error}")))?
}
