//! Owns what a person reads in the browser when a sign-in failed: for each failure code of the official client
//! (protocol 2.7) and each of ours a title, a sentence that helps, and the command (`LoginError::next_step`).

use std::borrow::Cow;

use crate::error::LoginError;

/// What is said of one failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    /// The code, for whoever is asked for help.
    pub(super) code: Cow<'static, str>,
    /// The issuer's own words.
    pub(super) said: Option<String>,
}

impl Failure {
    pub(super) fn of(error: &LoginError) -> Self {
        let plain = |code: &'static str, title, text| Self { title, text, code: Cow::Borrowed(code), said: None };
        match error {
            LoginError::Cancelled => plain(
                "cancelled",
                "The sign-in was cancelled",
                "Another sign-in needed this port, or somebody asked this one to stop. Nothing was changed.",
            ),
            LoginError::NotEntitled => plain(
                "missing_codex_entitlement",
                "This workspace has no Codex",
                "You signed in, but the workspace you chose gives you no access to Codex. Its admin can give you some; \
                 or sign in again and choose another workspace.",
            ),
            LoginError::Denied { code, description } => {
                let (title, text) = denied(code);
                Self { title, text, code: Cow::Owned(code.clone()), said: description.clone() }
            }
            LoginError::MissingCode => plain(
                "missing_authorization_code",
                "The sign-in did not work",
                "The address it came back with holds neither a code nor an error. An extension or a proxy that shortens \
                 addresses may have taken it; try without, or in a private window.",
            ),
            LoginError::OtherWorkspace { .. } => plain(
                "workspace_restriction",
                "This workspace is not allowed here",
                "You signed in to another workspace than the one that was asked for. Sign in again and choose that one; \
                 the terminal names it.",
            ),
            LoginError::ExchangeRefused { code } => Self {
                title: "The sign-in did not work",
                text: "You signed in, but the sign-in service refused the code that your browser brought. A code counts \
                       once and for a short time: sign in again, and do not load this page a second time.",
                code: Cow::Owned(format!("token_exchange_failed ({code})")),
                said: None,
            },
            LoginError::ExchangeUnanswered { .. } => plain(
                "token_exchange_failed",
                "The sign-in did not work",
                "You signed in, but this program could not reach the sign-in service to finish. Your browser may use a \
                 proxy that this program does not know: see HTTPS_PROXY, and CODEX_CA_CERTIFICATE where the proxy has a \
                 certificate of its own.",
            ),
            LoginError::NoTokens => plain(
                "token_exchange_failed",
                "The sign-in did not work",
                "You signed in, but the answer of the sign-in service lacks what this program needs. Nothing was stored.",
            ),
            LoginError::NotKept(_) => plain(
                "persist_failed",
                "The sign-in could not be saved",
                "You signed in, but the file with your accounts could not be written. The terminal names the file and \
                 what is wrong with it.",
            ),
            LoginError::TimedOut { .. } => plain(
                "timed_out",
                "This sign-in took too long",
                "The terminal has stopped waiting. Nothing was changed.",
            ),
            LoginError::Paste(_) | LoginError::Device(_) => plain(
                "not_by_browser",
                "The sign-in did not work",
                "It was to end without this page. The terminal shows what happened.",
            ),
            LoginError::PortBusy { .. } | LoginError::Listen { .. } => plain(
                "port_busy",
                "The browser cannot come back",
                "Another program holds the port that the browser comes back to. The terminal says which one.",
            ),
        }
    }
}

/// By the OAuth error code that came back.
fn denied(code: &str) -> (&'static str, &'static str) {
    match code {
        "access_denied" => (
            "The sign-in was refused",
            "You declined, or your workspace does not let you sign in to Codex here. Nothing was changed.",
        ),
        "server_error" | "temporarily_unavailable" => (
            "The sign-in service has a fault",
            "That is on its side and usually passes: wait a minute and sign in again.",
        ),
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => (
            "The sign-in service wants to see you again",
            "It could not sign you in without asking. Sign in again and answer what it asks.",
        ),
        "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_scope" => (
            "The sign-in service did not accept the request",
            "It knows another form of it than this program. Update this program, then sign in again.",
        ),
        _ => ("The sign-in was refused", "The sign-in service sent an error instead of a code. Nothing was changed."),
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::StoreError;

    use super::*;

    #[track_caller]
    fn check(error: &LoginError, code: &str, sentence: &str) {
        let failure = Failure::of(error);
        assert_eq!(failure.code, code);
        assert!(failure.text.contains(sentence), "{failure:?}");
        assert!(error.next_step().contains("`codex-multi-auth login"), "{}", error.next_step());
    }

    #[test]
    fn every_code_of_the_official_client_has_a_sentence_and_a_command() {
        let denied = |code: &str| LoginError::Denied { code: code.into(), description: None };
        check(&LoginError::NotEntitled, "missing_codex_entitlement", "no access to Codex");
        check(&denied("access_denied"), "access_denied", "declined");
        check(&denied("server_error"), "server_error", "wait a minute");
        check(&denied("login_required"), "login_required", "answer what it asks");
        check(&denied("invalid_scope"), "invalid_scope", "Update this program");
        check(&denied("anything_else"), "anything_else", "an error instead of a code");
        check(&LoginError::MissingCode, "missing_authorization_code", "private window");
        check(&LoginError::OtherWorkspace { found: None }, "workspace_restriction", "choose that one");
        let refused = LoginError::ExchangeRefused { code: "invalid_grant".into() };
        check(&refused, "token_exchange_failed (invalid_grant)", "counts once");
        check(&LoginError::ExchangeUnanswered { why: String::new() }, "token_exchange_failed", "HTTPS_PROXY");
        check(&LoginError::NoTokens, "token_exchange_failed", "Nothing was stored");
        let fault = StoreError::Io { verb: "write", path: "x".into(), why: "full".into() };
        check(&LoginError::NotKept(fault), "persist_failed", "could not be written");
    }
}
