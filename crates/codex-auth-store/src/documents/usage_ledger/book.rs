//! The core's port over the ledger: names become hashes, tokens an estimated cost, directories projects; and the snapshot
//! that other programs read is told what was done.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use camino::Utf8Path;
use codex_auth_core::{AttemptSpent, Owner, PriceTable, RequestSpent, SpentAt, StoreError, Timestamp, UsageBook};

use super::{AccountMark, AttemptRow, Salt, UsageLedger, UsagePrices, UsageRow, tally::Tally};
use crate::{
    FileStore, OsPlaces, Project, StateFile,
    documents::observability::Observability,
    file_store::apart,
    fs::os::{Glance, glance},
};

/// How many directories are remembered.
const DIRECTORIES: usize = 256;

/// The ledger beside a pool.
#[derive(Debug, Clone)]
pub struct FileUsageBook(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    store: Arc<FileStore>,
    ledger: UsageLedger,
    prices: StateFile<UsagePrices>,
    snapshot: StateFile<Observability>,
    memory: Mutex<Memory>,
}

/// What need not be looked up for each request.
#[derive(Debug, Default)]
struct Memory {
    salt: Option<Salt>,
    prices: Option<(Option<Glance>, PriceTable)>,
    projects: HashMap<String, Option<String>>,
    untold: Tally,
}

impl FileUsageBook {
    /// The ledger of this pool's root.
    pub fn beside(store: Arc<FileStore>) -> Self {
        let base = store.layout().base().to_owned();
        Self(Arc::new(Parts {
            ledger: UsageLedger::under(&base),
            prices: StateFile::under(&base),
            snapshot: StateFile::under(&base),
            memory: Mutex::default(),
            store,
        }))
    }

    /// Writes requests with their attempts; returns how many were new.
    pub fn enter_now(&self, requests: &[RequestSpent], now: Timestamp) -> Result<usize, StoreError> {
        let parts = &self.0;
        let mut memory = parts.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let salt = match &memory.salt {
            Some(salt) => salt.clone(),
            None => memory.salt.insert(parts.ledger.salt(now)?).clone(),
        };
        let prices = parts.prices_now(&mut memory);
        let mut marks = Marks { salt: &salt, known: HashMap::new() };
        let rows: Vec<_> = requests
            .iter()
            .map(|request| {
                let project = request.cwd.as_deref().and_then(|cwd| parts.project_of(cwd, &mut memory));
                (row(request, project, &prices, &mut marks), attempts(request, &mut marks))
            })
            .collect();
        let new = parts.ledger.enter(&rows, now)?;
        for request in requests {
            memory.untold.count(request);
        }
        Ok(new)
    }

    /// What others wrote since the last call; the first one only begins to look.
    pub fn spent_by_others_now(&self, now: Timestamp) -> Result<Vec<SpentAt>, StoreError> {
        self.0.ledger.spent_by_others(now)
    }

    /// Tells other programs what was done since the last time.
    pub fn publish_now(&self, now: Timestamp) -> Result<(), StoreError> {
        let parts = &self.0;
        let told = {
            let mut memory = parts.memory.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut memory.untold)
        };
        if told.is_nothing() {
            return Ok(());
        }
        let pool = parts.store.read_now()?;
        parts.snapshot.edit(now, |snapshot| told.tell(snapshot, &pool, now)).map(drop)
    }
}

impl Parts {
    /// The prices as they stand. A table of the user's that cannot be read leaves the last good one, or ours.
    fn prices_now(&self, memory: &mut Memory) -> PriceTable {
        let seen = glance(self.prices.path());
        if let Some((as_seen, table)) = &memory.prices
            && *as_seen == seen
        {
            return table.clone();
        }
        let last = memory.prices.take().map(|(_, table)| table).unwrap_or_default();
        let table = self.prices.read().map_or(last, |found| found.document.table);
        memory.prices = Some((seen, table.clone()));
        table
    }

    fn project_of(&self, cwd: &str, memory: &mut Memory) -> Option<String> {
        if let Some(known) = memory.projects.get(cwd) {
            return known.clone();
        }
        if memory.projects.len() >= DIRECTORIES {
            memory.projects.clear();
        }
        let project = Project::of(Utf8Path::new(cwd), self.store.layout().codex_home(), &OsPlaces);
        let key = project.map(|project| project.key());
        memory.projects.insert(cwd.to_owned(), key.clone());
        key
    }
}

#[async_trait]
impl UsageBook for FileUsageBook {
    async fn enter(&self, requests: Arc<[RequestSpent]>) -> Result<(), StoreError> {
        let book = self.clone();
        apart(move || {
            let now = book.0.store.now();
            book.enter_now(&requests, now).map(drop)
        })
        .await
    }

    async fn publish(&self) -> Result<(), StoreError> {
        let book = self.clone();
        apart(move || {
            let now = book.0.store.now();
            book.publish_now(now)
        })
        .await
    }

    async fn spent_by_others(&self) -> Result<Vec<SpentAt>, StoreError> {
        let book = self.clone();
        apart(move || book.spent_by_others_now(book.0.store.now())).await
    }
}

/// The names of the accounts of one batch: most of its rows have the same few.
struct Marks<'a> {
    salt: &'a Salt,
    known: HashMap<&'a Owner, AccountMark>,
}

impl<'a> Marks<'a> {
    fn of(&mut self, owner: &'a Owner) -> AccountMark {
        self.known.entry(owner).or_insert_with(|| AccountMark::salted(owner, self.salt)).clone()
    }
}

fn row<'a>(request: &'a RequestSpent, project: Option<String>, prices: &PriceTable, marks: &mut Marks<'a>) -> UsageRow {
    let salt = marks.salt;
    let model = request.model.as_deref().map(str::trim).filter(|model| !model.is_empty());
    UsageRow {
        id: request.id.clone(),
        created_at: request.at,
        source: request.source,
        operation: request.operation,
        outcome: request.outcome,
        model: model.map(str::to_owned),
        instead_of: request.instead_of.clone(),
        project,
        account: request.account.as_ref().map(|whose| marks.of(&whose.owner)),
        request_id: Some(request.id.clone()),
        status: request.status,
        error_code: request.error_code.clone(),
        duration_ms: u64::try_from(request.took.as_millis()).ok(),
        tokens: request.tokens.into(),
        cost_e8: model.and_then(|model| prices.cost_e8(model, request.tokens, request.at)),
        session: request.session.as_ref().map(|session| salt.session(session.as_str())),
        response: request.response.as_ref().map(|response| salt.response(response)),
    }
}

fn attempts<'a>(request: &'a RequestSpent, marks: &mut Marks<'a>) -> Vec<AttemptRow> {
    let one = |(attempt, number): (&'a AttemptSpent, u64)| AttemptRow {
        request_id: request.id.clone(),
        number,
        created_at: attempt.at,
        outcome: attempt.outcome,
        account: Some(marks.of(&attempt.account.owner)),
        model: attempt.model.clone(),
        status: attempt.status,
        error_code: attempt.error_code.clone(),
        duration_ms: u64::try_from(attempt.took.as_millis()).ok(),
        tokens: attempt.tokens.into(),
    };
    request.attempts.iter().zip(1..).map(one).collect()
}
