//! How the official client is started so that its requests come to us: arguments and environment of the child.
//!
//! Nothing is written anywhere: `-c` overrides and the child's own environment are all. The shapes and their reasons
//! are measured facts about the client, version by version.

use std::ffi::{OsStr, OsString};

use codex_auth_core::ClientToken;

use crate::{client_version::ClientVersion, command_line::Purpose};

/// The client ignores `openai_base_url` before this version, without a word, and asks the vendor directly.
const BASE_URL_KEY: ClientVersion = ClientVersion::new(0, 115, 0);
/// Older clients were never seen to route through the environment either.
const ENVIRONMENT_URL: ClientVersion = ClientVersion::new(0, 98, 0);
/// From here on a screen may start a daemon that would keep this session's environment.
const NO_DAEMON_FLAG: ClientVersion = ClientVersion::new(0, 156, 0);

/// Who the client will believe to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Face<'a> {
    /// The ChatGPT login of its home.
    Login,
    /// Nobody; it shows this token of ours as its API key.
    Lease(&'a ClientToken),
}

/// A child's arguments and the changes to its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    /// Arguments after the program name.
    pub(crate) arguments: Vec<OsString>,
    /// Variables to set.
    pub(crate) set: Vec<(&'static str, OsString)>,
    /// Variables to remove.
    pub(crate) remove: Vec<&'static str>,
}

/// Why a client cannot be routed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoShape {
    /// Too old: it would ask the vendor directly, with the user's own login, and succeed.
    #[error("codex {0} cannot be routed; 0.98.0 is the oldest that can")]
    TooOld(ClientVersion),
}

/// What the shape depends on besides the user's arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    /// The agent's port.
    pub(crate) port: u16,
    /// The client's version.
    pub(crate) version: ClientVersion,
    /// What the command line is about to do.
    pub(crate) purpose: Purpose,
    /// Who the client will believe to be.
    pub(crate) face: Face<'a>,
    /// The user's `NO_PROXY`.
    pub(crate) no_proxy: Option<&'a OsStr>,
    /// Whether the user set `RUST_LOG`.
    pub(crate) has_log_filter: bool,
}

/// The launch of a routed client.
pub(crate) fn routed(user: &[OsString], situation: Situation<'_>) -> Result<Launch, NoShape> {
    let Situation { port, version, purpose, face, no_proxy, has_log_filter } = situation;
    if version < ENVIRONMENT_URL {
        return Err(NoShape::TooOld(version));
    }
    let model_base = match face {
        Face::Login => format!("http://127.0.0.1:{port}/backend-api/codex"),
        Face::Lease(_) => format!("http://127.0.0.1:{port}/v1"),
    };
    // Two different origins on purpose: with one origin the client replaces ours by the vendor's, silently.
    let mut ours = vec![format!("chatgpt_base_url=\"http://localhost:{port}/backend-api\"")];
    let mut launch = Launch::default();
    if version < BASE_URL_KEY {
        launch.set.push(("OPENAI_BASE_URL", model_base.into()));
    } else {
        ours.push(format!("openai_base_url=\"{model_base}\""));
    }
    launch.arguments = with_overrides(user, &ours);
    if purpose == Purpose::Screen && version >= NO_DAEMON_FLAG && !user.iter().any(|word| word == "--no-daemon") {
        launch.arguments.insert(ours.len() * 2, "--no-daemon".into());
    }
    launch.set.push(("CODEX_REFRESH_TOKEN_URL_OVERRIDE", format!("http://127.0.0.1:{port}/oauth/token").into()));
    launch.set.push(("CODEX_REVOKE_TOKEN_URL_OVERRIDE", format!("http://127.0.0.1:{port}/oauth/revoke").into()));
    let no_proxy = extended(no_proxy);
    launch.set.push(("NO_PROXY", no_proxy.clone()));
    launch.set.push(("no_proxy", no_proxy));
    if !has_log_filter {
        // The 426 that keeps the client on HTTP prints one error line in `exec` otherwise.
        launch.set.push(("RUST_LOG", "error,codex_api::endpoint::responses_websocket=off".into()));
    }
    launch.remove.push("CODEX_ACCESS_TOKEN");
    match face {
        Face::Login => launch.remove.push("CODEX_API_KEY"),
        Face::Lease(token) => launch.set.push(("CODEX_API_KEY", token.expose().into())),
    }
    Ok(launch)
}

