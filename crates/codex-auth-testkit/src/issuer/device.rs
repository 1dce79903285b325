//! Owns sign-in by device code: the code, the polls, and the PKCE pair the issuer supplies itself.

use http::StatusCode;
use serde_json::json;

use super::{Code, Device, Issuer, oauth_error};
use crate::ask::Ask;
use crate::jwt::{CLIENT_ID, fingerprint, s256};
use crate::people::People;
use crate::reply::Reply;

impl Issuer {
    pub(super) fn device_code(&mut self, ask: &Ask, now_ms: i64) -> Reply {
        if ask.fields().get("client_id").map(String::as_str) != Some(CLIENT_ID) {
            return oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", "unknown client");
        }
        let id = self.mint.secret("deviceauth_fake.", "device code");
        let letters = fingerprint(&id).to_uppercase();
        let user_code = format!("{}-{}", &letters[..4], &letters[4..9]);
        let life = self.setup.device_expires_in_secs;
        let expires_ms = life.map(|secs| now_ms.saturating_add_unsigned(secs.saturating_mul(1000)));
        let device = Device { user_code: user_code.clone(), pending: self.setup.device_pending_polls, expires_ms };
        self.devices.insert(id.clone(), device);
        // The client reads `interval` as text.
        let interval = self.setup.device_interval_secs.to_string();
        let mut answer = json!({ "device_auth_id": id, "interval": interval });
        let name = if self.setup.device_code_alias { "usercode" } else { "user_code" };
        answer[name] = json!(user_code);
        if let Some(secs) = life {
            answer["expires_in"] = json!(secs);
        }
        Reply::json(StatusCode::OK, &answer)
    }

    pub(super) fn device_token(&mut self, people: &People, ask: &Ask, now_ms: i64) -> Reply {
        let fields = ask.fields();
        let id = fields.get("device_auth_id").cloned().unwrap_or_default();
        let code = fields.get("user_code");
        let Some(device) = self.devices.get_mut(&id).filter(|device| Some(&device.user_code) == code) else {
            return oauth_error(StatusCode::BAD_REQUEST, "invalid_request", "unknown device code");
        };
        if device.expires_ms.is_some_and(|end| end <= now_ms) {
            return oauth_error(StatusCode::BAD_REQUEST, "expired_token", "the device code expired");
        }
        match device.pending {
            None => return pending(),
            Some(0) => {}
            Some(more) => {
                device.pending = Some(more - 1);
                return pending();
            }
        }
        self.devices.remove(&id);
        let who = match self.visitor(people) {
            Ok(who) => who,
            Err(refusal) => {
                let error = refusal.error.unwrap_or_else(|| "access_denied".to_owned());
                return oauth_error(StatusCode::BAD_REQUEST, &error, "the sign-in was refused");
            }
        };
        let verifier =
            self.mint.secret("verifier-of-at-least-43-characters-", &format!("device code verifier of {who}"));
        let challenge = s256(&verifier);
        let code = self.code(Code { who, challenge: challenge.clone(), redirect_uri: None });
        let grant = json!({ "authorization_code": code, "code_verifier": verifier, "code_challenge": challenge });
        Reply::json(StatusCode::OK, &grant)
    }
}

/// 403 means "not yet" to every client.
fn pending() -> Reply {
    let error = json!({ "error": { "code": "deviceauth_authorization_pending", "message": "not yet" } });
    Reply::json(StatusCode::FORBIDDEN, &error)
}
