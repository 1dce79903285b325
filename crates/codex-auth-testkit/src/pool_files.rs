//! Owns the accounts file (V3) of a fake's pool, sound or with chosen defects.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::grants::{Minting, Tokens};
use crate::jwt::{Lifetime, sha256_hex};
use crate::people::{Person, Who};
use crate::world::World;

/// Added-at instant of account 0; every account is one second younger than the one before it.
const ADDED_AT_MS: i64 = 1_700_000_000_000;
const FAMILIES: [&str; 5] = ["gpt-5-codex", "codex-max", "codex", "gpt-5.2", "gpt-5.1"];

/// Which accounts a pool file holds, and what is the matter with them. All numbers count from 1.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolKnobs {
    /// Only these; without it the whole pool.
    pub only: Option<Vec<usize>>,
    /// Their access token expired an hour ago.
    pub expired_access: Vec<usize>,
    /// Their sign-in was revoked at the issuer.
    pub revoked: Vec<usize>,
    /// Marked as in need of a new sign-in (and revoked).
    pub needs_login: Vec<usize>,
    /// Switched off.
    pub disabled: Vec<usize>,
    /// Stored without access token and expiry.
    pub without_access: Vec<usize>,
}

pub(crate) fn pool_document(world: &mut World, knobs: &PoolKnobs, now_ms: i64) -> Value {
    let numbers = knobs.only.clone().unwrap_or_else(|| world.people.pool().collect());
    let rows: Vec<Value> = numbers.into_iter().map(|number| pool_row(world, number, knobs, now_ms)).collect();
    let families: Map<String, Value> = FAMILIES.iter().map(|family| ((*family).to_owned(), json!(0))).collect();
    json!({ "version": 3, "accounts": rows, "activeIndex": 0, "activeIndexByFamily": families })
}

fn pool_row(world: &mut World, number: usize, knobs: &PoolKnobs, now_ms: i64) -> Value {
    let person = world.people.person(Who::Account(number));
    let expired = knobs.expired_access.contains(&number);
    let tokens = tokens_for(world, &person, now_ms, expired);
    let needs_login = knobs.needs_login.contains(&number);
    if needs_login || knobs.revoked.contains(&number) {
        world.issuer.grants.revoke(&tokens.refresh);
    }
    let added_at = ADDED_AT_MS + i64::try_from(number).unwrap_or(0) * 1000;
    let mut row = json!({
        "recordId": record_id(added_at, &person.account_id, &person.email, &tokens.refresh),
        "accountId": person.account_id, "accountIdSource": "token", "email": person.email,
        "refreshToken": tokens.refresh, "accessToken": tokens.access, "expiresAt": tokens.life.expires_ms,
        "addedAt": added_at, "lastUsed": added_at,
    });
    if knobs.without_access.contains(&number) {
        remove(&mut row, "accessToken");
        remove(&mut row, "expiresAt");
    }
    if knobs.disabled.contains(&number) {
        row["enabled"] = json!(false);
    }
    if needs_login {
        row["authInvalidatedAt"] = json!(now_ms);
        row["authInvalidationErrorCode"] = json!("token_invalidated");
    }
    row
}

/// The tokens documents are written with; somebody without any signs in first.
pub(crate) fn tokens_for(world: &mut World, person: &Person, now_ms: i64, expired: bool) -> Tokens {
    let issuer = &mut world.issuer;
    let held = issuer.grants.current(person.who).cloned();
    let mut tokens = held.unwrap_or_else(|| issuer.sign_in(&world.people, person.who, now_ms, true));
    if expired {
        let life = Lifetime { issued_ms: now_ms - 25 * 3_600_000, expires_ms: now_ms - 3_600_000 };
        let minting = Minting { person, issuer: &issuer.url, now_ms, access_secs: 0 };
        if let Some(access) = issuer.grants.extra_access(&mut issuer.mint, &minting, life) {
            tokens.access = access;
            tokens.life = life;
        }
    }
    tokens
}

/// `recordId` of an account, stable from the moment it is derived.
pub fn record_id(added_at_ms: i64, account_id: &str, email: &str, refresh_token: &str) -> String {
    let account_id = account_id.trim();
    let email = email.trim().to_lowercase();
    let refresh_token = refresh_token.trim();
    let text = format!("{added_at_ms}\0{account_id}\0{email}\0{refresh_token}");
    format!("record:{}", sha256_hex(text.as_bytes()))
}

pub(crate) fn remove(value: &mut Value, key: &str) {
    if let Some(object) = value.as_object_mut() {
        object.shift_remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_id_of_the_published_vector() {
        let expect = "record:87543379866b1e631b26939670719db130678e393aa63d9c9efba40b69eee74e";
        assert_eq!(record_id(1_700_000_000_000, "acc-1", "me@a.co", "RT1"), expect);
        assert_eq!(record_id(1_700_000_000_000, " acc-1", "Me@A.co ", "RT1\n"), expect);
    }
}
