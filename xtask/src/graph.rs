//! The arrows between crates: who may depend on whom, where HTTP clients may be named, and who decides.
//!
//! core ← store, oauth, proxy, view ← the two products. Neighbours in one rank never know one another. Below oauth and
//! proxy lies net: both talk to the outside, by one client with one set of limits, proxies and authorities.

mod decides;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::workspace::Workspace;

const CORE: &str = "codex-auth-core";
const CLI: &str = "codex-auth-cli";
/// What oauth and proxy share of the outside; neither may know the other, and core has no I/O.
const NET: &str = "codex-auth-net";
const ABOVE_NET: [&str; 2] = ["codex-auth-oauth", "codex-auth-proxy"];
const TESTKIT: &str = "codex-auth-testkit";
const RANK: [&str; 4] = ["codex-auth-store", "codex-auth-oauth", "codex-auth-proxy", "codex-auth-view"];

/// What core may use from outside; no runtime, no files, no wire.
const CORE_MAY_USE: [&str; 4] = ["async-trait", "serde", "thiserror", "zeroize"];

/// The only feature that may bring the fake OpenAI into a product.
const DEMO: &str = "demo";

/// The HTTP client's name as code spells it; an adapter's own name begins with the same word.
const HTTP_CLIENT: [&str; 3] = ["reqwest::", "use reqwest;", "use reqwest as "];

/// A member of the workspace, reduced to what the rules look at.
#[derive(Debug)]
struct Member {
    name: String,
    dependencies: Vec<Dependency>,
    /// Feature name and what it switches on.
    features: Vec<(String, Vec<String>)>,
}

#[derive(Debug, Clone)]
struct Dependency {
    name: String,
    optional: bool,
    dev: bool,
}

/// One arrow, or one line, that should not be there.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    place: String,
    found: String,
    rule: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} ({})", self.place, self.found, self.rule)
    }
}

/// Checks the manifests and the sources; the error lists every violation.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let members: Vec<Member> = workspace.packages().iter().filter_map(member).collect();
    let mut violations = arrows(&members);
    let mut used = Vec::new();
    for file in workspace.files()?.iter().filter(|file| is_product_source(file)) {
        let text =
            fs::read_to_string(workspace.root.join(file)).map_err(|e| format!("read {}: {e}", file.display()))?;
        violations.extend(http_client_named(file, &text));
        if decides::concerns(file) {
            let (found, exceptions) = decides::deciding(file, &text);
            violations.extend(found);
            used.extend(exceptions);
        }
    }
    violations.extend(decides::unused(&used));
    if violations.is_empty() {
        println!("{} crates, every arrow allowed, and the core alone decides", members.len());
        return Ok(());
    }
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    Err(format!("{} violation(s)\n{}", lines.len(), lines.join("\n")))
}

fn member(package: &Value) -> Option<Member> {
    let dependencies = package["dependencies"].as_array()?.iter().filter_map(|dependency| {
        Some(Dependency {
            name: dependency["name"].as_str()?.to_owned(),
            optional: dependency["optional"] == true,
            dev: dependency["kind"] == "dev",
        })
    });
    let features = package["features"].as_object()?.iter().map(|(name, enables)| {
        let enables = enables.as_array().into_iter().flatten().filter_map(Value::as_str);
        (name.clone(), enables.map(str::to_owned).collect())
    });
    Some(Member {
        name: package["name"].as_str()?.to_owned(),
        dependencies: dependencies.collect(),
        features: features.collect(),
    })
}

/// The workspace crates a member may link; `None` when no rule knows the member.
fn may_link(name: &str) -> Option<Vec<&'static str>> {
    // The products read its variables for both.
    let below_products = || [&[CORE, NET], RANK.as_slice()].concat();
    match name {
        // The second meets the products through their programs only.
        CORE | "xtask" => Some(Vec::new()),
        TESTKIT | NET => Some(vec![CORE]),
        // It puts them together without their programs, so that time is the seed's.
        // One judges them together, the other measures the store and the reading of streams alone, too.
        "codex-auth-simulation" | "codex-auth-bench" => Some(vec![CORE, "codex-auth-store", "codex-auth-proxy"]),
        "codex-opencode-plugin" => Some(below_products()),
        CLI | "codex-auth-examples" => Some([below_products(), vec![TESTKIT]].concat()),
        // It meets the products as a person does: through their programs.
        "codex-auth-e2e" => Some(vec![TESTKIT]),
        name if ABOVE_NET.contains(&name) => Some(vec![CORE, NET]),
        name if RANK.contains(&name) => Some(vec![CORE]),
        _ => None,
    }
}

