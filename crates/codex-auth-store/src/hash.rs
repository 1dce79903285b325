//! Owns how a secret or an identity is named where it must not stand itself: its SHA-256 in lower-case hex.

use std::fmt::Write as _;

use codex_auth_core::RefreshToken;
use sha2::{Digest as _, Sha256};

/// Lower-case hex SHA-256 of `bytes`.
pub(crate) fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes.as_ref()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The name of a refresh token in the sidecar and the journal; equals the file name of the predecessor's lease.
pub(crate) fn token_hash(token: &RefreshToken) -> String {
    sha256_hex(token.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_token_as_the_predecessor_does() {
        let expect = "89e0c5df6f7582ecdb6bc0afe889ee737e75d3c2c6c2fef9e71f2bc9d04a382e";
        assert_eq!(token_hash(&RefreshToken::new("RT1")), expect);
    }
}
