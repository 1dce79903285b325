//! Owns which sign-ins are one account.
//!
//! A person in a workspace is one account, and what both know and differs keeps two apart for ever. Rows that name no
//! person are matched by the predecessor's tiers (refresh token, account id and e-mail address, address, account id
//! alone), but never where several accounts could be meant.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use codex_auth_core::{Held, Owner, RefreshToken, UserId, WorkspaceId};

/// Whether an account id alone may say who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdOnly {
    /// It may: there is nothing to lose by it.
    Enough,
    /// It may not.
    #[cfg(test)]
    TooLittle,
}

/// What several sign-ins know together.
#[derive(Debug, Default)]
struct Known<'a> {
    users: BTreeSet<&'a str>,
    workspaces: BTreeSet<&'a str>,
    /// Addresses of those whose person is known, and those of the others: a person may change their address.
    emails: [BTreeSet<&'a str>; 2],
}

impl<'a> Known<'a> {
    fn add(&mut self, owner: &'a Owner) {
        self.users.extend(owner.user.as_ref().map(UserId::as_str));
        self.workspaces.extend(owner.workspace.as_ref().map(WorkspaceId::as_str));
        self.emails[usize::from(owner.user.is_none())].extend(owner.email.as_deref());
    }

    /// Whether no two of them contradict each other.
    fn is_one(&self) -> bool {
        let [of_persons, of_nobody] = &self.emails;
        let agrees = of_persons.is_empty() || of_nobody.is_subset(of_persons);
        self.users.len() <= 1 && self.workspaces.len() <= 1 && of_nobody.len() <= 1 && agrees
    }
}

/// Sign-ins that are one account, and that account.
type Group<'a> = (Vec<usize>, Cow<'a, Held>);

/// The groups of sign-ins that are one account, in order of their first member. `one` makes an account of several.
pub(super) fn groups(all: &[Held], one: impl Fn(&[usize]) -> Held) -> Vec<Group<'_>> {
    let each = all.iter().enumerate();
    let mut groups: Vec<Group<'_>> = each.map(|(index, held)| (vec![index], Cow::Borrowed(held))).collect();
    // An account that one match made may match more than its parts did.
    while let Some(sets) = TIERS.iter().find_map(|tier| tier(&groups)) {
        groups = joined(groups, sets, &one);
    }
    groups
}

fn joined<'a>(groups: Vec<Group<'a>>, sets: Vec<Vec<usize>>, one: impl Fn(&[usize]) -> Held) -> Vec<Group<'a>> {
    let mut left: Vec<Option<Group<'a>>> = groups.into_iter().map(Some).collect();
    for set in sets {
        let parts = set.iter().filter_map(|index| left[*index].take());
        let mut members: Vec<usize> = parts.flat_map(|(members, _)| members).collect();
        members.sort_unstable();
        let held = one(&members);
        left[set[0]] = Some((members, Cow::Owned(held)));
    }
    left.into_iter().flatten().collect()
}

