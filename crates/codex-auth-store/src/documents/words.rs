//! Owns how names in governance files are normalised, as the predecessor does it.

/// Lower case, with every run of letters that `may_stay` refuses made one hyphen, and cut to `longest` letters.
pub(crate) fn slug(text: &str, longest: usize, may_stay: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    let mut in_run = false;
    for letter in text.trim().to_lowercase().chars() {
        let stays = may_stay(letter);
        match (stays, in_run) {
            (true, _) => out.push(letter),
            (false, false) => out.push('-'),
            (false, true) => {}
        }
        in_run = !stays;
    }
    out.chars().take(longest).collect()
}

/// ASCII lower-case letters and digits, and these.
pub(crate) fn plain_or(letter: char, others: &str) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || others.contains(letter)
}

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
