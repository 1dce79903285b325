//! Owns the figures: what each policy costs in each family, and what none can save.

use codex_auth_core::Strategy;

use super::{
    baselines::Baseline,
    exhaustion::End,
    family::Family,
    floor::floor,
    product::Product,
    run::{Found, Policy, run},
    traffic,
};

/// The policies, in the order of the figures.
pub(super) const NAMES: [&str; 4] = ["round robin", "sticky", "sticky on one", "hybrid"];
pub(super) const ROBIN: usize = 0;
pub(super) const STICKY: usize = 1;
pub(super) const PACKED: usize = 2;
pub(super) const HYBRID: usize = 3;

/// What the policies cost over the seeds of one family. Counted are the requests that all of them served.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) family: Family,
    pub(super) requests: usize,
    pub(super) uncached: [u64; NAMES.len()],
    /// What no policy can save.
    pub(super) floor: u64,
    pub(super) moves: [u64; NAMES.len()],
    /// By seed.
    pub(super) ends: Vec<End>,
}

/// Lets every policy serve a family under some seeds.
pub(super) fn measure(family: Family, seeds: &[u64]) -> Row {
    let mut row = Row { requests: 0, uncached: [0; 4], floor: 0, moves: [0; 4], ends: Vec::new(), family };
    for seed in seeds {
        let count = row.family.accounts.len();
        let mut policies: [Box<dyn Policy>; NAMES.len()] = [
            Box::new(Baseline::round_robin(count)),
            Box::new(Baseline::sticky(count)),
            Box::new(Baseline::packed(count)),
            Box::new(Product::new(&row.family.accounts, Strategy::Hybrid)),
        ];
        let requests = traffic::of(&row.family, *seed);
        let found = policies.each_mut().map(|policy| run(&row.family, &requests, policy.as_mut()));
        let served = |request: usize| found.iter().all(|found| found.uncached[request].is_some());
        let counts: Vec<bool> = (0..requests.len()).map(served).collect();
        let of = |found: &Found| -> u64 {
            found.uncached.iter().zip(&counts).filter(|(_, counts)| **counts).filter_map(|(cost, _)| *cost).sum()
        };
        let floor = floor(&requests, &counts);
        row.requests += counts.iter().filter(|counts| **counts).count();
        row.floor += floor;
        for (policy, found) in found.iter().enumerate() {
            let uncached = of(found);
            assert!(
                floor <= uncached,
                "{} under seed {seed} goes below the floor: {uncached} of {floor}",
                NAMES[policy]
            );
            row.uncached[policy] += uncached;
            row.moves[policy] += found.moves;
        }
        row.ends.push(End::new(*seed, &requests, &found));
    }
    row
}

impl Row {
    /// How many percent fewer uncached tokens `hybrid` costs than another policy; below nought when it costs more.
    pub(super) fn saves(&self, than: usize) -> f64 {
        saving(self.uncached[HYBRID], self.uncached[than])
    }

    /// How many percent fewer the best of all policies could cost at most.
    pub(super) fn could_save(&self, than: usize) -> f64 {
        saving(self.floor, self.uncached[than])
    }

    /// How many percent more than no policy can save.
    pub(super) fn above_floor(&self, policy: usize) -> f64 {
        -saving(self.uncached[policy], self.floor)
    }
}

#[allow(clippy::cast_precision_loss, reason = "sums of tokens")]
fn saving(ours: u64, theirs: u64) -> f64 {
    100.0 - ours as f64 / theirs as f64 * 100.0
}

/// The mean over families, each counting the same.
#[allow(clippy::cast_precision_loss, reason = "a handful of families")]
pub(super) fn mean(rows: &[Row], of: impl Fn(&Row) -> f64) -> f64 {
    rows.iter().map(of).sum::<f64>() / rows.len() as f64
}

/// All families together, the large ones counting for more.
pub(super) fn together(rows: &[Row]) -> Row {
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum();
    let each =
        |of: fn(&Row) -> [u64; NAMES.len()]| std::array::from_fn(|policy| rows.iter().map(|row| of(row)[policy]).sum());
    Row {
        family: rows[0].family.clone(),
        requests: rows.iter().map(|row| row.requests).sum(),
        uncached: each(|row| row.uncached),
        floor: sum(|row| row.floor),
        moves: each(|row| row.moves),
        ends: rows.iter().flat_map(|row| row.ends.iter().copied()).collect(),
    }
}

/// The family in which `hybrid` saves least against stickiness.
pub(super) fn worst(rows: &[Row]) -> &Row {
    rows.iter().min_by(|a, b| a.saves(STICKY).total_cmp(&b.saves(STICKY))).expect("there are families")
}
