//! Owns how names in governance files are normalised, as the predecessor does it.

/// Trimmed, at most `longest` letters; `None` when nothing is left.
pub(crate) fn cut(text: &str, longest: usize) -> Option<String> {
    let text: String = text.trim().chars().take(longest).collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A set of names: normalised by `name`, without blanks and doubles, sorted.
pub(crate) fn set_of(raw: &[String], name: impl Fn(&str) -> String) -> Vec<String> {
    let mut names: Vec<String> = raw.iter().map(|raw| name(raw)).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    names
}
