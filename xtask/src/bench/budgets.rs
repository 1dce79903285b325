//! What must hold: the budgets of this run's figures, each with what was measured and whether that is enough.

use super::cells::{LONG, PACED, POOLS, small};
use super::memory::MEMORY;
use super::programs::{PROCESS, START};
use super::rows::Rows;
use super::storing::{COMMIT, OPEN, STORE};

/// What is known of the built program.
pub(crate) struct Sizes {
    /// Bytes of the stripped program.
    pub(crate) binary: u64,
    /// Crates in its default build, our own included.
    pub(crate) crates: usize,
}

/// One line of the table.
pub(crate) struct Budget {
    what: String,
    must: Bound,
    goal: Bound,
    measured: Option<f64>,
    unit: &'static str,
    /// Where the time or the space goes, for when the budget is missed.
    rest: &'static str,
}

/// A limit from one side.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    /// The same limit, missed by no more than a factor of two.
    fn doubled(self) -> Self {
        match self {
            Self::AtLeast(least) => Self::AtLeast(least / 2.0),
            Self::AtMost(most) => Self::AtMost(most * 2.0),
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least} {unit}"),
            Self::AtMost(most) => format!("≤ {most} {unit}"),
        }
    }
}

const ANSWER: &str = "Two writes and two wake-ups per answer are the kernel's and nginx has them too. The rest is \
    hyper's towards the client and the request's own work: admission, choice of an account, headers, and, with many at \
    once, its rows in the ledger.";
const EVENTS: &str = "An event costs one wake-up, one read and one write more than without a proxy; four fifths of \
    that is kernel time. What we add over nginx is the wait behind events of other streams on the same thread.";
const POOL: &str = "The evaluator looks at every account for every request and writes down where each stands, which \
    grows with the pool.";
const SPACE: &str = "Idle, nine tenths are pages of the program's file; with streams, the read and write buffers on \
    both sides of each, and the heap the allocator keeps.";
const TIME: &str = "Loading the program, reading and parsing the accounts file, and opening the sockets.";
const WHOLE: &str = "What is known of the files is known from the last look at them; where they changed since, both are \
    read and parsed whole, however large the pool.";
const SIZE: &str = "TLS, HTTP/2 and the command line make up most of the program.";

/// All budgets this run speaks to.
pub(crate) fn of(rows: &Rows, sizes: &Sizes) -> Vec<Budget> {
    let against_nginx = |cell: &str, figure| rows.ratio(cell, ("ours", "nginx"), figure);
    let over_nginx =
        |cell: &str, figure| Some(rows.median(cell, "ours", figure)? - rows.median(cell, "nginx", figure)?);
    let least = |what: &str, (must, goal): (f64, f64), measured, rest| Budget {
        what: what.to_owned(),
        must: Bound::AtLeast(must),
        goal: Bound::AtLeast(goal),
        measured,
        unit: "×",
        rest,
    };
    let most = |what: &str, (must, goal): (f64, f64), measured, (unit, rest)| Budget {
        what: what.to_owned(),
        must: Bound::AtMost(must),
        goal: Bound::AtMost(goal),
        measured,
        unit,
        rest,
    };
    let median = |cell: &str, way: &str, figure| rows.median(cell, way, figure);
    let empty = median(PROCESS, "empty", "ms").unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "sizes of a program, far below 2^52")]
    let (megabytes, crates) = (sizes.binary as f64 / 1e6, sizes.crates as f64);
    vec![
        least("small answers c = 16, rps against nginx", (0.7, 1.0), against_nginx(&small(16), "rps"), ANSWER),
        least("small answers c = 64, rps against nginx", (0.7, 1.0), against_nginx(&small(64), "rps"), ANSWER),
        most("p50 at c = 1 over nginx's", (45.0, 0.0), over_nginx(&small(1), "p50 µs"), ("µs", ANSWER)),
        most("p50 event delay over nginx's, 64 streams", (15.0, 0.0), over_nginx(PACED, "p50 µs"), ("µs", EVENTS)),
        least("20 MB stream in 1 KB chunks against nginx", (1.0, 2.0), against_nginx(LONG[0], "MB/s"), ANSWER),
        least("20 MB stream in 200 B chunks against nginx", (0.5, 1.5), against_nginx(LONG[1], "MB/s"), ANSWER),
        least("500 accounts against 5, rps at c = 16", (0.9, 1.0), rows.ratio(POOLS, ("500", "5"), "rps"), POOL),
        most("agent memory, idle", (10.0, 6.0), median(MEMORY, "ours", "idle MB"), ("MB", SPACE)),
        most(
            "memory per open stream after a 200 KB burst",
            (64.0, 24.0),
            median(MEMORY, "ours", "KB per stream"),
            ("KB", SPACE),
        ),
        most("agent start to ready", (15.0, 5.0), median(START, "ours", "ms"), ("ms", TIME)),
        most("`--version`, whole process", (3.0, empty + 1.0), median(PROCESS, "--version", "ms"), ("ms", TIME)),
        most("`list` with 50 accounts, whole process", (6.0, 3.0), median(PROCESS, "list", "ms"), ("ms", TIME)),
        most("open, parse and decide with 50 accounts", (2.0, 1.0), median(STORE, OPEN, "ms"), ("ms", WHOLE)),
        most(
            "a token kept beside 1,000 accounts against 10",
            (2.0, 1.5),
            rows.ratio(STORE, (COMMIT[1], COMMIT[0]), "commit ms"),
            ("×", WHOLE),
        ),
        most("program, stripped", (12.0, 8.0), Some(megabytes), ("MB", SIZE)),
        most("crates in the default build", (300.0, 240.0), Some(crates), ("", SIZE)),
    ]
}

