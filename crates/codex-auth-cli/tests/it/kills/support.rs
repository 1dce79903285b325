//! A command under way: somebody hears it and opens what it wants opened, its end is an event, and whoever waits for
//! anything has a deadline.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use codex_auth_testkit::Record;

use crate::{
    browser::open,
    world::{Said, World},
};

/// Between two looks at something that tells nobody when it comes.
const GLANCE: Duration = Duration::from_micros(50);

/// Between two looks at the command while the issuer would tell.
const TURN: Duration = Duration::from_millis(2);

/// A command that was started.
pub(super) struct Running {
    child: Child,
    /// Closed when the command has closed its own end.
    ended: Receiver<Infallible>,
    out: JoinHandle<Vec<u8>>,
    /// What it said to the person at the browser.
    heard: JoinHandle<String>,
    what: String,
    deadline: Instant,
}

impl Running {
    pub(super) fn start(world: &World, words: &[&str], patience: Duration) -> Self {
        let mut command = world.own_command(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let talk = BufReader::new(child.stderr.take().expect("piped"));
        let mut stdout = child.stdout.take().expect("piped");
        let (until_closed, ended) = channel();
        let out = std::thread::spawn(move || {
            let mut out = Vec::new();
            // What was said before a kill is of no interest.
            let _ = stdout.read_to_end(&mut out);
            drop(until_closed);
            out
        });
        let heard = std::thread::spawn(move || {
            let mut heard = String::new();
            for line in talk.lines().map_while(Result::ok) {
                if line.trim().contains("/oauth/authorize?") {
                    // Nobody listens any more once it is killed.
                    let _ = open(line.trim());
                }
                heard = heard + &line + "\n";
            }
            heard
        });
        Self { child, ended, out, heard, what: format!("{words:?}"), deadline: Instant::now() + patience }
    }

    /// Whether it is still under way after so long; returns at once when it ends.
    pub(super) fn outlasts(&self, span: Duration) -> bool {
        self.ended.recv_timeout(span) == Err(RecvTimeoutError::Timeout)
    }

    /// Looks until `seen` holds; `false` when it ended first.
    pub(super) fn until(&self, seen: impl Fn() -> bool) -> bool {
        self.look(seen, GLANCE)
    }

    /// Waits for the issuer to log something; `false` when the command ended first.
    pub(super) fn until_logged(&self, world: &World, seen: impl Fn(&Record) -> bool) -> bool {
        self.look(|| world.fake().wait_for_log(TURN, |log| log.iter().any(&seen)), Duration::ZERO)
    }

    fn look(&self, seen: impl Fn() -> bool, pause: Duration) -> bool {
        loop {
            if seen() {
                return true;
            }
            if !self.outlasts(pause) {
                return false;
            }
            assert!(Instant::now() < self.deadline, "{} does not end", self.what);
        }
    }

    /// Kills it; `false` when it had ended by itself.
    pub(super) fn kill(mut self) -> bool {
        self.child.kill().expect("a child");
        let status = self.child.wait().expect("a child");
        self.heard.join().expect("no browser panics");
        status.signal() == Some(9)
    }

    /// Lets it end.
    pub(super) fn said(mut self, world: &World) -> Said {
        if self.outlasts(self.deadline.saturating_duration_since(Instant::now())) {
            self.child.kill().expect("a child");
            panic!("{} waits for something", self.what);
        }
        let status = self.child.wait().expect("a child");
        let stdout = self.out.join().expect("no reader panics");
        let stderr = self.heard.join().expect("no browser panics").into_bytes();
        world.said(&std::process::Output { status, stdout, stderr })
    }
}
