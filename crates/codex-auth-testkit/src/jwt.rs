//! Owns how secrets look: canaries, JWTs with a made-up signature, and the claims of both kinds of token.
//!
//! The official client checks neither signature nor algorithm; it wants three base64url parts with a JSON payload
//! and a third part that is not empty.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::people::Person;

/// The client id of the official client's sign-in.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
/// What every secret of a fake contains.
pub const CANARY_MARK: &str = "CANARY-";

/// How the payload of every token minted here begins: `{"jti":"CANARY-` in base64url.
pub(crate) const PAYLOAD_MARK: &str = "eyJqdGkiOiJDQU5BUlkt";

const AUTH_CLAIM: &str = "https://api.openai.com/auth";
const PROFILE_CLAIM: &str = "https://api.openai.com/profile";
/// As many characters of a JWT payload as are certain to hold its unique `jti`.
const PAYLOAD_NEEDLE: usize = 40;

/// A text whose presence in a file or an answer means that a secret got there.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    pub what: String,
    pub text: String,
}

/// Mints secrets that are unique to one fake, and remembers what to look for.
#[derive(Debug)]
pub(crate) struct Mint {
    seed: u64,
    needles: Vec<Needle>,
    shown: Vec<Needle>,
}

impl Mint {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, needles: Vec::new(), shown: Vec::new() }
    }

    /// A fresh secret of the given prefix; `what` names it in the report of a leak.
    pub(crate) fn secret(&mut self, prefix: &str, what: &str) -> String {
        format!("{prefix}{}", self.canary(what))
    }

    /// A JWT over `claims`; its payload is as secret as its signature.
    pub(crate) fn jwt(&mut self, claims: &Value, what: &str) -> String {
        let canary = self.canary(what);
        // First, so that the unique part of the payload is its beginning.
        let mut whole = serde_json::Map::from_iter([("jti".to_owned(), Value::from(canary.as_str()))]);
        whole.extend(claims.as_object().cloned().unwrap_or_default());
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"fake"}"#);
        let payload = URL_SAFE_NO_PAD.encode(Value::Object(whole).to_string());
        let text = payload.get(..PAYLOAD_NEEDLE).unwrap_or(&payload).to_owned();
        self.needles.push(Needle { what: format!("{what} (payload)"), text });
        format!("{header}.{payload}.{canary}")
    }

    pub(crate) fn needles(&self) -> &[Needle] {
        &self.needles
    }

    /// Remembers a secret that the client made and showed.
    pub(crate) fn was_shown(&mut self, what: &str, text: &str) {
        self.shown.push(Needle { what: what.to_owned(), text: text.to_owned() });
    }

    /// Every secret of this fake and of its clients.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Needle> {
        self.needles.iter().chain(&self.shown)
    }

    fn canary(&mut self, what: &str) -> String {
        let digest = sha256_hex(format!("{}:{}", self.seed, self.needles.len()).as_bytes());
        // 32 characters: as the third part of a JWT it decodes cleanly.
        let text = format!("{CANARY_MARK}{}", &digest[..25]);
        self.needles.push(Needle { what: what.to_owned(), text: text.clone() });
        text
    }
}

/// When a token begins and ends, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub issued_ms: i64,
    pub expires_ms: i64,
}

/// Claims of an id token.
pub(crate) fn id_claims(person: &Person, issuer: &str, life: Lifetime) -> Value {
    json!({
        "iss": issuer, "aud": [CLIENT_ID], "sub": format!("fake|{}", person.user_id),
        "iat": life.issued_ms / 1000, "exp": life.expires_ms / 1000,
        "email": person.email, "email_verified": true,
        AUTH_CLAIM: {
            "chatgpt_plan_type": person.plan,
            "chatgpt_user_id": person.user_id,
            "user_id": person.user_id,
            "chatgpt_account_id": person.account_id,
            "organizations": [{ "id": format!("org-{}", person.user_id), "title": "Personal", "role": "owner", "is_default": true }],
            "completed_platform_onboarding": true,
            "is_org_owner": true,
        },
    })
}

/// Claims of an access token.
pub(crate) fn access_claims(person: &Person, issuer: &str, life: Lifetime) -> Value {
    json!({
        "iss": issuer, "aud": ["https://api.openai.com/v1"], "client_id": CLIENT_ID,
        "sub": format!("fake|{}", person.user_id),
        "iat": life.issued_ms / 1000, "nbf": life.issued_ms / 1000, "exp": life.expires_ms / 1000,
        "scp": ["openid", "profile", "email", "offline_access"],
        AUTH_CLAIM: {
            "chatgpt_plan_type": person.plan,
            "chatgpt_user_id": person.user_id,
            "user_id": person.user_id,
            "chatgpt_account_id": person.account_id,
        },
        PROFILE_CLAIM: { "email": person.email, "email_verified": true },
    })
}

/// Lower-case hex SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// How a secret is named where it must not be shown: the first 12 hex digits of its SHA-256.
pub fn fingerprint(secret: &str) -> String {
    sha256_hex(secret.as_bytes())[..12].to_owned()
}

/// The PKCE challenge of a verifier by method S256.
pub(crate) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}