impl Budget {
    /// The line of the table.
    pub(crate) fn line(&self) -> String {
        let Self { what, must, goal, measured, unit, .. } = self;
        let shown = measured.map_or_else(|| "not measured".to_owned(), |value| format!("{} {unit}", figure(value)));
        let cells = [what.clone(), must.text(unit), rounded(*goal).text(unit), shown, self.verdict().to_owned()];
        let cells = cells.map(|cell| cell.trim().to_owned());
        format!("| {} |", cells.join(" | "))
    }

    /// Where the rest goes, when the budget is missed.
    pub(crate) fn explained(&self) -> Option<String> {
        let missed = self.measured.is_some_and(|value| !self.must.holds(value));
        missed.then(|| format!("**{}.** {}", self.what, self.rest))
    }

    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "—",
            Some(value) if self.goal.holds(value) => "yes, and the goal",
            Some(value) if self.must.holds(value) => "yes",
            Some(value) if self.must.doubled().holds(value) => "no, within 2 ×",
            Some(_) => "no",
        }
    }
}

/// The table as text.
pub(crate) fn table(rows: &Rows, sizes: &Sizes) -> String {
    let head = "| What | Must | Goal | Measured | Met? |\n|---|---|---|---|---|\n";
    let lines: Vec<String> = of(rows, sizes).iter().map(Budget::line).collect();
    format!("{head}{}\n", lines.join("\n"))
}

/// A number with three figures or so.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn rounded(bound: Bound) -> Bound {
    let round = |value: f64| (value * 10.0).round() / 10.0;
    match bound {
        Bound::AtLeast(least) => Bound::AtLeast(round(least)),
        Bound::AtMost(most) => Bound::AtMost(round(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(must: Bound, goal: Bound, measured: Option<f64>, expect: &str) {
        let budget = Budget { what: String::new(), must, goal, measured, unit: "", rest: "" };
        assert_eq!(budget.verdict(), expect);
    }

    #[test]
    fn verdicts_know_both_directions() {
        let (must, goal) = (Bound::AtLeast(0.7), Bound::AtLeast(1.0));
        check(must, goal, Some(1.2), "yes, and the goal");
        check(must, goal, Some(0.7), "yes");
        check(must, goal, Some(0.4), "no, within 2 ×");
        check(must, goal, Some(0.3), "no");
        let (must, goal) = (Bound::AtMost(10.0), Bound::AtMost(6.0));
        check(must, goal, Some(6.0), "yes, and the goal");
        check(must, goal, Some(19.0), "no, within 2 ×");
        check(must, goal, None, "—");
    }

    #[test]
    fn only_a_missed_budget_is_explained() {
        let budget = |measured| Budget {
            what: "x".into(),
            must: Bound::AtMost(1.0),
            goal: Bound::AtMost(1.0),
            measured: Some(measured),
            unit: "",
            rest: "because",
        };
        assert_eq!(budget(1.0).explained(), None);
        assert_eq!(budget(2.0).explained().as_deref(), Some("**x.** because"));
    }
}
