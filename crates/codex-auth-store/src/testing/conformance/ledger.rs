//! Rules of the ledger.

use std::time::Duration;

use codex_auth_core::{
    Timestamp,
    capability::{Appended, UsageEntry, roll_up},
};

use super::{
    Effort, Ended, Proof, Rule, World,
    parts::{at_once, ensure, part, refused},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "ledger/once", check: |world, effort| Box::pin(once(world, effort)) },
    Rule { name: "ledger/no-reuse", check: |world, _| Box::pin(no_reuse(world)) },
    Rule { name: "ledger/range", check: |world, effort| Box::pin(range(world, effort)) },
    Rule { name: "ledger/rollup", check: |world, effort| Box::pin(rollup(world, effort)) },
];

fn event(n: usize) -> UsageEntry {
    let at = i64::try_from(n * 7919 % 1000).unwrap_or(0);
    UsageEntry {
        key: format!("event-{n}"),
        at: Timestamp::from_secs(at),
        subject: format!("account-{}", n % 3),
        amount: n as u64 + 1,
    }
}

const ALL: std::ops::Range<Timestamp> = Timestamp::from_secs(0)..Timestamp::from_secs(1000);

/// Everybody appends every event, and each is there once.
async fn once(world: &World, effort: Effort) -> Proof {
    let told = at_once(effort.tasks, |_| {
        let engine = world.open();
        async move {
            let ledger = part(engine.parts().ledger)?;
            let mut new = 0;
            for n in 0..effort.rounds {
                new += usize::from(ledger.append(event(n)).await? == Appended::New);
            }
            Ok::<usize, Ended>(new)
        }
    })
    .await?;
    let new: usize = told.into_iter().collect::<Result<Vec<usize>, _>>()?.iter().sum();
    ensure(new == effort.rounds, format!("{} events were new {new} times", effort.rounds))?;
    let engine = world.open();
    let kept = part(engine.parts().ledger)?.range(ALL).await?.len();
    ensure(kept == effort.rounds, format!("{} events are there {kept} times", effort.rounds))
}

/// One key is one event.
async fn no_reuse(world: &World) -> Proof {
    let engine = world.open();
    let ledger = part(engine.parts().ledger)?;
    ledger.append(event(1)).await?;
    for other in [UsageEntry { amount: 99, ..event(1) }, UsageEntry { at: Timestamp::from_secs(999), ..event(1) }] {
        refused(ledger.append(other).await, "a key was written with other content")?;
    }
    ensure(ledger.range(ALL).await? == [event(1)], "a refused event changed something")
}

/// From the first instant on, up to but without the last; by time, then key; also for a later handle.
async fn range(world: &World, effort: Effort) -> Proof {
    let engine = world.open();
    let ledger = part(engine.parts().ledger)?;
    let count = effort.tasks * effort.rounds;
    for n in 0..count {
        ledger.append(event(n)).await?;
        ledger.append(UsageEntry { key: format!("a-{n}"), ..event(n) }).await?;
    }
    let mut expect: Vec<_> =
        (0..count).flat_map(|n| [event(n), UsageEntry { key: format!("a-{n}"), ..event(n) }]).collect();
    expect.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
    drop(engine);
    let next = world.open();
    let reader = part(next.parts().ledger)?;
    ensure(reader.range(ALL).await? == expect, "the whole range is not what was written")?;
    let (from, to) = (expect[count / 2].at, expect[count + count / 2].at);
    expect.retain(|event| event.at >= from && event.at < to);
    ensure(reader.range(from..to).await? == expect, "a part of the range is not what was written")
}

/// Sums are those of the events.
async fn rollup(world: &World, effort: Effort) -> Proof {
    let engine = world.open();
    let ledger = part(engine.parts().ledger)?;
    for n in 0..effort.tasks * effort.rounds {
        ledger.append(event(n)).await?;
        // Told twice, as retries are.
        ledger.append(event(n)).await?;
        let step = Duration::from_secs(100);
        let rolled = ledger.rollup(ALL, step).await?;
        ensure(rolled == roll_up(&ledger.range(ALL).await?, step), "a sum is not that of its events")?;
        let expect: u64 = (0..=n as u64).map(|n| n + 1).sum();
        let sum: u64 = rolled.iter().map(|sum| sum.amount).sum();
        ensure(sum == expect, format!("{expect} were used, and the sums say {sum}"))?;
    }
    Ok(())
}
