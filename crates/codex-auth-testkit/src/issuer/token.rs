//! Owns the token endpoint: three grants, what each demands, and the words of every refusal.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;

use super::{Issuer, oauth_error, token_document};
use crate::ask::Ask;
use crate::fault::Malformed;
use crate::grants::{Minting, Tokens, Verdict};
use crate::jwt::{CLIENT_ID, s256};
use crate::people::{People, Who};
use crate::reply::Reply;

/// Grant type of the exchange of an id token for an API key.
pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

type Fields = BTreeMap<String, String>;

impl Issuer {
    pub(super) fn token(&mut self, people: &People, ask: &Ask, now_ms: i64, malformed: Option<Malformed>) -> Reply {
        let fields = ask.fields();
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        if field("client_id") != CLIENT_ID {
            return oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", "unknown client");
        }
        let granted = match field("grant_type") {
            "authorization_code" => self.exchange_code(people, &fields, now_ms),
            "refresh_token" => self.refresh(people, field("refresh_token"), now_ms),
            EXCHANGE => return self.exchange_id_token(&fields),
            _ => Err(oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", "unknown grant type")),
        };
        match (granted, malformed) {
            (Err(refusal), _) => refusal,
            (Ok((_, tokens)), None) => {
                Reply::json(StatusCode::OK, &token_document(&tokens, self.setup.stated_expires_in))
            }
            (Ok((who, tokens)), Some(form)) => self.useless(people, (who, tokens), form, now_ms),
        }
    }

    fn exchange_code(&mut self, people: &People, fields: &Fields, now_ms: i64) -> Result<(Who, Tokens), Reply> {
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let bad = |why: &str| oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", why);
        self.mint.was_shown("PKCE verifier", field("code_verifier"));
        // Taken out whatever follows: a code is good for one attempt.
        let code = self.codes.remove(field("code")).ok_or_else(|| bad("unknown or spent code"))?;
        let redirect = field("redirect_uri");
        let same_place = match &code.redirect_uri {
            Some(asked) => asked == redirect,
            None => redirect.ends_with("/deviceauth/callback"),
        };
        if !same_place {
            return Err(bad("redirect_uri differs"));
        }
        let verifier = field("code_verifier");
        if !(43..=128).contains(&verifier.len()) || s256(verifier) != code.challenge {
            return Err(bad("code_verifier does not match"));
        }
        Ok((code.who, self.sign_in(people, code.who, now_ms, true)))
    }

    fn refresh(&mut self, people: &People, token: &str, now_ms: i64) -> Result<(Who, Tokens), Reply> {
        let (_, Some(who)) = self.grants.peek(token) else { return Err(refused(Verdict::Unknown)) };
        let person = people.person(who);
        let minting =
            Minting { person: &person, issuer: &self.url, now_ms, access_secs: self.setup.access_lifetime_secs };
        self.grants.redeem(token, &mut self.mint, &minting).map(|tokens| (who, tokens)).map_err(refused)
    }

    fn exchange_id_token(&mut self, fields: &Fields) -> Reply {
        let wants_key = fields.get("requested_token").map(String::as_str) == Some("openai-api-key");
        let owner = fields.get("subject_token").and_then(|token| self.grants.id_owner(token));
        let Some(who) = owner.filter(|_| wants_key) else {
            return oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", "unknown subject token");
        };
        let key = self.grants.api_key(&mut self.mint, who);
        let answer = json!({ "access_token": key, "token_type": "Bearer", "issued_token_type": "openai-api-key" });
        Reply::json(StatusCode::OK, &answer)
    }

    /// An answer that spent the token and is of no use.
    fn useless(&mut self, people: &People, granted: (Who, Tokens), form: Malformed, now_ms: i64) -> Reply {
        let (who, tokens) = granted;
        let mut document = token_document(&tokens, self.setup.stated_expires_in);
        let mut drop_key = |key: &str| {
            if let Some(object) = document.as_object_mut() {
                object.shift_remove(key);
            }
        };
        match form {
            Malformed::Html => return Reply::whole(StatusCode::OK, "text/html", "<!doctype html><title>Oops</title>"),
            Malformed::Empty => return Reply::empty(StatusCode::OK),
            Malformed::CutJson => {
                let text = document.to_string();
                return Reply::whole(StatusCode::OK, "application/json", text[..text.len() / 2].to_owned());
            }
            Malformed::NoAccessToken => drop_key("access_token"),
            Malformed::NoRefreshToken => drop_key("refresh_token"),
            Malformed::NoIdToken => drop_key("id_token"),
            Malformed::WrongAccount => {
                let other = if who == Who::Account(1) { Who::Account(2) } else { Who::Account(1) };
                document = token_document(&self.sign_in(people, other, now_ms, false), None);
            }
        }
        Reply::json(StatusCode::OK, &document)
    }
}

/// The vendor's refusals: permanent by their code, whatever the status.
fn refused(verdict: Verdict) -> Reply {
    let (code, message) = match verdict {
        Verdict::Fresh | Verdict::Unknown => {
            return oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", "unknown refresh token");
        }
        Verdict::Reused => ("refresh_token_reused", "This refresh token was used before. Sign in again."),
        Verdict::Revoked => ("refresh_token_invalidated", "This refresh token was revoked. Sign in again."),
    };
    let error = json!({ "message": message, "type": "invalid_request_error", "param": null, "code": code });
    Reply::json(StatusCode::UNAUTHORIZED, &json!({ "error": error }))
}
