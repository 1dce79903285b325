//! Owns how a secret or an identity is named where it must not stand itself: its SHA-256 in lower-case hex.

use codex_auth_core::RefreshToken;
use sha2::{Digest as _, Sha256};

/// Lower-case hex SHA-256 of `bytes`.
pub(crate) fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    Sha256::digest(bytes.as_ref()).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The first half of the SHA-256 of a text, for comparing in memory.
pub(crate) fn short_hash(text: &str) -> u128 {
    let digest = Sha256::digest(text);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(half)
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
