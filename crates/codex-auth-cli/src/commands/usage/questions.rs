//! Questions of the ledger: lists of models, quotas, whatever else was passed on. They took nothing and are in no sum; that
//! they were asked is said, and a document has each with its attempts.

use std::collections::BTreeMap;

use codex_auth_store::documents::usage_ledger::{AttemptRow, UsageOutcome, UsageRow, UsageRows};
use serde_json::{Value, json};

/// How many there were of each kind, for a person.
pub(super) fn note(questions: &[UsageRow]) -> Option<String> {
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in questions {
        let (asked, unserved) = kinds.entry(row.operation.as_str()).or_default();
        *asked += 1;
        *unserved += usize::from(row.outcome != UsageOutcome::Success);
    }
    let kinds: Vec<String> = kinds
        .into_iter()
        .map(|(kind, (asked, unserved))| match unserved {
            0 => format!("{asked} {kind}"),
            unserved => format!("{asked} {kind} ({unserved} without success)"),
        })
        .collect();
    let count = questions.len();
    (count > 0).then(|| format!("Besides, in no sum and no budget: {count} question(s): {}.", kinds.join(", ")))
}

/// The questions, each with its own attempts; and the attempts of the requests.
pub(super) fn documents(rows: &UsageRows) -> (Vec<Value>, Vec<Value>) {
    let mut own: BTreeMap<&str, Vec<Value>> = rows.questions.iter().map(|row| (row.id.as_str(), Vec::new())).collect();
    let mut others = Vec::new();
    for attempt in &rows.attempts {
        own.get_mut(attempt.request_id.as_str()).unwrap_or(&mut others).push(AttemptRow::document(attempt));
    }
    let with_attempts = |row: &UsageRow| {
        let mut told = row.document();
        told["attempts"] = json!(own.get(row.id.as_str()));
        told
    };
    (rows.questions.iter().map(with_attempts).collect(), others)
}

#[cfg(test)]
mod tests {
    use codex_auth_core::Timestamp;
    use codex_auth_store::documents::usage_ledger::{Tokens, UsageOperation, UsageSource};

    use super::*;

    fn question(operation: UsageOperation, outcome: UsageOutcome) -> UsageRow {
        UsageRow {
            id: format!("id-{operation:?}-{outcome:?}"),
            created_at: Timestamp::default(),
            source: UsageSource::RuntimeProxy,
            operation,
            outcome,
            model: None,
            instead_of: None,
            project: None,
            account: None,
            request_id: None,
            status: Some(200),
            error_code: None,
            duration_ms: None,
            tokens: Tokens::default(),
            cost_e8: None,
            session: None,
            response: None,
        }
    }

    fn attempt(request_id: &str) -> AttemptRow {
        AttemptRow {
            request_id: request_id.to_owned(),
            number: 1,
            created_at: Timestamp::default(),
            outcome: UsageOutcome::Success,
            account: None,
            model: None,
            status: Some(200),
            error_code: None,
            duration_ms: None,
            tokens: Tokens::default(),
        }
    }

    #[test]
    fn kinds_are_counted_and_what_did_not_end_well_is_said() {
        assert_eq!(note(&[]), None);
        let lists = [UsageOutcome::Success, UsageOutcome::Cancelled];
        let lists = lists.map(|outcome| question(UsageOperation::Models, outcome));
        let all = [&lists[..], &[question(UsageOperation::Diagnostic, UsageOutcome::Success)]].concat();
        let said = "Besides, in no sum and no budget: 3 question(s): 1 diagnostic, 2 models (1 without success).";
        assert_eq!(note(&all).as_deref(), Some(said));
    }

    #[test]
    fn every_attempt_is_told_once_with_what_it_was_made_for() {
        let questions = vec![question(UsageOperation::Models, UsageOutcome::Success)];
        let attempts = vec![attempt(&questions[0].id), attempt("a request")];
        let (questions, others) = documents(&UsageRows { questions, attempts, ..UsageRows::default() });
        assert_eq!(questions[0]["attempts"].as_array().map(Vec::len), Some(1));
        assert_eq!(others.iter().map(|one| one["requestId"].as_str()).collect::<Vec<_>>(), [Some("a request")]);
    }
}
