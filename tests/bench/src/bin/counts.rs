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
    Account, Ask, Credential, Headroom, Held, Outcome, Owner, Prompt, Query, RecordId, RefreshToken, Report, Rest,
    RestPolicy, RestReason, Rotation, SavedPool, Seat, Seen, Standards, Strategy, Timestamp, UserId, WorkspaceId,
    evaluate, pick,
};
use codex_auth_proxy::testing::has_end;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Bytes that come off the wire at once.
const CHUNK: usize = 1400;
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
    /// The same for a whole request of the agent, from the lock to the end of its lease: two hundred accounts with quotas.
    #[value(name = "route-200")]
    RouteSmall,
    /// The same with ten thousand.
    #[value(name = "route-10000")]
    RouteLarge,
    /// Where everybody stands, of two hundred.
    #[value(name = "stand-200")]
    Stand,
    /// The quotas in the head of an answer.
    #[value(name = "headers")]
    Headers,
    /// The events of an answer of some forty kilobytes.
    #[value(name = "stream")]
    Stream,
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
            let routed = |count| {
                let rotation = rotation(count);
                median(rounds, || route(black_box(&rotation)))
            };
            let (route_small, route_large) = (routed(200), routed(10_000));
            println!(
                "{}",
                json!({
                    "decide-200": timed(&small), "decide-10000": timed(&large),
                    "route-200": route_small, "route-10000": route_large,
                })
            );
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
            Self::RouteSmall | Self::RouteLarge => {
                let rotation = rotation(if matches!(self, Self::RouteSmall) { 200 } else { 10_000 });
                for _ in 0..times {
                    route(black_box(&rotation));
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
                let read = || Report::of_headers(black_box(&HEAD).iter().copied(), NOW);
                for _ in 0..times {
                    black_box(read());
                }
            }
            Self::Stream => {
                let stream = stream();
                for _ in 0..times {
                    assert!(black_box(has_end(black_box(&stream), CHUNK)), "the end of the stream was not seen");
                }
            }
        }
    }
}

fn asked() -> Ask<'static> {
    let prompt = Prompt { tokens: 60_000, later_tokens: 60_000 };
    Ask { quota_key: Some(ASKED), prompt, ..Ask::default() }
}

fn decide(seats: &[Seat<'_>]) -> Option<usize> {
    pick(seats, Standards::default(), asked(), NOW).map(|chosen| chosen.place)
}

/// A rotation over such accounts, with what was told of each one's quota.
fn rotation(count: u32) -> Rotation {
    let Crowd(rows) = Crowd::of(count);
    let reports: Vec<_> = rows.iter().map(|(account, _, left)| (account.record.clone(), quota_of(*left))).collect();
    let credential = || Credential {
        access: None,
        refresh: RefreshToken::new("none"),
        id: None,
        expires_at: None,
        obtained_at: None,
        generation: 0,
    };
    let held = |(account, ..): (Account, u32, f64)| Held { account, credential: credential() };
    let pool = SavedPool { accounts: rows.into_iter().map(held).collect(), ..SavedPool::default() };
    let rotation = Rotation::new(pool, Strategy::Hybrid, RestPolicy::default());
    for (record, report) in reports {
        let _kept = rotation.saw_quota(&record, &report);
    }
    rotation
}

fn quota_of(left_percent: f64) -> Report {
    let used = format!("{}", 100.0 - left_percent);
    let head = HEAD.map(|(name, value)| (name, if name == "x-codex-primary-used-percent" { &used } else { value }));
    Report::of_headers(head.iter().map(|(name, value)| (*name, *value)), NOW).expect("it tells of quotas")
}

/// A request of a new session: an account is chosen, leased, and given back.
fn route(rotation: &Rotation) {
    let query = Query { tokens: 60_000, quota_key: Some(ASKED.to_owned()), ..Query::default() };
    let lease = rotation.acquire(&query, NOW).expect("somebody serves");
    drop(black_box(rotation.settle(lease, &Outcome::Cancelled, false, NOW)));
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

/// The head of an answer: what the vendor's front says, and what it says of quotas.
const HEAD: [(&str, &str); 16] = [
    ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-request-id", "5f4c0c1e-6a0b-4a37-9b1c-0d0c7d1f2a3b"),
    ("openai-processing-ms", "412"),
    ("x-codex-plan-type", "plus"),
    ("x-codex-primary-used-percent", "12.5"),
    ("x-codex-primary-window-minutes", "300"),
    ("x-codex-primary-reset-at", "1800003600"),
    ("x-codex-secondary-used-percent", "48"),
    ("x-codex-secondary-window-minutes", "10080"),
    ("x-codex-secondary-reset-after-seconds", "86400"),
    ("x-codex-credits-has-credits", "false"),
    ("strict-transport-security", "max-age=31536000"),
    ("server", "cloudflare"),
    ("alt-svc", "h3=\":443\"; ma=86400"),
];

/// A stream of two hundred deltas and its end, in pieces as they come off the wire.
fn stream() -> Vec<u8> {
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\
                 \"output_index\":0,\"content_index\":0,\"delta\":\" a few words of an answer\"}\n\n";
    let end = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\
               \"usage\":{\"input_tokens\":1000,\"output_tokens\":200,\"total_tokens\":1200}}}\n\n";
    [delta.repeat(200), end.to_owned()].concat().into_bytes()
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
