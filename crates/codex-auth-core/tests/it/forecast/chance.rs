//! Chance that a seed fixes.

/// A `SplitMix64`.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn of_seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Within 0 and 1, neither of them.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(super) fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(count).expect("small")).expect("small")
    }

    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    /// At least 1, with a tail of this index.
    pub(super) fn pareto(&mut self, tail: f64) -> f64 {
        self.share().powf(-1.0 / tail)
    }

    /// A span of so many minutes on average, in milliseconds and never nothing.
    #[expect(clippy::cast_possible_truncation, reason = "spans of this world are hours")]
    pub(super) fn millis(&mut self, mean_minutes: f64) -> i64 {
        (self.exponential(mean_minutes) * 60_000.0) as i64 + 1
    }
}
