//! The version of the official client, which decides how it can be routed.

use std::{fmt, str::FromStr};

/// A released version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl ClientVersion {
    /// This version.
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

/// The text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a version of codex")]
pub(crate) struct NoVersion;

impl FromStr for ClientVersion {
    type Err = NoVersion;

    /// Reads what `codex --version` prints (`codex-cli 0.169.0`, the same in every version tried); suffixes such as
    /// `-alpha.1` are left out of the comparison.
    fn from_str(printed: &str) -> Result<Self, NoVersion> {
        let word = printed.split_whitespace().next_back().ok_or(NoVersion)?;
        let core = word.split(['-', '+']).next().ok_or(NoVersion)?;
        let mut numbers = core.split('.').map(|part| part.parse::<u32>().map_err(|_| NoVersion));
        let mut next = || numbers.next().unwrap_or(Err(NoVersion));
        Ok(Self { major: next()?, minor: next()?, patch: next()? })
    }
}

impl fmt::Display for ClientVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_client_prints() {
        assert_eq!("codex-cli 0.169.0\n".parse(), Ok(ClientVersion::new(0, 169, 0)));
        assert_eq!("codex-cli 0.170.0-alpha.2".parse(), Ok(ClientVersion::new(0, 170, 0)));
        assert_eq!("codex".parse::<ClientVersion>(), Err(NoVersion));
    }

    #[test]
    fn orders_by_number() {
        assert!(ClientVersion::new(0, 98, 0) < ClientVersion::new(0, 115, 0));
    }
}
