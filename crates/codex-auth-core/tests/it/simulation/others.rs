//! Other programs that edit the store: the person at the command line, and whoever else keeps accounts there.

use std::sync::Arc;

use codex_auth_core::{
    ANSWER_LOST, AccountStore, Credential, Held, IDENTITY_CHANGED, Rest, RestReason, RestScope, SavedPool,
    testing::account,
};

use super::{vendor::Vendor, world::World};
use crate::stepped::Stepped;

/// Account `n`, signed in just now.
pub(crate) fn signed_in(vendor: &Vendor, n: usize) -> Held {
    Held { account: account(n), credential: vendor.sign_in(&format!("user-{n}")) }
}

/// One edit by chance.
pub(crate) async fn edit(world: Arc<World>, vendor: Arc<Vendor>, store: Arc<Stepped>) {
    let (act, number, now) = (world.below(16), world.below(5) + 1, world.now());
    let fresh = signed_in(&vendor, number);
    let change = move |pool: &mut SavedPool| match act {
        0 => with(pool, &fresh, |held| held.account.enabled = false),
        1 => pool.accounts.iter_mut().for_each(|held| held.account.enabled = true),
        2 => pool.pin = Some(fresh.account.record),
        3 | 4 | 10 | 11 => pool.pin = None,
        5 => pool.affinity_generation += 1,
        6 => pool.accounts.retain(|held| held.account.record != fresh.account.record),
        7 => pool.active = Some(fresh.account.record),
        8 => {
            let until = now.after(std::time::Duration::from_mins(3));
            let scope = RestScope::QuotaKey("gpt-5.2".into());
            with(pool, &fresh, |held| held.account.rest(Rest { until, reason: RestReason::UsageLimit, scope }));
        }
        9 => sign_in(pool, fresh),
        _ => sign_in_again(&vendor, pool),
    };
    let noted = move |pool: &mut SavedPool| {
        change(pool);
        world.count(|tally| tally.edits += 1);
    };
    store.edit(Box::new(noted)).await.expect("memory obeys");
}

fn with(pool: &mut SavedPool, who: &Held, change: impl FnOnce(&mut Held)) {
    if let Some(held) = pool.find_mut(&who.account.record) {
        change(held);
    }
}

/// A sign-in replaces the credential of an account it knows, and else adds one.
fn sign_in(pool: &mut SavedPool, fresh: Held) {
    match pool.find_mut(&fresh.account.record) {
        Some(held) => {
            let generation = held.credential.generation + 1;
            held.credential = Credential { generation, ..fresh.credential };
            held.account.needs_login = None;
        }
        None => pool.accounts.push(fresh),
    }
}

/// Mostly, people sign in where they are asked to.
fn sign_in_again(vendor: &Vendor, pool: &mut SavedPool) {
    for held in pool.accounts.iter_mut().filter(|held| held.account.needs_login.is_some()) {
        let generation = held.credential.generation + 1;
        let person = held.account.owner.user.as_ref().map_or("nobody", |user| user.as_str());
        held.credential = Credential { generation, ..vendor.sign_in(person) };
        held.account.needs_login = None;
    }
}

/// Whether an account was marked for a reason: its token is worth nothing or may be, the issuer
/// answered for somebody else, or a crash left it in the dark.
pub(crate) fn is_justified(vendor: &Vendor, held: &Held, code: &str, crashes: u64) -> bool {
    let token = &held.credential.refresh;
    !vendor.is_good(token)
        || vendor.may_be_spent(token)
        || code == IDENTITY_CHANGED
        || (code == ANSWER_LOST && crashes > 0)
}
