//! Rules of the vault.

use codex_auth_core::{
    RecordId,
    capability::{CapabilityError, Caps, Commit, Contents, Fence, FencedLease, Leases, SealedBytes, StorageEngine},
};

use super::{
    Effort, Ended, Proof, Rule, World,
    parts::{PAST_TTL, at_once, commit_over, contents, ensure, lease, part, refused},
};

pub(super) const RULES: &[Rule<World>] = &[
    Rule { name: "vault/old-generation", check: |world, _| Box::pin(old_generation(world)) },
    Rule { name: "vault/no-lost-update", check: |world, effort| Box::pin(no_lost_update(world, effort)) },
    Rule { name: "vault/fresh-read", check: |world, effort| Box::pin(fresh_read(world, effort)) },
    Rule { name: "vault/old-fence", check: |world, _| Box::pin(old_fence(world)) },
    Rule { name: "vault/paused-holder", check: |world, _| Box::pin(paused_holder(world)) },
    Rule { name: "vault/same-commit-again", check: |world, _| Box::pin(same_commit_again(world)) },
    Rule { name: "vault/unknown-account", check: |world, _| Box::pin(unknown_account(world)) },
    Rule { name: "vault/admits", check: |world, _| Box::pin(admits(world)) },
];

/// A commit that expects any but the last generation fails and changes nothing.
async fn old_generation(world: &World) -> Proof {
    let engine = world.open();
    let (vault, id) = (part(engine.parts().vault)?, world.account());
    let lease = lease(engine.as_ref(), id).await?;
    let before = vault.get(id).await?.generation;
    let first = commit_over(engine.as_ref(), vault, &lease, id, "first").await?;
    ensure(first == before + 1, format!("generation {before} was followed by {first}"))?;
    for (expected, how) in
        [(before, "an old generation was replaced"), (first + 1, "a generation to come was replaced")]
    {
        let contents = contents(engine.caps(), "wrong");
        let commit = Commit { id: id.clone(), expected, fence: lease.fence, contents };
        refused(vault.commit(commit).await, how)?;
    }
    let kept = vault.get(id).await?;
    let is_first = kept.generation == first && kept.contents.same_tokens(&contents(engine.caps(), "first"));
    ensure(is_first, "a refused commit changed something")?;
    let listed = vault.list().await?;
    ensure(listed.iter().any(|(listed, generation)| listed == id && *generation == first), "the list says otherwise")
}

/// Many who read and commit at once: each success is one generation, and none is lost.
async fn no_lost_update(world: &World, effort: Effort) -> Proof {
    let engine = world.open();
    let (vault, id) = (part(engine.parts().vault)?, world.account());
    let lease = lease(engine.as_ref(), id).await?;
    let before = vault.get(id).await?.generation;
    let written = at_once(effort.tasks, |task| {
        let (engine, lease) = (world.open(), lease.clone());
        async move {
            let mut written = Vec::new();
            for round in 0..effort.rounds {
                let name = format!("{task}-{round}");
                written.push(in_turn(engine.as_ref(), &lease, &name, effort.tasks * effort.rounds).await?);
            }
            Ok::<_, Ended>(written)
        }
    })
    .await?;
    let mut all: Vec<u64> = written.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    all.sort_unstable();
    let expect: Vec<u64> = (before + 1..).take(effort.tasks * effort.rounds).collect();
    ensure(all == expect, format!("commits were acknowledged as generations {all:?}"))?;
    let last = vault.get(id).await?.generation;
    ensure(Some(&last) == all.last(), format!("{last} is the last generation, {:?} was acknowledged", all.last()))
}

