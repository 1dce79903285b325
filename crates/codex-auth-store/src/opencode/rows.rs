//! Owns the rows of the account menu: one per account of either domain, and the way back to its record.

use codex_auth_core::Timestamp;

use super::{
    Domain,
    identity_key::key_of,
    normalise::records,
    record::{is_enabled, stored_key},
};
use crate::json::{self, Object};

/// What the menu says of an account at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStatus {
    /// Cools down.
    RateLimited,
    /// Its access token has ended.
    Expired,
    /// Nothing is known against it.
    Unknown,
    /// It is the active one of the current mode.
    Active,
}

impl RowStatus {
    /// The word on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate-limited",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Active => "active",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key, when it has one.
    pub identity_key: Option<String>,
    /// Our own id of its record, when it has one.
    pub record_id: Option<String>,
    /// Account id.
    pub account_id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Plan.
    pub plan: Option<String>,
    /// Where its record stood in each domain when the row was made.
    pub source_indices: Vec<(Domain, usize)>,
    /// When it was last used, in milliseconds.
    pub last_used: Option<i64>,
    /// Whether any of its records is enabled; `None` when none says.
    pub enabled: Option<bool>,
    /// At a glance.
    pub status: RowStatus,
    /// Whether it is the active one of the current mode.
    pub is_current_account: bool,
}

impl Row {
    /// The domains that have a record of it, in the order of the file.
    pub fn auth_types(&self) -> Vec<Domain> {
        Domain::ALL.into_iter().filter(|domain| self.source_index(*domain).is_some()).collect()
    }

    fn source_index(&self, domain: Domain) -> Option<usize> {
        self.source_indices.iter().find(|(known, _)| *known == domain).map(|(_, index)| *index)
    }

    fn of(record: &Object, domain: Domain, index: usize) -> Self {
        let text = |key: &str| json::text(record, key).map(str::to_owned);
        Self {
            identity_key: text("identityKey"),
            record_id: text("recordId"),
            account_id: text("accountId"),
            email: text("email"),
            plan: text("plan"),
            source_indices: vec![(domain, index)],
            last_used: None,
            enabled: None,
            status: RowStatus::Unknown,
            is_current_account: false,
        }
    }

    fn is_of(&self, record: &Object) -> bool {
        let mine = (self.account_id.as_deref(), self.email.as_deref(), self.plan.as_deref());
        let tuple = super::identity_key::canonical_key(mine.0, mine.1, mine.2);
        match (self.identity_key.as_deref(), stored_key(record)) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (Some(_) | None, None) | (None, Some(_)) => tuple.is_some() && tuple == key_of(record),
        }
    }
}

/// The rows of both domains. A record without any identity stays a row of its own, so that it can be acted on.
pub fn menu_rows(native: Option<&Object>, codex: Option<&Object>, mode: Domain, now: Timestamp) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (domain, content) in [(Domain::Native, native), (Domain::Codex, codex)] {
        let Some(content) = content else { continue };
        let active = json::text(content, "activeIdentityKey").filter(|_| domain == mode);
        for (index, record) in records(content).iter().enumerate() {
            let known = rows.iter().position(|row| row.source_index(domain).is_none() && row.is_of(record));
            let place = known.unwrap_or_else(|| {
                rows.push(Row { source_indices: Vec::new(), ..Row::of(record, domain, index) });
                rows.len() - 1
            });
            let is_active = active.is_some() && stored_key(record) == active && is_enabled(record);
            add(&mut rows[place], record, domain, index, is_active, now);
        }
    }
    rows
}

