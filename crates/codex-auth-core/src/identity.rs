//! Who an account is: the person (ChatGPT user id) and the workspace (ChatGPT account id).
//!
//! E-mail, plan, list position and platform `org-…` ids are labels, never identity: seats of one
//! workspace share its id, and one person may own several workspaces under one e-mail. A name's copies share its text:
//! each request carries dozens of them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! name_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the trimmed text; `None` when nothing is left of it.
            pub fn parse(text: &str) -> Option<Self> {
                let text = text.trim();
                (!text.is_empty()).then(|| Self(text.into()))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

name_text!(
    /// A person at the issuer: claim `chatgpt_user_id`, else `user_id`, else `sub`.
    UserId
);
name_text!(
    /// A workspace at the backend: the value of the `chatgpt-account-id` header.
    WorkspaceId
);
name_text!(
    /// Our stable name for one stored sign-in; positions on screen never stand for it.
    RecordId
);
name_text!(
    /// One conversation of a client: its `session-id`, `thread-id` or `prompt_cache_key`.
    SessionKey
);

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(read: D) -> Result<Self, D::Error> {
        let text = String::deserialize(read)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a record has no name"))
    }
}

impl WorkspaceId {
    /// Whether this text may be sent as an account id at all: platform organisations (`org-…`) are
    /// not workspaces, and the backend refuses them.
    pub fn is_platform_organisation(&self) -> bool {
        self.0.starts_with("org-")
    }
}

/// What makes two sign-ins the same account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey {
    /// The person.
    pub user: UserId,
    /// The workspace they work in.
    pub workspace: WorkspaceId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_names_do_not_exist() {
        assert_eq!(UserId::parse("  "), None);
    }

    #[test]
    fn an_organisation_is_no_workspace() {
        assert!(WorkspaceId::parse("org-7").is_some_and(|id| id.is_platform_organisation()));
    }
}
