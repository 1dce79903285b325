//! The codec of one domain of `codex-accounts.json`: its accounts as a pool for the engine.

use std::{collections::HashSet, sync::Arc};

use camino::Utf8Path;
use codex_auth_core::{
    AccessToken, Account, Credential, Held, RecordId, RefreshToken, Rest, RestReason, RestScope, SavedPool, Seen,
    StoreError, Timestamp,
};
use serde_json::{Value, json};

use super::{Domain, beside, change, migrate, normalise, record};
use crate::{
    claims::claims_of,
    document::{Codec, record::record_of, row::fill_from},
    json::{self, Object},
    merge::names_like,
};

/// One domain of the file as a pool. The other domain is kept as it stands, but for a grant both hold.
///
/// The format has no pin, no name of our own and no reason of a cool-down: the sidecar has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenCodeCodec {
    /// Whose accounts.
    pub(crate) domain: Domain,
}

impl Codec for OpenCodeCodec {
    fn upgrade(&self, path: &Utf8Path, document: Object, _now: Timestamp) -> Result<Object, StoreError> {
        let unknown = document.get("openai").is_some_and(|openai| !openai.is_object());
        if unknown {
            let why = "`openai` is not an object; mend it or move the file away".to_owned();
            return Err(StoreError::Unreadable { path: path.to_string(), why });
        }
        Ok(migrate::migrate(&document))
    }

    fn decode(&self, document: &Object, now: Timestamp) -> SavedPool {
        let rows = self.rows(document);
        let active = self.content(document).and_then(|content| json::text(content, "activeIdentityKey"));
        let is_active = |row: &Object| active.is_some() && record::stored_key(row) == active;
        let held: Vec<(bool, Held)> = named(&rows, now).map(|(row, held)| (is_active(row), held)).collect();
        let active = held.iter().find(|(active, _)| *active).map(|(_, held)| held.account.record.clone());
        let accounts = held.into_iter().map(|(_, held)| held).collect();
        SavedPool { accounts, active, pin: None, affinity_generation: 0 }
    }

    fn encode(&self, document: &Object, pool: &SavedPool, now: Timestamp) -> Object {
        let stored = self.rows(document);
        let known: Vec<(&Object, Held)> = named(&stored, now).collect();
        let mut openai = document.get("openai").and_then(Value::as_object).cloned().unwrap_or_else(empty_pool);
        let mut rows: Vec<Object> = Vec::new();
        for held in &pool.accounts {
            let before = known.iter().find(|(_, known)| known.account.record == held.account.record);
            let mut row = before.map(|(row, _)| (*row).clone()).unwrap_or_default();
            encode_row(&mut row, before.map(|(_, known)| known), held, now);
            record::normalise_record(&mut row, self.domain);
            if let Some((_, known)) = before {
                self.carry(&mut openai, known, held);
            }
            rows.push(row);
        }
        let active = pool.active.as_ref().and_then(|active| {
            let place = pool.accounts.iter().position(|held| held.account.record == *active)?;
            record::stored_key(&rows[place]).map(|key| json!(key))
        });
        // Rows nobody can use stay where they were: they may be all that is left of an account.
        for (index, row) in stored.iter().enumerate().filter(|(_, row)| decode_row(row, now).is_none()) {
            rows.insert(index.min(rows.len()), row.clone());
        }
        let content = openai.entry(self.domain.name()).or_insert_with(|| json!({}));
        if let Some(content) = content.as_object_mut() {
            json::set(content, "accounts", Some(normalise::list(rows)));
            if active.is_some() {
                json::set(content, "activeIdentityKey", active);
            }
        }
        let mut document = document.clone();
        document.insert("openai".to_owned(), Value::Object(normalise::normalise(&openai)));
        document
    }

    fn names(&self, document: &Object) -> HashSet<String> {
        self.rows(document).iter().filter_map(|row| json::text(row, "recordId")).map(str::to_owned).collect()
    }

    fn empty(&self) -> Object {
        Object::from_iter([("openai".to_owned(), Value::Object(normalise::normalise(&empty_pool())))])
    }

    fn of_rows(&self, rows: Vec<Value>) -> Object {
        let openai = json!({ "type": "oauth", "accounts": rows });
        migrate::migrate(&Object::from_iter([("openai".to_owned(), openai)]))
    }

    fn complete(&self, beside: &Object, pool: &mut SavedPool, now: Timestamp) {
        beside::complete(beside, pool, now);
    }

