//! What the browser shows at the end: pages of our own, in light and dark, that load and run nothing.
//!
//! Their texts are fixed, but for the issuer's own words about a failure, which came with the right state and are shown
//! escaped, and for what a person asked to see.

use std::{borrow::Cow, fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use crate::error::LoginError;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    status: StatusCode,
    voice: Voice,
    tone: Tone,
    title: &'static str,
    text: Cow<'static, str>,
    said: Option<String>,
    code: Option<Cow<'static, str>>,
    /// What to do next; commands stand in backticks.
    next: Option<String>,
    onward: Option<String>,
}

/// Which product speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// Our command line.
    CommandLine,
    /// OpenCode's plugin.
    OpenCode,
}

/// How a page feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    Plain,
}

/// Contrast is at least 7 to 1 for texts and 3 to 1 for the marks, in both schemes.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1f;--paper:#f6f6f9;--card:#fff;--soft:#4a4a54;--line:#d9d9e0;\
--good:#0f6b3c;--bad:#a11722;--code:#ededf2}\
@media(prefers-color-scheme:dark){:root{--ink:#ececf1;--paper:#131316;--card:#1d1d22;--soft:#bcbcc6;--line:#34343c;\
--good:#6fd49b;--bad:#ff9a9f;--code:#2a2a31}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;padding:1.5rem;display:grid;place-items:center;background:var(--paper);\
color:var(--ink);font:1.0625rem/1.6 system-ui,sans-serif}\
main{width:100%;max-width:36rem;padding:2rem;background:var(--card);border:1px solid var(--line);\
border-radius:.75rem;border-top:.3rem solid var(--soft)}\
main.good{border-top-color:var(--good)}main.bad{border-top-color:var(--bad)}\
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}.good h1{color:var(--good)}.bad h1{color:var(--bad)}\
p{margin:0 0 1rem}blockquote{margin:0 0 1rem;padding:.25rem 0 .25rem 1rem;border-left:.25rem solid var(--line)}\
code{font:.95em ui-monospace,monospace;background:var(--code);padding:.1rem .35rem;border-radius:.25rem;\
overflow-wrap:anywhere}\
a{color:inherit}a:focus-visible{outline:.2rem solid currentColor;outline-offset:.2rem}\
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.9rem}\
footer p{margin:0}";

/// Nothing may be loaded, run, framed or sent; the one style sheet is named by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 is fit for a header")
});

impl Voice {
    const fn name(self) -> &'static str {
        match self {
            Self::CommandLine => "codex-multi-auth",
            Self::OpenCode => "OpenCode",
        }
    }
}

impl Page {
    pub(crate) const SIGNED_IN: Self = Self::plain(
        StatusCode::OK,
        "You are signed in",
        "The terminal has your sign-in. You can close this page and go back to it.",
    )
    .good();
    pub(super) const NOT_GET: Self = Self::plain(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not possible",
        "This address can only be opened, nothing can be sent to it.",
    );
    pub(super) const NOT_FOUND: Self =
        Self::plain(StatusCode::NOT_FOUND, "Nothing here", "Only a sign-in ends at this address.");
    pub(super) const OTHER_SIGN_IN: Self = Self::plain(
        StatusCode::BAD_REQUEST,
        "This page belongs to another sign-in",
        "The terminal waits for a different one. Open the newest link it printed.",
    );
    pub(crate) const TOO_LATE: Self = Self::plain(
        StatusCode::CONFLICT,
        "This sign-in has ended",
        "The terminal says what came of it. You can close this page.",
    );
    /// OpenCode waits for no sign-in, or for another one.
    pub(crate) const INVALID_STATE: Self = Self::plain(
        StatusCode::BAD_REQUEST,
        "This page belongs to another sign-in",
        "Invalid state - potential CSRF attack. OpenCode waits for no sign-in now, or for a different one. Start again \
         and open the newest link.",
    )
    .bad_in(Voice::OpenCode);

    const fn plain(status: StatusCode, title: &'static str, text: &'static str) -> Self {
        let text = Cow::Borrowed(text);
        let (voice, tone) = (Voice::CommandLine, Tone::Plain);
        Self { status, voice, tone, title, text, said: None, code: None, next: None, onward: None }
    }

    const fn good(mut self) -> Self {
        self.tone = Tone::Good;
        self
    }

    const fn bad_in(mut self, voice: Voice) -> Self {
        self.tone = Tone::Bad;
        self.voice = voice;
        self
    }

