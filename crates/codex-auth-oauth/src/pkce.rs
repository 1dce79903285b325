//! The secrets of one sign-in attempt: PKCE verifier and `state`, made of entropy that is handed in (protocol 2.1).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use codex_auth_core::Entropy;

/// Proves at the token endpoint that whoever redeems the code began the sign-in: 64 bytes in base64url.
#[derive(Clone)]
pub(crate) struct Verifier(String);

/// Ties the browser's return to this attempt: 32 bytes in base64url.
#[derive(Clone)]
pub(crate) struct State(String);

impl Verifier {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self(random_text::<64>(entropy))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The challenge of method S256.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl State {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self(random_text::<32>(entropy))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in constant time, so that a guesser learns nothing from how long the answer takes.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Verifier([redacted])")
    }
}

impl fmt::Debug for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("State([redacted])")
    }
}

fn random_text<const BYTES: usize>(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; BYTES];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::SeededEntropy;

    use super::*;

    #[test]
    fn lengths_are_the_official_ones() {
        let entropy = SeededEntropy::new(1);
        let verifier = Verifier::new(&entropy);
        let lengths = (verifier.expose().len(), verifier.challenge().len(), State::new(&entropy).expose().len());
        assert_eq!(lengths, (86, 43, 43));
    }

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636() {
        let verifier = Verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_state_is_only_itself() {
        let state = State("abc".to_owned());
        assert!(state.is("abc"));
        assert!(!state.is("abd") && !state.is("ab") && !state.is("abcd") && !state.is(""));
    }

    #[test]
    fn debug_hides_both() {
        let entropy = SeededEntropy::new(1);
        let shown = format!("{:?} {:?}", Verifier::new(&entropy), State::new(&entropy));
        assert_eq!(shown, "Verifier([redacted]) State([redacted])");
    }
}
