//! Where ended requests are written down: a book that refuses by chance, sometimes after it has written.
//!
//! It stands for the store's ledger, whose lock goes by the clock of the files and so by no time of a seed; what that
//! ledger does on a bad disk, the store's own tests see. What is handed in is the product's.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use codex_auth_core::{RequestSpent, SpentAt, StoreError, UsageBook};

use crate::{judge::Judge, world::World};

/// So many refusals in a row, and the writer still tries again.
const BEARABLE: u32 = 2;

/// All rows of a seed by name, whoever wrote them.
pub(crate) type Ledger = Arc<Mutex<BTreeMap<String, RequestSpent>>>;

/// The ledger as one agent reaches it.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) world: Arc<World>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) ledger: Ledger,
    pub(crate) refused: AtomicU32,
}

#[async_trait]
impl UsageBook for Book {
    async fn enter(&self, requests: Arc<[RequestSpent]>) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let refuses = self.world.strikes(25) && self.refused.load(Ordering::SeqCst) < BEARABLE;
        let writes = !refuses || self.world.below(2) == 0;
        for request in requests.iter().filter(|_| writes).cloned() {
            let known = self.ledger.lock().unwrap().insert(request.id.clone(), request.clone());
            match known {
                Some(known) => {
                    self.world.must(known == request, || format!("two requests are written as {}", request.id));
                }
                None => self.judge.written(request),
            }
        }
        if refuses {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Io { verb: "append to", path: "the ledger".to_owned(), why: "EIO".to_owned() });
        }
        self.refused.store(0, Ordering::SeqCst);
        Ok(())
    }

    async fn publish(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// A seed's budgets count what each agent spent itself, as the judge does.
    async fn spent_by_others(&self) -> Result<Vec<SpentAt>, StoreError> {
        Ok(Vec::new())
    }
}
