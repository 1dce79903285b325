//! Quota families: the keys under which the predecessor's format notes rate limits.

/// The families of the format, in its order.
pub const FAMILIES: [&str; 5] = ["gpt-5-codex", "codex-max", "codex", "gpt-5.2", "gpt-5.1"];

/// The quota key of a model: `<family>:<model>`.
///
/// Any id with `codex` in it belongs to `gpt-5-codex`, `gpt-5.1` to itself, everything else to `gpt-5.2`
/// (the predecessor's table, confirmed by running it).
pub fn quota_key(model: &str) -> Option<String> {
    let model = model.rsplit('/').next().unwrap_or(model).trim();
    if model.is_empty() {
        return None;
    }
    let family = if model.contains("codex") {
        "gpt-5-codex"
    } else if model == "gpt-5.1" || model.starts_with("gpt-5.1-") {
        "gpt-5.1"
    } else {
        "gpt-5.2"
    };
    Some(format!("{family}:{model}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: &str, expect: Option<&str>) {
        assert_eq!(quota_key(model).as_deref(), expect);
    }

    #[test]
    fn models_belong_to_families() {
        check("gpt-5.3-codex", Some("gpt-5-codex:gpt-5.3-codex"));
        check("openai/gpt-5.5", Some("gpt-5.2:gpt-5.5"));
        check("gpt-5.1", Some("gpt-5.1:gpt-5.1"));
        check("o3", Some("gpt-5.2:o3"));
        check(" ", None);
    }
}
