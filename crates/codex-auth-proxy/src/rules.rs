//! The user's rules at run time: read behind the requests, composed for each, with the room that is reserved for it.
//!
//! Rules that cannot be read leave the last good copy in force. Where there never was one, nobody is served: a limit
//! that cannot be read is no absence of a limit.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use codex_auth_core::{
    Asked, Denial, DeniedBy, Meter, Policies, PolicySource, PriceTable, RecordId, Rulebook, Ruling, SavedPool, Spent,
    SpentAt, StoreError, Subject, Timestamp, TokenUse,
};

mod room;

pub(crate) use room::Room;

/// Why a request cannot be judged: no rules could be read so far.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unjudged(String);

/// The project of a request, as far as it can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The likeliest one.
    pub(crate) project: Option<String>,
    /// All that come into question, where it is not clear.
    pub(crate) unclear: Vec<Option<String>>,
}

/// The rules of the agent.
#[derive(Debug)]
pub(crate) struct Rules {
    source: Arc<dyn PolicySource>,
    book: Mutex<Result<Arc<Rulebook>, Unjudged>>,
    prices: Mutex<Arc<PriceTable>>,
    meter: Arc<Meter>,
    seen: AtomicU64,
    is_seeded: AtomicBool,
}

impl Rules {
    /// Reads the rules and what was spent so far.
    pub(crate) async fn ready(source: Arc<dyn PolicySource>, pool: &SavedPool, now: Timestamp) -> Self {
        let rules = Self {
            source,
            book: Mutex::new(Err(Unjudged("the rules were not read yet".to_owned()))),
            prices: Mutex::default(),
            meter: Arc::default(),
            seen: AtomicU64::new(0),
            is_seeded: AtomicBool::new(false),
        };
        rules.read(pool, now).await;
        rules
    }

    /// Whether something was changed, or could not be read so far.
    pub(crate) fn is_news(&self) -> bool {
        self.seen.load(Ordering::Relaxed) != self.source.stamp() || !self.is_seeded.load(Ordering::Relaxed)
    }

    /// Reads the rules anew, for the accounts of this pool.
    pub(crate) async fn read(&self, pool: &SavedPool, now: Timestamp) {
        let (source, pool) = (self.source.clone(), pool.clone());
        let needs_seed = !self.is_seeded.load(Ordering::Relaxed);
        let read = tokio::task::spawn_blocking(move || {
            let stamp = source.stamp();
            (stamp, source.read(&pool), source.prices(), needs_seed.then(|| source.spent(now)))
        });
        let Ok((stamp, read, prices, spent)) = read.await else { return };
        self.seen.store(stamp, Ordering::Relaxed);
        match prices {
            Ok(prices) => *self.prices.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(prices),
            Err(error) => tracing::warn!(%error, "the prices could not be read; the last good ones stay in force"),
        }
        self.take(read, spent);
    }

    fn take(&self, read: Result<Policies, StoreError>, spent: Option<Result<Vec<SpentAt>, StoreError>>) {
        match spent {
            Some(Ok(spent)) => {
                self.meter.seed(&spent);
                self.is_seeded.store(true, Ordering::Relaxed);
            }
            Some(Err(error)) => tracing::warn!(%error, "what was spent so far could not be read"),
            None => {}
        }
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(policies) => *book = Ok(Arc::new(Rulebook::of(policies))),
            Err(error) if book.is_ok() => {
                tracing::warn!(%error, "the rules changed and could not be read; the last good ones stay in force");
            }
            Err(error) => *book = Err(Unjudged(error.to_string())),
        }
    }

    /// The rules in force.
    pub(crate) fn book(&self) -> Result<Arc<Rulebook>, Unjudged> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts what a request took, once its last event told; the request itself was counted with its room.
    pub(crate) fn took(&self, project: Option<String>, at: Timestamp, tokens: TokenUse, model: Option<&str>) {
        if tokens.total() > 0 {
            let prices = self.prices.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let cost_e8 = model.and_then(|model| prices.cost_e8(model, tokens, at)).unwrap_or_default();
            self.meter.feed(&SpentAt { at, project, spent: Spent { requests: 0, tokens: tokens.total(), cost_e8 } });
        }
    }

    /// Counts what other programs wrote into the ledger.
    pub(crate) fn others_took(&self, spent: &[SpentAt]) {
        for spent in spent {
            self.meter.feed(spent);
        }
    }

    /// Where the project of a directory is.
    pub(crate) fn source(&self) -> &Arc<dyn PolicySource> {
        &self.source
    }

    /// What the rules mean for something that costs nothing.
    pub(crate) fn for_free(&self, origin: &Origin) -> Result<Ruling, Unjudged> {
        let subject = Subject { project: origin.project.as_deref(), asked: Asked::Nothing, forced: None };
        Ok(self.book()?.compose(subject))
    }

    /// Whether a project's lists let this model through.
    pub(crate) fn lets(&self, origin: &Origin, model: &str) -> bool {
        let (project, asked) = (origin.project.as_deref(), Asked::Answer(Some(model)));
        self.book().is_ok_and(|book| book.compose(Subject { project, asked, forced: None }).denied.is_none())
    }

    /// What the rules mean for a call, and room for it in every budget it counts towards. `model` is asked only where
    /// a list names models.
    pub(crate) fn admit(
        &self,
        origin: &Origin,
        forced: Option<&RecordId>,
        model: impl FnOnce() -> Option<String>,
        now: Timestamp,
    ) -> Result<(Ruling, Arc<Room>), Unjudged> {
        let book = self.book()?;
        let project = origin.project.as_deref();
        let rules = project.and_then(|key| book.policies().projects.get(key));
        let model = rules.filter(|rules| rules.names_models()).and_then(|_| model());
        let asked = Asked::Answer(model.as_deref());
        let mut ruling = book.compose(Subject { project, asked, forced });
        if ruling.denied.is_none() && book.tells_apart(origin.unclear.iter().map(Option::as_deref)) {
            let reason = "sessions of several projects with rules of their own share one login, and this request does \
                          not say which it comes from";
            ruling.denied = Some(Denial { by: DeniedBy::Policy, reason: reason.to_owned(), until: None });
        }
        if ruling.denied.is_some() {
            return Ok((ruling, Room::none(self.meter.clone())));
        }
        if book.has_limits() && !self.is_seeded.load(Ordering::Relaxed) {
            return Err(Unjudged("what was spent so far could not be read".to_owned()));
        }
        let room = match self.meter.reserve(project, &book.budgets(project), now) {
            Ok(reservation) => Room::of(self.meter.clone(), reservation, now),
            Err(denial) => {
                ruling.denied = Some(denial);
                Room::none(self.meter.clone())
            }
        };
        Ok((ruling, room))
    }
}
