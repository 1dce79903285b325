//! Owns the sign-in page: which requests it accepts, what a person sees there, and where it sends the browser.
//!
//! A browser, which says that it takes HTML, gets a page with a button; any other client is sent on at once.

use http::StatusCode;
use url::Url;

use super::{Code, Issuer};
use crate::ask::Ask;
use crate::jwt::CLIENT_ID;
use crate::people::People;
use crate::reply::Reply;

/// A client the page does not know is told so on the page: it must never be redirected to.
const STRANGER: &str = "<!doctype html><title>Sign-in</title><p>This sign-in request is not valid.";

/// The field of the button.
const CONSENT: &str = "consent";

impl Issuer {
    pub(super) fn authorize(&mut self, people: &People, ask: &Ask) -> Reply {
        let redirect = ask.query("redirect_uri").and_then(loopback);
        let Some(mut redirect) = redirect.filter(|_| ask.query("client_id") == Some(CLIENT_ID)) else {
            return Reply::whole(StatusCode::BAD_REQUEST, "text/html", STRANGER);
        };
        if takes_html(ask) && ask.query(CONSENT).is_none() {
            return Reply::whole(StatusCode::OK, "text/html; charset=utf-8", consent_page(ask));
        }
        let redirect_uri = ask.query("redirect_uri").unwrap_or_default().to_owned();
        let state = ask.query("state").unwrap_or_default().to_owned();
        let outcome = fault_of(ask).map_or_else(|| self.sign_in_page(people, ask, redirect_uri), Err);
        let answer = match outcome {
            Ok(code) => vec![("code", code)],
            Err((error, description)) => vec![("error", error), ("error_description", description)],
        };
        redirect.query_pairs_mut().extend_pairs(answer).append_pair("state", &state);
        Reply::empty(StatusCode::FOUND).with("location", redirect.as_str())
    }

    fn sign_in_page(&mut self, people: &People, ask: &Ask, redirect_uri: String) -> Result<String, (String, String)> {
        let who = self.visitor(people).map_err(|refusal| {
            let error = refusal.error.unwrap_or_else(|| "access_denied".to_owned());
            let description = refusal.description.unwrap_or_else(|| "the sign-in was refused".to_owned());
            (error, description)
        })?;
        let allowed = ask.query("allowed_workspace_id").filter(|ids| !ids.is_empty());
        let account_id = people.person(who).account_id;
        if allowed.is_some_and(|ids| ids.split(',').all(|id| id != account_id)) {
            return Err(("access_denied".to_owned(), "this workspace is not allowed".to_owned()));
        }
        let challenge = ask.query("code_challenge").unwrap_or_default().to_owned();
        Ok(self.code(Code { who, challenge, redirect_uri: Some(redirect_uri) }))
    }

    /// Makes a code that is good for one exchange.
    pub(super) fn code(&mut self, code: Code) -> String {
        let text = self.mint.secret("ac_fake.", &format!("authorization code of {}", code.who));
        self.codes.insert(text.clone(), code);
        text
    }
}

fn takes_html(ask: &Ask) -> bool {
    ask.header("accept").is_some_and(|types| types.contains("text/html"))
}

/// The question a person answers: the same request, once more, with the answer to it.
fn consent_page(ask: &Ask) -> String {
    let field = |(name, value): &(String, String)| {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value))
    };
    let fields: String = ask.query.iter().map(field).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Fake sign-in</title></head>\n\
         <body><main><h1>Fake sign-in</h1><form method=\"get\">{fields}\
         <button name=\"{CONSENT}\" value=\"given\">Continue</button></form></main></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// What is wrong with a request whose redirect can be trusted.
fn fault_of(ask: &Ask) -> Option<(String, String)> {
    let present = |name: &str| ask.query(name).is_some_and(|value| !value.is_empty());
    let wrong = if ask.query("response_type") != Some("code") {
        ("unsupported_response_type", "response_type must be code")
    } else if !present("state") {
        ("invalid_request", "state is missing")
    } else if ask.query("code_challenge_method") != Some("S256") || !is_challenge(ask.query("code_challenge")) {
        ("invalid_request", "PKCE with S256 is required")
    } else {
        return None;
    };
    Some((wrong.0.to_owned(), wrong.1.to_owned()))
}

/// A SHA-256 in base64url without padding.
fn is_challenge(text: Option<&str>) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.is_some_and(|text| text.len() == 43 && text.chars().all(allowed))
}

/// A redirect to the client's own callback on this machine.
fn loopback(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    (here && url.scheme() == "http" && url.path() == "/auth/callback").then_some(url)
}
