//! What the fake saw, told in sentences and as the closing table.

use std::fmt::Write;

use codex_auth_core::{SavedPool, Timestamp};
use codex_auth_testkit::{FakeOpenAi, Who};

/// What one account came to so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    asked: u32,
    served: u32,
    renewed: u32,
    reused: u32,
}

/// All accounts, in order.
pub(super) type Tally = Vec<Counted>;

/// Counts as of now.
pub(super) fn counts(fake: &FakeOpenAi) -> Tally {
    let state = fake.state();
    (1..=3)
        .map(|number| {
            let counts = state.account(Who::Account(number)).map(|account| account.counts).unwrap_or_default();
            Counted {
                asked: counts.model_requests,
                served: counts.served,
                renewed: counts.presentations,
                reused: counts.reuses,
            }
        })
        .collect()
}

/// What happened between two counts.
pub(super) fn since(before: &Tally, now: &Tally) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, (before, now)) in before.iter().zip(now).enumerate() {
        let number = index + 1;
        let refused = (now.asked - before.asked).saturating_sub(now.served - before.served);
        if refused > 0 {
            lines.push(format!("account {number} was asked and refused"));
        }
        if now.renewed > before.renewed {
            lines.push(format!("account {number}'s token was renewed, once, and kept before it was used"));
        }
        if now.served > before.served {
            lines.push(format!("account {number} served"));
        }
    }
    lines
}

/// The closing table.
pub(super) fn table(pool: &SavedPool, fake: &FakeOpenAi, now: Timestamp) -> String {
    let mut table = format!(
        "{:<8} {:<22} {:>6} {:>7} {:>8} {:>7}  state",
        "account", "e-mail", "asked", "served", "renewed", "reused"
    );
    for (index, (held, count)) in pool.accounts.iter().zip(counts(fake)).enumerate() {
        let state = held.account.longest_rest(now).map_or_else(
            || "ready".to_owned(),
            |rest| format!("rests for {} min", rest.until.since(now).as_secs().div_ceil(60)),
        );
        let email = held.account.owner.email.as_deref().unwrap_or("-");
        let Counted { asked, served, renewed, reused } = count;
        // Writing to a string cannot fail.
        let _infallible =
            write!(table, "\n{:<8} {email:<22} {asked:>6} {served:>7} {renewed:>8} {reused:>7}  {state}", index + 1);
    }
    table
}
