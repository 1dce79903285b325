//! The journal over the refresh journal of the store, so that claims and leases know of each other's presentations.

use codex_auth_core::{
    RecordId,
    capability::{CapabilityError, Contents, Noted, OpId, OpenOp, Outcome, StorageEngine as _, TokenName},
};

use super::FileEngine;
use crate::{
    books::spent::SpentBook,
    journal::{self, Entry},
    spare,
};

const SPENT: &str = "spent.json";

impl FileEngine {
    pub(super) fn intend(&self, id: &RecordId, token: &TokenName) -> Result<Noted, CapabilityError> {
        let op = OpId { record: id.clone(), token: token.clone() };
        let _others = self.exclude_others(id)?;
        self.shelf.change(&self.shelf.path(SPENT), |spent: &mut SpentBook, _| {
            let open = journal::read(&self.store.engine, id)?;
            if !spent.may_present(&op, open.as_ref().map(open_op).as_ref())? {
                return Ok(Noted::MaybeSpent(op));
            }
            spent.note(&op);
            journal::intend(&self.store.engine, id, token.as_str().to_owned(), self.store.engine.now())?;
            Ok(Noted::Clear(op))
        })
    }

    /// An answer is taken whatever became of the lease meanwhile: it may be the only copy.
    pub(super) fn note_outcome(&self, op: &OpId, outcome: &Outcome) -> Result<(), CapabilityError> {
        if let Outcome::Answered(contents) = outcome {
            self.caps().admits(contents)?;
        }
        let engine = &self.store.engine;
        self.shelf.change(&self.shelf.path(SPENT), |spent: &mut SpentBook, _| {
            let open = journal::read(engine, &op.record)?;
            if !spent.is_news(op, open.as_ref().map(open_op).as_ref(), outcome)? {
                return Ok(());
            }
            match (outcome, &open) {
                (Outcome::Answered(Contents::Plain(fresh)), Some(entry)) => journal::answer(engine, entry, fresh)?,
                (Outcome::Answered(_), _) => {}
                // The token's name was kept with the intent, so that forgetting the entry clears no token.
                (Outcome::Committed | Outcome::Lost, _) => {
                    // Readers see an answer while it is only in the journal; so before that goes, the pool gets it, or
                    // it lies aside where another token was written meanwhile.
                    let pool = self.store.edit_now(|_| {})?;
                    if let Some((fresh, entry)) = open.as_ref().and_then(|entry| Some((entry.answer.as_ref()?, entry)))
                    {
                        spare::settle(engine, &pool, &op.record, (&entry.token_hash, fresh))?;
                    }
                    journal::forget(engine, &op.record)?;
                }
                (Outcome::Unspent, _) => {
                    journal::forget(engine, &op.record)?;
                    spent.clear(op);
                }
            }
            Ok(())
        })
    }

    pub(super) fn unresolved(&self) -> Result<Vec<OpenOp>, CapabilityError> {
        let mut open: Vec<OpenOp> = journal::entries(&self.store.engine)?.iter().map(open_op).collect();
        open.sort_by(|a, b| a.op.cmp(&b.op));
        Ok(open)
    }
}

fn open_op(entry: &Entry) -> OpenOp {
    OpenOp {
        op: OpId { record: entry.record.clone(), token: TokenName::from_hash(&entry.token_hash) },
        answer: entry.answer.clone().map(Contents::Plain),
    }
}
