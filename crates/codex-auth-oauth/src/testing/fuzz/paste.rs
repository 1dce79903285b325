//! What must hold of a text a person pastes.

use codex_auth_core::testing::{SeededEntropy, check_silent};

use super::is_code_word;
use crate::{
    error::{LoginError, PasteError},
    paste::{answer_in, parts},
    pkce::State,
};

/// `STATE` in the bytes stands for the attempt's own.
pub(super) fn pasted(bytes: &[u8]) {
    let expected = State::new(&SeededEntropy::new(7));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = text.replace("STATE", expected.expose());
    let trimmed = text.trim();
    assert!(parts(&text) == parts(trimmed), "what is around a text says nothing");

    match answer_in(Some(&text), &expected) {
        Ok(code) => {
            let code = code.expose();
            assert!(!code.trim().is_empty() && !text.contains('\u{1b}'));
            assert!(trimmed.contains(['#', '=']), "a bare code proves no attempt");
            assert!(!is_address(trimmed) || trimmed.contains("code="), "an address is no code");
            let mut address = url::Url::parse("http://localhost:1455/auth/callback").expect("an address");
            address.query_pairs_mut().append_pair("code", code).append_pair("state", expected.expose());
            let again = answer_in(Some(address.as_str()), &expected).expect("the same answer as an address");
            assert_eq!(again.expose(), code);
            let other = answer_in(Some(&text), &State::new(&SeededEntropy::new(8)));
            assert_eq!(other.err(), Some(LoginError::Paste(PasteError::OtherAttempt)), "it is of one attempt only");
        }
        // What the issuer says is shown, as far as a terminal may.
        Err(LoginError::Denied { code, description }) => {
            assert!(is_code_word(&code), "{code}");
            let description = description.unwrap_or_default();
            assert!(description.chars().count() <= 200 && !description.contains(char::is_control), "{description}");
        }
        Err(error) => check_silent(&error),
    }
}

fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}
