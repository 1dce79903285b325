//! A load of loopback requests: a closed loop of threads with one kept connection each, or streams held open.
//! Prints one JSON line. The token comes from a file, so that it stands in no command line.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring tool: the clock and a file are its inputs, standard output is its answer"
)]

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use codex_auth_bench::clock_nanos;
use codex_auth_bench::exchange::{Connection, request};
use codex_auth_bench::shape::{BURST, EVENT, Shape, stamp_of};
use codex_auth_bench::tally::Tally;
use serde_json::{Value, json};

/// Failures after which a thread gives up, so that a broken way costs no time.
const PATIENCE: u64 = 20;

#[derive(Parser)]
struct Arguments {
    /// Loopback port to ask
    #[arg(long)]
    port: u16,
    /// JSON file whose `clientToken` is presented
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// What to ask for: small, long-BYTES, paced-EVENTS or held
    #[arg(long)]
    shape: Shape,
    /// Threads, or streams
    #[arg(long, default_value_t = 1)]
    concurrency: usize,
    /// How long a closed loop runs; without it every thread makes one request
    #[arg(long)]
    millis: Option<u64>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let token = match &arguments.token_file {
        Some(file) => token_in(file)?,
        None => "none".to_owned(),
    };
    let answer = match arguments.shape {
        Shape::Held => return hold(&arguments, &token),
        Shape::Paced { .. } => paced(&arguments, &token),
        Shape::Small | Shape::Long { .. } => closed_loop(&arguments, &token),
    };
    println!("{answer}");
    Ok(())
}

fn token_in(file: &Path) -> io::Result<String> {
    let record: Value = serde_json::from_slice(&fs::read(file)?)?;
    record["clientToken"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("no clientToken in the file"))
}

/// Each thread asks again as soon as it has been answered.
fn closed_loop(arguments: &Arguments, token: &str) -> Value {
    let began = Instant::now();
    let end = arguments.millis.map(|millis| began + Duration::from_millis(millis));
    let mut all = Tally::default();
    let mut first_bytes = Tally::default();
    for (tally, first) in on_threads(arguments.concurrency, |session| repeat(arguments, token, session, end)) {
        all.add(tally);
        first_bytes.add(first);
    }
    let seconds = began.elapsed().as_secs_f64();
    json!({
        "requests": all.took.len(), "failures": all.failures, "failure": all.first_failure, "seconds": seconds,
        "p50_us": all.percentile(0.5), "p99_us": all.percentile(0.99), "first_byte_us": first_bytes.percentile(0.5),
        "bytes": all.took.len() * arguments.shape.length().unwrap_or(0),
    })
}

fn repeat(arguments: &Arguments, token: &str, session: usize, end: Option<Instant>) -> (Tally, Tally) {
    let asked = request(arguments.port, token, session, arguments.shape);
    let (mut tally, mut first) = (Tally::default(), Tally::default());
    let mut kept = None;
    while tally.failures < PATIENCE {
        let began = Instant::now();
        match once(arguments, &asked, &mut kept) {
            Ok(until_first) => {
                first.succeeded(until_first);
                tally.succeeded(began.elapsed());
            }
            Err(error) => {
                kept = None;
                tally.failed(&error);
            }
        }
        if end.is_none_or(|end| Instant::now() >= end) {
            break;
        }
    }
    (tally, first)
}

/// One whole exchange; tells how long the first byte of the body took.
fn once(arguments: &Arguments, asked: &[u8], kept: &mut Option<Connection>) -> io::Result<Duration> {
    let connection = match kept {
        Some(connection) => connection,
        None => kept.insert(Connection::open(arguments.port)?),
    };
    let began = Instant::now();
    let mut answer = connection.ask(asked)?;
    let first = answer.piece()?.map_or(0, <[u8]>::len);
    let until_first = began.elapsed();
    if Some(first + answer.drain()?) == arguments.shape.length() {
        return Ok(until_first);
    }
    Err(io::Error::other("an answer of the wrong length"))
}

/// Streams side by side; what counts is how old each event is when it arrives. The first of a stream is left out.
fn paced(arguments: &Arguments, token: &str) -> Value {
    let began = Instant::now();
    let mut all = Tally::default();
    for tally in on_threads(arguments.concurrency, |session| listen(arguments, token, session)) {
        all.add(tally);
    }
    let seconds = began.elapsed().as_secs_f64();
    json!({
        "events": all.took.len(), "failures": all.failures, "failure": all.first_failure, "seconds": seconds,
        "p50_us": all.percentile(0.5), "p90_us": all.percentile(0.9), "p99_us": all.percentile(0.99),
    })
}

fn listen(arguments: &Arguments, token: &str, session: usize) -> Tally {
    let asked = request(arguments.port, token, session, arguments.shape);
    let mut tally = Tally::default();
    // What was received before a failure counts for nothing.
    let heard = Connection::open(arguments.port).and_then(|mut connection| {
        let mut answer = connection.ask(&asked)?;
        let mut heard = Vec::new();
        let mut event = Vec::with_capacity(2 * EVENT);
        let mut whole = 0;
        while let Some(piece) = answer.piece()? {
            let now = clock_nanos();
            whole += piece.len();
            event.extend_from_slice(piece);
            while event.len() >= EVENT {
                let stamp = stamp_of(&event).ok_or_else(|| io::Error::other("an event without a stamp"))?;
                heard.push(Duration::from_nanos(now.saturating_sub(stamp)));
                event.drain(..EVENT);
            }
        }
        if Some(whole) == arguments.shape.length() { Ok(heard) } else { Err(io::Error::other("events are missing")) }
    });
    match heard {
        Ok(heard) => heard.into_iter().skip(1).for_each(|delay| tally.succeeded(delay)),
        Err(error) => tally.failed(&error),
    }
    tally
}

/// Opens streams, reads the burst of each, says so, and holds them until our input ends.
fn hold(arguments: &Arguments, token: &str) -> io::Result<()> {
    let mut held = Vec::new();
    for session in 0..arguments.concurrency {
        let mut connection = Connection::open(arguments.port)?;
        let mut answer = connection.ask(&request(arguments.port, token, session, arguments.shape))?;
        let mut received = 0;
        while received < BURST / EVENT * EVENT {
            received += answer.piece()?.ok_or_else(|| io::Error::other("a stream that ended"))?.len();
        }
        held.push(connection);
    }
    println!("{}", json!({ "held": held.len() }));
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn on_threads<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count).map(|session| scope.spawn(move || work(session))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a load thread does not panic")).collect()
    })
}
