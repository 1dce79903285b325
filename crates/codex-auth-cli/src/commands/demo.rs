//! `demo`: the product's main job in ten seconds, against a fake OpenAI on this machine.
//!
//! Three sign-ins through the real OAuth code; then account 1 reaches its limit, account 2's token is renewed, and the
//! agent is killed in mid-turn. Everything lives in a directory of its own with an environment of its own, without a
//! way to the outside, and nothing is left behind.

mod browser;
mod client;
mod isolation;
mod stage;
mod tally;

use std::{process::ExitCode, time::Duration};

use codex_auth_core::Kind;
use codex_auth_testkit::{Act, FakeOpenAi, Fault, Route, Setup, SignIn, Who};

use self::stage::Stage;
use crate::{assemble::Product, error::CliError};

pub(crate) use client::{NAME as CLIENT_NAME, answer as answer_as_client};

/// How long a held turn may take to reach the fake.
const TURN_WITHIN: Duration = Duration::from_secs(20);

/// How the demo was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoArguments {
    /// Already inside a network of its own
    #[arg(long, hide = true)]
    inside: bool,
}

/// Plays the demo.
pub(crate) fn demo(product: &Product, arguments: &DemoArguments) -> Result<ExitCode, CliError> {
    if !arguments.inside
        && let Some(ended) = isolation::replay_inside(product)
    {
        return Ok(ended);
    }
    let ui = product.ui;
    let fake = FakeOpenAi::start_blocking(&Setup::default()).map_err(|error| failed(&error.to_string()))?;
    let stage = Stage::set(product, &fake)?;
    ui.line("A fake OpenAI runs on this machine; nothing here reaches the real one.");
    ui.line(&format!("Client: {}", stage.client_line()));

    ui.line("\nSigning in three accounts (browser flow, PKCE, loopback callback):");
    for number in 1..=3 {
        fake.next_login(SignIn::of(Who::Account(number)));
        stage.sign_in()?;
        ui.line(&format!("  account {number} signed in"));
    }

    ui.line("\nTurn 1: all accounts are fresh.");
    turn(&stage, &fake)?;

    ui.line("\nTurn 2: account 1 reaches its limit.");
    fake.exhaust(Who::Account(1), Some(Duration::from_hours(2)));
    turn(&stage, &fake)?;

    ui.line("\nTurn 3: account 2's token is no longer accepted.");
    fake.expire_access(Who::Account(2));
    turn(&stage, &fake)?;

    ui.line("\nTurn 4: the agent is killed in mid-turn.");
    fake.fault(Fault::once(Route::Responses, Act::Hold { after_events: 1 }));
    killed_turn(&stage, &fake)?;

    ui.line(&format!("\n{}", tally::table(&stage.pool()?, &fake, product.clock.now())));
    let attempts = stage.strike()?;
    if !attempts.is_empty() {
        return Err(failed(&format!("something tried to leave the machine: {}", attempts.join(", "))));
    }
    ui.line("Nothing left the machine, and nothing is left behind.");
    Ok(ExitCode::SUCCESS)
}

/// One turn of the client, told as it goes.
fn turn(stage: &Stage<'_>, fake: &FakeOpenAi) -> Result<(), CliError> {
    let before = tally::counts(fake);
    let answer = stage.client()?.wait()?;
    tell(stage, &before, fake, &answer);
    Ok(())
}

/// A turn whose agent is killed while the answer is on its way.
fn killed_turn(stage: &Stage<'_>, fake: &FakeOpenAi) -> Result<(), CliError> {
    let before = tally::counts(fake);
    let running = stage.client()?;
    if !fake.wait_until_held(1, TURN_WITHIN) {
        return Err(failed("the turn never reached the fake"));
    }
    let pid = stage.kill_agent()?;
    stage.say(&format!("  agent {pid} killed; the wrapper starts another one on the same port"));
    fake.release();
    let answer = running.wait()?;
    tell(stage, &before, fake, &answer);
    Ok(())
}

fn tell(stage: &Stage<'_>, before: &tally::Tally, fake: &FakeOpenAi, answer: &str) {
    for line in tally::since(before, &tally::counts(fake)) {
        stage.say(&format!("  {line}"));
    }
    stage.say(&format!("  codex printed: {answer}"));
}

fn failed(why: &str) -> CliError {
    CliError::new(Kind::Internal, "demo_failed", format!("The demo failed: {why}."))
}
