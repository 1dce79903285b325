//! Owns the fake's issuer: sign-in by browser and by device code, tokens for codes and refresh tokens, revocation.

mod authorize;
mod device;
mod token;

use std::collections::{HashMap, VecDeque};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::fault::Malformed;
use crate::grants::{Grants, Minting, Tokens, Verdict};
use crate::jwt::{Mint, fingerprint};
use crate::log::Presented;
use crate::people::{People, Who};
use crate::reply::Reply;
use crate::route::Route;
use crate::setup::TokenSetup;

/// What happens when the next person reaches the sign-in page. In JSON `{"account": 2}` or
/// `{"error": "access_denied", "description": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Who signs in; without it whoever is next in number order.
    #[serde(default)]
    pub account: Option<Who>,
    /// Or: the OAuth error the page sends back.
    #[serde(default)]
    pub error: Option<String>,
    /// `error_description`.
    #[serde(default)]
    pub description: Option<String>,
}

impl SignIn {
    /// This person signs in.
    pub fn of(who: Who) -> Self {
        Self { account: Some(who), error: None, description: None }
    }

    /// The page refuses.
    pub fn refused(error: impl Into<String>, description: Option<&str>) -> Self {
        Self { account: None, error: Some(error.into()), description: description.map(str::to_owned) }
    }
}

/// An authorization code that waits for its exchange.
#[derive(Debug)]
struct Code {
    who: Who,
    challenge: String,
    /// None for a code of the device flow: the client names its own issuer's path there.
    redirect_uri: Option<String>,
}

#[derive(Debug)]
struct Device {
    user_code: String,
    /// Polls still to be answered "not yet"; none = until told.
    pending: Option<u32>,
    expires_ms: Option<i64>,
}

/// The issuer's state.
pub(crate) struct Issuer {
    pub grants: Grants,
    pub mint: Mint,
    pub url: String,
    setup: TokenSetup,
    queue: VecDeque<SignIn>,
    turn: usize,
    codes: HashMap<String, Code>,
    devices: HashMap<String, Device>,
}

impl Issuer {
    pub(crate) fn new(setup: TokenSetup, seed: u64, url: String) -> Self {
        Self {
            grants: Grants::default(),
            mint: Mint::new(seed),
            url,
            setup,
            queue: VecDeque::new(),
            turn: 0,
            codes: HashMap::new(),
            devices: HashMap::new(),
        }
    }

    /// Answers a request to the issuer.
    pub(crate) fn answer(&mut self, people: &People, ask: &Ask, now_ms: i64, malformed: Option<Malformed>) -> Reply {
        match ask.route {
            Route::Authorize => self.authorize(people, ask),
            Route::Token => self.token(people, ask, now_ms, malformed),
            Route::Revoke => self.revoke(ask),
            Route::DeviceCode => self.device_code(ask, now_ms),
            Route::DeviceToken => self.device_token(people, ask, now_ms),
            Route::DevicePage => Reply::whole(StatusCode::OK, "text/html", "<!doctype html><title>Device</title>"),
            Route::Responses
            | Route::WebSocket
            | Route::Models
            | Route::AccountsCheck
            | Route::SettingsUser
            | Route::Usage
            | Route::ConfigBundle
            | Route::ResetCredits
            | Route::ConsumeResetCredit
            | Route::PsMcp
            | Route::Analytics
            | Route::Control
            | Route::Other => Reply::not_found(),
        }
    }

    /// Queues what happens at the next sign-ins.
    pub(crate) fn next_login(&mut self, sign_in: SignIn) {
        self.queue.push_back(sign_in);
    }

    /// Lets every pending device code be granted at its next poll.
    pub(crate) fn approve_devices(&mut self) {
        self.devices.values_mut().for_each(|device| device.pending = Some(0));
    }

    /// Somebody signs in outside of any flow: a document is to hold their tokens.
    pub(crate) fn sign_in(&mut self, people: &People, who: Who, now_ms: i64, current: bool) -> Tokens {
        let person = people.person(who);
        let minting =
            Minting { person: &person, issuer: &self.url, now_ms, access_secs: self.setup.access_lifetime_secs };
        self.grants.sign_in(&mut self.mint, &minting, current)
    }

    /// What the log says about a presented token or code; nothing is spent.
    pub(crate) fn presented(&self, ask: &Ask) -> Option<Presented> {
        if !matches!(ask.route, Route::Token | Route::Revoke) {
            return None;
        }
        let fields = ask.fields();
        let field = |name: &str| fields.get(name).map(String::as_str);
        let (grant_type, secret) = if ask.route == Route::Revoke {
            ("revoke", field("token"))
        } else {
            let grant_type = field("grant_type").unwrap_or_default();
            (grant_type, field("refresh_token").or(field("code")).or(field("subject_token")))
        };
        let (verdict, account) = match (grant_type, secret) {
            ("authorization_code", Some(code)) => self.judge_code(code),
            (token::EXCHANGE, Some(id_token)) => known(self.grants.id_owner(id_token)),
            (_, Some(secret)) => self.grants.peek(secret),
            (_, None) => (Verdict::Unknown, None),
        };
        Some(Presented {
            grant_type: crate::log::shown(grant_type),
            refresh_reason: field("refresh_reason").map(crate::log::shown),
            account,
            token: secret.map(fingerprint),
            verdict,
        })
    }

    fn judge_code(&self, code: &str) -> (Verdict, Option<Who>) {
        known(self.codes.get(code).map(|code| code.who))
    }

    fn revoke(&mut self, ask: &Ask) -> Reply {
        // An unknown token is as gone as it can be: 200, as RFC 7009 has it.
        if let Some(token) = ask.fields().get("token") {
            self.grants.revoke(token);
        }
        Reply::json(StatusCode::OK, &json!({}))
    }

    /// Who is at the sign-in page now.
    fn visitor(&mut self, people: &People) -> Result<Who, SignIn> {
        let queued = self.queue.pop_front();
        match queued {
            Some(sign_in) if sign_in.error.is_some() => Err(sign_in),
            Some(SignIn { account: Some(who), .. }) => Ok(who),
            Some(_) | None => {
                let size = people.pool().count().max(1);
                self.turn += 1;
                Ok(Who::Account((self.turn - 1) % size + 1))
            }
        }
    }
}

fn known(who: Option<Who>) -> (Verdict, Option<Who>) {
    (if who.is_some() { Verdict::Fresh } else { Verdict::Unknown }, who)
}

/// An OAuth error answer.
fn oauth_error(status: StatusCode, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "error_description": description }))
}

/// The part of an answer both token grants share.
fn token_document(tokens: &Tokens, stated_secs: Option<u64>) -> Value {
    let true_secs = (tokens.life.expires_ms - tokens.life.issued_ms) / 1000;
    let expires_in = stated_secs.map_or(json!(true_secs), |secs| json!(secs));
    json!({
        "access_token": tokens.access, "id_token": tokens.id, "refresh_token": tokens.refresh,
        "token_type": "Bearer", "expires_in": expires_in, "scope": "openid profile email offline_access",
    })
}
