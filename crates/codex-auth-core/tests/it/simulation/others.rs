//! Other programs that edit the store: the person at the command line, and whoever else keeps accounts there.

use std::sync::Arc;

use codex_auth_core::{
    AccountStore, Held, NeedsLogin, RecordId, Rest, RestReason, RestScope, SavedPool, testing::account,
};

use super::{vendor::Vendor, world::World};
use crate::stepped::Stepped;

/// Account `n`, signed in just now.
pub(crate) fn signed_in(vendor: &Vendor, n: usize) -> Held {
    Held { account: account(n), credential: vendor.sign_in(&format!("user-{n}")) }
}

/// One edit by chance.
pub(crate) async fn edit(world: Arc<World>, vendor: Arc<Vendor>, store: Arc<Stepped>) {
    let (act, number, now) = (world.below(11), world.below(5) + 1, world.now());
    let fresh = signed_in(&vendor, number);
    let change = move |pool: &mut SavedPool| match act {
        0 | 1 => with(pool, &fresh, |held| held.account.enabled = act == 1),
        2 => pool.pin = Some(fresh.account.record),
        3 | 4 => pool.pin = None,
        5 => pool.affinity_generation += 1,
        6 => pool.accounts.retain(|held| held.account.record != fresh.account.record),
        7 => pool.active = Some(fresh.account.record),
        8 => {
            let until = now.after(std::time::Duration::from_mins(3));
            let scope = RestScope::QuotaKey("gpt-5.2".into());
            with(pool, &fresh, |held| held.account.rest(Rest { until, reason: RestReason::UsageLimit, scope }));
        }
        _ => sign_in(pool, fresh),
    };
    store.edit(Box::new(change)).await.expect("memory obeys");
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
            held.credential = codex_auth_core::Credential { generation, ..fresh.credential };
            held.account.needs_login = None;
        }
        None => pool.accounts.push(fresh),
    }
}

/// Whether an account may be marked: only when its token is worth nothing, or may be.
pub(crate) fn is_marked_for_a_reason(vendor: &Vendor, held: &Held) -> bool {
    let token = &held.credential.refresh;
    !vendor.is_good(token) || vendor.may_be_spent(token)
}

/// The mark of an account, for messages.
pub(crate) fn mark(held: &Held) -> (&RecordId, Option<&NeedsLogin>) {
    (&held.account.record, held.account.needs_login.as_ref())
}
