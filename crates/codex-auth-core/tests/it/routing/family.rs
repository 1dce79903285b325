//! Owns the generator families: what their files say, and which of them tuning may see.

use codex_auth_core::testing::SeededEntropy;

/// One way people work.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// Whether numbers may be tuned on it.
    pub(crate) tuning: bool,
    pub(crate) seeds: Vec<u64>,
    pub(crate) accounts: Vec<Start>,
    numbers: Vec<(&'static str, f64)>,
}

/// How an account begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// As a multiple of the smallest paid plan.
    pub(crate) size: f64,
    /// Percent used and hours to the end, of the short window and the long one.
    pub(crate) short: (f64, f64),
    pub(crate) long: (f64, f64),
}

const FILES: [(&str, &str); 8] = [
    ("long-conversation", include_str!("../../routing/long-conversation.txt")),
    ("short-tasks", include_str!("../../routing/short-tasks.txt")),
    ("subagents", include_str!("../../routing/subagents.txt")),
    ("bursts", include_str!("../../routing/bursts.txt")),
    ("day-and-night", include_str!("../../routing/day-and-night.txt")),
    ("near-exhaustion", include_str!("../../routing/near-exhaustion.txt")),
    ("mixed-plans", include_str!("../../routing/mixed-plans.txt")),
    ("slow-evening", include_str!("../../routing/slow-evening.txt")),
];

/// All families, to be judged by.
pub(crate) fn all() -> Vec<Family> {
    FILES.into_iter().map(|(name, text)| Family::read(name, text)).collect()
}

/// The families that numbers may be tuned on.
pub(crate) fn for_tuning() -> Vec<Family> {
    all().into_iter().filter(|family| family.tuning).collect()
}

impl Family {
    fn read(name: &'static str, text: &'static str) -> Self {
        let mut read = Self { name, tuning: true, seeds: Vec::new(), accounts: Vec::new(), numbers: Vec::new() };
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (key, value) = line.split_once(' ').expect("a key and a value");
            let numbers = || value.split(' ').map(|number| number.parse::<f64>().expect("a number"));
            match key {
                "tuning" => read.tuning = value == "yes",
                "seeds" => read.seeds = value.split(' ').map(|seed| seed.parse().expect("a seed")).collect(),
                "account" => {
                    let told: Vec<f64> = numbers().collect();
                    let [size, short, minutes, long, hours] = told[..] else { panic!("{name}: five numbers") };
                    read.accounts.push(Start { size, short: (short, minutes / 60.0), long: (long, hours) });
                }
                _ => read.numbers.push((key, numbers().next().expect("a number"))),
            }
        }
        read
    }

    /// A number of the file.
    pub(crate) fn number(&self, key: &str) -> f64 {
        let found = self.numbers.iter().find(|(name, _)| *name == key);
        found.unwrap_or_else(|| panic!("{} has no {key}", self.name)).1
    }
}

/// Chance that repeats.
#[derive(Debug)]
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// From 0 up to, but not, 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a fraction holds")]
    pub(crate) fn fraction(&self) -> f64 {
        (self.0.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something happens that does so in this share of all cases.
    pub(crate) fn happens(&self, share: f64) -> bool {
        self.fraction() < share
    }

    /// Waiting times and sizes: many small ones, few large ones.
    pub(crate) fn about(&self, mean: f64) -> f64 {
        -(1.0 - self.fraction()).ln() * mean
    }

    /// At least one.
    pub(crate) fn count(&self, mean: f64) -> usize {
        let mut count = 1;
        while mean > 1.0 && count < 400 && self.happens(1.0 - 1.0 / mean) {
            count += 1;
        }
        count
    }
}
