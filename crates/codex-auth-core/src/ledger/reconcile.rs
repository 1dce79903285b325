//! Holds the ledger against the official client's session logs, answer by answer, and names every difference.
//!
//! Names are hashes on both sides, made with the same salt. An answer is the same one by its id; where a log has none,
//! what its thread took is compared in sum.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{Timestamp, TokenUse};

use super::sessions::sum;

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// The request.
    pub id: String,
    /// When it ended.
    pub at: Timestamp,
    /// The conversation.
    pub session: Option<String>,
    /// The answer.
    pub response: Option<String>,
    /// What it took.
    pub tokens: TokenUse,
}

/// An answer of the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// The thread, as its user knows it.
    pub thread: String,
    /// The same as the ledger names it.
    pub session: String,
    /// The answer.
    pub response: Option<String>,
    /// When it was written.
    pub at: Timestamp,
    /// What it took.
    pub tokens: TokenUse,
}

/// What differs, and as far as it can be told, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Logged before the ledger has its first row.
    BeforeTheLedger,
    /// Logged; the ledger knows nothing of the thread: it did not come through this agent.
    ThreadNotHere,
    /// Logged; the ledger has other rows of the thread: this one is missing.
    RowNotHere,
    /// In the ledger; the request named no conversation, as other clients do.
    NoThread,
    /// In the ledger; no log of the thread is in this home: another home or machine, or the log is gone.
    ThreadNotThere,
    /// In the ledger; the thread has a log, and this answer is not in it.
    AnswerNotThere,
    /// In both, with other numbers.
    OtherTokens,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What and why.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// The thread, where a log names it.
    pub thread: Option<String>,
    /// The request, where the ledger names it.
    pub request: Option<String>,
    /// What the ledger says.
    pub here: TokenUse,
    /// What the log says.
    pub there: TokenUse,
}

/// How many, and what they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Side {
    /// Answers.
    pub answers: u64,
    /// Their tokens.
    pub tokens: TokenUse,
}

/// What the comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// The ledger.
    pub here: Side,
    /// The logs.
    pub there: Side,
    /// In both, with the same numbers.
    pub agreed: Side,
    /// Everything else, oldest first.
    pub differences: Vec<Difference>,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::BeforeTheLedger,
        Self::ThreadNotHere,
        Self::RowNotHere,
        Self::NoThread,
        Self::ThreadNotThere,
        Self::AnswerNotThere,
        Self::OtherTokens,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeTheLedger => "before-the-ledger",
            Self::ThreadNotHere => "thread-not-here",
            Self::RowNotHere => "row-not-here",
            Self::NoThread => "no-thread",
            Self::ThreadNotThere => "thread-not-there",
            Self::AnswerNotThere => "answer-not-there",
            Self::OtherTokens => "other-tokens",
        }
    }
}

impl Side {
    fn add(&mut self, tokens: TokenUse) {
        self.answers += 1;
        self.tokens = sum(self.tokens, tokens);
    }
}

/// Compares both sides; what is counted and told is of this span only, what it is compared with of all times, so that an
/// answer at the edge does not look like two missing ones. A row without tokens has nothing to be compared.
pub fn reconcile(here: &[Here], there: &[There], (since, until): (Timestamp, Timestamp)) -> Reconciliation {
    let within = |at: Timestamp| since <= at && at <= until;
    let here: Vec<&Here> = here.iter().filter(|row| row.tokens.total() > 0).collect();
    let mut told = Reconciliation::default();
    here.iter().filter(|row| within(row.at)).for_each(|row| told.here.add(row.tokens));
    there.iter().filter(|answer| within(answer.at)).for_each(|answer| told.there.add(answer.tokens));

    let by_response: HashMap<&str, &There> =
        there.iter().filter_map(|answer| Some((answer.response.as_deref()?, answer))).collect();
    let mut matched: HashSet<&str> = HashSet::new();
    let (mut rows, mut differences) = (Vec::new(), Vec::new());
    for row in &here {
        match row.response.as_deref().and_then(|response| by_response.get_key_value(response)) {
            Some((response, answer)) => {
                matched.insert(response);
                compare(&mut told.agreed, &mut differences, row, answer);
            }
            None => rows.push(*row),
        }
    }
    let is_left = |answer: &&There| answer.response.as_deref().is_none_or(|response| !matched.contains(response));
    let answers: Vec<&There> = there.iter().filter(is_left).collect();
    let (rows, answers) = by_thread(&mut told.agreed, &mut differences, rows, answers);

    let first = here.iter().map(|row| row.at).min();
    let known_here = |session: &str| here.iter().any(|row| row.session.as_deref() == Some(session));
    for answer in answers {
        let kind = match first {
            Some(first) if answer.at >= first && known_here(&answer.session) => Kind::RowNotHere,
            Some(first) if answer.at >= first => Kind::ThreadNotHere,
            Some(_) | None => Kind::BeforeTheLedger,
        };
        differences.push(missing(kind, None, Some(answer)));
    }
    for row in rows {
        let kind = match row.session.as_deref() {
            None => Kind::NoThread,
            Some(session) if there.iter().any(|answer| answer.session == session) => Kind::AnswerNotThere,
            Some(_) => Kind::ThreadNotThere,
        };
        differences.push(missing(kind, Some(row), None));
    }
    differences.retain(|difference| within(difference.at));
    differences.sort_by_key(|difference| (difference.at, difference.kind));
    told.differences = differences;
    told
}

