//! Stand-ins for the disk's worst days, hand-made documents and what must hold for every parser, behind the feature
//! `testing`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub mod conformance;
mod fault;
pub mod fuzz;
mod image;

pub use fault::{Fault, FaultFs, Refusal};
pub use image::Kept;

/// A JWT over `claims` with a made-up signature.
pub fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.signature", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(claims))
}

/// The claims of a token of `user` in `workspace` that ends at `expires_secs`.
pub fn claims(user: &str, workspace: &str, expires_secs: i64) -> Value {
    json!({
        "sub": format!("sub-{user}"), "exp": expires_secs, "iat": expires_secs - 86_400,
        "email": format!("{user}@example.test"),
        "https://api.openai.com/auth": {
            "chatgpt_user_id": user, "chatgpt_account_id": workspace, "chatgpt_plan_type": "plus",
        },
    })
}

/// A login of the official client, refreshed one day before its access token ends.
pub fn auth_json(user: &str, workspace: &str, refresh: &str, expires_secs: i64) -> Value {
    let token = jwt(&claims(user, workspace, expires_secs));
    let last_refresh = jiff::Timestamp::from_second(expires_secs - 86_400).expect("a year of this age");
    json!({
        "auth_mode": "chatgpt", "OPENAI_API_KEY": null,
        "tokens": { "id_token": token, "access_token": token, "refresh_token": refresh, "account_id": workspace },
        "last_refresh": last_refresh.to_string(),
    })
}
