//! `quota-cache.json`: what the backend last said is left, per account. Our key is the record; the predecessor's maps
//! are kept beside it by its own rule.

use std::collections::BTreeMap;

use codex_auth_core::{
    Account, QuotaSnapshot, QuotaWindow, RecordId, Remembered, SavedPool, Source, Timestamp, WorkspaceId,
};
use serde_json::json;

use super::rows::{self, Row};
use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

/// The cache.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotaCache {
    records: BTreeMap<String, QuotaEntry>,
    account_ids: BTreeMap<String, QuotaEntry>,
    emails: BTreeMap<String, QuotaEntry>,
}

/// What was said about one account.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaEntry {
    /// When.
    pub updated_at: Timestamp,
    /// HTTP status of the answer.
    pub status: u16,
    /// The model it was about; never blank.
    pub model: String,
    /// Plan as the backend spells it.
    pub plan: Option<String>,
    /// The short window, where told.
    pub primary: Option<QuotaWindow>,
    /// The long window, where told.
    pub secondary: Option<QuotaWindow>,
}

/// What stands for the model where no model was asked: the format demands a text. The predecessor names a real one.
const USAGE: &str = "codex";
const ANSWERS: &str = "codex-answers";

/// The predecessor's key of an account.
#[derive(Debug, PartialEq, Eq)]
enum OldKey<'a> {
    AccountId(&'a str),
    Email(&'a str),
}

impl QuotaEntry {
    /// What the usage endpoint said.
    pub fn of_usage(quota: &QuotaSnapshot, plan: Option<String>) -> Self {
        let QuotaSnapshot { primary, secondary, seen_at } = *quota;
        Self { updated_at: seen_at, status: 200, model: USAGE.to_owned(), plan, primary, secondary }
    }

    /// What the agent learnt from answers; or from the usage endpoint.
    pub fn of(told: &Remembered) -> Self {
        let entry = Self::of_usage(&told.quota, told.plan.clone());
        let model = if told.source == Source::Usage { USAGE } else { ANSWERS };
        Self { model: model.to_owned(), ..entry }
    }

    /// Who told, as far as the format shows it.
    pub fn source(&self) -> Source {
        if self.model == USAGE && self.status == 200 { Source::Usage } else { Source::File }
    }

    /// The windows, where any is known.
    pub fn snapshot(&self) -> Option<QuotaSnapshot> {
        let Self { updated_at, primary, secondary, .. } = *self;
        (primary.is_some() || secondary.is_some()).then_some(QuotaSnapshot { primary, secondary, seen_at: updated_at })
    }
}

impl QuotaCache {
    /// What is known of an account of this pool: the newest of what we and the predecessor wrote.
    pub fn find(&self, pool: &SavedPool, record: &RecordId) -> Option<&QuotaEntry> {
        let ours = self.records.get(record.as_str());
        let has_theirs = !(self.account_ids.is_empty() && self.emails.is_empty());
        let held = has_theirs.then(|| pool.find(record)).flatten();
        let theirs = held.and_then(|held| match old_key(pool, &held.account)? {
            OldKey::AccountId(id) => self.account_ids.get(id),
            OldKey::Email(email) => self.emails.get(email),
        });
        ours.into_iter().chain(theirs).max_by_key(|entry| entry.updated_at)
    }

    /// Keeps what was said about an account of this pool, unless something newer is known.
    pub fn keep(&mut self, pool: &SavedPool, record: &RecordId, entry: &QuotaEntry) {
        if self.find(pool, record).is_some_and(|known| known.updated_at > entry.updated_at) {
            return;
        }
        self.records.insert(record.as_str().to_owned(), entry.clone());
        let Some(account) = pool.find(record).map(|held| &held.account) else { return };
        // An entry under a key that several accounts share, or that is no longer used, would mislead the predecessor.
        let (id, email) = (id_of(account), email_of(account));
        match old_key(pool, account) {
            Some(OldKey::AccountId(id)) => {
                self.account_ids.insert(id.to_owned(), entry.clone());
                let own = email.filter(|email| is_only(pool, |other| email_of(other) == Some(email)));
                own.and_then(|email| self.emails.remove(email));
            }
            Some(OldKey::Email(email)) => {
                self.emails.insert(email.to_owned(), entry.clone());
                id.and_then(|id| self.account_ids.remove(id));
            }
            None => {}
        }
    }

    /// Forgets accounts that are no longer in the pool.
    pub fn prune(&mut self, pool: &SavedPool) {
        self.records.retain(|record, _| pool.accounts.iter().any(|held| held.account.record.as_str() == record));
    }
}

/// By account id where only one account has it, else by e-mail where only one has that, else not at all.
fn old_key<'a>(pool: &SavedPool, account: &'a Account) -> Option<OldKey<'a>> {
    if let Some(id) = id_of(account).filter(|id| is_only(pool, |other| id_of(other) == Some(id))) {
        return Some(OldKey::AccountId(id));
    }
    let email = email_of(account)?;
    is_only(pool, |other| email_of(other) == Some(email)).then_some(OldKey::Email(email))
}

fn id_of(account: &Account) -> Option<&str> {
    account.owner.workspace.as_ref().map(WorkspaceId::as_str)
}

