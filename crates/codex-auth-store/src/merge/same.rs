//! Owns which sign-ins are one account.
//!
//! A person in a workspace is one account: that comes first, and what both know and differs keeps two apart for ever.
//! Rows that name no person are matched by the predecessor's tiers (account id and e-mail address, address, refresh
//! token, account id alone), but never where several accounts could be meant.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
};

use codex_auth_core::{Held, Owner, RefreshToken};

/// Whether an account id alone may say who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdOnly {
    /// It may: there is nothing to lose by it.
    Enough,
    /// It may not.
    #[cfg(test)]
    TooLittle,
}

/// What the members of a group know together.
#[derive(Debug, Default)]
struct Known<'a> {
    users: BTreeSet<&'a str>,
    workspaces: BTreeSet<&'a str>,
    /// Addresses of members whose person is known, and those of the others: a person may change their address.
    emails: [BTreeSet<&'a str>; 2],
    tokens: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(held: &'a Held) -> Self {
        let mut known = Self::default();
        known.add(&held.account.owner, &held.credential.refresh);
        known
    }

    fn add(&mut self, owner: &'a Owner, token: &'a RefreshToken) {
        self.users.extend(owner.user.as_ref().map(codex_auth_core::UserId::as_str));
        self.workspaces.extend(owner.workspace.as_ref().map(codex_auth_core::WorkspaceId::as_str));
        self.emails[usize::from(owner.user.is_none())].extend(owner.email.as_deref());
        self.tokens.insert(token.expose());
    }

    fn join(&mut self, other: &Self) {
        self.users.extend(&other.users);
        self.workspaces.extend(&other.workspaces);
        self.emails[0].extend(&other.emails[0]);
        self.emails[1].extend(&other.emails[1]);
        self.tokens.extend(&other.tokens);
    }

    /// Whether no two members contradict each other.
    fn is_one(&self) -> bool {
        let [of_persons, of_nobody] = &self.emails;
        let agrees = of_persons.is_empty() || of_nobody.is_subset(of_persons);
        self.users.len() <= 1 && self.workspaces.len() <= 1 && of_nobody.len() <= 1 && agrees
    }

    fn all_emails(&self) -> BTreeSet<&'a str> {
        self.emails.iter().flatten().copied().collect()
    }
}

type Groups<'a> = Vec<(Vec<usize>, Known<'a>)>;

/// The groups of sign-ins that are one account, in order of their first member.
pub(super) fn groups(all: &[&Held]) -> Vec<Vec<usize>> {
    let mut groups: Groups<'_> = all.iter().enumerate().map(|(index, held)| (vec![index], Known::of(held))).collect();
    // A tier that joins something may let an earlier one see more.
    while by_identity(&mut groups)
        || by_address_in_workspace(&mut groups)
        || by_address(&mut groups)
        || by_token(&mut groups)
        || by_workspace(&mut groups)
    {}
    groups.into_iter().map(|(members, _)| members).collect()
}

fn by_identity(groups: &mut Groups<'_>) -> bool {
    joined(groups, |known| pairs(&known.users, &known.workspaces), |_| true)
}

fn by_address_in_workspace(groups: &mut Groups<'_>) -> bool {
    joined(groups, |known| pairs(&known.workspaces, &known.all_emails()), |_| true)
}

fn by_address(groups: &mut Groups<'_>) -> bool {
    joined(groups, |known| alone(&known.all_emails()), |_| true)
}

fn by_token(groups: &mut Groups<'_>) -> bool {
    joined(groups, |known| alone(&known.tokens), |_| true)
}

/// An account id alone speaks only where exactly one other account has it, and only one of both has an address.
fn by_workspace(groups: &mut Groups<'_>) -> bool {
    let one_is_bare = |found: &[&Known<'_>]| match found {
        [left, right] => left.all_emails().is_empty() != right.all_emails().is_empty(),
        _ => false,
    };
    joined(groups, |known| alone(&known.workspaces), one_is_bare)
}

/// What a tier looks for: two texts, or one and nothing.
type Key<'a> = (&'a str, &'a str);

fn pairs<'a>(left: &BTreeSet<&'a str>, right: &BTreeSet<&'a str>) -> Vec<Key<'a>> {
    left.iter().flat_map(|left| right.iter().map(move |right| (*left, *right))).collect()
}

fn alone<'a>(texts: &BTreeSet<&'a str>) -> Vec<Key<'a>> {
    texts.iter().map(|text| (*text, "")).collect()
}

/// Joins the groups that share a key and do not contradict each other; whether there were any. Groups that several
/// keys lead to each other are judged together, so that no order of the keys matters.
fn joined<'a>(
    groups: &mut Groups<'a>,
    keys: impl Fn(&Known<'a>) -> Vec<Key<'a>>,
    holds: impl Fn(&[&Known<'a>]) -> bool,
) -> bool {
    let mut by_key: HashMap<Key<'a>, Vec<usize>> = HashMap::with_capacity(groups.len());
    for (index, (_, known)) in groups.iter().enumerate() {
        for key in keys(known) {
            by_key.entry(key).or_default().push(index);
        }
    }
    let is_one = |set: &[usize]| {
        let mut all = Known::default();
        for index in set {
            all.join(&groups[*index].1);
        }
        all.is_one()
    };
    let mut leads = Leads((0..groups.len()).collect());
    for found in by_key.values().filter(|found| found.len() > 1) {
        let all: Vec<&Known<'a>> = found.iter().map(|index| &groups[*index].1).collect();
        if holds(&all) && is_one(found) {
            found[1..].iter().for_each(|index| leads.join(found[0], *index));
        }
    }
    let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..groups.len() {
        sets.entry(leads.first(index)).or_default().push(index);
    }
    sets.retain(|_, set| set.len() > 1 && is_one(set));
    if sets.is_empty() {
        return false;
    }
    let mut left: Vec<Option<(Vec<usize>, Known<'a>)>> = mem::take(groups).into_iter().map(Some).collect();
    for (first, set) in sets {
        let (mut members, mut known) = left[first].take().expect("sets do not overlap");
        for index in &set[1..] {
            let (others, theirs) = left[*index].take().expect("sets do not overlap");
            members.extend(others);
            known.join(&theirs);
        }
        members.sort_unstable();
        left[first] = Some((members, known));
    }
    groups.extend(left.into_iter().flatten());
    true
}

/// Which groups lead to each other; each set is called by its first.
struct Leads(Vec<usize>);

impl Leads {
    fn first(&mut self, index: usize) -> usize {
        let mut at = index;
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.first(left), self.first(right));
        self.0[left.max(right)] = left.min(right);
    }
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
        sum.add(owner, token);
        for index in &found {
            sum.join(&Known::of(all[*index]));
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
    use codex_auth_core::{Seen, Timestamp, UserId, WorkspaceId, testing};

    use super::*;

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
        assert_eq!(groups(&rows.iter().collect::<Vec<_>>()), expect);
        // Backwards the same groups are found.
        let mut turned: Vec<Vec<usize>> = groups(&rows.iter().rev().collect::<Vec<_>>());
        for group in &mut turned {
            for index in group.iter_mut() {
                *index = rows.len() - 1 - *index;
            }
            group.sort_unstable();
        }
        turned.sort();
        assert_eq!(turned, expect, "backwards");
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
        check(&["u/A/x/r1", "u/A/y/r2", "-/-/x/r3", "-/-/y/r4"], &[&[0, 1], &[2], &[3]]);
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