/// Commits as soon as nobody comes between reading and writing. Each failure is somebody else's success, of which
/// there are only so many.
async fn in_turn(engine: &dyn StorageEngine, lease: &FencedLease, name: &str, others: usize) -> Result<u64, Ended> {
    let id = RecordId::parse(&lease.key).ok_or(Ended::LeftOut("no name"))?;
    for _ in 0..=others {
        match commit_over(engine, part(engine.parts().vault)?, lease, &id, name).await {
            Ok(generation) => return Ok(generation),
            Err(CapabilityError::Stale { .. }) => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Ended::Broken("commits are refused as stale, and nobody else committed".to_owned()))
}

/// What one handle wrote, every other one reads.
async fn fresh_read(world: &World, effort: Effort) -> Proof {
    let (writer, reader, id) = (world.open(), world.open(), world.account());
    let (vault, other) = (part(writer.parts().vault)?, part(reader.parts().vault)?);
    let lease = lease(writer.as_ref(), id).await?;
    other.get(id).await?;
    for round in 0..effort.rounds {
        let name = format!("round-{round}");
        let written = commit_over(writer.as_ref(), vault, &lease, id, &name).await?;
        let read = other.get(id).await?;
        let is_fresh = read.generation == written && read.contents.same_tokens(&contents(writer.caps(), &name));
        ensure(is_fresh, format!("generation {written} was committed, and {} was read", read.generation))?;
    }
    Ok(())
}

/// Only the lease that runs may commit.
async fn old_fence(world: &World) -> Proof {
    let (engine, id) = (world.open(), world.account());
    let (vault, leases) = (part(engine.parts().vault)?, leases_of(engine.parts().leases)?);
    let old = lease(engine.as_ref(), id).await?;
    leases.release(old.clone()).await?;
    refused(commit_over(engine.as_ref(), vault, &old, id, "late").await, "a released lease committed")?;
    let new = lease(engine.as_ref(), id).await?;
    refused(commit_over(engine.as_ref(), vault, &old, id, "late").await, "a lower fence committed")?;
    let mut made_up = new.clone();
    made_up.fence = Fence(new.fence.0 + 7);
    refused(commit_over(engine.as_ref(), vault, &made_up, id, "x").await, "a fence nobody was given committed")?;
    let other = lease(engine.as_ref(), world.other()).await?;
    if other.fence != new.fence {
        refused(commit_over(engine.as_ref(), vault, &other, id, "x").await, "another account's fence committed")?;
    }
    commit_over(engine.as_ref(), vault, &new, id, "new").await?;
    Ok(())
}

/// A holder that slept past the end of its lease cannot commit, whether or not somebody followed.
async fn paused_holder(world: &World) -> Proof {
    let (engine, id, clock) = (world.open(), world.account(), world.hand()?);
    let vault = part(engine.parts().vault)?;
    leases_of(engine.parts().leases)?;
    let asleep = lease(engine.as_ref(), id).await?;
    clock.advance(PAST_TTL);
    refused(commit_over(engine.as_ref(), vault, &asleep, id, "late").await, "an expired lease committed")?;
    let successor = world.open();
    let next = lease(successor.as_ref(), id).await?;
    refused(commit_over(engine.as_ref(), vault, &asleep, id, "late").await, "an overtaken lease committed")?;
    commit_over(successor.as_ref(), part(successor.parts().vault)?, &next, id, "next").await?;
    Ok(())
}

/// Whoever did not hear the answer may ask again.
async fn same_commit_again(world: &World) -> Proof {
    let (engine, id) = (world.open(), world.account());
    let vault = part(engine.parts().vault)?;
    let lease = lease(engine.as_ref(), id).await?;
    let expected = vault.get(id).await?.generation;
    let contents = contents(engine.caps(), "once");
    let commit = Commit { id: id.clone(), expected, fence: lease.fence, contents };
    let first = vault.commit(commit.clone()).await?;
    let again = vault.commit(commit).await?;
    ensure(first == again, format!("the same commit was answered with {first}, then with {again}"))?;
    ensure(vault.get(id).await?.generation == first, "the same commit was done twice")
}

/// Nothing is made up for an account that is not there.
async fn unknown_account(world: &World) -> Proof {
    let engine = world.open();
    let vault = part(engine.parts().vault)?;
    let nobody = RecordId::parse("record:nobody").ok_or(Ended::LeftOut("no name"))?;
    refused(vault.get(&nobody).await, "an unknown account was read")?;
    let lease = lease(engine.as_ref(), &nobody).await?;
    let contents = contents(engine.caps(), "x");
    let commit = Commit { id: nobody, expected: 0, fence: lease.fence, contents };
    refused(vault.commit(commit).await, "an unknown account was written")
}

/// The engine takes what it says it takes, and nothing else.
async fn admits(world: &World) -> Proof {
    let (engine, id) = (world.open(), world.account());
    let (vault, caps) = (part(engine.parts().vault)?, engine.caps());
    let lease = lease(engine.as_ref(), id).await?;
    let large = usize::try_from(caps.largest_item).unwrap_or(usize::MAX).checked_add(1);
    let large = "x".repeat(large.filter(|size| *size <= 1 << 24).ok_or(Ended::LeftOut("there is no limit to try"))?);
    for (contents, is_taken) in [
        (Contents::Sealed(SealedBytes::new(b"\0sealed\xff".to_vec())), caps.takes_sealed),
        (contents(Caps { takes_plain: true, ..caps }, "plain"), caps.takes_plain),
        (contents(caps, &large), false),
    ] {
        let expected = vault.get(id).await?.generation;
        let commit = Commit { id: id.clone(), expected, fence: lease.fence, contents: contents.clone() };
        if is_taken {
            vault.commit(commit).await?;
            ensure(vault.get(id).await?.contents.same_tokens(&contents), "something else came back")?;
        } else {
            refused(vault.commit(commit).await, "the engine took what it says it does not")?;
        }
    }
    Ok(())
}

/// Fences need somebody who gives them out.
fn leases_of(leases: Option<&dyn Leases>) -> Result<&dyn Leases, Ended> {
    leases.ok_or(Ended::LeftOut("the engine has no leases"))
}
