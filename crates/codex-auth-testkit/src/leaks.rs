//! Owns the search for planted secrets in bytes and files; a finding names the place and the kind, never the secret.

use std::collections::HashMap;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::jwt::{CANARY_MARK, Needle, PAYLOAD_MARK};

/// Needles are looked up by their first bytes; as long as [`PAYLOAD_MARK`] and shorter than any needle.
const KEY: usize = 20;

/// Everything secret a fake minted up to one moment.
pub struct Canaries {
    needles: Vec<Needle>,
    by_key: HashMap<[u8; KEY], Vec<usize>>,
    /// First bytes worth a look.
    starts: [bool; 256],
}

impl std::fmt::Debug for Canaries {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Canaries({})", self.needles.len())
    }
}

/// A secret in a place where it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it is, e.g. `refresh token of account 2`.
    pub what: String,
    /// Where it begins.
    pub offset: usize,
}

/// A secret in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: Utf8PathBuf,
    /// What, and where in it.
    pub hit: Hit,
}

impl Canaries {
    pub(crate) fn new(needles: Vec<Needle>) -> Self {
        let mut by_key: HashMap<[u8; KEY], Vec<usize>> = HashMap::new();
        let mut starts = [false; 256];
        for first in [CANARY_MARK, PAYLOAD_MARK].iter().filter_map(|mark| mark.bytes().next()) {
            starts[usize::from(first)] = true;
        }
        for (at, needle) in needles.iter().enumerate() {
            if let Some(key) = key(needle.text.as_bytes()) {
                by_key.entry(key).or_default().push(at);
            }
        }
        Self { needles, by_key, starts }
    }

    /// How many secrets are looked for.
    pub fn len(&self) -> usize {
        self.needles.len()
    }

    /// Whether nothing is looked for: then a clean result means nothing.
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Every secret in some bytes. A canary that is cut short, or another fake's, counts too.
    pub fn hits(&self, bytes: &[u8]) -> Vec<Hit> {
        let mut found = Vec::new();
        let worth = bytes.iter().enumerate().filter(|(_, first)| self.starts[usize::from(**first)]);
        for (offset, _) in worth {
            let rest = &bytes[offset..];
            let known = key(rest).and_then(|key| self.by_key.get(&key));
            let whole = known.and_then(|at| at.iter().find(|at| rest.starts_with(self.needles[**at].text.as_bytes())));
            if let Some(at) = whole {
                found.push(Hit { what: self.needles[*at].what.clone(), offset });
            } else if is_stray(rest) {
                found.push(Hit { what: "part of a secret, or one of another fake".to_owned(), offset });
            }
        }
        found
    }

    /// Every secret in every file below some paths, except below the `allowed` ones. Links are not followed.
    pub fn scan(&self, paths: &[&Utf8Path], allowed: &[&Utf8Path]) -> io::Result<Vec<Finding>> {
        let mut found = Vec::new();
        let mut open: Vec<Utf8PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
        while let Some(path) = open.pop() {
            if allowed.iter().any(|allowed| path.starts_with(allowed)) {
                continue;
            }
            let kind = std::fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                for entry in path.read_dir_utf8()? {
                    open.push(entry?.into_path());
                }
            } else if kind.is_file() {
                let hits = self.hits(&std::fs::read(&path)?);
                found.extend(hits.into_iter().map(|hit| Finding { file: path.clone(), hit }));
            }
        }
        found.sort_by(|a, b| (&a.file, a.hit.offset).cmp(&(&b.file, b.hit.offset)));
        Ok(found)
    }
}

fn key(bytes: &[u8]) -> Option<[u8; KEY]> {
    bytes.get(..KEY)?.try_into().ok()
}

/// The beginning of a JWT payload, or the mark with the beginning of a canary after it; the mark alone may be prose.
fn is_stray(bytes: &[u8]) -> bool {
    if bytes.starts_with(PAYLOAD_MARK.as_bytes()) {
        return true;
    }
    let rest = bytes.strip_prefix(CANARY_MARK.as_bytes());
    rest.is_some_and(|rest| rest.len() >= 6 && rest[..6].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::Mint;

    fn minted() -> (Canaries, String, String) {
        let mut mint = Mint::new(7);
        let refresh = mint.secret("rt_fake.", "refresh token of account 1");
        let access = mint.jwt(&serde_json::json!({ "exp": 1 }), "access token of account 1");
        (Canaries::new(mint.needles().to_vec()), refresh, access)
    }

    fn check(text: &str, expect: &[&str]) {
        let whats: Vec<String> = minted().0.hits(text.as_bytes()).into_iter().map(|hit| hit.what).collect();
        assert_eq!(whats, expect, "{} bytes", text.len());
    }

    #[test]
    fn secrets_are_found_wherever_they_hide() {
        let (_, refresh, access) = minted();
        check(&format!("log: {refresh}!"), &["refresh token of account 1"]);
        check(&access, &["access token of account 1 (payload)", "access token of account 1"]);
        let payload = access.split('.').nth(1).unwrap();
        check(payload, &["access token of account 1 (payload)"]);
        check(&refresh[..refresh.len() - 4], &["part of a secret, or one of another fake"]);
    }

    #[test]
    fn clean_text_is_clean() {
        check("", &[]);
        check("tokens look like CANARY-… here", &[]);
        check("eyJhbGciOiJSUzI1NiJ9", &[]);
    }
}
