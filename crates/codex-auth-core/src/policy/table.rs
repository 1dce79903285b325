//! The precedence as a table: every combination of what can be said, and what follows, kept as a golden.

use std::fmt::Write as _;

use crate::{
    AccountRules, Ask, Asked, Binding, Blocker, Policies, ProjectRules, Query, RestPolicy, Rotation, Rulebook, Seat,
    Standards, Strategy, Subject, Timestamp, evaluate, testing::pool,
};

const GOLDEN: &str = include_str!("precedence.txt");
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What is said in one row.
#[expect(clippy::struct_excessive_bools, reason = "each is said or not")]
#[derive(Debug, Clone, Copy)]
struct Said {
    forced: bool,
    bound: bool,
    pinned: bool,
    paused: bool,
    drained: bool,
    denied: bool,
    liked: bool,
}

impl Said {
    fn all() -> impl Iterator<Item = Self> {
        (0_u8..128).map(|bits| {
            let has = |bit: u8| bits & (1 << bit) != 0;
            Self {
                forced: has(6),
                bound: has(5),
                pinned: has(4),
                paused: has(3),
                drained: has(2),
                denied: has(1),
                liked: has(0),
            }
        })
    }

    fn words(self) -> String {
        let Self { forced, bound, pinned, paused, drained, denied, liked } = self;
        let words = [
            (forced, "forced 1"),
            (bound, "bound 2"),
            (pinned, "pinned 3"),
            (paused, "2 paused"),
            (drained, "3 drained"),
            (denied, "model denied"),
            (liked, "1 liked, weight 4 of 1"),
        ];
        let said: Vec<&str> = words.into_iter().filter(|(is_said, _)| *is_said).map(|(_, word)| word).collect();
        if said.is_empty() { "nothing".to_owned() } else { said.join(" + ") }
    }

    /// Who serves and what keeps the others away; accounts are 1, 2 and 3.
    fn follows(self) -> String {
        let mut saved = pool(3);
        let records: Vec<_> = saved.accounts.iter().map(|held| held.account.record.clone()).collect();
        saved.pin = self.pinned.then(|| records[2].clone());
        let rules = |tags: &[&str], is_paused, is_drained| AccountRules {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            is_paused,
            is_drained,
            ..AccountRules::default()
        };
        let accounts = [
            (records[0].clone(), rules(&["team"], false, false)),
            (records[1].clone(), rules(&[], self.paused, false)),
            (records[2].clone(), rules(&[], false, self.drained)),
        ];
        let project = ProjectRules {
            bound: self.bound.then(|| records[1].clone()),
            denied_models: self.denied.then(|| "gpt".to_owned()).into_iter().collect(),
            preferred_tags: self.liked.then(|| "team".to_owned()).into_iter().collect(),
            weights: self.liked.then(|| (records[0].clone(), 4.0)).into_iter().collect(),
            ..ProjectRules::default()
        };
        let policies = Policies {
            accounts: accounts.into(),
            projects: [("shop".to_owned(), project)].into(),
            ..Policies::default()
        };
        let forced = self.forced.then(|| records[0].clone());
        let asked = Asked::Answer(Some("gpt-5.5"));
        let subject = Subject { project: Some("shop"), asked, forced: forced.as_ref() };
        let ruling = Rulebook::of(policies).compose(subject);
        let terms = ruling.terms_of(&saved.accounts[0].account);
        let query = Query { only: forced, ruling, ..Query::default() };
        let decision = Rotation::new(saved, Strategy::Sequential, RestPolicy::default()).decide(&query, NOW);
        let mut line = decision.choice.map_or_else(
            || "nobody".to_owned(),
            |(chosen, _)| format!("account {}", records.iter().position(|record| *record == chosen).unwrap_or(9) + 1),
        );
        for (number, standing) in decision.standings.iter().enumerate() {
            let words: Vec<String> = standing.blockers.iter().map(word).collect();
            if !words.is_empty() {
                let _ = write!(line, "; {}: {}", number + 1, words.join(", "));
            }
        }
        if self.liked {
            let _ = write!(line, "; 1 has weight {} and preference {}", terms.weight, terms.preference);
        }
        line
    }
}

fn word(blocker: &Blocker) -> String {
    match blocker {
        Blocker::NotPinned { by: Binding::Run, .. } => "not the forced one".to_owned(),
        Blocker::NotPinned { by: Binding::Project, .. } => "not the bound one".to_owned(),
        Blocker::NotPinned { by: Binding::Switch, .. } => "not the pinned one".to_owned(),
        Blocker::Denied(denial) => denial.reason.clone(),
        Blocker::Held { hold } => format!("{hold:?}").to_lowercase(),
        Blocker::Disabled
        | Blocker::NeedsLogin { .. }
        | Blocker::Resting { .. }
        | Blocker::QuotaSpent { .. }
        | Blocker::LacksModel { .. }
        | Blocker::Burst { .. }
        | Blocker::AlreadyTried
        | Blocker::NoWorkspace => blocker.code().to_owned(),
    }
}

