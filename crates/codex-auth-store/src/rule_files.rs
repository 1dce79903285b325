//! Owns the user's rules on disk: the three documents as one set of rules, and changes of single rows of them, each
//! noted with what it does so that it can be taken back.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use camino::Utf8PathBuf;
use codex_auth_core::{Place, Policies, PolicySource, PriceTable, SavedPool, SpentAt, StoreError, Timestamp, Window};
use serde_json::Value;

use crate::{
    OsPlaces, Project,
    documents::{
        account_policies::AccountPolicies,
        budget_guards::BudgetGuards,
        routing_profiles::RoutingProfiles,
        usage_ledger::{UsageLedger, UsagePrices},
    },
    file_store::FileStore,
    fs::{
        lock::{self, Signature},
        os, read_optional,
    },
    json::Object,
    layout::Layout,
    oplog::{self, Aside, Operation},
    state_file::{self, Document, StateFile},
    transaction::{self, Step},
};

/// A document that is a table of rules.
pub trait RuleTable: Document {
    /// The key of its table.
    const TABLE: &'static str;
}

/// One row of rules that was changed: enough to take it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// The document's name.
    pub file: String,
    /// The row's table in it.
    pub table: String,
    /// The row's key.
    pub key: String,
    /// What it said; `None` where it was not there.
    pub before: Option<Value>,
    /// What it says; `None` where it is gone.
    pub after: Option<Value>,
}

/// The rules of a user, read anew each time they are asked for.
#[derive(Debug, Clone)]
pub struct FilePolicies {
    layout: Layout,
}

impl FilePolicies {
    /// The rules in this layout.
    pub fn of(layout: Layout) -> Self {
        Self { layout }
    }

    /// What the documents say of accounts.
    pub fn accounts(&self) -> Result<AccountPolicies, StoreError> {
        Ok(self.file::<AccountPolicies>().read()?.document)
    }

    /// What they say of projects.
    pub fn profiles(&self) -> Result<RoutingProfiles, StoreError> {
        Ok(self.file::<RoutingProfiles>().read()?.document)
    }

    /// Which limits they set.
    pub fn budgets(&self) -> Result<BudgetGuards, StoreError> {
        Ok(self.file::<BudgetGuards>().read()?.document)
    }

    fn file<D: Document>(&self) -> StateFile<D> {
        StateFile::under(self.layout.base())
    }
}

impl PolicySource for FilePolicies {
    fn stamp(&self) -> u64 {
        let names = [AccountPolicies::NAME, RoutingProfiles::NAME, BudgetGuards::NAME, UsagePrices::NAME];
        let paths = names.map(|name| self.layout.base().join(name));
        let mut hasher = DefaultHasher::new();
        paths.map(|path| os::glance(&path)).hash(&mut hasher);
        hasher.finish()
    }

    fn read(&self, pool: &SavedPool) -> Result<Policies, StoreError> {
        let (accounts, profiles, budgets) = (self.accounts()?, self.profiles()?, self.budgets()?);
        let own = pool.accounts.iter().map(|held| (held.account.record.clone(), accounts.of(&held.account).rules()));
        Ok(Policies {
            accounts: own.collect(),
            projects: profiles.profiles.iter().map(|(key, profile)| (key.clone(), profile.rules(pool))).collect(),
            limits: budgets.limits.iter().map(|(key, guard)| (key.clone(), guard.limit)).collect(),
        })
    }

    fn place_of(&self, directory: &str) -> Option<Place> {
        let project = Project::of(directory.as_ref(), self.layout.codex_home(), &OsPlaces)?;
        let roots = [&project.root, &project.identity_root].map(ToString::to_string);
        Some(Place { project: project.key(), roots: roots.into() })
    }

    fn spent(&self, now: Timestamp) -> Result<Vec<SpentAt>, StoreError> {
        // A week may begin before its month.
        let since = Window::Week.begins(now).min(Window::Month.begins(now));
        Ok(UsageLedger::under(self.layout.base()).totals(now)?.spent(since))
    }

