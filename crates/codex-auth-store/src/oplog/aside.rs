//! Owns what the log says of changes outside the pool: the official client's login, a key of its configuration, and the
//! user's rules.

use camino::Utf8PathBuf;
use codex_auth_core::RecordId;
use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    official::{config::ConfigChange, config_edit::Before},
    rule_files::RuleChange,
};

/// A change besides the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aside {
    /// The login of a home; `None` where there was none.
    Login {
        /// The official client's home.
        home: Utf8PathBuf,
        /// Whose it was.
        before: Option<RecordId>,
        /// Whose it is.
        after: Option<RecordId>,
    },
    /// A key of the client's configuration.
    Config(ConfigChange),
    /// Accounts that were parked, or came back.
    Parked {
        /// How many were parked.
        parked: usize,
        /// How many came back.
        back: usize,
        /// Name of the copy that keeps the rows of those.
        copy: Option<String>,
    },
    /// An account's access token was shown to a person; the pool did not change.
    Handed {
        /// The account.
        record: RecordId,
    },
    /// A row of the user's rules.
    Rule(RuleChange),
    /// Nothing a person did: a broken document was put together again, and these bytes were kept.
    Recovery {
        /// Where; `None` when there were none.
        quarantined: Option<Utf8PathBuf>,
    },
}

impl Aside {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Login { home, before, after } => json!({
                "kind": "login", "home": home,
                "before": before.as_ref().map(RecordId::as_str), "after": after.as_ref().map(RecordId::as_str),
            }),
            Self::Parked { parked, back, copy } => {
                json!({ "kind": "parked", "parked": parked, "back": back, "copy": copy })
            }
            Self::Handed { record } => json!({ "kind": "handed", "record": record.as_str() }),
            Self::Rule(RuleChange { file, table, key, before, after }) => json!({
                "kind": "rule", "file": file, "table": table, "key": key, "before": before, "after": after,
            }),
            Self::Recovery { quarantined } => json!({ "kind": "recovery", "quarantined": quarantined }),
            Self::Config(ConfigChange { path, before, after, copy }) => {
                let (was, value) = match before {
                    Before::NoFile => ("no-file", None),
                    Before::Absent => ("absent", None),
                    Before::Value(text) => ("value", Some(text)),
                };
                json!({
                    "kind": "config", "path": path, "was": was, "value": value, "after": after, "copy": copy,
                })
            }
        }
    }

    pub(crate) fn of_json(aside: &Object) -> Option<Self> {
        let whole = |key: &str| aside.get(key).and_then(Value::as_str).map(str::to_owned);
        let record = |key: &str| json::text(aside, key).and_then(RecordId::parse);
        match json::text(aside, "kind")? {
            "login" => {
                Some(Self::Login { home: whole("home")?.into(), before: record("before"), after: record("after") })
            }
            "parked" => {
                let count =
                    |key: &str| json::count(aside, key).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
                Some(Self::Parked { parked: count("parked"), back: count("back"), copy: whole("copy") })
            }
            "handed" => Some(Self::Handed { record: record("record")? }),
            "rule" => {
                let row = |key: &str| aside.get(key).filter(|row| !row.is_null()).cloned();
                let (before, after) = (row("before"), row("after"));
                Some(Self::Rule(RuleChange {
                    file: whole("file")?,
                    table: whole("table")?,
                    key: whole("key")?,
                    before,
                    after,
                }))
            }
            "recovery" => Some(Self::Recovery { quarantined: whole("quarantined").map(Into::into) }),
            "config" => {
                let before = match json::text(aside, "was")? {
                    "no-file" => Before::NoFile,
                    "absent" => Before::Absent,
                    "value" => Before::Value(whole("value")?),
                    _ => return None,
                };
                let (path, copy) = (whole("path")?.into(), whole("copy").map(Into::into));
                Some(Self::Config(ConfigChange { path, before, after: whole("after")?, copy }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(aside: &Aside) {
        let said = aside.to_json();
        assert_eq!(Aside::of_json(said.as_object().expect("an object")).as_ref(), Some(aside));
    }

    #[test]
    fn asides_read_as_they_were_written() {
        let rule = RuleChange {
            file: "budget-guards.json".into(),
            table: "limits".into(),
            key: "global".into(),
            before: None,
            after: Some(json!({ "maxRequests": 1.5 })),
        };
        check(&Aside::Rule(rule));
        check(&Aside::Recovery { quarantined: Some("/r/q".into()) });
        check(&Aside::Handed { record: RecordId::parse("record:1").expect("a name") });
        check(&Aside::Parked { parked: 1, back: 2, copy: Some("parked-1.json".into()) });
        check(&Aside::Login { home: "/h".into(), before: None, after: RecordId::parse("record:1") });
        let config =
            |before| ConfigChange { path: "/h/config.toml".into(), before, after: "x = 1\n\n".into(), copy: None };
        check(&Aside::Config(config(Before::NoFile)));
        check(&Aside::Config(config(Before::Absent)));
        check(&Aside::Config(ConfigChange { copy: Some("/r/c".into()), ..config(Before::Value(" 'k' ".into())) }));
    }
}
