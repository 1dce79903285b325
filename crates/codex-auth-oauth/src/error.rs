//! Why a sign-in failed, what the person is told, and the command that helps.
//!
//! The official client's failure codes (protocol 2.7) and ours:
//!
//! | Code | Here |
//! |---|---|
//! | `access_denied` naming `missing_codex_entitlement` | [`LoginError::NotEntitled`] |
//! | `access_denied`, any other OAuth error | [`LoginError::Denied`] |
//! | `missing_authorization_code` | [`LoginError::MissingCode`] |
//! | `workspace_restriction` | [`LoginError::OtherWorkspace`] |
//! | `token_exchange_failed` | [`LoginError::ExchangeRefused`], [`LoginError::ExchangeUnanswered`], [`LoginError::NoTokens`] |
//! | `persist_failed` | [`LoginError::NotKept`] |
//! | `redirect_failed` | none: we show our page at once and redirect nowhere |
//! | nobody came back in time | [`LoginError::TimedOut`]; by paste [`PasteError::Nothing`] |
//! | a paste without code or state, or of another attempt (domain 3.3) | [`PasteError::Incomplete`], [`PasteError::OtherAttempt`] |
//! | device code: 404 at its request | [`DeviceError::Disabled`] |
//! | device code: any other refusal, or an answer of no use | [`DeviceError::CodeRefused`], [`DeviceError::CodeUnusable`] |
//! | device code: `access_denied` and kin; `expired_token` and kin | [`DeviceError::Denied`]; [`DeviceError::Expired`] |
//! | device code: any other answer to a poll | [`DeviceError::Refused`], [`DeviceError::GrantUnusable`] |
//! | device code: the time is over; the network was gone | [`DeviceError::TimedOut`]; [`DeviceError::Unanswered`] |
//!
//! What is kept of an answer is a word that looks like a code, never a sentence of it.

mod device;
mod paste;

use std::time::Duration;

use codex_auth_core::{Kind, StoreError};

pub use device::DeviceError;
pub use paste::PasteError;

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Another program listens where the issuer sends the browser back to, and did not give way.
    #[error("another program listens on port {port}, where the browser comes back to")]
    PortBusy {
        /// The last port tried.
        port: u16,
    },
    /// The system does not let us listen.
    #[error("could not listen on 127.0.0.1 port {port}: {why}")]
    Listen {
        /// The port.
        port: u16,
        /// The system's words.
        why: String,
    },
    /// Nobody came back from the browser.
    #[error("the browser did not come back to port {port} within {} s", waited.as_secs())]
    TimedOut {
        /// Where it was expected.
        port: u16,
        /// How long.
        waited: Duration,
        /// Whether a browser could be opened at all.
        browser_opened: bool,
    },
    /// Somebody asked this sign-in to stop, such as another one that needs the port.
    #[error("the sign-in was cancelled")]
    Cancelled,
    /// The issuer sent the browser back with an OAuth error.
    #[error("the issuer refused the sign-in: {code}{}", description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Denied {
        /// OAuth error code.
        code: String,
        /// The issuer's explanation, printable and short.
        description: Option<String>,
    },
    /// The workspace that was chosen has no Codex.
    #[error("the workspace has no access to Codex")]
    NotEntitled,
    /// The browser came back with neither code nor error.
    #[error("the browser came back without an authorization code")]
    MissingCode,
    /// What a person pasted, or did not paste.
    #[error(transparent)]
    Paste(#[from] PasteError),
    /// A sign-in by device code ended without anybody.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The issuer answered the code with an error.
    #[error("the issuer refused the authorization code: {code}")]
    ExchangeRefused {
        /// OAuth error code or a word like one, or `http_<status>` where the answer had none.
        code: String,
    },
    /// No whole answer to the code came.
    #[error("the issuer did not answer the authorization code: {why}")]
    ExchangeUnanswered {
        /// What failed, without URL or body.
        why: String,
    },
    /// The issuer's answer lacks what a sign-in needs.
    #[error("the issuer's answer lacks an access token or a refresh token")]
    NoTokens,
    /// Somebody signed in to a workspace that is not allowed here.
    #[error("the sign-in is for {}, which is not among the allowed workspaces", found.as_deref().unwrap_or("no workspace"))]
    OtherWorkspace {
        /// The workspace the tokens name.
        found: Option<String>,
    },
    /// The tokens came, but could not be saved; for whoever saves what [`sign_in`](crate::sign_in()) returns.
    #[error("the sign-in could not be saved")]
    NotKept(#[source] StoreError),
}

impl LoginError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::PortBusy { .. } => Kind::Conflict,
            Self::Listen { .. } | Self::ExchangeUnanswered { .. } | Self::NoTokens => Kind::Network,
            Self::TimedOut { .. }
            | Self::Cancelled
            | Self::Denied { .. }
            | Self::NotEntitled
            | Self::MissingCode
            | Self::ExchangeRefused { .. }
            | Self::OtherWorkspace { .. } => Kind::NeedsLogin,
            Self::Paste(error) => error.kind(),
            Self::Device(error) => error.kind(),
            Self::NotKept(error) => error.kind(),
        }
    }

    /// The next thing to do, with the exact command.
    pub fn next_step(&self) -> String {
        match self {
            Self::PortBusy { port } => {
                format!(
                    "see who listens with `{}`, close it, then run `codex-multi-auth login`, or sign in without the \
                     port: `codex-multi-auth login --device-auth`",
                    who_listens(*port)
                )
            }
            Self::Listen { .. } => "allow this program to listen on loopback, then run `codex-multi-auth login`, or \
                 sign in without the port: `codex-multi-auth login --device-auth`"
                .into(),
            Self::TimedOut { browser_opened: false, .. } => {
                "run `codex-multi-auth login` and open the link it prints in a browser on this machine, or \
                 `codex-multi-auth login --manual` where the browser is on another one"
                    .into()
            }
            Self::TimedOut { .. } => "run `codex-multi-auth login` and finish the sign-in in the browser".into(),
            Self::Paste(error) => error.next_step().into(),
            Self::Device(error) => error.next_step().into(),
            Self::NotEntitled => {
                "ask the workspace's admin for Codex access, or run `codex-multi-auth login` and choose another \
                 workspace"
                    .into()
            }
            Self::OtherWorkspace { .. } => "run `codex-multi-auth login` and choose an allowed workspace".into(),
            Self::ExchangeUnanswered { .. } => "check the connection, then run `codex-multi-auth login`".into(),
            Self::NotKept(_) => "mend the storage fault named above, then run `codex-multi-auth login`".into(),
            Self::Cancelled
            | Self::Denied { .. }
            | Self::MissingCode
            | Self::ExchangeRefused { .. }
            | Self::NoTokens => "run `codex-multi-auth login`".into(),
        }
    }
}

