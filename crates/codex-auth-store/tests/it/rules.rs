//! The user's rules on disk: read as one set, changed row by row, taken back, and never taken for none.

use codex_auth_core::{BudgetLimit, PolicySource as _, Timestamp, Window};
use codex_auth_store::{
    FilePolicies, Operation, Remark,
    documents::{
        account_policies::{AccountPolicies, key_in},
        budget_guards::{BudgetGuard, BudgetGuards},
        routing_profiles::{RoutingProfile, RoutingProfiles},
    },
};

use crate::world::{NOW, World, sign_in};

const AT: Timestamp = Timestamp::from_secs(NOW);

fn guard(most: f64) -> BudgetGuard {
    let limit = BudgetLimit { window: Window::Day, max_requests: Some(most), max_tokens: None, max_cost_usd: None };
    BudgetGuard { limit, updated_at: AT }
}

#[test]
fn a_rule_is_changed_noted_and_taken_back() {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "ana", 0), sign_in(2, "bo", 0)]);
    let noted = store.operations().expect("read").len();
    let rules = FilePolicies::of(world.layout().clone());
    let (empty, unlooked) = (rules.read(&store.read_now().expect("read")).expect("read"), rules.stamp());
    let limit = |most: f64| {
        let operation = Operation::new("budget limit", "set the budget global");
        let change = |all: &mut BudgetGuards| all.limits.extend([("global".to_owned(), guard(most))]);
        store.change_rule::<BudgetGuards>(operation, "global", change).expect("written")
    };
    assert!(limit(2.0) && limit(3.0));
    assert!(!limit(3.0), "a change of nothing is none, and is not noted");
    let first = store.operations().expect("read")[noted].number;
    assert_eq!(store.operations().expect("read").len(), noted + 2);
    assert_ne!(rules.stamp(), unlooked);
    let most = || rules.budgets().expect("read").limits.get("global").map(|guard| guard.limit.max_requests);
    assert_eq!(most(), Some(Some(3.0)));
    let undone = store.undo(Some(first)).expect("noted");
    assert!(matches!(undone.remarks.as_slice(), [Remark::RuleStays { .. }]), "it says something else by now");
    store.undo(Some(first + 1)).expect("taken back");
    assert_eq!(most(), Some(Some(2.0)));
    let pool = store.read_now().expect("read");
    let [ana, bo] = [0, 1].map(|place| pool.accounts[place].account.clone());
    let pause = |all: &mut AccountPolicies| {
        all.accounts.entry(key_in(&pool, &bo)).or_default().is_paused = true;
    };
    store.change_rule(Operation::new("account pause", "paused"), &key_in(&pool, &bo), pause).expect("written");
    let bind = |all: &mut RoutingProfiles| {
        let profile = RoutingProfile { bound: Some(ana.record.clone()), ..RoutingProfile::default() };
        all.profiles.insert("shop".to_owned(), profile);
    };
    store.change_rule(Operation::new("profile bind", "bound"), "shop", bind).expect("written");
    let read = rules.read(&pool).expect("read");
    assert!(read.accounts[&bo.record].is_paused && !read.accounts[&ana.record].is_paused);
    assert_eq!(read.projects["shop"].bound.as_ref(), Some(&ana.record));
    for _ in 0..2 {
        store.undo(None).expect("taken back");
    }
    let back = rules.read(&pool).expect("read");
    assert_eq!((back.projects, back.accounts[&bo.record].is_paused), (empty.projects, false));
}

#[test]
fn f60_rules_that_cannot_be_read_are_an_error_and_are_not_written_over() {
    for name in ["account-policies.json", "routing-profiles.json", "budget-guards.json"] {
        let world = World::new();
        let store = world.store();
        let path = world.layout().base().join(name);
        world.write(&path, "{\"version\":1,");
        let rules = FilePolicies::of(world.layout().clone());
        let error = rules.read(&store.read_now().expect("read")).expect_err("half a file").to_string();
        assert!(error.contains(name) && error.contains("mv "), "{error}");
        if name == "budget-guards.json" {
            let change = |all: &mut BudgetGuards| all.limits.extend([("global".to_owned(), guard(1.0))]);
            store.change_rule(Operation::new("budget limit", "x"), "global", change).expect_err("nobody knows");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "{\"version\":1,");
    }
}