#[test]
fn the_precedence_is_a_table() {
    let rows: Vec<String> = Said::all().map(|said| format!("{} => {}", said.words(), said.follows())).collect();
    for (now, golden) in rows.iter().zip(GOLDEN.lines()) {
        assert_eq!(now, golden);
    }
    assert_eq!(rows.len(), GOLDEN.lines().count(), "the whole table:\n{}", rows.join("\n"));
}

#[test]
fn hard_rules_never_spill() {
    for said in Said::all() {
        let chosen = said.follows();
        let serves = |account: &str| chosen.starts_with(account);
        let is_refused = serves("nobody");
        assert!(!said.denied || is_refused, "{}", said.words());
        assert!(is_refused || !said.forced || serves("account 1"), "{}", said.words());
        assert!(is_refused || !said.bound || serves("account 2"), "{}", said.words());
        assert!(is_refused || !said.pinned || said.forced || said.bound || serves("account 3"), "{}", said.words());
        assert!(!said.paused || !serves("account 2"), "{}", said.words());
        assert!(!said.drained || !serves("account 3"), "{}", said.words());
        let needs_one = said.denied || said.forced || said.bound || said.pinned;
        assert!(needs_one || !is_refused, "the first account is free: {}", said.words());
    }
}

#[track_caller]
fn check_model(allowed: &[&str], denied: &[&str], asked: Asked<'_>, expect: Option<&str>) {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let project =
        ProjectRules { allowed_models: list(allowed), denied_models: list(denied), ..ProjectRules::default() };
    let policies = Policies { projects: [("shop".to_owned(), project)].into(), ..Policies::default() };
    let ruling = Rulebook::of(policies).compose(Subject { project: Some("shop"), asked, forced: None });
    assert_eq!(ruling.denied.as_ref().map(|denial| denial.reason.as_str()), expect);
}

#[test]
fn models_match_by_part_and_denial_wins() {
    let (denies, disallows) =
        (Some("routing profile denies requested model"), Some("routing profile does not allow requested model"));
    check_model(&[], &[], Asked::Answer(None), None);
    check_model(&["gpt-5.5"], &[], Asked::Answer(Some(" GPT-5.5-pro")), None);
    check_model(&["gpt-5.5"], &[], Asked::Answer(Some("o3")), disallows);
    check_model(&["gpt-5.5"], &[], Asked::Answer(None), disallows);
    check_model(&["gpt-5.5"], &["pro"], Asked::Answer(Some("gpt-5.5-pro")), denies);
    check_model(&[], &["pro"], Asked::Answer(None), None);
}

#[test]
fn f60_the_catalogue_is_never_refused() {
    check_model(&["gpt-5.5"], &["pro"], Asked::Nothing, None);
}

#[test]
fn f60_weight_0_serves_only_when_nobody_else_can() {
    let mut saved = pool(2);
    let last = saved.accounts[0].account.record.clone();
    let rules = AccountRules { weight: 0.0, ..AccountRules::default() };
    let policies = Policies { accounts: [(last.clone(), rules)].into(), ..Policies::default() };
    let ruling = Rulebook::of(policies).compose(Subject::default());
    assert_eq!(ruling.terms_of(&saved.accounts[0].account).weight.to_bits(), 0.0_f64.to_bits());
    saved.accounts[1].account.enabled = false;
    let seats: Vec<Seat<'_>> = saved
        .accounts
        .iter()
        .map(|held| Seat { terms: ruling.terms_of(&held.account), ..Seat::of(&held.account) })
        .collect();
    let decision = evaluate(&seats, Standards::default(), Ask::default(), NOW);
    assert_eq!(decision.choice.map(|(record, _)| record), Some(last), "nobody else can");
}

#[test]
fn a_project_key_is_one_key() {
    let limit = crate::BudgetLimit {
        window: crate::Window::Day,
        max_requests: Some(1.0),
        max_tokens: None,
        max_cost_usd: None,
    };
    let shop = ProjectRules { budget_key: Some("team".to_owned()), ..ProjectRules::default() };
    let limits = ["global", "team", "project:my-shop-1"].map(|key| (key.to_owned(), limit));
    let projects = [("My-Shop-1".to_owned(), shop.clone()), ("blog-2".to_owned(), shop)];
    let book = Rulebook::of(Policies { limits: limits.into(), projects: projects.into(), ..Policies::default() });
    let counted: Vec<_> = book.budgets(Some("My-Shop-1")).into_iter().map(|b| (b.key, b.projects)).collect();
    let one = |key: &str, projects: &[&str]| {
        (key.to_owned(), Some(projects.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()))
    };
    let expect =
        [("global".to_owned(), None), one("project:my-shop-1", &["My-Shop-1"]), one("team", &["My-Shop-1", "blog-2"])];
    assert_eq!(counted, expect);
    assert_eq!(book.budgets(None).len(), 1);
}
