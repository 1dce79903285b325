//! Every feature builds alone: no features, each one by itself, and all of them.

use std::time::Duration;

use serde_json::Value;

use crate::child;
use crate::workspace::Workspace;

/// Checks each member in each of its feature sets.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    for package in workspace.packages() {
        let name = package["name"].as_str().ok_or("a package without a name")?;
        for flags in feature_sets(&package["features"]) {
            let mut cargo = workspace.cargo(&["check", "--quiet", "-p", name]);
            println!("{name} {}", flags.join(" "));
            child::succeed(cargo.args(&flags), Duration::from_mins(10)).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

/// The flags for each feature set; a member without features is covered by the ordinary build.
fn feature_sets(features: &Value) -> Vec<Vec<String>> {
    let none = "--no-default-features".to_owned();
    let names: Vec<&String> =
        features.as_object().map(|map| map.keys().filter(|name| *name != "default").collect()).unwrap_or_default();
    if names.is_empty() {
        return Vec::new();
    }
    let each = names.into_iter().map(|name| vec![none.clone(), "--features".to_owned(), name.clone()]);
    [vec![none.clone()]].into_iter().chain(each).chain([vec!["--all-features".to_owned()]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_feature_makes_three_sets() {
        let sets = feature_sets(&serde_json::json!({ "default": ["demo"], "demo": [] }));
        let lines: Vec<String> = sets.iter().map(|set| set.join(" ")).collect();
        assert_eq!(lines, ["--no-default-features", "--no-default-features --features demo", "--all-features"]);
    }

    #[test]
    fn no_features_need_no_extra_build() {
        assert!(feature_sets(&serde_json::json!({})).is_empty());
    }
}
