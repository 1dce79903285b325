//! Owns the login of one person as the official client keeps it in `auth.json`, sound or with chosen defects.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::jwt::CLIENT_ID;
use crate::people::Who;
use crate::pool_files::{remove, tokens_for};
use crate::world::World;

/// What kind of login a document holds, and what is the matter with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginKnobs {
    /// What it holds.
    pub kind: LoginKind,
    /// Tokens of a sign-in of its own instead of those the pool file holds.
    pub own_sign_in: bool,
    /// Keys left out: `last_refresh`, `tokens`, or a key inside `tokens`.
    pub missing: Vec<String>,
    /// With `tokens.oauth_provenance` of this fake.
    pub provenance: bool,
}

/// What a login document holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginKind {
    /// Live tokens.
    #[default]
    Live,
    /// An access token that expired an hour ago beside a live refresh token.
    ExpiredAccess,
    /// Tokens whose sign-in was revoked at the issuer.
    Revoked,
    /// An API key in place of tokens.
    ApiKey,
}

/// The document, keys in the official client's order.
pub(crate) fn login_document(world: &mut World, who: Who, knobs: &LoginKnobs, now_ms: i64) -> Value {
    if knobs.kind == LoginKind::ApiKey {
        let key = world.issuer.grants.api_key(&mut world.issuer.mint, who);
        return json!({ "auth_mode": "apikey", "OPENAI_API_KEY": key });
    }
    let person = world.people.person(who);
    if knobs.own_sign_in {
        world.issuer.sign_in(&world.people, who, now_ms, true);
    }
    let tokens = tokens_for(world, &person, now_ms, knobs.kind == LoginKind::ExpiredAccess);
    if knobs.kind == LoginKind::Revoked {
        world.issuer.grants.revoke(&tokens.refresh);
    }
    let mut inner = json!({ "id_token": tokens.id, "access_token": tokens.access, "refresh_token": tokens.refresh });
    if knobs.provenance {
        inner["oauth_provenance"] = json!({ "issuer": world.issuer.url, "client_id": CLIENT_ID });
    }
    inner["account_id"] = json!(person.account_id);
    let mut document = json!({
        "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": inner,
        "last_refresh": rfc3339(tokens.life.issued_ms),
    });
    for key in &knobs.missing {
        remove(&mut document["tokens"], key);
        remove(&mut document, key);
    }
    document
}
