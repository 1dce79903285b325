//! A capability to the agent as a value: whom it lets in, to which account and models, how often and until when.
//!
//! Only hashes of its secrets are known here. Every rule is pure; whoever keeps the table must have a reservation on
//! disk before it lets requests in that use it up, so that a crash never gives more than the limit.

use std::time::Duration;

use crate::{RecordId, Timestamp};

/// No capability lives longer.
pub const LONGEST_PERMIT: Duration = Duration::from_hours(30 * 24);
/// Most capabilities at a time: every request of one is compared with them all.
const MOST: usize = 256;
/// Secrets of one name that are valid side by side; a client that asks again does not shut out its neighbour.
const SECRETS: usize = 8;
/// Requests that may be let in between two writes, at most.
const LARGEST_RESERVE: u64 = 16;

/// SHA-256 of a secret.
pub type SecretHash = [u8; 32];

/// What a capability is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermitTerms {
    /// What the user calls it; asked for again under its name, it is the same one.
    pub name: Option<String>,
    /// The only account that may serve it; the whole pool without one.
    pub account: Option<RecordId>,
    /// Models it may ask; every model when there are none.
    pub models: Vec<String>,
    /// How many model requests it is good for.
    pub requests: Option<u64>,
    /// How long it lives.
    pub lasts: Duration,
}

/// A capability that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// Its name in lists.
    pub id: String,
    /// What it is limited to.
    pub terms: PermitTerms,
    /// When it was made.
    pub created_at: Timestamp,
    /// From here on it lets nobody in.
    pub expires_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Requests let in.
    pub used: u64,
    /// Requests that count as let in after a crash; never fewer than were.
    pub reserved: u64,
    /// Its secrets, the newest first.
    pub secrets: Vec<SecretHash>,
}

/// Why none was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermitRefused {
    /// The name was revoked, and whoever asks again is to notice.
    #[error("the capability `{0}` was revoked")]
    Revoked(String),
    /// It would live too long, or not at all.
    #[error("a capability lives between one second and 30 days")]
    Lifetime,
    /// There are too many.
    #[error("there are {MOST} capabilities already")]
    TooMany,
}

/// Whether a request may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    /// It may, and is counted.
    Granted,
    /// More requests must be reserved first.
    ReserveFirst,
    /// All requests are used up.
    Spent,
    /// There is no such capability any more.
    Ended,
}

/// All capabilities, and the names that were revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermitTable {
    /// In the order of their making.
    pub rows: Vec<Permit>,
    /// Names under which none is made until the user says so.
    pub revoked_names: Vec<String>,
}

impl Permit {
    /// Whether it has neither expired nor been used up.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.terms.requests.is_none_or(|limit| self.used < limit)
    }
}

impl PermitTable {
    /// Makes one, or adds a secret to the living one of the same name and terms: its count and its end stay.
    pub fn issue(
        &mut self,
        (id, secret): (&str, SecretHash),
        terms: PermitTerms,
        now: Timestamp,
    ) -> Result<Permit, PermitRefused> {
        if terms.lasts < Duration::from_secs(1) || terms.lasts > LONGEST_PERMIT {
            return Err(PermitRefused::Lifetime);
        }
        if let Some(name) = terms.name.as_ref().filter(|name| self.revoked_names.contains(name)) {
            return Err(PermitRefused::Revoked(name.clone()));
        }
        self.rows.retain(|row| now < row.expires_at);
        let of_name = |row: &Permit| row.terms.name.is_some() && row.terms.name == terms.name;
        if let Some(row) = self.rows.iter_mut().find(|row| of_name(row) && row.terms == terms) {
            row.secrets.insert(0, secret);
            row.secrets.truncate(SECRETS);
            return Ok(row.clone());
        }
        self.rows.retain(|row| !of_name(row));
        if self.rows.len() >= MOST {
            return Err(PermitRefused::TooMany);
        }
        let expires_at = now.after(terms.lasts);
        let (id, secrets) = (id.to_owned(), vec![secret]);
        let row = Permit { id, terms, created_at: now, expires_at, last_used_at: None, used: 0, reserved: 0, secrets };
        self.rows.push(row.clone());
        Ok(row)
    }

    /// Lets a revoked name be used again.
    pub fn reopen(&mut self, name: &str) {
        self.revoked_names.retain(|revoked| revoked != name);
    }

    /// Ends the one of this id or name, or all of them, and closes their names. Returns the ids.
    pub fn revoke(&mut self, which: Option<&str>) -> Vec<String> {
        let is_meant =
            |row: &Permit| which.is_none_or(|which| row.id == which || row.terms.name.as_deref() == Some(which));
        let (gone, kept) = std::mem::take(&mut self.rows).into_iter().partition(is_meant);
        self.rows = kept;
        let gone: Vec<Permit> = gone;
        for name in gone.iter().filter_map(|row| row.terms.name.clone()) {
            if !self.revoked_names.contains(&name) {
                self.revoked_names.push(name);
            }
        }
        gone.into_iter().map(|row| row.id).collect()
    }

    /// Counts a request, if it may come in.
    pub fn spend(&mut self, id: &str, now: Timestamp) -> Spend {
        let Some(row) = self.rows.iter_mut().find(|row| row.id == id && now < row.expires_at) else {
            return Spend::Ended;
        };
        match row.terms.requests {
            Some(limit) if row.used >= limit => return Spend::Spent,
            Some(_) if row.used >= row.reserved => return Spend::ReserveFirst,
            Some(_) | None => row.used += 1,
        }
        row.last_used_at = Some(now);
        Spend::Granted
    }

