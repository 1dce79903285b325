//! A program beside us: started with a pipe as its input, which ends it, and one first line that says where it is.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to say its first line.
const READY: Duration = Duration::from_secs(20);

/// A running program; dropping it ends it.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    /// Its first line.
    pub(crate) said: String,
    /// How long that took, from before the start.
    pub(crate) ready_after: Duration,
}

impl Running {
    /// Starts a program and waits for its first line.
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let name = name_of(command);
        let began = Instant::now();
        let mut child = spawn(command, Stdio::piped())?;
        let stdout = child.stdout.take().ok_or("standard output was piped at the start")?;
        let (send, said) = mpsc::channel();
        thread::spawn(move || {
            let mut first = String::new();
            // A program that ends without a word is reported by the empty line.
            let _ended = BufReader::new(stdout).read_line(&mut first);
            let _gone = send.send((first, Instant::now()));
        });
        let input = child.stdin.take();
        let mut running = Self { child, input, said: String::new(), ready_after: Duration::ZERO };
        match said.recv_timeout(READY) {
            Ok((first, at)) if !first.trim().is_empty() => {
                first.trim().clone_into(&mut running.said);
                running.ready_after = at.duration_since(began);
                Ok(running)
            }
            Ok(_) | Err(_) => Err(format!("{name} did not come up")),
        }
    }

    /// Starts a program that says nothing.
    pub(crate) fn start_silent(command: &mut Command) -> Result<Self, String> {
        let mut child = spawn(command, Stdio::null())?;
        let input = child.stdin.take();
        Ok(Self { child, input, said: String::new(), ready_after: Duration::ZERO })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its first line as a port.
    pub(crate) fn port(&self) -> Result<u16, String> {
        self.said.parse().map_err(|_| format!("`{}` is no port", self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap_or(0)) {
            // It may have ended with its input already.
            let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _status = self.child.wait();
    }
}

fn spawn(command: &mut Command, output: Stdio) -> Result<Child, String> {
    let name = name_of(command);
    let spawned = command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::null()).spawn();
    spawned.map_err(|e| format!("cannot start {name}: {e}"))
}

fn name_of(command: &Command) -> String {
    command.get_program().display().to_string()
}
