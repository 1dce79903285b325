//! Owns how recorded decisions are read: the last one, or all since an instant.

use codex_auth_core::{
    Decision, Reason, RecordId, StoreError, Strategy, Timestamp,
    record::{Reader, Recorded, WhatIf},
};
use codex_auth_store::DecisionFile;
use codex_auth_view::Recalled;

/// The last decision, made once more.
pub(crate) struct LastDecision {
    pub(crate) recalled: Recalled,
    pub(crate) strategy: Strategy,
    pub(crate) decision: Decision,
    /// Who was chosen then.
    pub(crate) choice: Option<(RecordId, Reason)>,
}

/// The last decision of a log, if there is one that can be read.
pub(crate) fn last(file: &DecisionFile) -> Result<Option<LastDecision>, StoreError> {
    if let Some(found) = last_of(&file.tail()?) {
        return Ok(Some(found));
    }
    // The keyframe was written and its decision was not: what came before it is still there.
    let mut all = Vec::new();
    file.entries(|entry| all.push(entry.to_vec()))?;
    Ok(last_of(&all))
}

fn last_of(entries: &[Vec<u8>]) -> Option<LastDecision> {
    // Reading an entry costs little, making its decision once more does not: only the last one's is.
    let mut reader = Reader::default();
    let is_decision = entries.iter().map(|entry| matches!(reader.take(entry), Ok(Some(_))));
    let place = is_decision.collect::<Vec<_>>().iter().rposition(|is_decision| *is_decision)?;
    let mut reader = Reader::default();
    for entry in &entries[..place] {
        let _read_before = reader.take(entry);
    }
    Some(made_again(&reader.take(&entries[place]).ok()??))
}

fn made_again(recorded: &Recorded<'_>) -> LastDecision {
    let decision = recorded.replay();
    let recalled = Recalled {
        at: recorded.at().as_millis(),
        session: recorded.session().map(|session| session.to_string()),
        quota_key: recorded.quota_key().map(str::to_owned),
        instead_of: recorded.instead_of().map(str::to_owned),
        tried: recorded.tried(),
        same_again: recorded.is_same(&decision),
        chosen_then: None,
    };
    let choice = recorded.choice().map(|(record, reason)| (record.clone(), reason));
    LastDecision { recalled, strategy: recorded.strategy(), decision, choice }
}

/// Counts the decisions since an instant.
pub(crate) fn count(file: &DecisionFile, since: Option<Timestamp>, mut counted: WhatIf) -> Result<WhatIf, StoreError> {
    let mut reader = Reader::default();
    file.entries(|entry| {
        // What cannot be read was torn or put aside; the next decision that can be says how many are missing.
        if let Ok(Some(recorded)) = reader.take(entry)
            && since.is_none_or(|since| since <= recorded.at())
        {
            counted.take(&recorded);
        }
    })?;
    Ok(counted)
}
