//! `usage/salt`: what is hashed together with every name in the ledger, made once for each root. Without it a hash of an
//! address says which address it is to whoever guesses it.

use std::fmt;

use camino::Utf8Path;
use codex_auth_core::StoreError;

use crate::{
    fs::{Fs, Write, io_error, read_optional},
    hash::sha256_hex,
};

/// Digits of a salt.
const DIGITS: usize = 64;

/// The salt of one root.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(String);

impl fmt::Debug for Salt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Salt(…)")
    }
}

impl Salt {
    /// The salt of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// How a name stands in the ledger. Names of different kinds never meet.
    pub(super) fn hash(&self, kind: &str, name: &str) -> String {
        format!("sha256:{}", sha256_hex(format!("{}\0{kind}\0{}", self.0, name.trim())))
    }

    /// How a conversation stands in the ledger.
    pub fn session(&self, name: &str) -> String {
        self.hash("session", name)
    }

    /// How an answer stands in the ledger.
    pub fn response(&self, name: &str) -> String {
        self.hash("response", name)
    }

    /// The salt as it is kept; `None` where none was made yet.
    pub(super) fn kept(fs: &dyn Fs, path: &Utf8Path) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = read_optional(fs, path)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        // A torn one would name everybody anew at the next look.
        let is_whole = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(is_whole.then_some(Self(text)))
    }

    /// Makes one. Called under the ledger's lock: two salts of one root would make two accounts of each.
    pub(super) fn made(fs: &dyn Fs, path: &Utf8Path) -> Result<Self, StoreError> {
        let mut chance = [0; DIGITS / 2];
        let failed = |error: getrandom::Error| io_error("salt", path, &std::io::Error::other(error));
        getrandom::fill(&mut chance).map_err(failed)?;
        let text = sha256_hex(chance);
        // What a crash left of an earlier one was never used: a salt is durable before the first row is.
        let _torn = fs.remove(path);
        fs.write(path, format!("{text}\n").as_bytes(), Write::New).map_err(|error| io_error("write", path, &error))?;
        Ok(Self(text))
    }
}
