//! A run is a row of named steps; the first that fails ends it and says how to repeat it alone.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::suites::Tally;

/// What a step reports when it holds.
#[derive(Default)]
pub(crate) struct Report {
    /// Tests the step ran, where it ran any.
    pub(crate) tally: Tally,
    /// One short remark for the closing table.
    pub(crate) remark: String,
}

impl Report {
    pub(crate) fn remark(text: impl Into<String>) -> Self {
        Self { tally: Tally::default(), remark: text.into() }
    }
}

/// What a step reports when it does not hold: a remark, and the tests that ran nevertheless.
pub(crate) struct Failure {
    pub(crate) tally: Tally,
    pub(crate) message: String,
    /// A narrower command than the step's own, when one suffices to see the failure again.
    pub(crate) repeat: Option<String>,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { tally: Tally::default(), message, repeat: None }
    }
}

/// A step: its name, the one command that repeats it, and the work.
pub(crate) struct Step<'w> {
    pub(crate) name: &'static str,
    pub(crate) repeat: String,
    pub(crate) work: Box<dyn FnOnce() -> Result<Report, Failure> + 'w>,
}

impl<'w> Step<'w> {
    pub(crate) fn new(
        name: &'static str,
        repeat: impl Into<String>,
        work: impl FnOnce() -> Result<Report, Failure> + 'w,
    ) -> Self {
        Self { name, repeat: repeat.into(), work: Box::new(work) }
    }
}

struct Row {
    name: &'static str,
    verdict: &'static str,
    took: Duration,
    tally: Tally,
    remark: String,
}

/// Runs the steps in order and returns the closing table; on a failure the table ends there.
pub(crate) fn run_all(steps: Vec<Step<'_>>) -> Result<String, String> {
    let count = steps.len();
    let mut rows = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        println!("\n=== {} ({} of {count})", step.name, number + 1);
        let began = Instant::now();
        let done = (step.work)();
        let took = began.elapsed();
        match done {
            Ok(report) => {
                println!("--- {}: ok, {}", step.name, seconds(took));
                rows.push(Row { name: step.name, verdict: "ok", took, tally: report.tally, remark: report.remark });
            }
            Err(failure) => {
                println!("--- {}: FAILED, {}", step.name, seconds(took));
                rows.push(Row {
                    name: step.name,
                    verdict: "FAILED",
                    took,
                    tally: failure.tally,
                    remark: String::new(),
                });
                println!("\n{}", table(&rows));
                return Err(format!(
                    "{}: {}\nrepeat it with: {}",
                    step.name,
                    failure.message,
                    failure.repeat.unwrap_or(step.repeat)
                ));
            }
        }
    }
    Ok(table(&rows))
}

/// The names of the steps and how each is repeated.
pub(crate) fn listing(steps: &[Step<'_>]) -> String {
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = steps.iter().map(|step| format!("{:<width$}  {}", step.name, step.repeat)).collect();
    lines.join("\n")
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let tests = if row.tally.ran() == 0 { String::new() } else { format!("{} tests", row.tally.ran()) };
        let line =
            format!("{:<width$}  {:<6}  {:>8}  {tests:>10}  {}", row.name, row.verdict, seconds(row.took), row.remark);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let total: Tally = rows.iter().map(|row| row.tally).sum();
    let took = rows.iter().map(|row| row.took).sum();
    let _ = write!(text, "{} passed, {} failed in {}", total.passed, total.failed, seconds(took));
    text
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str, passed: u64, failed: u64) -> Step<'static> {
        Step::new(name, format!("repeat {name}"), move || {
            let tally = Tally { passed, failed };
            if failed == 0 {
                return Ok(Report { tally, remark: String::new() });
            }
            Err(Failure { tally, message: "broken".to_owned(), repeat: None })
        })
    }

    #[test]
    fn the_last_line_sums_the_tests() {
        let table = run_all(vec![step("one", 3, 0), step("two", 4, 0)]).unwrap();
        assert!(table.lines().last().unwrap().starts_with("7 passed, 0 failed"), "{table}");
    }

    #[test]
    fn a_failing_step_ends_the_run_and_names_its_repeat_command() {
        let untouched = Step::new("three", "never", || panic!("a step after a failed one ran"));
        let error = run_all(vec![step("one", 1, 0), step("two", 0, 2), untouched]).unwrap_err();
        assert_eq!(error, "two: broken\nrepeat it with: repeat two");
    }
}