    fn beside(&self, sidecar: Object, pool: &SavedPool) -> Object {
        beside::noted(sidecar, pool)
    }

    fn neighbour(&self) -> Option<Arc<dyn Codec>> {
        Some(Arc::new(Self { domain: self.domain.other() }))
    }

    fn begins_anew(&self) -> bool {
        true
    }

    fn text(&self, document: &Object) -> Vec<u8> {
        let mut text = json::pretty(document);
        text.push(b'\n');
        text
    }
}

impl OpenCodeCodec {
    fn content(self, document: &Object) -> Option<&Object> {
        normalise::domain_of(document.get("openai")?.as_object()?, self.domain)
    }

    fn rows(self, document: &Object) -> Vec<Object> {
        self.content(document).map(|content| fold_copies(normalise::records(content))).unwrap_or_default()
    }

    fn carry(self, openai: &mut Object, before: &Held, after: &Held) {
        if before.credential.same_grant(&after.credential) {
            return;
        }
        let access = after.credential.access.as_ref().map(|access| access.expose().to_owned());
        let tokens = change::RenewedTokens {
            access: access.unwrap_or_default(),
            refresh: after.credential.refresh.expose().to_owned(),
            expires: after.credential.expires_at.unwrap_or_default().as_millis(),
        };
        change::carry_grant(openai, self.domain.other(), before.credential.refresh.expose(), &tokens);
    }
}

fn empty_pool() -> Object {
    Object::from_iter([
        ("type".to_owned(), json!("oauth")),
        ("accounts".to_owned(), json!([])),
        (Domain::Native.name().to_owned(), json!({ "accounts": [] })),
    ])
}

/// One grant is one account, or its refresh token would be spent twice. The row used last is kept and completed.
fn fold_copies(rows: Vec<Object>) -> Vec<Object> {
    let used = |row: &Object| json::millis(row, "lastUsed").unwrap_or_default();
    let mut kept: Vec<Object> = Vec::new();
    for mut row in rows {
        let refresh = json::text(&row, "refresh");
        let is_copy =
            |one: &Object| refresh.is_some() && json::text(one, "refresh") == refresh && may_be_one(one, &row);
        match kept.iter().position(is_copy) {
            None => kept.push(row),
            Some(place) if used(&row) > used(&kept[place]) => {
                fill_from(&mut row, &kept[place]);
                kept[place] = row;
            }
            Some(place) => fill_from(&mut kept[place], &row),
        }
    }
    kept
}

/// Whether two rows with one refresh token may be one account: nothing both know differs.
fn may_be_one(left: &Object, right: &Object) -> bool {
    let lower = |row: &Object, key: &str| json::text(row, key).map(str::to_lowercase);
    let differs = |key: &str| matches!((lower(left, key), lower(right, key)), (Some(l), Some(r)) if l != r);
    !differs("accountId") && !differs("email")
}

/// The rows somebody can use, each with a record id no other has.
fn named(rows: &[Object], now: Timestamp) -> impl Iterator<Item = (&Object, Held)> {
    let mut taken: Vec<RecordId> = Vec::new();
    rows.iter().filter_map(move |row| {
        let mut held = decode_row(row, now)?;
        let record = names_like(&held.account.record).find(|name| !taken.contains(name)).expect("names do not end");
        taken.push(record.clone());
        held.account.record = record;
        Some((row, held))
    })
}

fn decode_row(row: &Object, _now: Timestamp) -> Option<Held> {
    let refresh = RefreshToken::new(json::text(row, "refresh")?);
    let access = json::text(row, "access").map(AccessToken::new);
    let expires_at = json::millis(row, "expires").or_else(|| claims_of(access.as_ref(), None).expires_at);
    let until = json::millis(row, "cooldownUntil");
    let account = Account {
        record: record_id(row),
        owner: record::owner_of(row),
        label: None,
        alias: None,
        enabled: record::is_enabled(row),
        needs_login: None,
        incident: None,
        rests: until
            .map(|until| Rest { until, reason: RestReason::UsageLimit, scope: RestScope::Account })
            .into_iter()
            .collect(),
        seen: Seen {
            added_at: json::millis(row, "addedAt").unwrap_or_default(),
            last_used_at: json::millis(row, "lastUsed").unwrap_or_default(),
        },
        issuer: None,
        provenance: None,
    };
    let credential = Credential { access, refresh, id: None, expires_at, obtained_at: None, generation: 0 };
    Some(Held { account, credential })
}

