//! What was seen: every value of every round, and its median.

use std::collections::BTreeMap;

/// Values by (what was measured, which way, which figure), in the order they were seen.
#[derive(Default)]
pub(crate) struct Rows {
    values: BTreeMap<(String, String, &'static str), Vec<f64>>,
    /// Keys in the order they first appeared.
    order: Vec<(String, String, &'static str)>,
    /// Requests that failed, by what and which way.
    failures: BTreeMap<(String, String), u64>,
}

impl Rows {
    /// Adds a value.
    pub(crate) fn add(&mut self, cell: &str, way: &str, figure: &'static str, value: f64) {
        let key = (cell.to_owned(), way.to_owned(), figure);
        if !self.values.contains_key(&key) {
            self.order.push(key.clone());
        }
        self.values.entry(key).or_default().push(value);
    }

    /// Adds failed requests.
    pub(crate) fn failed(&mut self, cell: &str, way: &str, count: u64) {
        if count > 0 {
            *self.failures.entry((cell.to_owned(), way.to_owned())).or_default() += count;
        }
    }

    /// The median of a figure, if it was measured.
    pub(crate) fn median(&self, cell: &str, way: &str, figure: &'static str) -> Option<f64> {
        let key = (cell.to_owned(), way.to_owned(), figure);
        self.values.get(&key).and_then(|values| median(values))
    }

    /// The median over rounds of `a` divided by `b`, pair by pair: what disturbed one round disturbed both.
    pub(crate) fn ratio(&self, cell: &str, (a, b): (&str, &str), figure: &'static str) -> Option<f64> {
        let of = |way: &str| self.values.get(&(cell.to_owned(), way.to_owned(), figure));
        let pairs: Vec<f64> = of(a)?.iter().zip(of(b)?).map(|(a, b)| a / b).collect();
        median(&pairs)
    }

    /// Every row: what, which way, which figure, the values.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str, &str, &[f64])> {
        self.order.iter().map(|key| (key.0.as_str(), key.1.as_str(), key.2, self.values[key].as_slice()))
    }

    /// What failed, where anything did.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.failures.iter().map(|((cell, way), count)| (cell.as_str(), way.as_str(), *count))
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        return Some(f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *sorted.get(middle)?));
    }
    sorted.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], expect: Option<f64>) {
        assert_eq!(median(values), expect);
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_middles() {
        check(&[], None);
        check(&[3.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 3.0], Some(2.5));
    }

    #[test]
    fn ratios_pair_rounds() {
        let mut rows = Rows::default();
        for (ours, nginx) in [(10.0, 10.0), (1.0, 2.0), (30.0, 10.0)] {
            rows.add("c", "ours", "rps", ours);
            rows.add("c", "nginx", "rps", nginx);
        }
        assert_eq!(rows.ratio("c", ("ours", "nginx"), "rps"), Some(1.0));
        assert_eq!(rows.ratio("c", ("ours", "hyper"), "rps"), None);
    }
}
