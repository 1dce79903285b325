//! Core alone: which account serves, and why not the others? No I/O, no runtime, no clock.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use codex_auth_core::{Ask, Rest, RestReason, Seat, Standards, Strategy, Timestamp, evaluate, testing};

fn main() {
    let now = Timestamp::from_secs(1_800_000_000);
    let mut accounts = [testing::account(1), testing::account(2), testing::account(3)];
    accounts[0].rest(Rest::of_account(RestReason::UsageLimit, Timestamp::from_secs(1_800_003_600), now));
    accounts[1].enabled = false;

    let seats = accounts.each_ref().map(Seat::of);
    let standards = Standards { strategy: Strategy::Sequential, ..Standards::default() };
    let decision = evaluate(&seats, standards, Ask::default(), now);

    for (number, standing) in decision.standings.iter().enumerate() {
        let why: Vec<_> = standing.blockers.iter().map(ToString::to_string).collect();
        let state = if standing.is_ready() { "ready".to_owned() } else { why.join(", ") };
        println!("account {}: {state}", number + 1);
    }
    let (record, reason) = decision.choice.expect("account 3 can serve");
    println!("chosen: {record} ({})", reason.as_str());
}