/// The row's own id, else one derived from what it says, as for the other predecessor's rows.
fn record_id(row: &Object) -> RecordId {
    let said = [("recordId", "recordId"), ("accountId", "accountId"), ("email", "email"), ("refreshToken", "refresh")];
    let said = said.into_iter().filter_map(|(name, key)| Some((name.to_owned(), row.get(key)?.clone())));
    record_of(&said.collect())
}

/// Makes `row` say `after`, leaving what already says so and every unknown member.
fn encode_row(row: &mut Object, before: Option<&Held>, after: &Held, now: Timestamp) {
    let Held { account, credential } = after;
    let was = |same: &dyn Fn(&Held) -> bool| before.is_some_and(same);
    json::set(row, "recordId", Some(json!(account.record.as_str())));
    if !was(&|held| held.account.owner == account.owner) {
        let workspace = account.owner.workspace.as_ref().map(|workspace| workspace.as_str().to_owned());
        let texts =
            [("accountId", workspace), ("email", account.owner.email.clone()), ("plan", account.owner.plan.clone())];
        for (key, text) in texts {
            if let Some(text) = text {
                json::set(row, key, Some(json!(text)));
            }
        }
    }
    json::set(row, "refresh", Some(json!(credential.refresh.expose())));
    json::set(row, "access", credential.access.as_ref().map(|access| json!(access.expose())));
    if !was(&|held| held.credential.expires_at == credential.expires_at) {
        json::set(row, "expires", credential.expires_at.map(|end| json!(end.as_millis())));
    }
    if !was(&|held| held.account.enabled == account.enabled) {
        json::set(row, "enabled", Some(json!(account.enabled)));
    }
    if !was(&|held| held.account.rests == account.rests) {
        json::set(row, "cooldownUntil", cooling(&account.rests, now).map(|until| json!(until.as_millis())));
    }
    for (key, at) in [("lastUsed", account.seen.last_used_at), ("addedAt", account.seen.added_at)] {
        if at != json::millis(row, key).unwrap_or_default() {
            json::set(row, key, Some(json!(at.as_millis())));
        }
    }
    if !was(&|held| held.credential.same_grant(credential)) {
        // Somebody's claim to renew the token that stood here has ended with it.
        json::set(row, "refreshLeaseUntil", None);
    }
}