    /// Reserves requests where none is left; small limits are counted one by one, so that a crash costs nothing of
    /// them. Until then nobody is let in, so a copy of the table comes to the same number.
    pub fn reserve(&mut self, id: &str) {
        let Some(row) = self.rows.iter_mut().find(|row| row.id == id) else { return };
        let Some(limit) = row.terms.requests.filter(|_| row.used >= row.reserved) else { return };
        let step = (limit / LARGEST_RESERVE).clamp(1, LARGEST_RESERVE);
        row.reserved = limit.min(row.used.saturating_add(step));
    }

    /// What a new process may go by: whatever was reserved may have been used.
    #[must_use]
    pub fn after_a_crash(mut self) -> Self {
        for row in &mut self.rows {
            row.used = row.reserved.max(row.used);
        }
        self
    }

    /// Whether anybody may still come in.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.rows.iter().any(|row| row.is_open(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn terms(name: &str, requests: Option<u64>) -> PermitTerms {
        let name = (!name.is_empty()).then(|| name.to_owned());
        PermitTerms { name, requests, lasts: HOUR, ..PermitTerms::default() }
    }

    fn table(terms: PermitTerms) -> PermitTable {
        let mut table = PermitTable::default();
        table.issue(("a", [1; 32]), terms, NOW).expect("made");
        table
    }

    /// Lets in as many as it does, with a reservation whenever one is asked for.
    fn let_in(table: &mut PermitTable, most: u64) -> u64 {
        let mut count = 0;
        while count < most {
            match table.spend("a", NOW) {
                Spend::Granted => count += 1,
                Spend::ReserveFirst => table.reserve("a"),
                Spend::Spent | Spend::Ended => break,
            }
        }
        count
    }

    #[test]
    fn a_limit_holds_and_a_crash_never_gives_more() {
        for limit in [1, 3, 40, 1000] {
            for before in 0..limit.min(50) {
                let mut table = table(terms("", Some(limit)));
                let first = let_in(&mut table, before);
                let mut after = table.after_a_crash();
                let second = let_in(&mut after, u64::MAX);
                assert!(first + second <= limit, "{limit}: {first} and {second}");
                assert!(first + second + LARGEST_RESERVE > limit, "{limit}: {first} and {second}");
                assert!(limit > 16 || first + second == limit, "{limit}: {first} and {second}");
            }
        }
    }

    #[test]
    fn the_same_name_and_terms_are_the_same_capability() {
        let mut table = table(terms("ci", Some(5)));
        assert_eq!(let_in(&mut table, 2), 2);
        let again = table.issue(("b", [2; 32]), terms("ci", Some(5)), NOW.after(HOUR / 2)).expect("made");
        assert_eq!((again.id.as_str(), again.used, again.expires_at), ("a", 2, NOW.after(HOUR)));
        assert_eq!(again.secrets, [[2; 32], [1; 32]]);
        for n in 3..20 {
            table.issue(("b", [n; 32]), terms("ci", Some(5)), NOW).expect("made");
        }
        assert_eq!((table.rows.len(), table.rows[0].secrets.len()), (1, SECRETS));
    }

    #[test]
    fn other_terms_and_a_new_hour_begin_anew() {
        let mut of_name = table(terms("ci", Some(5)));
        let other = of_name.issue(("b", [2; 32]), terms("ci", Some(6)), NOW).expect("made");
        assert_eq!((other.id.as_str(), of_name.rows.len()), ("b", 1));
        let later = of_name.issue(("c", [3; 32]), terms("ci", Some(6)), NOW.after(HOUR)).expect("made");
        assert_eq!((later.id.as_str(), later.secrets.len()), ("c", 1));
        let mut nameless = table(terms("", None));
        nameless.issue(("b", [2; 32]), terms("", None), NOW).expect("made");
        assert_eq!(nameless.rows.len(), 2);
    }

    #[test]
    fn a_revoked_name_stays_closed_until_it_is_opened() {
        let mut table = table(terms("ci", None));
        assert_eq!(table.revoke(Some("ci")), ["a"]);
        assert_eq!(table.spend("a", NOW), Spend::Ended);
        let again = table.issue(("b", [2; 32]), terms("ci", None), NOW);
        assert_eq!(again, Err(PermitRefused::Revoked("ci".to_owned())));
        table.reopen("ci");
        assert!(table.issue(("b", [2; 32]), terms("ci", None), NOW).is_ok());
    }

    #[test]
    fn all_are_revoked_at_once() {
        let mut table = table(terms("ci", None));
        table.issue(("b", [2; 32]), terms("", None), NOW).expect("made");
        assert_eq!(table.revoke(Some("nothing")), [""; 0]);
        assert_eq!(table.revoke(None), ["a", "b"]);
        assert!(!table.is_open(NOW));
    }

    #[test]
    fn it_ends_at_its_end() {
        let mut table = table(terms("", None));
        let last = Timestamp::from_millis(NOW.after(HOUR).as_millis() - 1);
        assert_eq!((table.spend("a", last), table.spend("a", NOW.after(HOUR))), (Spend::Granted, Spend::Ended));
        assert_eq!((table.is_open(last), table.is_open(NOW.after(HOUR))), (true, false));
    }

    #[test]
    fn neither_too_long_nor_too_many() {
        let mut full = PermitTable::default();
        for lasts in [Duration::ZERO, LONGEST_PERMIT + Duration::from_secs(1)] {
            let refused = full.issue(("a", [1; 32]), PermitTerms { lasts, ..terms("", None) }, NOW);
            assert_eq!(refused, Err(PermitRefused::Lifetime));
        }
        for n in 0..MOST {
            full.issue((&n.to_string(), [1; 32]), terms("", None), NOW).expect("made");
        }
        assert_eq!(full.issue(("x", [1; 32]), terms("", None), NOW), Err(PermitRefused::TooMany));
        assert!(full.issue(("x", [1; 32]), terms("", None), NOW.after(HOUR)).is_ok());
    }
}