fn who_listens(port: u16) -> String {
    if cfg!(target_os = "linux") {
        format!("ss -lptn 'sport = :{port}'")
    } else {
        format!("lsof -nP -iTCP:{port} -sTCP:LISTEN")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &LoginError, says: &str, advice: &str) {
        assert_eq!((error.to_string().as_str(), error.next_step().as_str()), (says, advice));
    }

    #[test]
    fn a_busy_port_names_how_to_find_its_holder() {
        let command = who_listens(1457);
        check(
            &LoginError::PortBusy { port: 1457 },
            "another program listens on port 1457, where the browser comes back to",
            &format!(
                "see who listens with `{command}`, close it, then run `codex-multi-auth login`, or sign in without the \
                 port: `codex-multi-auth login --device-auth`"
            ),
        );
        assert!(command.contains(":1457"), "{command}");
    }

    #[test]
    fn a_person_who_had_a_browser_is_sent_back_to_it() {
        check(
            &LoginError::TimedOut { port: 1455, waited: Duration::from_mins(5), browser_opened: true },
            "the browser did not come back to port 1455 within 300 s",
            "run `codex-multi-auth login` and finish the sign-in in the browser",
        );
    }

    #[test]
    fn whatever_was_pasted_there_is_another_way() {
        for (error, command) in [
            (PasteError::Incomplete, "login --manual"),
            (PasteError::OtherAttempt, "login --manual"),
            (PasteError::Nothing { waited: Duration::from_mins(15) }, "login --device-auth"),
        ] {
            check_leads_to(&error.into(), Kind::NeedsLogin, command);
        }
    }

    #[test]
    fn every_end_of_a_device_sign_in_leads_on() {
        let why = "timed out".to_owned();
        for (error, kind, command) in [
            (DeviceError::Disabled, Kind::NeedsLogin, "login --manual"),
            (DeviceError::CodeRefused { status: 500, code: None }, Kind::NeedsLogin, "login --device-auth"),
            (DeviceError::CodeUnusable, Kind::Network, "login --manual"),
            (DeviceError::Denied { code: "access_denied" }, Kind::NeedsLogin, "login --manual"),
            (DeviceError::Expired, Kind::NeedsLogin, "login --device-auth"),
            (DeviceError::Refused { status: 410, code: None }, Kind::NeedsLogin, "login --device-auth"),
            (DeviceError::GrantUnusable, Kind::Network, "login --manual"),
            (DeviceError::TimedOut { waited: Duration::from_secs(90) }, Kind::NeedsLogin, "login --device-auth"),
            (DeviceError::Unanswered { why }, Kind::Network, "login --device-auth"),
        ] {
            check_leads_to(&error.into(), kind, command);
        }
    }

    #[track_caller]
    fn check_leads_to(error: &LoginError, kind: Kind, command: &str) {
        assert_eq!(error.kind(), kind, "{error}");
        let step = error.next_step();
        assert!(step.contains(&format!("`codex-multi-auth {command}`")), "{error}: {step}");
    }

    #[test]
    fn spans_are_told_in_minutes_where_they_are_whole() {
        let timed_out = |secs| DeviceError::TimedOut { waited: Duration::from_secs(secs) }.to_string();
        assert_eq!(timed_out(900), "Device auth timed out after 15 min");
        assert_eq!(timed_out(90), "Device auth timed out after 90 s");
    }

    #[test]
    fn a_fault_of_the_disk_stays_one() {
        let fault = StoreError::Locked { path: "pool".into(), holder: "somebody".into(), waited_secs: 5 };
        let error = LoginError::NotKept(fault.clone());
        assert_eq!(error.kind(), fault.kind());
        check(
            &error,
            "the sign-in could not be saved",
            "mend the storage fault named above, then run `codex-multi-auth login`",
        );
    }
}
