//! `fake-openai`: one fake in the foreground, until it is killed.
#![allow(clippy::print_stdout, reason = "the ready line is this program's output")]

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Parser;
use codex_auth_testkit::{Egress, FakeOpenAi, LoginKnobs, PoolKnobs, Setup, Who};

/// A hermetic OpenAI on loopback: issuer, backend, quotas and faults. Control API under /__control.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Port on both loopback addresses; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many accounts the pool has
    #[arg(long, default_value_t = 3)]
    accounts: usize,
    /// Accounts that are used up from the start, e.g. 1,3
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    exhaust: Vec<usize>,
    /// The pool account that is asked first turns out to be used up
    #[arg(long)]
    exhaust_first_asked: bool,
    /// Write DIR/openai-codex-accounts.json with the pool's accounts
    #[arg(long, value_name = "DIR")]
    write_pool: Option<Utf8PathBuf>,
    /// Write DIR/auth.json with a login of the official client
    #[arg(long, value_name = "DIR")]
    write_login: Option<Utf8PathBuf>,
    /// Whose login that is: an account number, or nobody of the pool
    #[arg(long, value_name = "N", requires = "write_login")]
    login_of: Option<usize>,
    /// Write every request to FILE as JSON lines
    #[arg(long, value_name = "FILE")]
    log: Option<Utf8PathBuf>,
    /// Also run a proxy on this port that refuses everything
    #[arg(long, value_name = "PORT")]
    egress_port: Option<u16>,
    /// Write every attempt at that proxy to FILE as JSON lines
    #[arg(long, value_name = "FILE", requires = "egress_port")]
    egress_log: Option<Utf8PathBuf>,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(never) => never,
        Err(error) => {
            let causes = std::iter::successors(Some(&*error), |error| error.source());
            let text: Vec<String> = causes.map(ToString::to_string).collect();
            // Nothing is left to tell somebody whose stderr is gone.
            let _ =
                std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("fake-openai: {}\n", text.join(": ")));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let fake = FakeOpenAi::start_blocking(&Setup {
        port: args.port,
        accounts: args.accounts,
        exhausted: args.exhaust,
        first_asked_is_exhausted: args.exhaust_first_asked,
        log_file: args.log,
        ..Setup::default()
    })?;
    let egress = args.egress_port.map(|port| Egress::start(port, args.egress_log.as_deref())).transpose()?;
    if let Some(dir) = args.write_pool {
        fake.write_pool(&dir, &PoolKnobs::default())?;
    }
    if let Some(dir) = args.write_login {
        let who = args.login_of.map_or(Who::Outsider, Who::Account);
        fake.write_login(&dir, who, &LoginKnobs::default())?;
    }
    let mut ready = serde_json::json!({
        "ready": true, "url": fake.url(), "port": fake.port(), "pid": std::process::id(),
    });
    if let Some(egress) = &egress {
        ready["egressPort"] = egress.port().into();
    }
    println!("{ready}");
    loop {
        std::thread::park();
    }
}
