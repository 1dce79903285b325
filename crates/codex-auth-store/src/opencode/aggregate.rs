//! Owns the compatibility list: one row per account of either domain, rebuilt at every write.

use serde_json::Value;

use super::{
    Domain, auth_types_value,
    fingerprint::{NOTHING_KNOWN, legacy_fingerprint, name_the_nameless, own_key},
    normalise::each,
    record::{expires, is_enabled},
};
use crate::{
    document::row::fill_from,
    json::{self, Object},
};

/// One row of the list while it grows.
struct Row {
    record: Object,
    domains: Vec<Domain>,
}

/// The rows of both domains, native's first. Every row has a key that no other row has.
pub(crate) fn aggregate(domains: &[(Domain, Object)]) -> Vec<Object> {
    let mut rows: Vec<Row> = Vec::new();
    for (domain, content) in domains {
        let own: Vec<&Object> = each(content).collect();
        for record in own.iter().copied() {
            match place_of(&rows, *domain, record, &own) {
                Some(place) => rows[place].join(*domain, record),
                None => rows.push(Row { record: record.clone(), domains: vec![*domain] }),
            }
        }
    }
    let mut rows: Vec<Object> = rows.into_iter().map(Row::finish).collect();
    name_the_nameless(&mut rows);
    rows
}

/// The row a record belongs to.
///
/// Records with one key are one account. Without a key, two records of one domain never are: they would hide each other.
/// Across domains they are when they hold one grant, or when their fingerprint says something and is the only one of
/// its kind on both sides.
fn place_of(rows: &[Row], domain: Domain, record: &Object, own: &[&Object]) -> Option<usize> {
    if let Some(key) = own_key(record) {
        return rows.iter().position(|row| own_key(&row.record) == Some(key));
    }
    let print = legacy_fingerprint(record);
    let is_alike = |other: &Object| own_key(other).is_none() && legacy_fingerprint(other) == print;
    let alike: Vec<usize> = (0..rows.len())
        .filter(|place| is_alike(&rows[*place].record) && !rows[*place].domains.contains(&domain))
        .collect();
    let refresh = json::text(record, "refresh");
    let same_grant = |place: &usize| refresh.is_some() && json::text(&rows[*place].record, "refresh") == refresh;
    let only = || {
        let is_only = print != NOTHING_KNOWN && own.iter().filter(|other| is_alike(other)).count() == 1;
        let all_alike = rows.iter().filter(|row| is_alike(&row.record)).count();
        alike.first().copied().filter(|_| is_only && all_alike == 1)
    };
    alike.iter().copied().find(|place| same_grant(place)).or_else(only)
}

impl Row {
    /// The record whose access token ends later supplies what both have; on a tie the one that was here first.
    fn join(&mut self, domain: Domain, record: &Object) {
        let (mut merged, other) = if expires(record) > expires(&self.record) {
            (record.clone(), self.record.clone())
        } else {
            (self.record.clone(), record.clone())
        };
        fill_from(&mut merged, &other);
        if merged.contains_key("enabled") {
            merged.insert("enabled".to_owned(), Value::Bool(is_enabled(&self.record) || is_enabled(record)));
        }
        self.record = merged;
        if !self.domains.contains(&domain) {
            self.domains.push(domain);
        }
    }

    fn finish(mut self) -> Object {
        json::set(&mut self.record, "authTypes", Some(auth_types_value(&self.domains)));
        if own_key(&self.record).is_none() {
            // Not the record's own: among twins it would stand twice.
            self.record.shift_remove("identityKey");
        }
        self.record
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each record is its e-mail address and its refresh token; expects `[domains, refresh]` per row.
    #[track_caller]
    fn check(native: &[(&str, &str)], codex: &[(&str, &str)], expect: &[(&[Domain], &str)]) {
        let content = |pairs: &[(&str, &str)]| {
            let accounts: Vec<Value> =
                pairs.iter().map(|(email, refresh)| json!({ "email": email, "refresh": refresh })).collect();
            Object::from_iter([("accounts".to_owned(), Value::Array(accounts))])
        };
        let rows = aggregate(&[(Domain::Native, content(native)), (Domain::Codex, content(codex))]);
        let expect: Vec<_> =
            expect.iter().map(|(domains, refresh)| (auth_types_value(domains), json!(refresh))).collect();
        let found: Vec<_> = rows.iter().map(|row| (row["authTypes"].clone(), row["refresh"].clone())).collect();
        assert_eq!(found, expect);
    }

    const NATIVE: &[Domain] = &[Domain::Native];
    const CODEX: &[Domain] = &[Domain::Codex];

    #[test]
    fn twins_without_a_key_do_not_hide_each_other_defect_24() {
        check(&[("t", "r1"), ("t", "r2")], &[], &[(NATIVE, "r1"), (NATIVE, "r2")]);
        check(&[("t", "r1"), ("t", "r2")], &[("t", "r2")], &[(NATIVE, "r1"), (&Domain::ALL, "r2")]);
        check(&[("t", "r1"), ("t", "r2")], &[("t", "r3")], &[(NATIVE, "r1"), (NATIVE, "r2"), (CODEX, "r3")]);
    }

    #[test]
    fn across_domains_one_fingerprint_is_one_account_when_it_says_something() {
        check(&[("t", "r1")], &[("t", "r2")], &[(&Domain::ALL, "r1")]);
        check(&[("", "r1")], &[("", "r2")], &[(NATIVE, "r1"), (CODEX, "r2")]);
        check(&[("", "r1")], &[("", "r1")], &[(&Domain::ALL, "r1")]);
    }
}
