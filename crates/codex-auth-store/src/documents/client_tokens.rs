//! `local-client-tokens.json`: which tokens let local programs talk to the bridge. A token is shown once; only its hash
//! is kept.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use codex_auth_core::{ClientToken, Entropy, Timestamp};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::words::cut;
use crate::{
    hash::sha256_hex,
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

const TABLE: &str = "tokens";
const LABEL: &str = "local-client";
const LONGEST_LABEL: usize = 80;
const BEGINNING: &str = "cma_local_";
/// How much of a token stands in lists.
const SHOWN: usize = 18;
/// Uses within this time of the last noted one are not noted.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// All tokens ever made, revoked ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTokens {
    rows: Vec<ClientTokenRow>,
}

/// One token, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTokenRow {
    /// Its name, a UUID.
    pub id: String,
    /// What the user calls it.
    pub label: String,
    /// Its first 18 characters, for lists.
    pub prefix: String,
    hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, within a minute.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is no longer accepted.
    pub revoked_at: Option<Timestamp>,
}

impl ClientTokens {
    /// The tokens in the order of their making.
    pub fn rows(&self) -> &[ClientTokenRow] {
        &self.rows
    }

    /// Makes a token, to be shown once; returns its id with it.
    pub fn mint(&mut self, label: &str, entropy: &dyn Entropy, now: Timestamp) -> (String, ClientToken) {
        let (mut secret, mut name) = ([0; 32], [0; 16]);
        entropy.fill(&mut secret);
        entropy.fill(&mut name);
        let token = ClientToken::new(format!("{BEGINNING}{}", URL_SAFE_NO_PAD.encode(secret)));
        let id = uuid(name);
        self.rows.push(ClientTokenRow {
            id: id.clone(),
            label: cut(label, LONGEST_LABEL).unwrap_or_else(|| LABEL.to_owned()),
            prefix: token.expose().chars().take(SHOWN).collect(),
            hash: hash_of(&token),
            created_at: now,
            last_used_at: None,
            revoked_at: None,
        });
        (id, token)
    }

    /// The token's row, if it is one of ours and not revoked. Every row is compared in full, in constant time.
    pub fn verify(&self, token: &ClientToken) -> Option<&ClientTokenRow> {
        let hash = hash_of(token);
        let matching = |row: &&ClientTokenRow| bool::from(row.hash.as_bytes().ct_eq(hash.as_bytes()));
        let found: Vec<_> = self.rows.iter().filter(matching).collect();
        found.into_iter().find(|row| row.revoked_at.is_none())
    }

    /// Notes a use; returns whether there is something to write.
    pub fn used(&mut self, id: &str, now: Timestamp) -> bool {
        let Some(row) = self.find_mut(id) else { return false };
        let is_due = row.last_used_at.is_none_or(|last| now.since(last) >= NOTED_EVERY);
        if is_due {
            row.last_used_at = Some(now);
        }
        is_due
    }

