//! Opening the sign-in page: which program does it on which system, and which addresses may be opened at all
//! (plugin 5.4). Nothing passes through a shell, and a browser that does not open fails no sign-in.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use codex_auth_oauth::{LoginEvent, LoginEvents};
use serde_json::json;
use tokio::time::sleep;
use url::Url;

/// How long the program may take to hand the address over.
const WITHIN: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The system the browser is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// macOS.
    Mac,
    /// Windows.
    Windows,
    /// Everything else.
    Other,
}

impl Platform {
    /// The one this was built for.
    pub const fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::Mac
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Other
        }
    }

    /// The one Node calls so.
    pub fn of_node(name: &str) -> Self {
        match name {
            "darwin" => Self::Mac,
            "win32" => Self::Windows,
            _ => Self::Other,
        }
    }
}

/// The program that opens an address, and its arguments.
pub fn browser_command(url: &str, platform: Platform) -> (&'static str, Vec<String>) {
    let url = url.to_owned();
    match platform {
        Platform::Mac => ("open", vec![url]),
        Platform::Windows => ("rundll32.exe", vec!["url.dll,FileProtocolHandler".to_owned(), url]),
        Platform::Other => ("xdg-open", vec![url]),
    }
}

/// Whether an address may be opened: a page of one of these origins, without a name or a password in it.
pub fn may_open<'a>(url: &str, origins: impl IntoIterator<Item = &'a str>) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_page = matches!(url.scheme(), "http" | "https");
    let has_user = !url.username().is_empty() || url.password().is_some();
    let origin = url.origin();
    let among = |known: &str| Url::parse(known).is_ok_and(|known| known.origin() == origin);
    is_page && !has_user && origins.into_iter().any(among)
}

/// Opens an address of `origin`; says whether a browser took it.
pub async fn open_browser(url: &str, origin: &str, events: &dyn LoginEvents) -> bool {
    if !may_open(url, [origin]) {
        events.happened(LoginEvent::BrowserOpenBlocked, json!({ "origin": origin }));
        return false;
    }
    let (program, arguments) = browser_command(url, Platform::here());
    events.happened(LoginEvent::BrowserOpenAttempt, json!({ "command": program }));
    match hand_over(program, &arguments).await {
        Ok(()) => {
            events.happened(LoginEvent::BrowserOpenSuccess, json!({ "command": program }));
            true
        }
        Err(why) => {
            events.happened(LoginEvent::BrowserOpenFailure, json!({ "command": program, "error": why }));
            false
        }
    }
}

async fn hand_over(program: &str, arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut waited = Duration::ZERO;
    while waited < WITHIN {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(ended) if ended.success() => return Ok(()),
            Some(ended) => return Err(ended.to_string()),
            None => sleep(BETWEEN_LOOKS).await,
        }
        waited += BETWEEN_LOOKS;
    }
    // Some of these programs stay for as long as the browser does not answer.
    child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
    Err(format!("it did not end within {} s", WITHIN.as_secs()))
}

#[cfg(test)]
mod tests {
    use codex_auth_oauth::NoEvents;

    use super::*;

    #[track_caller]
    fn check(url: &str, expect: bool) {
        assert_eq!(may_open(url, ["https://auth.openai.com"]), expect, "{url}");
    }

    #[test]
    fn only_the_issuers_pages_are_opened() {
        check("https://auth.openai.com/oauth/authorize?x=1", true);
        check("https://auth.openai.com:443/", true);
        check("http://auth.openai.com/", false);
        check("https://auth.openai.com:444/", false);
        check("https://auth.openai.com.example.test/", false);
        check("https://me@auth.openai.com/", false);
        check("https://me:pw@auth.openai.com/", false);
        check("file:///etc/passwd", false);
        check("javascript:alert(1)", false);
        check("nope", false);
    }

    #[test]
    fn each_system_has_its_program() {
        let program = |name: &str| browser_command("u", Platform::of_node(name)).0;
        assert_eq!(
            ["darwin", "win32", "linux", "freebsd"].map(program),
            ["open", "rundll32.exe", "xdg-open", "xdg-open"]
        );
    }

    #[tokio::test]
    async fn a_program_that_fails_or_is_missing_fails_no_sign_in() {
        assert!(!open_browser("https://x.test/", "https://auth.openai.com", &NoEvents).await);
        assert_eq!(hand_over("true", &[]).await, Ok(()));
        assert!(hand_over("false", &[]).await.is_err());
        assert!(hand_over("no-such-program-here", &[]).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_stays_is_ended() {
        assert_eq!(hand_over("sleep", &["600".to_owned()]).await, Err("it did not end within 5 s".to_owned()));
    }
}
