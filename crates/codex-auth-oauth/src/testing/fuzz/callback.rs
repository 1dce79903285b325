//! What must hold of a request to the port the browser comes back to.

use codex_auth_core::testing::{SeededEntropy, check_silent};
use http::{Request, Uri};

use super::is_code_word;
use crate::{
    authorize::{Call, read_call},
    error::LoginError,
    pkce::State,
};

/// The bytes are the target of a GET; `STATE` in them stands for the attempt's own.
pub(super) fn query(bytes: &[u8]) {
    let expected = State::new(&SeededEntropy::new(7));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = text.replace("STATE", expected.expose());
    let Ok(target) = text.parse::<Uri>() else { return };
    let call = |state: &State| read_call(&Request::get(target.clone()).body(()).expect("a request"), state);
    let is_cancelling = target.path() == "/cancel";

    match call(&expected) {
        Call::NotGet => panic!("it is one"),
        Call::Elsewhere | Call::OtherState => {}
        Call::End(Err(LoginError::Cancelled)) => assert!(is_cancelling),
        Call::End(result) => {
            assert!(text.contains(expected.expose()), "only this attempt's callback ends it");
            check_end(result.map(|code| code.expose().to_owned()));
            let other = State::new(&SeededEntropy::new(8));
            assert!(matches!(call(&other), Call::OtherState), "it is of one attempt only");
        }
    }
}

fn check_end(result: Result<String, LoginError>) {
    match result {
        Ok(code) => assert!(!code.trim().is_empty()),
        // What the issuer says is shown, as far as a terminal may.
        Err(LoginError::Denied { code, description }) => {
            assert!(is_code_word(&code), "{code}");
            let description = description.unwrap_or_default();
            assert!(description.chars().count() <= 200 && !description.contains(char::is_control), "{description}");
        }
        Err(error) => check_silent(&error),
    }
}
