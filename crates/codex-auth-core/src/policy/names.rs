//! Owns how names and numbers in rules are normalised: in one place, so that what is stored is what is looked up.

/// Longest tag and longest budget key, in letters.
const LONGEST_TAG: usize = 64;
const LONGEST_KEY: usize = 100;

/// A tag as it is kept: lower case, `[a-z0-9._-]`, at most 64 letters.
pub fn account_tag(text: &str) -> String {
    slug(text, LONGEST_TAG, "._-")
}

/// A budget's key as it is kept: lower case, `[a-z0-9._:-]`, at most 100 letters.
pub fn budget_key(text: &str) -> String {
    slug(text, LONGEST_KEY, "._:-")
}

/// The key of a project's own budget.
pub fn project_budget_key(project: &str) -> String {
    budget_key(&format!("project:{project}"))
}

/// A weight as it counts: 0 to 10, 1 where it is no number.
pub fn account_weight(told: Option<f64>) -> f64 {
    told.filter(|told| told.is_finite()).map_or(1.0, |told| told.clamp(0.0, 10.0))
}

/// Lower case, with every run of other letters made one hyphen, and cut.
fn slug(text: &str, longest: usize, others: &str) -> String {
    let mut out = String::new();
    let mut in_run = false;
    for letter in text.trim().to_lowercase().chars() {
        let stays = letter.is_ascii_lowercase() || letter.is_ascii_digit() || others.contains(letter);
        match (stays, in_run) {
            (true, _) => out.push(letter),
            (false, false) => out.push('-'),
            (false, true) => {}
        }
        in_run = !stays;
    }
    out.chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_normalised() {
        for (text, expect) in [("Team A", "team-a"), ("x/y", "x-y"), ("é", "-"), (" a__b ", "a__b")] {
            assert_eq!(account_tag(text), expect);
        }
        assert_eq!(account_tag(&"a".repeat(99)).len(), 64);
    }

    #[test]
    fn budget_keys_are_normalised() {
        for (text, expect) in [("Project:My App", "project:my-app"), ("A/B:c", "a-b:c"), (" global ", "global")] {
            assert_eq!(budget_key(text), expect);
        }
        assert_eq!(budget_key(&"k".repeat(200)).len(), 100);
        assert_eq!(project_budget_key("My-App-823cf43c554f"), "project:my-app-823cf43c554f");
    }

    #[test]
    fn weights_are_clamped() {
        let told =
            [None, Some(f64::NAN), Some(-1.0), Some(0.5), Some(99.0)].map(|told| account_weight(told).to_string());
        assert_eq!(told, ["1", "1", "0", "0.5", "10"]);
    }
}
