//! Questions that took nothing: written once like requests, and in no sum and no budget, whoever wrote them.

use codex_auth_core::{RequestSpent, TokenUse, UsageOperation};
use codex_auth_store::documents::usage_ledger::UsageRow;

use super::{AT, book, each_once, ledger, request, requests, sums};
use crate::world::World;

/// A list of models that two accounts were asked for.
pub(super) fn list(n: usize) -> RequestSpent {
    let mut list = RequestSpent {
        id: format!("list-{n}"),
        operation: UsageOperation::Models,
        model: None,
        response: None,
        account: None,
        tokens: TokenUse::default(),
        ..request(n)
    };
    list.attempts.iter_mut().for_each(|attempt| attempt.tokens = TokenUse::default());
    list
}

#[test]
fn a_question_is_written_once_and_is_in_no_sum_and_no_budget() {
    let world = World::new();
    let (first, other) = (book(&world), book(&world));
    assert!(other.spent_by_others_now(AT).expect("read").is_empty(), "the first call only begins to look");
    assert_eq!(first.enter_now(&[list(0), request(0), list(0), list(1)], AT).expect("written"), 3);
    assert_eq!(first.enter_now(&[list(1)], AT).expect("written"), 0, "by the same writer");
    assert_eq!(book(&world).enter_now(&[list(0), list(2)], AT).expect("written"), 1, "by another one");
    // The predecessor counts every row of version 1 as a request of its budgets.
    each_once(&world, 1);
    assert_eq!((sums(&world).requests, sums(&world).total), (1, 1200));
    let others: u64 = other.spent_by_others_now(AT).expect("read").iter().map(|spent| spent.spent.requests).sum();
    assert_eq!(others, 1);
    let rows = ledger(&world).rows(AT, AT).expect("read");
    let names = |rows: &[UsageRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    assert_eq!(names(&rows.requests), ["request-0"]);
    assert_eq!(names(&rows.questions), ["list-0", "list-1", "list-2"]);
    assert_eq!((rows.attempts.len(), rows.unreadable), (8, 0), "each has its attempts");
    let told = rows.questions[0].document();
    let told = ["version", "kind", "operation", "outcome", "costUsd"].map(|key| told[key].to_string());
    assert_eq!(told, ["2", "\"question\"", "\"models\"", "\"success\"", "null"]);
}

#[test]
fn a_question_of_the_predecessors_is_in_no_budget_either() {
    let world = World::new();
    book(&world).enter_now(&requests(0..1), AT).expect("written");
    let mut theirs = request(1);
    theirs.attempts.clear();
    book(&world).enter_now(&[theirs], AT).expect("written");
    let path = ledger(&world).path();
    let text = std::fs::read_to_string(&path).expect("there");
    let no_tokens =
        r#""tokens":{"inputTokens":0,"outputTokens":0,"cachedInputTokens":0,"reasoningTokens":0,"totalTokens":0}"#;
    let lines = text.lines().map(|line| {
        let Some((head, tail)) = line.split_once(r#""tokens":{"#).filter(|_| line.contains("request-1")) else {
            return format!("{line}\n");
        };
        let rest = tail.split_once('}').map(|(_, rest)| rest).unwrap_or_default();
        format!("{}{no_tokens}{rest}\n", head.replace(r#""operation":"responses""#, r#""operation":"models""#))
    });
    std::fs::write(&path, lines.collect::<String>()).expect("our own world is writable");
    assert_eq!(sums(&world).requests, 1);
    let rows = ledger(&world).rows(AT, AT).expect("read");
    assert_eq!((rows.requests.len(), rows.questions.len()), (1, 1));
}

#[test]
fn sums_that_were_kept_with_questions_in_them_are_made_anew() {
    let world = World::new();
    book(&world).enter_now(&requests(0..2), AT).expect("written");
    assert_eq!(sums(&world).requests, 2);
    let path = world.layout().base().join("usage/usage-totals.json");
    let kept = std::fs::read_to_string(&path).expect("there");
    let mut kept: serde_json::Value = serde_json::from_str(&kept).expect("a document");
    let hours = kept["hours"].as_object_mut().expect("hours");
    hours.values_mut().for_each(|cells| cells[0]["requests"] = 9.into());
    std::fs::write(&path, kept.to_string()).expect("our own world is writable");
    assert_eq!(sums(&world).requests, 9, "what is kept is believed");
    kept.as_object_mut().expect("an object").remove("of");
    std::fs::write(&path, kept.to_string()).expect("our own world is writable");
    assert_eq!(sums(&world).requests, 2);
}