/// Puts our overrides first, and again before each override of the user's: up to 0.163 a deeper `-c` discards all
/// shallower ones. A later one of the user's for the same key still wins.
fn with_overrides(user: &[OsString], ours: &[String]) -> Vec<OsString> {
    let pairs = || ours.iter().flat_map(|pair| [OsString::from("-c"), OsString::from(pair)]);
    let mut arguments: Vec<OsString> = pairs().collect();
    let mut words = user.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            arguments.push(word.clone());
            arguments.extend(words.cloned());
            break;
        }
        let text = word.to_str().unwrap_or_default();
        let is_override = text == "-c"
            || text == "--config"
            || text.starts_with("--config=")
            || (text.starts_with("-c") && !text.starts_with("--") && text.len() > 2);
        if is_override {
            arguments.extend(pairs());
        }
        arguments.push(word.clone());
        if text == "-c" || text == "--config" {
            arguments.extend(words.next().cloned());
        }
    }
    arguments
}

/// Standard proxy variables would carry our token to a corporate proxy; loopback is exempted.
fn extended(no_proxy: Option<&OsStr>) -> OsString {
    let mut list = no_proxy.map(OsStr::to_os_string).unwrap_or_default();
    for host in ["127.0.0.1", "localhost", "::1"] {
        let has = list.to_string_lossy().split(',').any(|known| known.trim() == host || known.trim() == "*");
        if !has {
            if !list.is_empty() {
                list.push(",");
            }
            list.push(host);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    fn situation(version: ClientVersion, purpose: Purpose) -> Situation<'static> {
        Situation { port: 4000, version, purpose, face: Face::Login, no_proxy: None, has_log_filter: false }
    }

    const OURS: &str = "-c chatgpt_base_url=\"http://localhost:4000/backend-api\" -c openai_base_url=\"http://127.0.0.1:4000/backend-api/codex\"";

    #[track_caller]
    fn check(typed: &str, expect: &str) {
        let launch = routed(&words(typed), situation(ClientVersion::new(0, 169, 0), Purpose::Exec)).expect("routable");
        assert_eq!(launch.arguments, words(expect));
    }

    #[test]
    fn our_overrides_stand_before_each_of_the_users() {
        check("exec hi", &format!("{OURS} exec hi"));
        check("exec -c model=x hi", &format!("{OURS} exec {OURS} -c model=x hi"));
        check("exec --config=model=x hi", &format!("{OURS} exec {OURS} --config=model=x hi"));
        check("exec -cmodel=x hi", &format!("{OURS} exec {OURS} -cmodel=x hi"));
        check("exec -- -c hi", &format!("{OURS} exec -- -c hi"));
    }

    #[test]
    fn a_screen_starts_no_daemon_where_that_can_be_said() {
        let screen = |minor| routed(&words("hi"), situation(ClientVersion::new(0, minor, 0), Purpose::Screen));
        assert_eq!(screen(169).expect("routable").arguments, words(&format!("{OURS} --no-daemon hi")));
        assert_eq!(screen(155).expect("routable").arguments, words(&format!("{OURS} hi")));
    }

    #[test]
    fn old_clients_are_routed_by_environment_or_not_at_all() {
        let old = routed(&words("exec hi"), situation(ClientVersion::new(0, 114, 0), Purpose::Exec)).expect("routable");
        let url = OsString::from("http://127.0.0.1:4000/backend-api/codex");
        assert!(old.set.contains(&("OPENAI_BASE_URL", url)));
        let ancient = ClientVersion::new(0, 97, 9);
        assert_eq!(routed(&words("exec hi"), situation(ancient, Purpose::Exec)), Err(NoShape::TooOld(ancient)));
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        assert_eq!(extended(None), "127.0.0.1,localhost,::1");
        assert_eq!(extended(Some(OsStr::new("corp.example,localhost"))), "corp.example,localhost,127.0.0.1,::1");
        assert_eq!(extended(Some(OsStr::new("*"))), "*");
    }
}