fn email_of(account: &Account) -> Option<&str> {
    account.owner.email.as_deref()
}

fn is_only(pool: &SavedPool, test: impl Fn(&Account) -> bool) -> bool {
    pool.accounts.iter().filter(|held| test(&held.account)).count() == 1
}

impl Document for QuotaCache {
    const NAME: &'static str = "quota-cache.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        Self {
            records: rows::decode(object, "byRecordId"),
            account_ids: rows::decode(object, "byAccountId"),
            emails: rows::decode(object, "byEmail"),
        }
    }

    fn encode(&self, object: &mut Object) {
        rows::encode(object, "byAccountId", &self.account_ids);
        rows::encode(object, "byEmail", &self.emails);
        rows::encode(object, "byRecordId", &self.records);
    }
}

impl Row for QuotaEntry {
    fn decode(row: &Object) -> Option<Self> {
        Some(Self {
            updated_at: json::millis(row, "updatedAt")?,
            status: json::count(row, "status").and_then(|status| u16::try_from(status).ok())?,
            model: json::text(row, "model")?.to_owned(),
            plan: json::text(row, "planType").map(str::to_owned),
            primary: json::object(row, "primary").and_then(window),
            secondary: json::object(row, "secondary").and_then(window),
        })
    }

    fn encode(&self, _key: &str, row: &mut Object) {
        json::set(row, "updatedAt", Some(json!(self.updated_at.as_millis())));
        json::set(row, "status", Some(json!(self.status)));
        json::set(row, "model", Some(json!(self.model)));
        json::set(row, "planType", self.plan.as_ref().map(|plan| json!(plan)));
        for (name, told) in [("primary", self.primary), ("secondary", self.secondary)] {
            let mut part = json::object(row, name).cloned().unwrap_or_default();
            match told {
                Some(told) => {
                    json::set_real(&mut part, "usedPercent", told.used_percent);
                    json::set(&mut part, "windowMinutes", told.window_minutes.map(|minutes| json!(minutes)));
                    json::set(&mut part, "resetAtMs", told.resets_at.map(|at| json!(at.as_millis())));
                }
                None => part.retain(|key, _| !["usedPercent", "windowMinutes", "resetAtMs"].contains(&key.as_str())),
            }
            row.insert(name.to_owned(), part.into());
        }
    }
}

fn window(told: &Object) -> Option<QuotaWindow> {
    Some(QuotaWindow {
        used_percent: json::number(told, "usedPercent")?,
        window_minutes: json::count(told, "windowMinutes").filter(|minutes| *minutes > 0),
        resets_at: json::millis(told, "resetAtMs"),
    })
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{WorkspaceId, testing};

    use super::*;

    fn entry(at: i64) -> QuotaEntry {
        let primary = Some(QuotaWindow { used_percent: 12.5, window_minutes: Some(300), resets_at: None });
        let quota = QuotaSnapshot { primary, secondary: None, seen_at: Timestamp::from_millis(at) };
        QuotaEntry::of_usage(&quota, None)
    }

    /// A pool of two with these workspaces and e-mails; blank means unknown.
    fn pool(rows: [(&str, &str); 2]) -> SavedPool {
        let mut pool = testing::pool(2);
        for (held, (workspace, email)) in pool.accounts.iter_mut().zip(rows) {
            held.account.owner.workspace = WorkspaceId::parse(workspace);
            held.account.owner.email = (!email.is_empty()).then(|| email.to_owned());
        }
        pool
    }

    #[track_caller]
    fn check(rows: [(&str, &str); 2], account_ids: &[&str], emails: &[&str]) {
        let pool = pool(rows);
        let mut cache = QuotaCache::default();
        cache.account_ids.insert("shared".to_owned(), entry(1));
        let record = pool.accounts[0].account.record.clone();
        cache.keep(&pool, &record, &entry(5));
        assert_eq!(cache.account_ids.keys().collect::<Vec<_>>(), account_ids);
        assert_eq!(cache.emails.keys().collect::<Vec<_>>(), emails);
        assert_eq!(cache.find(&pool, &record), Some(&entry(5)), "by record in every case");
    }

    #[test]
    fn the_predecessors_key_is_one_that_names_one_account() {
        check([("a", "x@y"), ("b", "x@y")], &["a", "shared"], &[]);
        check([("shared", "x@y"), ("shared", "z@y")], &[], &["x@y"]);
        check([("shared", "x@y"), ("shared", "x@y")], &["shared"], &[]);
        check([("", "x@y"), ("b", "z@y")], &["shared"], &["x@y"]);
        check([("", ""), ("b", "")], &["shared"], &[]);
    }

    #[test]
    fn what_is_newer_stays_whoever_wrote_it() {
        let pool = pool([("a", ""), ("b", "")]);
        let record = &pool.accounts[0].account.record;
        let mut cache = QuotaCache::default();
        cache.keep(&pool, record, &entry(5));
        cache.account_ids.insert("a".to_owned(), entry(9));
        cache.keep(&pool, record, &entry(7));
        assert_eq!(cache.find(&pool, record), Some(&entry(9)));
    }
}
