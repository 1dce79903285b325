//! Who acts in the model: processes of ours that renew in time, and the official client, wrapped or plain.

use codex_auth_core::{ANSWER_LOST, KeepError, RefreshReason};

use super::{
    facts::{Fate, Pair, Who},
    ports::{Process, is_due},
    world::World,
};

/// A process of ours: it looks, and renews what ends within `ahead` seconds. Whatever comes back must hold.
pub(super) async fn keeper(process: Process, ahead: i64, rounds: usize) {
    for _ in 0..rounds {
        let seen = process.look().await;
        let now = process.world.now();
        if seen.account.needs_login.is_some() || !Pair::of(&seen.credential).ends_within(ahead, now) {
            continue;
        }
        let result =
            process.keeper().renew(&seen.account.record, &seen.credential, RefreshReason::ProactiveExpiry).await;
        process.world.with(|state| match &result {
            Ok(held) if held.credential.refresh == seen.credential.refresh => {
                state.break_rule("a keeper hands out what was to be renewed");
            }
            Err(KeepError::NeedsLogin { code }) if code != ANSWER_LOST && state.issuer.revoked.is_empty() => {
                state.break_rule(format!("an account is given up without cause: {code}"));
            }
            Ok(_) | Err(_) => {}
        });
    }
}

/// The official client behind our wrapper: it asks the door, and writes what it gets by compare-and-swap.
pub(super) async fn wrapped(world: World, rounds: usize) {
    let mut cached = world.with(|state| state.disk.login);
    for _ in 0..rounds {
        if !is_due(&world, cached) {
            continue;
        }
        cached = read_login(&world).await;
        if is_due(&world, cached)
            && let Some(fresh) = world.ask(cached.number).await
        {
            cached = compare_and_swap(&world, cached, fresh).await;
        }
    }
}

/// The official client by itself: it takes no lock before the network. What was refused it does not present again,
/// what was lost it does.
pub(super) async fn plain(world: World, rounds: usize) {
    let (mut cached, mut refused) = (world.with(|state| state.disk.login), None);
    for _ in 0..rounds {
        if !is_due(&world, cached) {
            continue;
        }
        cached = read_login(&world).await;
        if !is_due(&world, cached) || refused == Some(cached) {
            continue;
        }
        world.step("the client presents").await;
        let fate = world.fate();
        let fresh = world.with(|state| state.present(Who::Client, cached.number, fate));
        world.note(&(fate, fresh));
        match (fate, fresh) {
            (Fate::Answered, Some(fresh)) => cached = compare_and_swap(&world, cached, fresh).await,
            (Fate::Answered, None) => refused = Some(cached),
            (Fate::TakenAndLost | Fate::Vanished | Fate::Unsent | Fate::ProvenUnsent, _) => {}
        }
    }
}

async fn read_login(world: &World) -> Pair {
    world.step("the client reads its login").await;
    let login = world.with(|state| state.disk.login);
    world.note(&login);
    login
}

/// Both sides write under the same locks, so this is one step.
async fn compare_and_swap(world: &World, read: Pair, fresh: Pair) -> Pair {
    world.step("the client writes its login").await;
    let login = world.with(|state| {
        if state.disk.login == read {
            state.disk.login = fresh;
        }
        state.disk.login
    });
    world.note(&login);
    login
}
