//! The ledger's rules under chance: sums against a recount, session logs against the truth they were made from, and
//! every difference that was planted found and named.

mod forest;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use codex_auth_core::{
    Cell, CountedSessions, DifferenceKind, Entry, Here, Rollup, Sums, There, Timestamp, TokenUse, UsageGroup,
    UsageOutcome, count_sessions, reconcile, summed,
};
use forest::{Chance, Forest, forest, plus};
use proptest::prelude::*;

#[expect(clippy::disallowed_methods, reason = "how far to look is said from outside, as for every long test")]
fn is_long() -> bool {
    std::env::var_os("CODEX_AUTH_LONG").is_some_and(|value| value == "1")
}

fn forests() -> impl Iterator<Item = (u64, Forest)> {
    let (seeds, roots) = if is_long() { (40, 200) } else { (10, 60) };
    (0..seeds).map(move |seed| (seed, forest(seed, roots)))
}

/// What was counted and the truth by thread, of those threads.
fn of_threads<'a>(
    forest: &'a Forest,
    counted: &'a CountedSessions,
    which: impl Fn(&str) -> bool,
) -> [BTreeMap<&'a str, TokenUse>; 2] {
    let mut truth: BTreeMap<&str, TokenUse> = BTreeMap::new();
    for answer in &forest.truth {
        let entry = truth.entry(&answer.thread).or_default();
        *entry = plus(*entry, answer.tokens);
    }
    [counted.by_thread(), truth].map(|mut threads| {
        threads.retain(|thread, _| which(thread));
        threads
    })
}

fn total(threads: &BTreeMap<&str, TokenUse>) -> TokenUse {
    threads.values().fold(TokenUse::default(), |one, other| plus(one, *other))
}

fn parts(tokens: TokenUse) -> [u64; 4] {
    [tokens.input, tokens.cached_input, tokens.output, tokens.reasoning]
}

/// How far two counts are apart, in thousandths of the truth.
fn apart(seen: u64, truth: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share, not a count")]
    let share = seen.abs_diff(truth) as f64 * 1000.0 / truth.max(1) as f64;
    share
}

/// The threads that were counted otherwise than they were given.
fn off([seen, truth]: &[BTreeMap<&str, TokenUse>; 2]) -> String {
    let names: BTreeSet<&str> = seen.keys().chain(truth.keys()).copied().collect();
    let line = |name: &str| {
        let (seen, truth) = (seen.get(name).copied().unwrap_or_default(), truth.get(name).copied().unwrap_or_default());
        (seen != truth).then(|| format!("{name}: {:?} counted, {:?} given\n", parts(seen), parts(truth)))
    };
    names.into_iter().filter_map(line).collect()
}

#[test]
fn every_forest_of_session_logs_is_counted_as_it_was_given() {
    let (mut worst, mut to_the_token, mut torn, mut named, mut judged) = (0.0_f64, 0, 0, 0, 0);
    let count = forests().count();
    for (seed, forest) in forests() {
        let counted = count_sessions(&forest.files);
        let mut unclear = forest.unclear.clone();
        unclear.sort_unstable();
        assert_eq!(counted.unclear, unclear, "seed {seed}: what cannot be told is named, and nothing else");
        let whole = counted.incomplete.iter().find(|thread| !forest.torn.contains(thread));
        assert_eq!(whole, None, "seed {seed}: nothing of this thread is torn");
        let (unclear, incomplete) = (&counted.unclear, &counted.incomplete);
        let is = |names: &[String], thread: &str| names.iter().any(|one| one == thread);
        let threads = of_threads(&forest, &counted, |thread| !is(unclear, thread) && !is(incomplete, thread));
        let [less, whole] = of_threads(&forest, &counted, |thread| !is(unclear, thread) && is(incomplete, thread));
        for (thread, tokens) in less {
            let most = whole.get(thread).copied().unwrap_or_default();
            let is_more = parts(tokens).into_iter().zip(parts(most)).any(|(tokens, most)| tokens > most);
            assert!(!is_more, "seed {seed}: {thread} is incomplete, and more was counted than was given");
        }
        let (seen, truth) = (total(&threads[0]), total(&threads[1]));
        let errors = parts(seen).into_iter().zip(parts(truth)).map(|(seen, truth)| apart(seen, truth));
        let error = errors.fold(0.0, f64::max);
        assert!(error <= 1.0, "seed {seed}: {error} per mille\n{}", off(&threads));
        worst = worst.max(error);
        to_the_token += usize::from(threads[0] == threads[1]);
        torn += forest.torn.len();
        named += counted.incomplete.len();
        judged += truth.total();
    }
    println!(
        "session logs: {count} forests, {judged} tokens judged; worst error of a kind in one forest {worst:.4} per mille; \
         {to_the_token} forests equal thread by thread; {torn} lines torn, {named} threads named for it"
    );
    assert!(to_the_token * 20 >= count * 19, "{to_the_token} of {count} are equal thread by thread");
    assert!(named < torn, "what a later total or a copy tells is not lost");
}

