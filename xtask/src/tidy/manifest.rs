//! Rules about manifests: every shared dependency says why it is there, and no crate loosens the bans.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;

/// Lines of `[workspace.dependencies]` that neither carry a comment nor stand in a group headed by one.
/// Our own crates need no reason.
pub(super) fn unexplained_dependencies(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut inside, mut headed) = (false, false);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        }
        if line.is_empty() || line.starts_with('[') {
            headed = false;
            continue;
        }
        if line.starts_with('#') {
            headed = true;
        } else if inside && !headed && !line.contains('#') && !line.contains("path = ") {
            let name = line.split('=').next().unwrap_or(line).trim();
            findings.push(Finding::new(file, index + 1, format!("`{name}` does not say why we depend on it")));
        }
    }
    findings
}

/// Bans of the root that a crate's own `clippy.toml`, which replaces the root's, has lost.
pub(super) fn missing_bans(file: &Path, text: &str, root: &str) -> Vec<Finding> {
    let kept = bans(text);
    bans(root)
        .difference(&kept)
        .map(|ban| Finding::new(file, 0, format!("repeats the root's bans and lacks `{ban}`")))
        .collect()
}

fn bans(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.split_once("path = \"")?.1.split('"').next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dependencies: &str, expect: &[usize]) {
        let text = format!("[workspace]\nx = 1\n\n[workspace.dependencies]\n{dependencies}");
        let found = unexplained_dependencies(Path::new("Cargo.toml"), &text);
        assert_eq!(found.into_iter().map(|finding| finding.line).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_reason_may_stand_on_the_line_or_above_the_group() {
        check("serde = \"1\" # every document\n", &[]);
        check("# Wire\nhttp = \"1\"\nbytes = \"1\"\n", &[]);
    }

    #[test]
    fn a_blank_line_ends_the_group() {
        check("# Wire\nhttp = \"1\"\n\nbytes = \"1\"\n", &[8]);
    }

    #[test]
    fn our_own_crates_need_no_reason() {
        check("codex-auth-core = { path = \"crates/codex-auth-core\" }\n", &[]);
    }

    #[test]
    fn other_sections_are_left_alone() {
        check("\n[profile.dev]\ndebug = false\n", &[]);
    }

    #[test]
    fn a_crate_repeats_the_roots_bans() {
        let root = "{ path = \"std::env::var\" },\n{ path = \"std::fs::read\" },\n";
        let own = "{ path = \"std::env::var\" },\n{ path = \"std::net::bind\" },\n";
        let found = missing_bans(Path::new("crates/a/clippy.toml"), own, root);
        assert_eq!(found.len(), 1);
        assert!(found[0].rule.contains("std::fs::read"));
    }
}