    fn prices(&self) -> Result<PriceTable, StoreError> {
        Ok(self.file::<UsagePrices>().read()?.document.table)
    }
}

impl FileStore {
    /// Changes the row of one key and notes it; whether anything was written.
    pub fn change_rule<D: RuleTable>(
        &self,
        operation: Operation<'_>,
        key: &str,
        change: impl FnOnce(&mut D),
    ) -> Result<bool, StoreError> {
        let path = self.layout().base().join(D::NAME);
        self.with_rules(&path, |bytes| {
            let mut object = match bytes {
                Some(bytes) => state_file::parse::<D>(&path, bytes)?,
                None => Object::new(),
            };
            let row = |object: &Object| object.get(D::TABLE).and_then(|table| table.get(key)).cloned();
            let before = row(&object);
            let mut document = D::decode(&object);
            let was = document.clone();
            change(&mut document);
            if document == was {
                return Ok(None);
            }
            let text = state_file::written(&document, &mut object);
            let after = row(&object);
            let (file, table) = (D::NAME.to_owned(), D::TABLE.to_owned());
            let change = RuleChange { file, table, key: key.to_owned(), before, after };
            Ok(Some((text, Some(Aside::Rule(change)), operation)))
        })
    }

    /// Takes a change back and notes it; whether it did anything. A row that says something else by now stays.
    pub(crate) fn take_back_rule(&self, operation: Operation<'_>, change: &RuleChange) -> Result<bool, StoreError> {
        let path = self.layout().base().join(&change.file);
        let mut is_back = false;
        self.with_rules(&path, |bytes| {
            let found = bytes.and_then(|bytes| serde_json::from_slice::<Object>(bytes).ok());
            let mut object = found.unwrap_or_default();
            let row = object.get(&change.table).and_then(|table| table.get(&change.key));
            is_back = row == change.after.as_ref();
            if let (true, Some(table)) = (is_back, object.get_mut(&change.table).and_then(Value::as_object_mut)) {
                match &change.before {
                    Some(before) => drop(table.insert(change.key.clone(), before.clone())),
                    None => drop(table.shift_remove(&change.key)),
                }
            }
            let text = if is_back { state_file::text_of(&object) } else { bytes.unwrap_or_default().to_vec() };
            Ok(Some((text, None, operation)))
        })?;
        Ok(is_back)
    }

    /// Writes a document of rules together with the line that notes it, under the locks of both.
    fn with_rules<'o>(
        &self,
        path: &Utf8PathBuf,
        plan: impl FnOnce(Option<&[u8]>) -> Result<Option<(Vec<u8>, Option<Aside>, Operation<'o>)>, StoreError>,
    ) -> Result<bool, StoreError> {
        let (engine, layout) = (&self.engine, self.layout());
        let _root = engine.lock_root()?;
        let is_apart = layout.base_lock() != layout.root_lock();
        let _base = is_apart.then(|| lock::lock(&layout.base_lock(), Signature::Pid, engine.waits.root)).transpose()?;
        engine.finish()?;
        let bytes = read_optional(engine.fs.as_ref(), path)?;
        let Some((text, aside, operation)) = plan(bytes.as_deref())? else { return Ok(false) };
        let pool = engine.read()?;
        let operation = Operation { aside: aside.as_ref(), ..operation };
        let noted = oplog::step(engine, operation, (&pool, &pool), None)?;
        let changed = bytes.as_deref() != Some(text.as_slice()) && !(bytes.is_none() && text.is_empty());
        let written = changed.then(|| Step::replace(path.clone(), bytes.as_deref(), text));
        let steps: Vec<Step> = written.into_iter().chain(noted).collect();
        transaction::run(engine.fs.as_ref(), &layout.change_journal(), &steps)?;
        Ok(true)
    }
}
