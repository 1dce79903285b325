//! An account: a person's sign-in as the product lists it. It holds no secret.

use crate::{IdentityKey, Incident, RecordId, Rest, Timestamp, UserId, WorkspaceId};

/// One sign-in of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Our stable name for it.
    pub record: RecordId,
    /// Whose sign-in it is, as far as its tokens tell.
    pub owner: Owner,
    /// Display name kept by the predecessor's format.
    pub label: Option<String>,
    /// The user's own short name; usable wherever a number is.
    pub alias: Option<String>,
    /// Whether the user lets it serve.
    pub enabled: bool,
    /// Set when only a new sign-in helps; durable.
    pub needs_login: Option<NeedsLogin>,
    /// Renewals in vain since the last success; durable.
    pub incident: Option<Incident>,
    /// Known waits, expired ones included until the next write.
    pub rests: Vec<Rest>,
    /// When it was added and last chosen.
    pub seen: Seen,
    /// Issuer that granted the tokens; `None` for a predecessor's file or a hand-made pool.
    pub issuer: Option<String>,
    /// The file it was imported from; `None` for an account that was signed in here.
    pub provenance: Option<Provenance>,
}

/// Where an account came from, and whether another program may still own its refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The file.
    pub path: String,
    /// Its format, such as `opencode`.
    pub format: String,
    /// When it was imported.
    pub at: Timestamp,
    /// Whether the sign-in is still the imported one. Renewing its tokens does not end that, a sign-in of its own does.
    pub shared: bool,
}

/// Labels and identity of an account's owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The person; unknown in files of the predecessors until a token names them.
    pub user: Option<UserId>,
    /// The workspace.
    pub workspace: Option<WorkspaceId>,
    /// Lower-cased e-mail address, for display.
    pub email: Option<String>,
    /// Plan as the backend spells it, for display.
    pub plan: Option<String>,
}

/// When an account entered the pool and when it was last chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// First sign-in.
    pub added_at: Timestamp,
    /// Last time a request was given to it; the epoch when never.
    pub last_used_at: Timestamp,
}

/// Why and since when only a new sign-in helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsLogin {
    /// The issuer's or backend's code, such as `refresh_token_reused`.
    pub code: String,
    /// When it was found out.
    pub at: Timestamp,
}

impl Owner {
    /// The identity, once both halves are known.
    pub fn identity(&self) -> Option<IdentityKey> {
        Some(IdentityKey { user: self.user.clone()?, workspace: self.workspace.clone()? })
    }

    /// Whether something that both know differs, so that they are two accounts. An address counts as long as one of
    /// both names no person: people change their address.
    pub fn contradicts(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(mine: Option<&T>, theirs: Option<&T>) -> bool {
            matches!((mine, theirs), (Some(mine), Some(theirs)) if mine != theirs)
        }
        let unknown_user = self.user.is_none() || other.user.is_none();
        differ(self.user.as_ref(), other.user.as_ref())
            || differ(self.workspace.as_ref(), other.workspace.as_ref())
            || (unknown_user && differ(self.email.as_ref(), other.email.as_ref()))
    }

    /// Whether both may be the same account: no half that both know differs, and the workspace is known to both.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.workspace.is_some() && self.workspace == other.workspace && !self.contradicts(other)
    }
}

impl Account {
    /// The wait that holds at `now` and ends last, if any.
    pub fn longest_rest(&self, now: Timestamp) -> Option<&Rest> {
        self.rests.iter().filter(|rest| rest.holds(now)).max_by_key(|rest| rest.until)
    }

    /// Adds a rest; of two rests with one scope and reason the longer one stays.
    pub fn rest(&mut self, new: Rest) {
        match self.rests.iter_mut().find(|known| known.scope == new.scope && known.reason == new.reason) {
            Some(known) => known.until = known.until.max(new.until),
            None => self.rests.push(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(user: &str, workspace: &str, email: &str) -> Owner {
        Owner {
            user: UserId::parse(user),
            workspace: WorkspaceId::parse(workspace),
            email: (!email.is_empty()).then(|| email.to_owned()),
            plan: None,
        }
    }

    #[track_caller]
    fn check(left: &Owner, right: &Owner, expect: bool) {
        assert_eq!(left.agrees_with(right), expect);
        assert_eq!(right.agrees_with(left), expect);
    }

    #[test]
    fn two_seats_of_one_workspace_differ() {
        check(&owner("u1", "w", "a@x"), &owner("u2", "w", "a@x"), false);
    }

    #[test]
    fn one_person_with_two_workspaces_differs() {
        check(&owner("u1", "w1", "a@x"), &owner("u1", "w2", "a@x"), false);
    }

    #[test]
    fn an_unknown_user_is_told_apart_by_mail() {
        check(&owner("", "w", "a@x"), &owner("u1", "w", "b@x"), false);
        check(&owner("", "w", "a@x"), &owner("u1", "w", "a@x"), true);
    }

    #[test]
    fn without_a_workspace_nothing_agrees_and_nothing_contradicts() {
        check(&owner("u1", "", "a@x"), &owner("u1", "", "a@x"), false);
        assert!(!owner("u1", "", "a@x").contradicts(&owner("", "w", "a@x")));
        assert!(owner("", "", "a@x").contradicts(&owner("u1", "w", "b@x")));
        assert!(!owner("u1", "w", "a@x").contradicts(&owner("u1", "w", "b@x")), "the address changed");
    }
}
