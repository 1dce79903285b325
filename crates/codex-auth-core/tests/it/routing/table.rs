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
            Box::new(Product::new(&row.family.accounts, Strategy::Hybrid)),
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

    /// When the pool ran dry under a policy, in minutes and for each seed in which it did so under any.
    fn dry(&self, policy: usize) -> String {
        let any = self.dry_at.iter().filter(|dry| dry.iter().any(Option::is_some));
        let minutes = |at: i64| (at / 60_000).to_string();
        any.map(|dry| dry[policy].map_or("never".to_owned(), minutes)).collect::<Vec<String>>().join(", ")
    }
}

/// The mean over families, each counting the same.
#[allow(clippy::cast_precision_loss, reason = "a handful of families")]
pub(crate) fn mean_saving(rows: &[Row], than: usize) -> f64 {
    rows.iter().map(|row| row.saves(than)).sum::<f64>() / rows.len() as f64
}

/// Over all families together, the large ones counting for more.
#[allow(clippy::cast_precision_loss, reason = "sums of tokens")]
pub(crate) fn total_saving(rows: &[Row], than: usize) -> f64 {
    let sum = |policy: usize| rows.iter().map(|row| row.uncached[policy]).sum::<u64>() as f64;
    100.0 - sum(HYBRID) / sum(than) * 100.0
}

/// The figures as a page's block.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut page =
        String::from("| Family | Requests | round robin | sticky | sticky on one | hybrid | hybrid saves |\n");
    page += "|---|---|---|---|---|---|---|\n";
    let three = |saves: &dyn Fn(usize) -> f64| {
        [ROBIN, STICKY, PACKED].map(|than| format!("{:.1}", saves(than))).join(" / ") + " %"
    };
    for row in rows {
        let name = if row.family.tuning { row.family.name.to_owned() } else { format!("**{}**", row.family.name) };
        let tokens = row.uncached.map(|tokens| (tokens / 1000).to_string()).join(" | ");
        let (requests, saves) = (row.requests, three(&|than| row.saves(than)));
        writeln!(page, "| {name} | {requests} | {tokens} | {saves} |").expect("a string");
    }
    writeln!(page, "| mean of families | | | | | | {} |", three(&|than| mean_saving(rows, than))).expect("a string");
    writeln!(page, "| all tokens | | | | | | {} |", three(&|than| total_saving(rows, than))).expect("a string");
    page += "\n| Family | Moves | The pool runs dry, in minutes |\n|---|---|---|\n";
    for row in rows {
        let moves = row.moves.map(|moves| moves.to_string()).join(" / ");
        let dry = [ROBIN, STICKY, PACKED, HYBRID].map(|policy| row.dry(policy)).join(" / ");
        let dry = if dry.trim_matches([' ', '/']).is_empty() { "never" } else { &dry };
        writeln!(page, "| {} | {moves} | {dry} |", row.family.name).expect("a string");
    }
    let worst = rows.iter().min_by(|a, b| a.saves(STICKY).total_cmp(&b.saves(STICKY))).expect("there are families");
    let (name, saves) = (worst.family.name, worst.saves(STICKY));
    writeln!(page, "\nThe worst family is {name}: {saves:.1} % fewer than {}.", NAMES[STICKY]).expect("a string");
    page
}
