//! Rules of facts.

use codex_auth_core::{Timestamp, capability::Observation};

use super::{
    Effort, Ended, Proof, Rule, World,
    parts::{at_once, ensure, part},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "facts/idempotent", check: |world, _| Box::pin(idempotent(world)) },
    Rule { name: "facts/any-order", check: |world, effort| Box::pin(any_order(world, effort)) },
    Rule { name: "facts/never-back", check: |world, _| Box::pin(never_back(world)) },
    Rule { name: "facts/everybody-counts", check: |world, effort| Box::pin(everybody_counts(world, effort)) },
];

fn seen(key: &str, epoch: i64, used: u64, taken_at: i64) -> Observation {
    let source = format!("host-{}", used % 3);
    Observation { key: key.to_owned(), epoch, used, taken_at: Timestamp::from_secs(taken_at), source }
}

/// Told twice is told once.
async fn idempotent(world: &World) -> Proof {
    let engine = world.open();
    let facts = part(engine.parts().facts)?;
    ensure(facts.latest("never told").await?.is_none(), "something is known that nobody told")?;
    let once = facts.append(seen("k", 1, 40, 10)).await?;
    let twice = facts.append(seen("k", 1, 40, 10)).await?;
    ensure(once == twice && once == seen("k", 1, 40, 10), "telling twice changed what is known")?;
    ensure(facts.latest("k").await? == Some(twice), "what was answered is not what is known")
}

/// Every order of telling leads to the same, and that is the merge of all.
async fn any_order(world: &World, effort: Effort) -> Proof {
    let engine = world.open();
    let facts = part(engine.parts().facts)?;
    let told = [(1, 90, 50), (2, 5, 10), (2, 30, 20), (2, 30, 15)];
    for order in 0..effort.tasks.min(24) {
        let key = format!("order-{order}");
        let mut left = told.to_vec();
        let mut digits = order;
        let mut merged: Option<Observation> = None;
        while !left.is_empty() {
            let (epoch, used, at) = left.remove(digits % left.len());
            digits /= left.len() + 1;
            let next = seen(&key, epoch, used, at);
            merged = Some(merged.map_or_else(|| next.clone(), |known| known.merge(next.clone())));
            facts.append(next).await?;
        }
        let known = facts.latest(&key).await?;
        let is_best = known == merged && known == Some(seen(&key, 2, 30, 20));
        ensure(is_best, format!("in order {order}, what is known is {known:?}"))?;
    }
    Ok(())
}

/// Neither less use within an epoch nor an older epoch replaces what is known, however late it was seen.
async fn never_back(world: &World) -> Proof {
    let engine = world.open();
    let facts = part(engine.parts().facts)?;
    facts.append(seen("k", 2, 50, 10)).await?;
    for late in [seen("k", 2, 49, 99), seen("k", 1, 100, 99)] {
        let known = facts.append(late).await?;
        ensure(known == seen("k", 2, 50, 10), "the last who told won, not who knew most")?;
    }
    let reset = facts.append(seen("k", 3, 0, 11)).await?;
    ensure(reset == seen("k", 3, 0, 11), "a new epoch did not begin")
}

/// Of many who tell at once, all are heard.
async fn everybody_counts(world: &World, effort: Effort) -> Proof {
    let most = (effort.tasks * effort.rounds) as u64;
    let told = at_once(effort.tasks, |task| {
        let engine = world.open();
        async move {
            let facts = part(engine.parts().facts)?;
            for round in 0..effort.rounds {
                facts.append(seen("k", 1, (round * effort.tasks + task + 1) as u64, 1)).await?;
            }
            Ok::<(), Ended>(())
        }
    })
    .await?;
    told.into_iter().collect::<Result<Vec<()>, _>>()?;
    let engine = world.open();
    let known = part(engine.parts().facts)?.latest("k").await?.map(|seen| seen.used);
    ensure(known == Some(most), format!("{known:?} is known, and {most} was told"))
}