/// The longest rest of the whole account that still holds; the format has no room for less than that.
fn cooling(rests: &[Rest], now: Timestamp) -> Option<Timestamp> {
    let whole = rests.iter().filter(|rest| rest.scope == RestScope::Account && rest.holds(now));
    whole.map(|rest| rest.until).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);
    const NATIVE: OpenCodeCodec = OpenCodeCodec { domain: Domain::Native };

    fn document() -> Object {
        let both = json!({ "accountId": "a", "email": "a@x", "plan": "plus", "refresh": "r-a", "access": "at", "expires": 5.0,
            "enabled": true, "theirs": 1, "cooldownUntil": 9000 });
        let text = json!({ "openai": { "type": "oauth", "strategy": "sticky", "accounts": [],
            "native": { "accounts": [both, { "email": "no refresh" }, { "email": "t", "refresh": "r1" }, { "email": "t", "refresh": "r2" }] },
            "codex": { "accounts": [both, { "accountId": "c", "email": "c@x", "plan": "pro", "refresh": "r-c" }] },
        }});
        NATIVE.upgrade(Utf8Path::new("f"), text.as_object().expect("an object").clone(), NOW).expect("known")
    }

    /// Changes the pool of `document()`; returns what changed in it, as `pointer: new value`.
    #[track_caller]
    fn check(change: impl FnOnce(&mut SavedPool), expect: &[(&str, Value)]) {
        let named = NATIVE.encode(&document(), &NATIVE.decode(&document(), NOW), NOW);
        let mut pool = NATIVE.decode(&named, NOW);
        change(&mut pool);
        let changed = NATIVE.encode(&named, &pool, NOW);
        let mut wanted = Value::Object(named);
        for (pointer, value) in expect {
            let (parent, key) = pointer.rsplit_once('/').expect("a path");
            let parent = wanted.pointer_mut(parent).expect("there").as_object_mut().expect("an object");
            json::set(parent, key, (!value.is_null()).then(|| value.clone()));
        }
        assert_eq!(Value::Object(changed.clone()), wanted);
        assert_eq!(NATIVE.decode(&changed, NOW), pool);
    }

    #[test]
    fn what_was_read_is_written_with_nothing_but_record_ids_added() {
        let pool = NATIVE.decode(&document(), NOW);
        let mut written = Value::Object(NATIVE.encode(&document(), &pool, NOW));
        for list in ["/openai/native/accounts", "/openai/accounts"] {
            for row in written.pointer_mut(list).and_then(Value::as_array_mut).expect("a list") {
                row.as_object_mut().expect("a row").shift_remove("recordId");
            }
        }
        assert_eq!(written, Value::Object(document()));
        assert_eq!(pool.accounts.len(), 3, "a row without a refresh token stays in the file alone");
        check(|_| (), &[]);
    }

    #[test]
    fn a_record_id_stays_when_the_token_changes() {
        let named = NATIVE.encode(&document(), &NATIVE.decode(&document(), NOW), NOW);
        let mut pool = NATIVE.decode(&named, NOW);
        let record = pool.accounts[1].account.record.clone();
        pool.accounts[1].credential.refresh = RefreshToken::new("rotated");
        let after = NATIVE.decode(&NATIVE.encode(&named, &pool, NOW), NOW);
        assert_eq!(after.find(&record).expect("kept").credential.refresh, RefreshToken::new("rotated"));
    }

    #[test]
    fn one_grant_is_one_account() {
        let copies = json!([
            { "refresh": "r", "lastUsed": 1, "email": "e@x" }, { "refresh": "r", "lastUsed": 2 },
            { "refresh": "r", "email": "other@x" },
        ]);
        let openai = json!({ "type": "oauth", "accounts": [], "native": { "accounts": copies } });
        let document = Object::from_iter([("openai".to_owned(), openai)]);
        let pool = NATIVE.decode(&document, NOW);
        let emails: Vec<_> = pool.accounts.iter().map(|held| held.account.owner.email.as_deref()).collect();
        assert_eq!(emails, [Some("e@x"), Some("other@x")]);
        let written = NATIVE.encode(&document, &pool, NOW);
        assert_eq!(written["openai"]["native"]["accounts"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_disabled_account_is_not_the_active_one() {
        check(
            |pool| {
                pool.accounts[0].account.enabled = false;
                pool.active = None;
            },
            &[("/openai/native/accounts/0/enabled", json!(false)), ("/openai/native/activeIdentityKey", Value::Null)],
        );
    }

    #[test]
    fn a_renewal_reaches_the_other_domains_copy_and_nothing_else_of_it() {
        let change = |pool: &mut SavedPool| {
            let credential = &mut pool.accounts[0].credential;
            credential.refresh = RefreshToken::new("r-new");
            credential.access = Some(AccessToken::new("at-new"));
            credential.expires_at = Some(Timestamp::from_millis(99_000));
        };
        let mut expect = Vec::new();
        let rows = ["/openai/accounts/0", "/openai/native/accounts/0", "/openai/codex/accounts/0"];
        let paths: Vec<[String; 3]> =
            rows.map(|row| ["refresh", "access", "expires"].map(|key| format!("{row}/{key}"))).into();
        for [refresh, access, expires] in &paths {
            expect.push((refresh.as_str(), json!("r-new")));
            expect.push((access.as_str(), json!("at-new")));
            expect.push((expires.as_str(), json!(99_000)));
        }
        check(change, &expect);
    }

    #[test]
    fn an_account_is_added_and_removed_in_this_domain_alone() {
        let named = NATIVE.encode(&document(), &NATIVE.decode(&document(), NOW), NOW);
        let mut pool = NATIVE.decode(&named, NOW);
        let mut fresh = pool.accounts[0].clone();
        fresh.account.record = RecordId::parse("mine").expect("a name");
        fresh.account.owner.workspace = codex_auth_core::WorkspaceId::parse("w");
        fresh.credential.refresh = RefreshToken::new("r-w");
        pool.accounts.remove(0);
        pool.accounts.push(fresh);
        pool.active = RecordId::parse("mine");
        let after = NATIVE.encode(&named, &pool, NOW);
        assert_eq!(NATIVE.decode(&after, NOW), pool);
        assert_eq!(after["openai"]["native"]["activeIdentityKey"], "w|a@x|plus");
        assert_eq!(after["openai"]["codex"], named["openai"]["codex"]);
        let codex = OpenCodeCodec { domain: Domain::Codex };
        assert_eq!(codex.decode(&after, NOW).accounts.len(), 2);
    }
}
