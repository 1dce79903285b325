//! `identityKey` of OpenCode's accounts file: a field of the format, not our identity.
//!
//! It contains the plan, so it changes with an upgrade; internally accounts are told apart by
//! [`IdentityKey`](codex_auth_core::IdentityKey) alone, and this text is made anew at each write. Its rule is the store's.

use std::fmt;

use codex_auth_core::{Owner, WorkspaceId};
use codex_auth_store::opencode::identity_key::canonical_key;

/// The text in the file: `<account id>|<e-mail>|<plan>`, the latter two in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentityKeyField(String);

impl IdentityKeyField {
    /// The canonical key of an owner; `None` unless account id, e-mail and plan are all known.
    ///
    /// ```
    /// use codex_auth_core::{Owner, WorkspaceId};
    /// use codex_opencode_plugin::IdentityKeyField;
    ///
    /// let owner = Owner {
    ///     user: None,
    ///     workspace: WorkspaceId::parse("acc-1"),
    ///     email: Some("Me@A.co".into()),
    ///     plan: Some("Plus".into()),
    /// };
    /// assert_eq!(IdentityKeyField::of(&owner).expect("all three are known").to_string(), "acc-1|me@a.co|plus");
    /// ```
    pub fn of(owner: &Owner) -> Option<Self> {
        let account = owner.workspace.as_ref().map(WorkspaceId::as_str);
        canonical_key(account, owner.email.as_deref(), owner.plan.as_deref()).map(Self)
    }
}

impl fmt::Display for IdentityKeyField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_makes_no_key() {
        let mut owner = Owner { email: Some("a@b".into()), ..Owner::default() };
        assert_eq!(IdentityKeyField::of(&owner), None);
        owner.workspace = WorkspaceId::parse("acc");
        owner.plan = Some(" ".into());
        assert_eq!(IdentityKeyField::of(&owner), None);
    }
}