fn arrows(members: &[Member]) -> Vec<Violation> {
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut violations: Vec<Violation> = members.iter().flat_map(|member| arrows_of(member, &names)).collect();
    violations.extend(cycle(members, &names));
    violations
}

fn arrows_of(member: &Member, names: &BTreeSet<&str>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |found: String, rule| violations.push(Violation { place: member.name.clone(), found, rule });
    let Some(allowed) = may_link(&member.name) else {
        refuse("no arrows are declared for this crate".to_owned(), "name it in xtask/src/graph.rs");
        return violations;
    };
    for dependency in &member.dependencies {
        let to = dependency.name.as_str();
        let arrow = format!("→ {to}");
        if !names.contains(to) {
            if member.name == CORE && !dependency.dev && !CORE_MAY_USE.contains(&to) {
                refuse(arrow, "core uses serde, thiserror, async-trait and zeroize, nothing else");
            }
            continue;
        }
        let for_tests = dependency.dev && (to == TESTKIT || to == member.name);
        if !for_tests && !allowed.contains(&to) {
            refuse(
                arrow,
                "core ← store, oauth, proxy, view ← cli, opencode-plugin; core ← net ← oauth, proxy; testkit → core",
            );
        } else if member.name == CLI && to == TESTKIT && !dependency.dev && !dependency.optional {
            refuse(arrow, "a product links the testkit only behind its feature `demo`");
        }
    }
    if member.name == CLI {
        let gate = format!("dep:{TESTKIT}");
        let opens = |enables: &[String]| enables.iter().any(|entry| *entry == gate || entry.starts_with(TESTKIT));
        for (feature, _) in member.features.iter().filter(|(name, enables)| name != DEMO && opens(enables)) {
            refuse(
                format!("feature `{feature}` → {TESTKIT}"),
                "a product links the testkit only behind its feature `demo`",
            );
        }
    }
    violations
}

/// The first ring of normal dependencies, if there is one. Dev-dependencies may lead back; cargo builds those apart.
fn cycle(members: &[Member], names: &BTreeSet<&str>) -> Option<Violation> {
    let mut links: BTreeMap<&str, Vec<&str>> = members
        .iter()
        .map(|member| {
            let to = member.dependencies.iter().filter(|d| !d.dev).map(|d| d.name.as_str());
            (member.name.as_str(), to.filter(|name| names.contains(name)).collect())
        })
        .collect();
    // What is left after taking away, again and again, every crate that links nothing, is a ring or leads to one.
    loop {
        let free: Vec<&str> = links.iter().filter(|(_, to)| to.is_empty()).map(|(name, _)| *name).collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            links.remove(name);
            for to in links.values_mut() {
                to.retain(|other| *other != name);
            }
        }
    }
    let ring: Vec<&str> = links.keys().copied().collect();
    let place = (*ring.first()?).to_owned();
    Some(Violation { place, found: format!("ring through {}", ring.join(", ")), rule: "arrows never form a ring" })
}

fn is_product_source(file: &Path) -> bool {
    file.starts_with("crates") && file.extension().is_some_and(|extension| extension == "rs")
}

