//! Owns the figures: what each policy costs in each family, and the page that says so.

use std::fmt::Write as _;

use codex_auth_core::Strategy;

use super::{
    baselines::Baseline,
    family::Family,
    product::Product,
    run::{Found, Policy, run},
};

/// The policies, in the order of the figures.
const NAMES: [&str; 4] = ["round robin", "sticky", "sticky on one", "hybrid"];
pub(crate) const ROBIN: usize = 0;
pub(crate) const STICKY: usize = 1;
pub(crate) const PACKED: usize = 2;
pub(crate) const HYBRID: usize = 3;

/// What the policies cost over the seeds of one family. Counted are the requests that all of them served.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) family: Family,
    requests: usize,
    uncached: [u64; NAMES.len()],
    moves: [u64; NAMES.len()],
    /// When the pool ran dry, by seed.
    pub(crate) dry_at: Vec<[Option<i64>; NAMES.len()]>,
}

/// Lets every policy serve a family.
pub(crate) fn measure(family: Family) -> Row {
    let mut row = Row { requests: 0, uncached: Default::default(), moves: Default::default(), dry_at: vec![], family };
    for seed in row.family.seeds.clone() {
        let count = row.family.accounts.len();
        let mut policies: [Box<dyn Policy>; NAMES.len()] = [
            Box::new(Baseline::round_robin(count)),
            Box::new(Baseline::sticky(count)),
            Box::new(Baseline::packed(count)),
            Box::new(Product::new(count, Strategy::Hybrid)),
        ];
        let found: Vec<Found> = policies.iter_mut().map(|policy| run(&row.family, seed, policy.as_mut())).collect();
        for request in 0..found[0].uncached.len() {
            let costs: Option<Vec<u64>> = found.iter().map(|found| found.uncached[request]).collect();
            let Some(costs) = costs else { continue };
            row.requests += 1;
            costs.iter().zip(&mut row.uncached).for_each(|(cost, sum)| *sum += cost);
        }
        found.iter().zip(&mut row.moves).for_each(|(found, sum)| *sum += found.moves);
        row.dry_at.push(std::array::from_fn(|policy| found[policy].dry_at));
    }
    row
}

impl Row {
    /// How many percent fewer uncached tokens `hybrid` costs than another policy; below nought when it costs more.
    #[allow(clippy::cast_precision_loss, reason = "sums of tokens")]
    pub(crate) fn saves(&self, than: usize) -> f64 {
        100.0 - self.uncached[HYBRID] as f64 / self.uncached[than] as f64 * 100.0
    }

    /// In how many seeds the pool ran dry, under a policy.
    fn dry(&self, policy: usize) -> usize {
        self.dry_at.iter().filter(|dry| dry[policy].is_some()).count()
    }
}

/// The mean over families, each counting the same.
#[allow(clippy::cast_precision_loss, reason = "a handful of families")]
pub(crate) fn mean_saving(rows: &[Row], than: usize) -> f64 {
    rows.iter().map(|row| row.saves(than)).sum::<f64>() / rows.len() as f64
}

/// The figures as a page's block.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut page = format!(
        "| Family | Requests | {} | fewer than {} | than {} | than {} | Moves ({}) | Dry |\n|{}\n",
        NAMES.join(" | "),
        NAMES[ROBIN],
        NAMES[STICKY],
        NAMES[PACKED],
        NAMES.join(" / "),
        "---|".repeat(11)
    );
    for row in rows {
        let name = if row.family.tuning { row.family.name.to_owned() } else { format!("**{}**", row.family.name) };
        let tokens = row.uncached.map(|tokens| (tokens / 1000).to_string()).join(" | ");
        let saves = [ROBIN, STICKY, PACKED].map(|than| format!("{:.1} %", row.saves(than))).join(" | ");
        let moves = row.moves.map(|moves| moves.to_string()).join(" / ");
        let dry = [ROBIN, STICKY, PACKED, HYBRID].map(|policy| row.dry(policy).to_string()).join(" / ");
        let requests = row.requests;
        writeln!(page, "| {name} | {requests} | {tokens} | {saves} | {moves} | {dry} |").expect("a string");
    }
    let mean = [ROBIN, STICKY, PACKED].map(|than| format!("{:.1} %", mean_saving(rows, than))).join(" | ");
    writeln!(page, "| mean of families | | | | | | {mean} | | |").expect("a string");
    page
}