/// Where the record of a row stands in a domain now: at its old place when it is still there, else by key, else by
/// account, e-mail and plan.
pub fn find_row(content: &Object, domain: Domain, row: &Row) -> Option<usize> {
    let all = records(content);
    if row.record_id.is_some() {
        let found = all.iter().position(|record| json::text(record, "recordId") == row.record_id.as_deref());
        if found.is_some() {
            return found;
        }
    }
    let is_nameless = |record: &Object| stored_key(record).is_none() && key_of(record).is_none();
    let is_there = |place: &usize| {
        let no_name = row.identity_key.is_none() && row.account_id.is_none() && row.email.is_none();
        all.get(*place).is_some_and(|record| row.is_of(record) || (no_name && is_nameless(record)))
    };
    let by_key = || {
        all.iter().position(|record| row.identity_key.is_some() && stored_key(record) == row.identity_key.as_deref())
    };
    row.source_index(domain)
        .filter(is_there)
        .or_else(by_key)
        .or_else(|| all.iter().position(|record| row.is_of(record)))
}

fn add(row: &mut Row, record: &Object, domain: Domain, index: usize, is_active: bool, now: Timestamp) {
    row.source_indices.push((domain, index));
    row.last_used = row.last_used.max(record.get("lastUsed").and_then(json::integer));
    let says = record.get("enabled").is_some();
    if says || row.enabled.is_some() {
        row.enabled = Some(row.enabled.unwrap_or(false) || is_enabled(record));
    }
    row.is_current_account |= is_active;
    row.status = match (row.is_current_account, row.status, status_of(record, now)) {
        (true, ..) => RowStatus::Active,
        (false, RowStatus::RateLimited, _) | (false, _, RowStatus::RateLimited) => RowStatus::RateLimited,
        (false, RowStatus::Expired, _) | (false, _, RowStatus::Expired) => RowStatus::Expired,
        (false, _, _) => RowStatus::Unknown,
    };
}

fn status_of(record: &Object, now: Timestamp) -> RowStatus {
    let instant = |key: &str| json::millis(record, key);
    if instant("cooldownUntil").is_some_and(|until| now < until) {
        RowStatus::RateLimited
    } else if instant("expires").is_some_and(|end| end <= now) {
        RowStatus::Expired
    } else {
        RowStatus::Unknown
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn domain(accounts: &Value) -> Object {
        Object::from_iter([("accounts".to_owned(), accounts.clone())])
    }

    #[test]
    fn a_row_without_identity_leads_back_to_its_own_place_only() {
        let content = domain(&json!([{ "identityKey": "a" }, { "refresh": "r" }]));
        let rows = menu_rows(Some(&content), None, Domain::Native, Timestamp::default());
        assert_eq!(find_row(&content, Domain::Native, &rows[1]), Some(1));
        let moved = domain(&json!([{ "refresh": "r" }, { "identityKey": "a" }]));
        assert_eq!(find_row(&moved, Domain::Native, &rows[1]), None);
        assert_eq!(find_row(&moved, Domain::Native, &rows[0]), Some(1));
    }

    #[test]
    fn a_record_id_survives_every_move() {
        let content = domain(&json!([{ "refresh": "r1", "recordId": "x" }, { "refresh": "r2", "recordId": "y" }]));
        let rows = menu_rows(Some(&content), None, Domain::Native, Timestamp::default());
        let moved = domain(&json!([{ "refresh": "r2", "recordId": "y" }, { "refresh": "new", "recordId": "x" }]));
        assert_eq!(find_row(&moved, Domain::Native, &rows[0]), Some(1));
    }

    #[track_caller]
    fn check(record: &Value, expect: RowStatus) {
        let content = domain(&json!([record]));
        let rows = menu_rows(Some(&content), None, Domain::Native, Timestamp::from_millis(10));
        assert_eq!(rows[0].status, expect);
    }

    #[test]
    fn the_gravest_thing_is_said() {
        check(&json!({ "cooldownUntil": 11, "expires": 1 }), RowStatus::RateLimited);
        check(&json!({ "cooldownUntil": 10, "expires": 1 }), RowStatus::Expired);
        check(&json!({ "expires": 11 }), RowStatus::Unknown);
        check(&json!({}), RowStatus::Unknown);
    }
}
