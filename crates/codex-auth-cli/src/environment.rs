//! The process environment, read once; everything else asks this value.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

/// Variables as they were at the start. Blank counts as unset.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Reads the environment of this process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// A variable, as the system holds it.
    pub(crate) fn raw(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable as trimmed text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name)?.to_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// A switch: `1/0`, `true/false`, `yes/no`, `on/off`; anything else is unset.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

/// Without the values: keys and the password of a proxy are among them.
impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Environment({} variables)", self.0.len())
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_lenient() {
        let environment = Environment::from([("A", "YES"), ("B", "0"), ("C", "maybe"), ("D", " ")]);
        assert_eq!(
            ["A", "B", "C", "D", "E"].map(|name| environment.switch(name)),
            [Some(true), Some(false), None, None, None]
        );
    }
}
