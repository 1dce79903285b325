//! One child of a world: its output as it comes, its signals, its end, always within a limit.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait;

/// How long an ordinary call of a client may take.
pub const LIMIT: Duration = Duration::from_secs(30);

/// How long the last output may take to arrive once a child has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// Everything a child has written so far to one of its streams.
#[derive(Debug, Clone, Default)]
pub struct Stream(Arc<Mutex<Vec<u8>>>);

impl Stream {
    /// What has arrived, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn follow(&self, mut from: impl Read + Send + 'static) -> Receiver<()> {
        let (end, ended) = mpsc::channel();
        let held = Arc::clone(&self.0);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut piece) {
                held.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..read]);
            }
            // Nobody listens any more when the child was killed at the end of its world.
            let _ = end.send(());
        });
        ended
    }
}

/// What a world remembers of a child after handing it to the test.
#[derive(Debug, Clone)]
pub struct Record {
    /// The command line.
    pub line: String,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
}

/// A child that has not been waited for.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    record: Record,
    ended: Receiver<ExitStatus>,
    drained: [Receiver<()>; 2],
    began: Instant,
    reaped: bool,
    /// Where a person types; closed where the whole input was known at the start.
    keyboard: Option<ChildStdin>,
}

impl Running {
    /// Starts a child with `input` as its whole standard input.
    pub(crate) fn start(command: Command, line: String, input: &[u8]) -> Self {
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut running = Self::begin(command, line, stdin);
        if let Some(mut stdin) = running.keyboard.take() {
            // A child may end before it has read everything.
            let _ = stdin.write_all(input);
        }
        running
    }

    /// Starts a child whose input comes later, by [`Running::types`].
    pub(crate) fn start_open(command: Command, line: String) -> Self {
        Self::begin(command, line, Stdio::piped())
    }

    fn begin(mut command: Command, line: String, stdin: Stdio) -> Self {
        let began = Instant::now();
        let spawned = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        let keyboard = child.stdin.take();
        let record = Record { line, stdout: Stream::default(), stderr: Stream::default() };
        let stdout = child.stdout.take().expect("standard output was piped at spawn");
        let stderr = child.stderr.take().expect("standard error was piped at spawn");
        let drained = [record.stdout.follow(stdout), record.stderr.follow(stderr)];
        let pid = Pid::from_child(&child);
        Self { pid, record, ended: collect(child), drained, began, reaped: false, keyboard }
    }

    /// Types a line and closes the input.
    pub fn types(&mut self, line: &str) {
        if let Some(mut keyboard) = self.keyboard.take() {
            // A child may end before it has read everything.
            let _ = writeln!(keyboard, "{line}");
        }
    }

    /// What the world keeps of it.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Process id of the program itself.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal to this process alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.record.line));
    }

    /// Sends a signal to its whole process group, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid, signal)
            .unwrap_or_else(|error| panic!("cannot signal the group of {}: {error}", self.record.line));
    }

    /// Waits until `text` stands on standard output and returns how long that took since the start.
    #[track_caller]
    pub fn wait_for_stdout(&self, text: &str, limit: Duration) -> Duration {
        self.wait_for(&self.record.stdout, text, limit)
    }

    /// Waits until `text` stands on standard error and returns how long that took since the start.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str, limit: Duration) -> Duration {
        self.wait_for(&self.record.stderr, text, limit)
    }

    #[track_caller]
    fn wait_for(&self, stream: &Stream, text: &str, limit: Duration) -> Duration {
        let seen = wait::until(limit, || stream.text().contains(text).then(|| self.began.elapsed()));
        seen.unwrap_or_else(|| {
            panic!("`{text}` did not appear within {limit:?}\n{}", describe(&self.record, "still running"))
        })
    }

    /// Waits for the end; a child that outlives `limit` is killed with its group and fails the test.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Finished {
        let Ok(status) = self.ended.recv_timeout(limit) else {
            panic!("no end within {limit:?}\n{}", describe(&self.record, "killed"));
        };
        self.reaped = true;
        let elapsed = self.began.elapsed();
        for stream in &self.drained {
            // A descendant that keeps the stream open is found by the checks at the end of the world.
            let _ = stream.recv_timeout(DRAIN);
        }
        Finished {
            code: status.code(),
            signal: status.signal(),
            stdout: self.record.stdout.text(),
            stderr: self.record.stderr.text(),
            elapsed,
            line: self.record.line.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped && self.ended.try_recv().is_err() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

/// How a child ended, and everything it said.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
    /// The command line.
    pub line: String,
}

impl Finished {
    /// Asserts exit code 0.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the exit code is all a test asks for")]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "expected exit code 0\n{}", self.story());
        self
    }

    /// Asserts that it ended by itself with a code other than 0.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the exit code is all a test asks for")]
    pub fn fails(self) -> Self {
        assert!(self.code.is_some_and(|code| code != 0), "expected an exit code other than 0\n{}", self.story());
        self
    }

    /// Both streams, for a sentence that may stand on either.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The call as a failure message shows it.
    #[must_use]
    pub fn story(&self) -> String {
        let end = format!("code {:?}, signal {:?}, {:.2?}", self.code, self.signal, self.elapsed);
        format!("$ {}\n[{end}]\n--- stdout\n{}--- stderr\n{}---", self.line, self.stdout, self.stderr)
    }
}

/// A child as a failure message shows it.
pub(crate) fn describe(record: &Record, end: &str) -> String {
    format!("$ {}\n[{end}]\n--- stdout\n{}--- stderr\n{}---", record.line, record.stdout.text(), record.stderr.text())
}

fn collect(mut child: Child) -> Receiver<ExitStatus> {
    let (send, ended) = mpsc::channel();
    thread::spawn(move || {
        if let Ok(status) = child.wait() {
            // The world may have ended already.
            let _ = send.send(status);
        }
    });
    ended
}
