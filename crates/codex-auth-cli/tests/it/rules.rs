//! `account`, `profile`, `budget`: the predecessor's words, what is written, what is taken back, and that every way out
//! that a blocker names is a command.

use codex_auth_core::{Binding, Blocker, Denial, DeniedBy, Exit, Hold, RecordId};
use serde_json::{Value, json};

use crate::{
    serving::Serving,
    world::{Said, World, read, row, write},
};

/// A home with three accounts and a project in which commands are typed.
pub(crate) struct Shop {
    pub(crate) world: World,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let world = World::holding(&[row(1), row(2), row(3)]);
        write(&world.home().join("shop/.git/HEAD"), "ref: refs/heads/main\n");
        Self { world }
    }

    pub(crate) fn run(&self, typed: &str) -> Said {
        let words: Vec<&str> = typed.split_whitespace().collect();
        let mut command = self.world.own_command(&words);
        command.current_dir(self.world.home().join("shop"));
        self.world.said(&command.output().expect("it starts"))
    }

    #[track_caller]
    fn says(&self, typed: &str, expect: &str) {
        assert_eq!(self.run(typed).ok().out, format!("{expect}\n"), "{typed}");
    }

    #[track_caller]
    fn refuses(&self, typed: &str, expect: &str) {
        let said = self.run(typed).failed();
        assert_eq!(said.err.lines().next(), Some(expect), "{typed}\n{said}");
    }

    fn rows(&self, name: &str, table: &str) -> Vec<Value> {
        let document = read(&self.world.root().join(name));
        document[table].as_object().map(|rows| rows.values().cloned().collect()).unwrap_or_default()
    }
}

#[test]
fn accounts_are_told_what_is_wanted_in_the_predecessors_words() {
    let shop = Shop::new();
    shop.says("account tag 1 Team_A extra", "Tagged account 1: team_a");
    shop.says("account tag 1 b", "Tagged account 1: b, team_a");
    shop.says("account untag 1 team_a", "Removed tag from account 1: b");
    shop.says("account untag 1 b", "Removed tag from account 1: none");
    shop.says("account weight 1 3.5", "Set account 1 weight to 3.5.");
    shop.says("account pause 2", "Updated account 2: pause.");
    shop.says("account unpause 2", "Updated account 2: unpause.");
    shop.says("account drain 2", "Updated account 2: drain.");
    shop.says("account undrain 2", "Updated account 2: undrain.");
    shop.says("account reserve 1 20", "Set account 1 reserve to 20%.");
    shop.says("account note 1 keep for work", "Updated account 1 note.");
    let rows = shop.rows("account-policies.json", "accounts");
    let first = rows.iter().find(|row| row["weight"] == json!(3.5)).expect("written");
    assert_eq!(
        (&first["note"], &first["reservePercent"], &first["tags"]),
        (&json!("keep for work"), &json!(20), &json!([]))
    );
    let listed = shop.run("account policy list --json").ok().document();
    assert_eq!(listed["accounts"][0]["index"], json!(1));
    assert_eq!(listed["accounts"][0]["accountKey"], first["accountKey"]);
    shop.run("undo").ok();
    let rows = shop.rows("account-policies.json", "accounts");
    assert!(rows.iter().all(|row| row["note"].is_null()), "the last change is taken back");
    for index in ["", " 9", " nobody"] {
        shop.refuses(
            &format!("account pause{index}"),
            "Account index is required and must reference a configured account.",
        );
    }
    shop.refuses("account weight 1 11", "weight requires a number from 0 to 10.");
    shop.refuses("account weight 1 -1", "weight requires a number from 0 to 10.");
    shop.refuses("account tag 1", "tag requires a tag value.");
    shop.refuses("account zap", "Unknown account command: zap");
    shop.refuses("account policy zap", "Unknown account policy command: zap");
    assert!(shop.run("account").ok().out.contains("Usage: codex-multi-auth account"));
}