/// Lines that name the HTTP client outside the adapters made for it.
fn http_client_named(file: &Path, text: &str) -> Vec<Violation> {
    if file.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("reqwest_")) {
        return Vec::new();
    }
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let named = code.filter(|(_, line)| HTTP_CLIENT.iter().any(|name| line.contains(name)));
    named
        .map(|(number, line)| Violation {
            place: format!("{}:{}", file.display(), number + 1),
            found: line.trim().to_owned(),
            rule: "only files called reqwest_*.rs name reqwest",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of(name: &str, dependencies: &[&str]) -> Member {
        let dependencies = dependencies.iter().map(|text| {
            let (name, kind) = text.split_once(' ').unwrap_or((text, ""));
            Dependency { name: name.to_owned(), optional: kind == "optional", dev: kind == "dev" }
        });
        Member { name: name.to_owned(), dependencies: dependencies.collect(), features: Vec::new() }
    }

    /// The arrows of one crate among all those it may meet; `expect` is the refused arrow, or nothing.
    #[track_caller]
    fn check(name: &str, dependencies: &[&str], expect: &str) {
        let others = [CORE, NET, CLI, TESTKIT, "codex-opencode-plugin", "xtask", "codex-auth-e2e"];
        let mut members = vec![crate_of(name, dependencies)];
        members.extend(others.iter().chain(&RANK).filter(|other| **other != name).map(|other| crate_of(other, &[])));
        let found: Vec<String> = arrows(&members).into_iter().map(|violation| violation.found).collect();
        assert_eq!(found.join(", "), expect);
    }

    #[test]
    fn a_product_assembles() {
        check(CLI, &[CORE, "codex-auth-store", "codex-auth-view", "codex-auth-testkit optional"], "");
    }

    #[test]
    fn neighbours_do_not_meet() {
        check("codex-auth-store", &[CORE, "codex-auth-oauth"], "→ codex-auth-oauth");
        check("codex-auth-view", &["codex-auth-proxy dev"], "→ codex-auth-proxy");
    }

    #[test]
    fn the_way_out_is_shared_by_those_who_go_out() {
        check("codex-auth-oauth", &[CORE, NET], "");
        check("codex-auth-proxy", &[CORE, NET], "");
        check("codex-auth-store", &[NET], "→ codex-auth-net");
        check("codex-auth-view", &[NET], "→ codex-auth-net");
        check(NET, &[CORE, "codex-auth-testkit dev"], "");
        check(NET, &["codex-auth-oauth"], "→ codex-auth-oauth");
    }

    #[test]
    fn core_stands_alone() {
        check(CORE, &["serde", "tokio"], "→ tokio");
        check(CORE, &["codex-auth-store"], "→ codex-auth-store");
        check(CORE, &["proptest dev", "codex-auth-core dev"], "");
    }

    #[test]
    fn the_testkit_is_for_tests_and_the_demo() {
        check("codex-auth-oauth", &["codex-auth-testkit dev"], "");
        check("codex-auth-oauth", &[TESTKIT], "→ codex-auth-testkit");
        check(CLI, &[TESTKIT], "→ codex-auth-testkit");
    }

    #[test]
    fn only_the_demo_opens_the_testkit() {
        let mut cli = crate_of(CLI, &["codex-auth-testkit optional"]);
        cli.features = vec![("extra".to_owned(), vec!["dep:codex-auth-testkit".to_owned()])];
        let found = arrows(&[cli, crate_of(TESTKIT, &[])]);
        assert_eq!(found[0].found, "feature `extra` → codex-auth-testkit");
    }

    #[test]
    fn xtask_links_none_of_them() {
        check("xtask", &["clap", CORE], "→ codex-auth-core");
    }

    #[test]
    fn an_unknown_crate_needs_a_rule() {
        check("codex-auth-extra", &[], "no arrows are declared for this crate");
    }

    #[test]
    fn a_ring_is_found() {
        let found = arrows(&[crate_of(TESTKIT, &[CORE]), crate_of(CORE, &[TESTKIT])]);
        assert!(found.iter().any(|violation| violation.rule == "arrows never form a ring"), "{found:?}");
    }

    #[test]
    fn reqwest_stays_in_its_adapters() {
        let line = "let client = reqwest::Client::new();";
        assert_eq!(http_client_named(Path::new("crates/a/src/forward.rs"), line).len(), 1);
        assert!(http_client_named(Path::new("crates/a/src/reqwest_upstream.rs"), line).is_empty());
        assert!(http_client_named(Path::new("crates/a/src/lib.rs"), "//! see reqwest::Client").is_empty());
        assert!(http_client_named(Path::new("crates/a/src/lib.rs"), "pub use reqwest_upstream::Upstream;").is_empty());
    }

    #[test]
    fn this_workspace_keeps_its_arrows() {
        super::check(&Workspace::find().unwrap()).unwrap();
    }
}