fn compare(agreed: &mut Side, differences: &mut Vec<Difference>, row: &Here, answer: &There) {
    if row.tokens == answer.tokens {
        agreed.add(row.tokens);
    } else {
        differences.push(missing(Kind::OtherTokens, Some(row), Some(answer)));
    }
}

/// Logs without ids: one thread's rows together against its log's answers together.
fn by_thread<'a>(
    agreed: &mut Side,
    differences: &mut Vec<Difference>,
    rows: Vec<&'a Here>,
    answers: Vec<&'a There>,
) -> (Vec<&'a Here>, Vec<&'a There>) {
    let mut threads: BTreeMap<&str, (Vec<&Here>, Vec<&There>)> = BTreeMap::new();
    let (nameless, mut left_there): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.response.is_none());
    for answer in nameless {
        threads.entry(&answer.session).or_default().1.push(answer);
    }
    let mut unmatched = Vec::new();
    for row in rows {
        match row.session.as_deref().and_then(|session| threads.get_mut(session)) {
            Some((rows, _)) => rows.push(row),
            None => unmatched.push(row),
        }
    }
    for (rows, answers) in threads.into_values() {
        let here = rows.iter().fold(TokenUse::default(), |total, row| sum(total, row.tokens));
        let there = answers.iter().fold(TokenUse::default(), |total, answer| sum(total, answer.tokens));
        match (rows.last(), answers.last()) {
            (Some(_), Some(_)) if here == there => rows.iter().for_each(|row| agreed.add(row.tokens)),
            (Some(row), Some(answer)) => {
                let whole = missing(Kind::OtherTokens, Some(row), Some(answer));
                differences.push(Difference { request: None, here, there, ..whole });
            }
            (None, _) | (_, None) => left_there.extend(answers),
        }
    }
    (unmatched, left_there)
}

fn missing(kind: Kind, row: Option<&Here>, answer: Option<&There>) -> Difference {
    Difference {
        kind,
        at: answer.map(|answer| answer.at).or(row.map(|row| row.at)).unwrap_or_default(),
        thread: answer.map(|answer| answer.thread.clone()),
        request: row.map(|row| row.id.clone()),
        here: row.map(|row| row.tokens).unwrap_or_default(),
        there: answer.map(|answer| answer.tokens).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: (Timestamp, Timestamp) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));

    fn took(input: u64) -> TokenUse {
        TokenUse { input, ..TokenUse::default() }
    }

    fn here(at: i64, session: Option<&str>, response: Option<&str>, input: u64) -> Here {
        Here {
            id: format!("request-{at}"),
            at: Timestamp::from_millis(at),
            session: session.map(str::to_owned),
            response: response.map(str::to_owned),
            tokens: took(input),
        }
    }

    fn there(at: i64, session: &str, response: Option<&str>, input: u64) -> There {
        There {
            thread: format!("thread {session}"),
            session: session.to_owned(),
            response: response.map(str::to_owned),
            at: Timestamp::from_millis(at),
            tokens: took(input),
        }
    }

    #[track_caller]
    fn check(rows: &[Here], answers: &[There], agreed: u64, expect: &[(Kind, i64)]) {
        let told = reconcile(rows, answers, ALL);
        let seen: Vec<_> = told.differences.iter().map(|one| (one.kind, one.at.as_millis())).collect();
        assert_eq!((told.agreed.answers, seen), (agreed, expect.to_vec()));
    }

    #[test]
    fn every_difference_has_its_name() {
        let rows = [
            here(10, Some("a"), Some("r1"), 1),
            here(11, Some("a"), Some("r2"), 2),
            here(12, None, Some("r3"), 3),
            here(13, Some("b"), Some("r4"), 4),
            here(14, Some("a"), Some("r5"), 5),
            here(15, Some("a"), None, 0),
        ];
        let answers = [
            there(10, "a", Some("r1"), 1),
            there(11, "a", Some("r2"), 20),
            there(5, "c", Some("r6"), 6),
            there(16, "c", Some("r7"), 7),
            there(17, "a", Some("r8"), 8),
        ];
        check(
            &rows,
            &answers,
            1,
            &[
                (Kind::BeforeTheLedger, 5),
                (Kind::OtherTokens, 11),
                (Kind::NoThread, 12),
                (Kind::ThreadNotThere, 13),
                (Kind::AnswerNotThere, 14),
                (Kind::ThreadNotHere, 16),
                (Kind::RowNotHere, 17),
            ],
        );
        check(&[], &answers[..1], 0, &[(Kind::BeforeTheLedger, 10)]);
    }

    #[test]
    fn logs_without_ids_are_compared_by_thread() {
        let rows = [here(1, Some("a"), Some("r1"), 3), here(2, Some("a"), Some("r2"), 4), here(3, Some("b"), None, 5)];
        let answers = [there(1, "a", None, 3), there(2, "a", None, 4), there(3, "b", None, 6), there(4, "c", None, 1)];
        check(&rows, &answers, 2, &[(Kind::OtherTokens, 3), (Kind::ThreadNotHere, 4)]);
    }

    #[test]
    fn an_answer_at_the_edge_of_the_span_is_one_answer() {
        let (rows, answers) = ([here(10, Some("a"), Some("r1"), 1)], [there(12, "a", Some("r1"), 1)]);
        let told = reconcile(&rows, &answers, (Timestamp::from_millis(11), Timestamp::from_millis(20)));
        assert_eq!((told.differences.len(), told.here.answers, told.there.answers), (0, 0, 1));
    }
}
