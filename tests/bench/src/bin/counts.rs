//! The small pieces of work that every request pays for, each repeated as often as told: for counting instructions
//! from outside, and for timing decisions here.
//!
//! Two runs that differ in their number of repetitions only differ by what those repetitions cost.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measuring tool: the clock is what it is for, standard output is its answer"
)]

use std::{hint::black_box, time::Instant};

use clap::{Parser, ValueEnum};
use codex_auth_core::{
    Account, Ask, Headroom, Owner, QuotaSnapshot, RecordId, Rest, RestReason, Seat, Seen, Standards, Timestamp, UserId,
    WorkspaceId, evaluate, pick,
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Model asked for.
const ASKED: &str = "gpt-5.2:gpt-5.5";

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Does one piece of work so many times and says nothing
    Repeat { work: Work, times: u32 },
    /// Prints the names of all pieces of work
    List,
    /// Times decisions and prints one line of JSON with medians in microseconds
    Time {
        #[arg(long, default_value_t = 200)]
        rounds: usize,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Work {
    /// Who serves, of two hundred.
    #[value(name = "decide-200")]
    DecideSmall,
    /// Who serves, of ten thousand.
    #[value(name = "decide-10000")]
    DecideLarge,
    /// Where everybody stands, of two hundred.
    #[value(name = "stand-200")]
    Stand,
    /// The quotas in the head of an answer.
    #[value(name = "headers")]
    Headers,
}

fn main() {
    match Arguments::parse().what {
        What::Repeat { work, times } => work.repeat(times),
        What::List => {
            let names = Work::value_variants().iter().filter_map(Work::to_possible_value);
            names.for_each(|name| println!("{}", name.get_name()));
        }
        What::Time { rounds } => {
            let (small, large) = (Crowd::of(200), Crowd::of(10_000));
            let timed = |crowd: &Crowd| {
                let seats = crowd.seats();
                median(rounds, || {
                    black_box(decide(black_box(&seats)));
                })
            };
            println!("{}", json!({ "decide-200": timed(&small), "decide-10000": timed(&large) }));
        }
    }
}

impl Work {
    fn repeat(self, times: u32) {
        match self {
            Self::DecideSmall | Self::DecideLarge => {
                let crowd = Crowd::of(if matches!(self, Self::DecideSmall) { 200 } else { 10_000 });
                let seats = crowd.seats();
                for _ in 0..times {
                    black_box(decide(black_box(&seats)));
                }
            }
            Self::Stand => {
                let crowd = Crowd::of(200);
                let seats = crowd.seats();
                let stand = || evaluate(black_box(&seats), Standards::default(), asked(), NOW);
                for _ in 0..times {
                    black_box(stand());
                }
            }
            Self::Headers => {
                let read = || QuotaSnapshot::from_headers(|name| look_up(black_box(name)), NOW);
                for _ in 0..times {
                    black_box(read());
                }
            }
        }
    }
}

fn asked() -> Ask<'static> {
    Ask { quota_key: Some(ASKED), ..Ask::default() }
}

fn decide(seats: &[Seat<'_>]) -> Option<usize> {
    pick(seats, Standards::default(), asked(), NOW).map(|(place, _)| place)
}

/// Accounts of which each is a little different: some rest, some are at work, all have used some of their quota.
struct Crowd(Vec<(Account, u32, f64)>);

impl Crowd {
    fn of(count: u32) -> Self {
        let one = |number: u32| {
            let mut account = account(number);
            if number.is_multiple_of(7) {
                account.rests.push(Rest::of_account(RestReason::UsageLimit, Timestamp::from_secs(1_800_003_600), NOW));
            }
            account.seen.last_used_at = Timestamp::from_secs(1_799_990_000 + i64::from(number * 37 % 9973));
            (account, 1 + number % 3, f64::from(number * 31 % 101))
        };
        Self((1..=count).map(one).collect())
    }

    fn seats(&self) -> Vec<Seat<'_>> {
        self.0
            .iter()
            .map(|(account, in_flight, left_percent)| Seat {
                in_flight: *in_flight,
                headroom: Headroom { left_percent: *left_percent, ..Headroom::UNKNOWN },
                ..Seat::of(account)
            })
            .collect()
    }
}

fn account(number: u32) -> Account {
    Account {
        record: RecordId::parse(&format!("record:{number}")).expect("a name"),
        owner: Owner {
            user: UserId::parse(&format!("user-{number}")),
            workspace: WorkspaceId::parse(&format!("workspace-{number}")),
            email: None,
            plan: None,
        },
        label: None,
        alias: None,
        enabled: true,
        needs_login: None,
        incident: None,
        rests: Vec::new(),
        seen: Seen::default(),
        issuer: None,
        provenance: None,
    }
}

/// The head of an answer, as far as it speaks of quotas.
fn look_up(name: &str) -> Option<&'static str> {
    let head = [
        ("x-codex-primary-used-percent", "12.5"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-at", "1800003600"),
        ("x-codex-secondary-used-percent", "48"),
        ("x-codex-secondary-window-minutes", "10080"),
        ("x-codex-secondary-reset-after-seconds", "86400"),
    ];
    head.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Median of single runs, in microseconds; short work is done ten times a run.
fn median(rounds: usize, work: impl Fn()) -> f64 {
    const EACH: u32 = 10;
    let mut took: Vec<f64> = (0..rounds.max(1))
        .map(|_| {
            let began = Instant::now();
            (0..EACH).for_each(|_| work());
            began.elapsed().as_secs_f64() * 1e6 / f64::from(EACH)
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}