    /// The page for a sign-in that failed.
    pub(crate) fn of(error: &LoginError) -> Self {
        let Failure { title, text, code, said } = Failure::of(error);
        let mut page = Self::plain(StatusCode::OK, title, text).bad_in(Voice::CommandLine);
        page.said = said;
        page.code = Some(code);
        page.next = Some(error.next_step());
        page
    }

    /// The same as OpenCode says it: with the sentence its users know, and its own command.
    pub(crate) fn of_host(error: &LoginError, status: StatusCode, sentence: Option<&'static str>) -> Self {
        let mut page = Self { status, voice: Voice::OpenCode, ..Self::of(error) };
        page.next = Some("run `opencode auth login`".to_owned());
        if let Some(sentence) = sentence {
            page.text = Cow::Owned(format!("{sentence}. {}", page.text));
        }
        page
    }

    /// The page for a sign-in that OpenCode has. `onward` is where the person has something left to set up.
    pub(crate) fn of_success(onward: Option<String>) -> Self {
        let text = if onward.is_some() {
            "OpenCode has your sign-in. Your organisation is not set up yet; the page for that opens in a moment."
        } else {
            "OpenCode has your sign-in. You can close this page and go back to it."
        };
        let mut page = Self::plain(StatusCode::OK, "You are signed in", text).good();
        page.voice = Voice::OpenCode;
        page.onward = onward;
        page
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn content_policy() -> HeaderValue {
        POLICY.clone()
    }

    pub(crate) fn html(&self) -> String {
        let name = self.voice.name();
        let title = self.title;
        let (tone, role) = match self.tone {
            Tone::Good => ("good", "status"),
            Tone::Bad => ("bad", "alert"),
            Tone::Plain => ("plain", "status"),
        };
        let mut html = String::from(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">",
        );
        let onward = self.onward.as_deref().map(escaped);
        if let Some(onward) = &onward {
            let _ = write!(html, "<meta http-equiv=\"refresh\" content=\"3;url={onward}\">");
        }
        let _ = write!(
            html,
            "<title>{title} – {name}</title><style>{STYLE}</style></head>\n\
             <body><main class=\"{tone}\"><h1>{title}</h1><div role=\"{role}\"><p>{}</p>",
            escaped(&self.text)
        );
        if let Some(said) = &self.said {
            let _ = write!(html, "<p>The sign-in service says:</p><blockquote>{}</blockquote>", escaped(said));
        }
        html.push_str("</div>");
        if let Some(onward) = &onward {
            let _ = write!(html, "<p><a href=\"{onward}\" rel=\"noreferrer\">Set up your organisation</a></p>");
        }
        if let Some(next) = &self.next {
            let _ = write!(html, "<p><strong>What to do:</strong> {}.</p>", with_commands(next));
        }
        let code = self.code.as_deref().map(|code| format!("Code: <code>{}</code> · ", escaped(code)));
        let _ = writeln!(
            html,
            "<footer><p>{}{name}, on this machine</p></footer></main></body></html>",
            code.unwrap_or_default()
        );
        html
    }
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, letter| {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
        safe
    })
}

/// A sentence whose commands, in backticks, are set as such.
fn with_commands(sentence: &str) -> String {
    let parts = sentence.split('`').enumerate();
    let set = |(place, part): (usize, &str)| {
        if place % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) }
    };
    parts.map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_what_happened_what_to_do_and_its_code() {
        let error = LoginError::Denied { code: "access_denied".into(), description: Some("<b>&\"'".into()) };
        let html = Page::of(&error).html();
        for part in [
            "<html lang=\"en\">",
            "<title>The sign-in was refused – codex-multi-auth</title>",
            "<h1>The sign-in was refused</h1>",
            "role=\"alert\"",
            "<blockquote>&lt;b&gt;&amp;&quot;&#39;</blockquote>",
            "run <code>codex-multi-auth login</code>.",
            "<code>access_denied</code>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<b>"), "{html}");
        let host = Page::of_host(&error, StatusCode::OK, None).html();
        assert!(
            host.contains("run <code>opencode auth login</code>.") && host.contains("– OpenCode</title>"),
            "{host}"
        );
        assert!(!host.contains("codex-multi-auth"), "{host}");
    }

    #[test]
    fn nothing_is_loaded_and_no_script_runs() {
        for page in [Page::SIGNED_IN, Page::of(&LoginError::MissingCode), Page::of_success(None), Page::INVALID_STATE] {
            let html = page.html();
            for foreign in ["<script", "src=", "href=", "url(", "@import", "http://", "https://"] {
                assert!(!html.contains(foreign), "{foreign}: {html}");
            }
        }
    }
}
