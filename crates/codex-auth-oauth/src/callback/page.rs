//! What the browser shows at the end: pages of our own with fixed texts. Nothing a caller sent ever comes back in one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};

use crate::error::LoginError;

/// A page of fixed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    status: StatusCode,
    title: &'static str,
    text: &'static str,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1f;--paper:#fbfbfd;--soft:#55555e}\
@media(prefers-color-scheme:dark){:root{--ink:#ececf1;--paper:#17171b;--soft:#b4b4be}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);\
font:1.125rem/1.6 system-ui,sans-serif}\
main{max-width:34rem;padding:2rem}h1{font-size:1.75rem;line-height:1.25;margin:0 0 1rem}p{margin:0 0 1rem}\
footer{color:var(--soft);font-size:.9rem}";

impl Page {
    pub(crate) const SIGNED_IN: Self = Self {
        status: StatusCode::OK,
        title: "You are signed in",
        text: "The terminal has your sign-in. You can close this page and go back to it.",
    };
    pub(super) const NOT_GET: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "Not possible",
        text: "This address can only be opened, nothing can be sent to it.",
    };
    pub(super) const NOT_FOUND: Self =
        Self { status: StatusCode::NOT_FOUND, title: "Nothing here", text: "Only a sign-in ends at this address." };
    pub(super) const OTHER_SIGN_IN: Self = Self {
        status: StatusCode::BAD_REQUEST,
        title: "This page belongs to another sign-in",
        text: "The terminal waits for a different one. Open the newest link it printed.",
    };
    pub(super) const TOO_LATE: Self = Self {
        status: StatusCode::CONFLICT,
        title: "This sign-in has ended",
        text: "The terminal says what came of it. You can close this page.",
    };

    /// The page for a sign-in that failed.
    pub(crate) fn of(error: &LoginError) -> Self {
        let (title, text) = match error {
            LoginError::Cancelled => ("The sign-in was cancelled", "You can close this page."),
            LoginError::NotEntitled => (
                "This workspace has no Codex",
                "Ask the admin of the workspace for access to Codex, or sign in again and choose another workspace.",
            ),
            LoginError::Denied { .. } => (
                "The sign-in was refused",
                "The terminal shows the reason and the command to try again. You can close this page.",
            ),
            LoginError::OtherWorkspace { .. } => (
                "This workspace is not allowed here",
                "Sign in again and choose an allowed workspace; the terminal shows the command.",
            ),
            LoginError::PortBusy { .. }
            | LoginError::Listen { .. }
            | LoginError::TimedOut { .. }
            | LoginError::MissingCode
            | LoginError::Paste(_)
            | LoginError::Device(_)
            | LoginError::ExchangeRefused { .. }
            | LoginError::ExchangeUnanswered { .. }
            | LoginError::NoTokens
            | LoginError::NotKept(_) => (
                "The sign-in did not work",
                "The terminal shows what happened and the command to try again. You can close this page.",
            ),
        };
        Self { status: StatusCode::OK, title, text }
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.html())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self == Self::NOT_GET {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, content_policy());
        response
    }

    fn html(self) -> String {
        let Self { title, text, .. } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title} – codex-multi-auth</title><style>{STYLE}</style></head>\n\
             <body><main><h1>{title}</h1><p>{text}</p><footer>codex-multi-auth, on this machine</footer></main></body>\
             </html>\n"
        )
    }
}

/// Nothing may be loaded, run, framed or sent; the one style sheet is named by its hash.
fn content_policy() -> HeaderValue {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 is fit for a header")
}