    /// Accepts the token no longer; returns whether it was accepted until now.
    pub fn revoke(&mut self, id: &str, now: Timestamp) -> bool {
        match self.find_mut(id) {
            Some(row) if row.revoked_at.is_none() => {
                row.revoked_at = Some(now);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Revokes a token and makes one with its label; `None` when it is not accepted.
    pub fn rotate(&mut self, id: &str, entropy: &dyn Entropy, now: Timestamp) -> Option<(String, ClientToken)> {
        let label = self.rows.iter().find(|row| row.id == id)?.label.clone();
        self.revoke(id, now).then(|| self.mint(&label, entropy, now))
    }

    fn find_mut(&mut self, id: &str) -> Option<&mut ClientTokenRow> {
        self.rows.iter_mut().find(|row| row.id == id)
    }
}

fn hash_of(token: &ClientToken) -> String {
    format!("sha256:{}", sha256_hex(token.expose()))
}

/// A random UUID of these bytes.
pub(crate) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = u128::from_be_bytes(bytes);
    let hex = format!("{hex:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl Document for ClientTokens {
    const NAME: &'static str = "local-client-tokens.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        let rows = object.get(TABLE).and_then(Value::as_array);
        Self { rows: rows.into_iter().flatten().filter_map(Value::as_object).filter_map(decode).collect() }
    }

    fn encode(&self, object: &mut Object) {
        let old: Vec<Value> = object.get(TABLE).and_then(Value::as_array).cloned().unwrap_or_default();
        let row_of = |id: &str| old.iter().filter_map(Value::as_object).find(|row| json::text(row, "id") == Some(id));
        let foreign = old.iter().filter(|row| row.as_object().and_then(decode).is_none()).cloned();
        let ours = self.rows.iter().map(|row| {
            let mut written = row_of(&row.id).cloned().unwrap_or_default();
            encode(row, &mut written);
            Value::Object(written)
        });
        let rows: Vec<Value> = ours.chain(foreign).collect();
        json::set(object, TABLE, Some(Value::Array(rows)));
    }

    fn flaw(object: &Object) -> Option<String> {
        object.get(TABLE).filter(|rows| !rows.is_array()).map(|_| format!("its `{TABLE}` is not a list"))
    }
}

fn decode(row: &Object) -> Option<ClientTokenRow> {
    Some(ClientTokenRow {
        id: json::text(row, "id")?.to_owned(),
        label: json::text(row, "label").and_then(|label| cut(label, LONGEST_LABEL)).unwrap_or_else(|| LABEL.to_owned()),
        prefix: json::text(row, "prefix").unwrap_or(BEGINNING).to_owned(),
        hash: json::text(row, "tokenHash").filter(|hash| hash.starts_with("sha256:"))?.to_owned(),
        created_at: json::millis(row, "createdAt").unwrap_or_default(),
        last_used_at: json::millis(row, "lastUsedAt"),
        // A mark nobody can read still revokes.
        revoked_at: row
            .get("revokedAt")
            .filter(|mark| !mark.is_null())
            .map(|mark| json::integer(mark).map_or_else(Timestamp::default, Timestamp::from_millis)),
    })
}

fn encode(row: &ClientTokenRow, written: &mut Object) {
    let instant = |at: Option<Timestamp>| Some(json!(at.map(Timestamp::as_millis)));
    json::set(written, "id", Some(json!(row.id)));
    json::set(written, "label", Some(json!(row.label)));
    json::set(written, "prefix", Some(json!(row.prefix)));
    json::set(written, "tokenHash", Some(json!(row.hash)));
    json::set(written, "createdAt", instant(Some(row.created_at)));
    json::set(written, "lastUsedAt", instant(row.last_used_at));
    json::set(written, "revokedAt", instant(row.revoked_at));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill_with(|| self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn minted() -> (ClientTokens, String, ClientToken) {
        let mut tokens = ClientTokens::default();
        let (id, token) = tokens.mint("  ", &Counting(0.into()), NOW);
        (tokens, id, token)
    }

    #[test]
    fn a_token_is_kept_as_its_hash_alone() {
        let (tokens, id, token) = minted();
        assert_eq!(token.expose(), "cma_local_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        assert_eq!(id, "20212223-2425-4627-a829-2a2b2c2d2e2f");
        let mut object = Object::new();
        tokens.encode(&mut object);
        let text = Value::Object(object.clone()).to_string();
        assert!(!text.contains(token.expose()) && text.contains("\"prefix\":\"cma_local_AAECAwQF\""), "{text}");
        assert_eq!(ClientTokens::decode(&object), tokens);
        assert_eq!(tokens.rows()[0].label, "local-client");
    }

    #[test]
    fn a_revoked_or_foreign_token_is_not_accepted() {
        let (mut tokens, id, token) = minted();
        assert_eq!(tokens.verify(&token).map(|row| row.id.clone()), Some(id.clone()));
        assert_eq!(tokens.verify(&ClientToken::new("cma_local_x")), None);
        let (fresh, _) = tokens.rotate(&id, &Counting(9.into()), NOW).expect("it was accepted");
        assert_eq!(tokens.verify(&token), None);
        assert!(!tokens.revoke(&id, NOW) && tokens.revoke(&fresh, NOW));
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let (mut tokens, id, _) = minted();
        let at = |secs| NOW.after(Duration::from_secs(secs));
        assert_eq!([0, 59, 60, 61].map(|secs| tokens.used(&id, at(secs))), [true, false, true, false]);
    }
}
