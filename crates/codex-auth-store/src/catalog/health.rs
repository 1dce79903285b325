//! Owns what can be said about a file without changing it: whether it can be used, and if not, why.

use camino::Utf8Path;
use codex_auth_core::StoreError;
use serde_json::Value;

use crate::{
    fs::Fs,
    json::{self, Object},
    state_file::{self, Document},
};

/// Whether a file can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It can, or nobody needs to read it.
    Sound,
    /// It cannot.
    Broken {
        /// Why; never what is in it.
        why: String,
    },
    /// It is of a version this program does not know.
    UnknownVersion {
        /// The version found.
        found: String,
    },
}

/// How health is found out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Check {
    /// A typed document.
    Typed(fn(&Utf8Path, &[u8]) -> Result<Object, StoreError>),
    /// A JSON object of one of these versions.
    Versions(&'static [i64]),
    /// A JSON object.
    Object,
    /// A JSON object in each line; a torn last line is no fault.
    Lines,
    /// TOML.
    Toml,
    /// Anything.
    Opaque,
}

impl Check {
    /// The check of a typed document.
    pub(crate) const fn of<D: Document>() -> Self {
        Self::Typed(state_file::parse::<D>)
    }
}

/// The version a file names, and whether it can be used.
pub(crate) fn of(check: Check, path: &Utf8Path, fs: &dyn Fs) -> (Option<String>, Health) {
    if matches!(check, Check::Opaque) {
        return (None, Health::Sound);
    }
    let bytes = match fs.read(path) {
        Ok(bytes) => bytes,
        Err(error) => return (None, Health::Broken { why: format!("it cannot be read: {error}") }),
    };
    match checked(check, path, &bytes) {
        Ok(version) => (version, Health::Sound),
        Err(StoreError::UnknownVersion { found, .. }) => (Some(found.clone()), Health::UnknownVersion { found }),
        Err(StoreError::Unreadable { why, .. }) => (None, Health::Broken { why }),
        Err(other) => (None, Health::Broken { why: other.to_string() }),
    }
}

fn checked(check: Check, path: &Utf8Path, bytes: &[u8]) -> Result<Option<String>, StoreError> {
    const REMEDY: &str = "it was left as it is";
    let broken = |why: &str| Err(StoreError::Unreadable { path: path.to_string(), why: format!("{why}; {REMEDY}") });
    match check {
        Check::Typed(parse) => parse(path, bytes).map(|object| version(&object)),
        Check::Object => json::parse_object(path, bytes, REMEDY).map(|object| version(&object)),
        Check::Versions(known) => {
            let object = json::parse_object(path, bytes, REMEDY)?;
            let found = version(&object);
            match object.get("version").and_then(json::integer) {
                Some(number) if known.contains(&number) => Ok(found),
                _ => Err(StoreError::UnknownVersion {
                    path: path.to_string(),
                    found: found.unwrap_or_else(|| "none".to_owned()),
                }),
            }
        }
        Check::Lines => {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            let lines = bytes[..end].split(|byte| *byte == b'\n').enumerate();
            let mut lines = lines.filter(|(_, line)| !line.is_empty());
            match lines.find(|(_, line)| !serde_json::from_slice::<Value>(line).is_ok_and(|value| value.is_object())) {
                Some((at, _)) => broken(&format!("line {} is no JSON object and is passed over", at + 1)),
                None => Ok(None),
            }
        }
        Check::Toml => match std::str::from_utf8(bytes).ok().map(str::parse::<toml_edit::DocumentMut>) {
            Some(Ok(_)) => Ok(None),
            Some(Err(_)) | None => broken("it is not TOML"),
        },
        Check::Opaque => Ok(None),
    }
}

/// What a file says of its version; in a broken one anything may stand there, a token too, so texts are only named.
fn version(object: &Object) -> Option<String> {
    object.contains_key("version").then(|| json::version_named(object))
}