#[test]
fn an_answer_with_an_id_is_counted_once() {
    for (seed, forest) in forests() {
        let counted = count_sessions(&forest.files);
        let ids = counted.answers.iter().filter_map(|answer| answer.response.as_deref());
        let unique: BTreeSet<&str> = ids.clone().collect();
        assert_eq!(unique.len(), ids.count(), "seed {seed}");
    }
}

/// What the ledger would hold of this forest, and what was done to it.
fn ledger_of(forest: &Forest, chance: &mut Chance) -> (Vec<Here>, Vec<There>, BTreeMap<DifferenceKind, usize>) {
    let counted = count_sessions(&forest.files);
    let with_ids = counted.answers.into_iter().filter(|answer| answer.response.is_some());
    let there: Vec<There> = with_ids
        .map(|answer| There {
            session: format!("hash of {}", answer.thread),
            thread: answer.thread,
            response: answer.response,
            at: answer.at,
            tokens: answer.tokens,
        })
        .collect();
    let (mut here, mut planted) = (Vec::new(), BTreeMap::new());
    let mut plant = |kind: DifferenceKind| *planted.entry(kind).or_default() += 1;
    let kept: BTreeSet<&str> = there.iter().map(|answer| answer.session.as_str()).collect();
    let kept: BTreeSet<&str> = kept.into_iter().filter(|_| !chance.once_in(12)).collect();
    // The first row decides from when on the ledger can know anything: one that is certainly there.
    here.push(row("first", Timestamp::from_millis(0), Some("elsewhere"), TokenUse { input: 1, ..TokenUse::default() }));
    plant(DifferenceKind::ThreadNotThere);
    let mut has_row = BTreeSet::new();
    let mut dropped = Vec::new();
    for answer in &there {
        let response = answer.response.as_deref().unwrap_or_default();
        if !kept.contains(answer.session.as_str()) {
            plant(DifferenceKind::ThreadNotHere);
        } else if chance.once_in(20) {
            dropped.push(answer.session.as_str());
        } else {
            has_row.insert(answer.session.as_str());
            let mut tokens = answer.tokens;
            if chance.once_in(20) {
                tokens.output += 1;
                plant(DifferenceKind::OtherTokens);
            }
            here.push(row(response, answer.at.after(Duration::from_millis(40)), Some(&answer.session), tokens));
        }
    }
    for session in dropped {
        plant(if has_row.contains(session) { DifferenceKind::RowNotHere } else { DifferenceKind::ThreadNotHere });
    }
    let extra = TokenUse { input: 9, ..TokenUse::default() };
    for number in 0..chance.below(5) {
        here.push(row(&format!("other-{number}"), Timestamp::from_millis(1), None, extra));
        plant(DifferenceKind::NoThread);
    }
    if let Some(session) = kept.iter().next() {
        here.push(row("not logged", Timestamp::from_millis(2), Some(session), extra));
        plant(DifferenceKind::AnswerNotThere);
    }
    // Failed and cancelled requests took nothing that anybody told: there is nothing to compare.
    here.push(row("failed", Timestamp::from_millis(3), Some("elsewhere"), TokenUse::default()));
    (here, there, planted)
}

fn row(response: &str, at: Timestamp, session: Option<&str>, tokens: TokenUse) -> Here {
    let (id, session) = (format!("request of {response}"), session.map(str::to_owned));
    Here { id, at, session, response: Some(response.to_owned()), tokens }
}