/// One way to see that groups are one: the sets it sees, if there are any.
type Tier = fn(&[Group<'_>]) -> Option<Vec<Vec<usize>>>;

/// The token comes first: later matches keep only the newest one, and an older one would find nobody any more.
const TIERS: [Tier; 5] = [by_token, by_identity, by_address_in_workspace, by_address, by_workspace];

fn by_identity(groups: &[Group<'_>]) -> Option<Vec<Vec<usize>>> {
    sets(groups, |held| Some((user(held)?, workspace(held)?)), |_| true)
}

fn by_address_in_workspace(groups: &[Group<'_>]) -> Option<Vec<Vec<usize>>> {
    sets(groups, |held| Some((workspace(held)?, email(held)?)), |_| true)
}

fn by_address(groups: &[Group<'_>]) -> Option<Vec<Vec<usize>>> {
    sets(groups, |held| Some((email(held)?, "")), |_| true)
}

fn by_token(groups: &[Group<'_>]) -> Option<Vec<Vec<usize>>> {
    sets(groups, |held| Some((held.credential.refresh.expose(), "")), |_| true)
}

/// An account id alone speaks only where exactly one other account has it, and only one of both has an address.
fn by_workspace(groups: &[Group<'_>]) -> Option<Vec<Vec<usize>>> {
    let one_is_bare = |found: &[&Held]| match found {
        [left, right] => email(left).is_none() != email(right).is_none(),
        _ => false,
    };
    sets(groups, |held| Some((workspace(held)?, "")), one_is_bare)
}

fn user(held: &Held) -> Option<&str> {
    held.account.owner.user.as_ref().map(UserId::as_str)
}

fn workspace(held: &Held) -> Option<&str> {
    held.account.owner.workspace.as_ref().map(WorkspaceId::as_str)
}

fn email(held: &Held) -> Option<&str> {
    held.account.owner.email.as_deref()
}

/// The sets of groups that share a key, do not contradict each other, and of which `holds` says so; all that share a
/// key are judged together, so that no order matters.
fn sets<'a>(
    groups: &'a [Group<'_>],
    key: impl Fn(&'a Held) -> Option<(&'a str, &'a str)>,
    holds: impl Fn(&[&Held]) -> bool,
) -> Option<Vec<Vec<usize>>> {
    let mut by_key: HashMap<(&str, &str), Vec<usize>> = HashMap::with_capacity(groups.len());
    for (index, (_, held)) in groups.iter().enumerate() {
        if let Some(key) = key(held) {
            by_key.entry(key).or_default().push(index);
        }
    }
    let is_one = |set: &Vec<usize>| {
        let all: Vec<&Held> = set.iter().map(|index| groups[*index].1.as_ref()).collect();
        let mut known = Known::default();
        for held in &all {
            known.add(&held.account.owner);
        }
        known.is_one() && holds(&all)
    };
    let mut sets: Vec<Vec<usize>> = by_key.into_values().filter(|set| set.len() > 1 && is_one(set)).collect();
    sets.sort_unstable();
    (!sets.is_empty()).then_some(sets)
}

/// The place of the account that a sign-in of `owner` with this refresh token belongs to: of several that fit, the
/// one used last.
pub(super) fn find(all: &[&Held], owner: &Owner, token: &RefreshToken, id_only: IdOnly) -> Option<usize> {
    let newest = |places: Vec<usize>| {
        places.into_iter().max_by_key(|index| {
            let seen = all[*index].account.seen;
            (seen.last_used_at, seen.added_at, *index)
        })
    };
    let places = |test: &dyn Fn(&Held) -> bool| -> Vec<usize> {
        all.iter().enumerate().filter(|(_, held)| test(held)).map(|(index, _)| index).collect()
    };
    let identity = owner.identity();
    let of_identity = places(&|held| identity.is_some() && held.account.owner.identity() == identity);
    if !of_identity.is_empty() {
        return newest(of_identity);
    }
    // All that are meant must be one account together with the sign-in, or it could be anybody's.
    let agreeing = |test: &dyn Fn(&Held) -> bool| {
        let found = places(test);
        let mut sum = Known::default();
        sum.add(owner);
        for index in &found {
            sum.add(&all[*index].account.owner);
        }
        if sum.is_one() { newest(found) } else { None }
    };
    let (workspace, email) = (&owner.workspace, &owner.email);
    let has_workspace = |held: &Held| workspace.is_some() && held.account.owner.workspace == *workspace;
    let has_email = |held: &Held| email.is_some() && held.account.owner.email == *email;
    let by_workspace = || {
        let found = places(&has_workspace);
        let speaks = found.len() == 1 && (email.is_some() || id_only == IdOnly::Enough);
        if speaks { agreeing(&has_workspace) } else { None }
    };
    agreeing(&|held| has_workspace(held) && has_email(held))
        .or_else(|| agreeing(&has_email))
        .or_else(|| agreeing(&|held| held.credential.refresh == *token))
        .or_else(by_workspace)
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{Seen, Timestamp, testing};

    use super::*;
    use crate::merge::combined::{Roles, combined};

    /// A row `user/account/e-mail/token`; `-` means unknown.
    fn row(text: &str) -> Held {
        let parts: Vec<Option<&str>> = text.split('/').map(|part| Some(part).filter(|part| *part != "-")).collect();
        let [user, workspace, email, token] = parts[..] else { panic!("four parts: {text}") };
        let mut held = testing::held(1);
        held.account.owner = Owner {
            user: user.and_then(UserId::parse),
            workspace: workspace.and_then(WorkspaceId::parse),
            email: email.map(str::to_lowercase),
            plan: None,
        };
        held.account.seen = Seen { added_at: Timestamp::from_millis(1), last_used_at: Timestamp::default() };
        held.credential.refresh = RefreshToken::new(token.expect("a token"));
        held
    }

    #[track_caller]
    fn check(rows: &[&str], expect: &[&[usize]]) {
        let rows: Vec<Held> = rows.iter().map(|text| row(text)).collect();
        assert_eq!(members(&rows), expect);
        // Backwards the same groups are found.
        let mut turned = members(&rows.iter().rev().cloned().collect::<Vec<_>>());
        for group in &mut turned {
            for index in group.iter_mut() {
                *index = rows.len() - 1 - *index;
            }
            group.sort_unstable();
        }
        turned.sort();
        assert_eq!(turned, expect, "backwards");
    }

    fn members(rows: &[Held]) -> Vec<Vec<usize>> {
        let one = |members: &[usize]| {
            combined(rows, members, Roles { base: members[0], kept: members[0] }, Timestamp::default())
        };
        groups(rows, one).into_iter().map(|(members, _)| members).collect()
    }

    #[test]
    fn the_predecessors_rows() {
        check(&["-/A/x/r1", "-/A/X/r2"], &[&[0, 1]]);
        check(&["-/A/x/r1", "-/B/x/r2"], &[&[0], &[1]]);
        check(&["-/A/x/r1", "-/-/x/r2"], &[&[0, 1]]);
        check(&["-/A/x/r1", "-/B/x/r2", "-/-/x/r3"], &[&[0], &[1], &[2]]);
        check(&["-/A/x/r1", "-/A/y/r2"], &[&[0], &[1]]);
        check(&["-/-/x/r1", "-/-/y/r1"], &[&[0], &[1]]);
        check(&["-/A/x/r1", "-/-/-/r1"], &[&[0, 1]]);
        check(&["-/A/-/r1", "-/A/-/r2"], &[&[0], &[1]]);
        check(&["-/A/-/r1", "-/A/x/r2"], &[&[0, 1]]);
    }

    #[test]
    fn the_order_of_two_rows_does_not_matter() {
        check(&["-/A/x/r1", "-/A/-/r2"], &[&[0, 1]]);
    }

    #[test]
    fn a_person_in_a_workspace_is_one_account() {
        check(&["u/A/x/r1", "u/A/new/r2"], &[&[0, 1]]);
        check(&["u/A/x/r1", "v/A/x/r2"], &[&[0], &[1]]);
        check(&["u/A/x/r1", "u/B/x/r1"], &[&[0], &[1]]);
        check(&["u/A/x/r1", "v/A/x/r1"], &[&[0], &[1]]);
    }

    #[test]
    fn a_row_without_a_person_joins_only_who_can_be_meant_alone() {
        check(&["u/A/x/r1", "-/A/x/r2"], &[&[0, 1]]);
        check(&["u/A/x/r1", "v/A/x/r2", "-/A/x/r3"], &[&[0], &[1], &[2]]);
        check(&["u/A/x/r1", "v/A/x/r2", "-/-/-/r2"], &[&[0], &[1, 2]]);
        check(&["u/A/x/r1", "u/B/x/r2", "-/-/x/r3"], &[&[0], &[1], &[2]]);
        check(&["u/A/x/r1", "v/A/y/r2", "-/A/-/r3"], &[&[0], &[1], &[2]]);
        check(&["-/A/-/r1", "-/A/-/r2", "-/A/x/r3"], &[&[0], &[1], &[2]]);
    }

    #[test]
    fn what_one_match_teaches_leads_to_the_next() {
        check(&["-/A/x/r1", "-/-/-/r1", "-/A/-/r2"], &[&[0, 1, 2]]);
        check(&["-/-/-/r1", "-/-/x/r1", "u/A/x/r2"], &[&[0, 1, 2]]);
        check(&["u/A/x/r1", "-/B/x/r2", "-/-/x/r3", "-/-/-/r3"], &[&[0], &[1], &[2, 3]]);
    }

    #[track_caller]
    fn matches(candidate: &str, rows: &[&str], id_only: IdOnly, expect: Option<usize>) {
        let (candidate, rows) = (row(candidate), rows.iter().map(|text| row(text)).collect::<Vec<_>>());
        let all: Vec<&Held> = rows.iter().collect();
        assert_eq!(find(&all, &candidate.account.owner, &candidate.credential.refresh, id_only), expect);
    }

    #[test]
    fn the_predecessors_matches() {
        matches("-/A/-/n", &["-/A/x/r1"], IdOnly::TooLittle, None);
        matches("-/A/-/n", &["-/A/x/r1"], IdOnly::Enough, Some(0));
        matches("-/A/-/n", &["-/A/x/r1", "-/A/y/r2"], IdOnly::Enough, None);
        matches("-/A/z/n", &["-/A/x/r1"], IdOnly::Enough, None);
        matches("-/A/x/NEW", &["-/A/x/r1"], IdOnly::TooLittle, Some(0));
    }

    #[test]
    fn a_known_person_is_nobody_else() {
        matches("u/A/x/n", &["v/A/x/r1", "u/A/old/r2"], IdOnly::Enough, Some(1));
        matches("u/A/x/r1", &["v/A/x/r1"], IdOnly::Enough, None);
        matches("-/A/x/n", &["v/A/x/r1", "u/A/x/r2"], IdOnly::Enough, None);
    }
}
