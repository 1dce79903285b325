//! A child process runs with its output streamed, within a time limit, and leaves nothing running behind it.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long the last lines of output may take to arrive after the process has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a child did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("cannot start {line}: {source}")]
    Start { line: String, source: std::io::Error },
    #[error("{line} did not end within {} s and was stopped", limit.as_secs())]
    TimedOut { line: String, limit: Duration },
    #[error("{line} failed: {status}")]
    Failed { line: String, status: ExitStatus },
    #[error("cannot wait for {line}: {source}")]
    Wait { line: String, source: std::io::Error },
}

/// What to do with standard output, besides collecting it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// Print each line as it comes.
    Lines,
    /// Collect in silence.
    Silent,
}

/// An ended child: how it ended, and everything it wrote to standard output.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
}

/// Runs `command` to its end, whatever its exit code. Standard input is closed, standard error is passed through.
pub(crate) fn run(command: &mut Command, limit: Duration, echo: Echo) -> Result<Ended, ChildError> {
    let line = line_of(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| ChildError::Start { line: line.clone(), source })?;
    let output = read_lines(&mut child, echo);
    let status = wait(child, &line, limit)?;
    let stdout = output.recv_timeout(DRAIN).unwrap_or_default();
    Ok(Ended { status, stdout })
}

/// Runs `command`, echoing its output; an exit code other than 0 is an error.
pub(crate) fn succeed(command: &mut Command, limit: Duration) -> Result<(), ChildError> {
    capture(command, limit, Echo::Lines).map(drop)
}

/// Runs `command` and returns its standard output; an exit code other than 0 is an error.
pub(crate) fn capture(command: &mut Command, limit: Duration, echo: Echo) -> Result<String, ChildError> {
    let ended = run(command, limit, echo)?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    Err(ChildError::Failed { line: line_of(command), status: ended.status })
}

/// The command as a person would type it: the program by its name, not by its path.
fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = std::iter::once(program.file_name().unwrap_or(program.as_os_str())).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn read_lines(child: &mut Child, echo: Echo) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    let stdout = child.stdout.take().expect("standard output was piped at spawn");
    thread::spawn(move || {
        let mut text = String::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if echo == Echo::Lines {
                println!("{line}");
            }
            text.push_str(&line);
            text.push('\n');
        }
        // The receiver is gone only when a time limit has already been reported.
        let _ = send.send(text);
    });
    receive
}

fn wait(mut child: Child, line: &str, limit: Duration) -> Result<ExitStatus, ChildError> {
    let pid = child.id();
    let (send, ended) = mpsc::channel();
    thread::spawn(move || {
        // The receiver outlives this thread; it waits for exactly this message.
        let _ = send.send(child.wait());
    });
    match ended.recv_timeout(limit) {
        Ok(status) => status.map_err(|source| ChildError::Wait { line: line.to_owned(), source }),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            kill_tree(pid);
            Err(ChildError::TimedOut { line: line.to_owned(), limit })
        }
    }
}

/// Kills a process and its descendants. They stay in our process group, so that Ctrl-C at a terminal reaches them.
fn kill_tree(root: u32) {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, parent) in processes() {
        children.entry(parent).or_default().push(pid);
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    for pid in family.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Every process with its parent, as far as `/proc` tells.
fn processes() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, parent_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?))).collect()
}

/// Reads the parent out of a `stat` line; the program's name before it may itself hold spaces and brackets.
fn parent_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_collected_whatever_the_exit_code() {
        let ended = run(&mut shell("echo one; echo two; exit 3"), Duration::from_secs(10), Echo::Silent).unwrap();
        assert_eq!((ended.stdout.as_str(), ended.status.code()), ("one\ntwo\n", Some(3)));
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = succeed(&mut shell("exit 7"), Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 7 failed: exit status: 7");
    }

    #[test]
    fn a_time_limit_stops_the_grandchildren_too() {
        let mark = std::env::temp_dir().join(format!("xtask-child-{}", std::process::id()));
        let script = format!("sh -c 'echo $$ > {}; exec sleep 60' & wait", mark.display());
        let error = run(&mut shell(&script), Duration::from_millis(500), Echo::Silent).err().unwrap();
        assert!(matches!(error, ChildError::TimedOut { .. }), "{error}");
        let grandchild: u32 = fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
        fs::remove_file(&mark).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_running(grandchild) {
            assert!(Instant::now() < deadline, "process {grandchild} survived");
            thread::yield_now();
        }
    }

    fn is_running(pid: u32) -> bool {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = state.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned));
        state.is_some_and(|state| state != "Z")
    }

    #[test]
    fn a_name_with_brackets_does_not_hide_the_parent() {
        assert_eq!(parent_of("12 (tmux: server) (x) S 7 12 12 0"), Some(7));
    }
}