#[test]
fn every_planted_difference_is_found_and_named() {
    let all = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    for (seed, forest) in forests() {
        let (here, there, planted) = ledger_of(&forest, &mut Chance::of(seed));
        let told = reconcile(&here, &there, all);
        let mut found: BTreeMap<DifferenceKind, usize> = BTreeMap::new();
        told.differences.iter().for_each(|one| *found.entry(one.kind).or_default() += 1);
        let planted: BTreeMap<_, _> = planted.into_iter().filter(|(_, count)| *count > 0).collect();
        // A thread of which nothing but the row that is not logged is here has a row here.
        let merged = |kinds: &BTreeMap<DifferenceKind, usize>| {
            let missing = [DifferenceKind::RowNotHere, DifferenceKind::ThreadNotHere];
            let missing: usize = missing.iter().filter_map(|kind| kinds.get(kind)).sum();
            let others = kinds
                .iter()
                .filter(|(kind, _)| !matches!(kind, DifferenceKind::RowNotHere | DifferenceKind::ThreadNotHere));
            (missing, others.map(|(kind, count)| (*kind, *count)).collect::<Vec<_>>())
        };
        assert_eq!(merged(&found), merged(&planted), "seed {seed}");
        let agreed =
            there.len() - found.get(&DifferenceKind::OtherTokens).copied().unwrap_or_default() - merged(&found).0;
        assert_eq!(told.agreed.answers, agreed as u64, "seed {seed}: everything else agrees");
    }
}

fn word(prefix: &'static str, of: u8) -> impl Strategy<Value = Option<String>> {
    proptest::option::of((0..of).prop_map(move |number| format!("{prefix}-{number}")))
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let outcome = proptest::sample::select(UsageOutcome::ALL.to_vec());
    let at = -5_i64..200;
    let one = (at, word("model", 3), word("account", 3), word("project", 2), outcome, 0..5000_u64, 0..900_u64);
    let one = one.prop_map(|(quarters, model, account, project, outcome, input, output)| Entry {
        at: Timestamp::from_millis(quarters * 900_000 + 17),
        cell: Cell { model, account, project, outcome },
        sums: Sums::of([1, input, output, input / 2, output / 3, input + output, input * 7 + output], outcome),
    });
    proptest::collection::vec(one, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if is_long() { 5000 } else { 300 }))]

    #[test]
    fn a_rollup_is_a_recount(entries in entries(), cut in 0..120_usize, hours in (-2_i64..60, 0_i64..60)) {
        let mut rollup = Rollup::default();
        entries.iter().cloned().for_each(|entry| rollup.count(entry));
        // Two parts summed apart and put together are the whole.
        let (first, second) = entries.split_at(cut.min(entries.len()));
        let mut joined = Rollup::default();
        for part in [first, second] {
            let mut own = Rollup::default();
            part.iter().cloned().for_each(|entry| own.count(entry));
            for (hour, cells) in own.hours() {
                for (cell, sums) in cells {
                    joined.add(hour, cell.clone(), sums);
                }
            }
        }
        prop_assert_eq!(&joined, &rollup);
        let (since, until) = (hours.0 * 3_600_000, (hours.0 + hours.1) * 3_600_000 + 3_599_999);
        let within: Vec<Entry> =
            entries.iter().filter(|entry| (since..=until).contains(&entry.at.as_millis())).cloned().collect();
        let (since, until) = (Timestamp::from_millis(since), Timestamp::from_millis(until));
        for group in UsageGroup::ALL {
            prop_assert_eq!(rollup.by(group, since, until), summed(&within, group), "by {}", group.as_str());
        }
        let mut all = Sums::default();
        let from = entries.iter().filter(|entry| entry.at >= since);
        from.filter(|entry| entry.cell.project.as_deref() == Some("project-1")).for_each(|entry| all.add(&entry.sums));
        prop_assert_eq!(rollup.since(since, Some("project-1")), all);
        prop_assert_eq!(all.requests, all.successes + all.failures + all.blocked + all.cancelled);
        prop_assert_eq!(all.spent_requests(), all.requests - all.blocked);
    }
}