#[test]
fn budgets_are_set_checked_listed_and_removed() {
    let shop = Shop::new();
    shop.refuses("budget limit", "Budget key is required.");
    shop.refuses("budget limit global", "--window is required.");
    shop.refuses("budget limit global --window year --requests 1", "--window must be hour, day, week, or month.");
    shop.refuses("budget limit global --window day --tokens 0", "--tokens requires a positive number.");
    shop.refuses("budget limit global --window day", "At least one of --requests, --tokens, or --cost is required.");
    shop.refuses("budget check", "Missing budget key. Usage: codex-multi-auth budget check <key>");
    shop.refuses("budget check k", "Budget limit not found: k");
    shop.refuses("budget zap", "Unknown budget command: zap");
    shop.says("budget limit Global --window day --requests 2", "Set budget global: 2 requests per day.");
    let check = shop.run("budget check global --json").ok().document();
    assert_eq!(check["evaluation"]["allowed"], json!(true));
    assert_eq!(check["evaluation"]["limits"], json!({ "maxRequests": 2.0, "maxTokens": null, "maxCostUsd": null }));
    let listed = shop.run("budget list --json").ok().document();
    assert_eq!(listed["limits"][0]["key"], json!("global"));
    shop.run("budget remove global").ok();
    shop.refuses("budget remove global", "Budget limit not found: global");
    shop.run("undo").ok();
    assert_eq!(shop.rows("budget-guards.json", "limits").len(), 1);
    write(&shop.world.root().join("budget-guards.json"), "{");
    let said = shop.run("budget limit global --window day --requests 9").failed();
    assert!(said.err.contains("budget-guards.json") && said.err.contains("mv "), "{said}");
}

#[test]
fn a_project_has_rules_of_its_own_and_screens_know_them() {
    let shop = Shop::new();
    shop.says("profile bind 2", "Bound project shop to account 2.");
    let profile = shop.rows("routing-profiles.json", "profiles").remove(0);
    assert_eq!(profile["projectName"], json!("shop"));
    assert!(profile["boundRecordId"].is_string(), "{profile}");
    let list = shop.run("why-selected --json").ok().document();
    assert_eq!(list["selected"]["oneBasedIndex"].as_u64().or(list["selected"]["account"].as_u64()), Some(2), "{list}");
    assert_eq!(shop.run("profile show --json").ok().document()["account"], json!(2));
    shop.run("profile prefer Team home").ok();
    shop.run("profile clear bind").ok();
    let shown = shop.run("profile show --json").ok().document();
    assert_eq!((&shown["bound"], &shown["preferredTags"]), (&json!(false), &json!(["home", "team"])));
    shop.run("profile clear").ok();
    assert_eq!(shop.rows("routing-profiles.json", "profiles"), Vec::<Value>::new());
    let elsewhere = shop.world.run("profile show").failed();
    assert_eq!(elsewhere.err.lines().next(), Some("This directory belongs to no project."));
}

#[test]
fn every_way_out_that_a_blocker_names_is_a_command() {
    let pin = RecordId::parse("record:1").expect("a name");
    let denied = |by| Blocker::Denied(Denial { by, reason: String::new(), until: None });
    let not_pinned = |by| Blocker::NotPinned { pin: pin.clone(), by };
    let blockers = [
        not_pinned(Binding::Switch),
        not_pinned(Binding::Project),
        Blocker::Held { hold: Hold::Paused },
        Blocker::Held { hold: Hold::Drained },
        denied(DeniedBy::Policy),
        denied(DeniedBy::Budget),
    ];
    let shop = Shop::new();
    for blocker in blockers {
        let Exit::Command(command) = blocker.exit() else { panic!("{blocker} ends by itself") };
        let typed = command.replace("{n}", "1");
        shop.run(typed.strip_prefix("codex-multi-auth ").expect("a command of ours")).ok();
    }
}

#[test]
fn a_running_agent_says_what_the_project_one_stands_in_would_meet() {
    let shop = Shop::new();
    shop.says("profile bind 2", "Bound project shop to account 2.");
    let mut agent = Serving::start(&shop.world);
    let selected = |said: Said| {
        let document = said.ok().document();
        assert_eq!(document["decidedBy"], json!("agent"), "{document}");
        document["selected"]["oneBasedIndex"].as_u64().or(document["selected"]["account"].as_u64())
    };
    assert_eq!(selected(shop.run("why-selected --json")), Some(2), "in the project");
    assert_eq!(selected(shop.world.run("why-selected --json")), Some(1), "in none");
    assert!(agent.is_running());
}
