//! A network of one world: loopback and nothing else, shared by every process of the world.
//!
//! A holder process keeps the namespace alive until its standard input closes, which also happens when the test
//! program dies. Where the kernel denies namespaces the world falls back to the refusing proxy alone.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

const HOLDER: &str = "ip link set lo up && echo ready && exec cat";

/// The namespace, or the lack of one.
#[derive(Debug)]
pub struct Namespace {
    holder: Option<Child>,
}

impl Namespace {
    /// Opens a namespace with loopback up.
    #[must_use]
    pub fn open() -> Self {
        let holder = Self::hold();
        if holder.is_none() {
            eprintln!("network namespaces are denied here: outside traffic is refused by the proxy alone");
        }
        Self { holder }
    }

    fn hold() -> Option<Child> {
        let mut unshare = Command::new(tool("unshare"));
        unshare
            .args(["-n", "--", "sh", "-c", HOLDER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut holder = unshare.spawn().ok()?;
        let mut line = String::new();
        let ready = BufReader::new(holder.stdout.take()?).read_line(&mut line);
        if ready.is_ok() && line.trim() == "ready" {
            return Some(holder);
        }
        let _ = holder.wait();
        None
    }

    /// Whether there is a namespace, so that fixed ports are free.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.holder.is_some()
    }

    /// A command that runs `program` inside, leads a process group of its own, and dies with the test that made it.
    ///
    /// All prefixes replace themselves by the program: the child's process id is the program's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.holder {
            Some(holder) => {
                let mut command = Command::new(tool("nsenter"));
                command.args(["-t", &holder.id().to_string(), "-n", "--"]).arg(tool("setpriv"));
                command
            }
            None => Command::new(tool("setpriv")),
        };
        command.args(["--pdeathsig", "KILL", "--"]).arg(tool("env"));
        // Whoever runs the suite may ignore signals (`nohup` does), and a program inherits that.
        command.arg("--default-signal=HUP,INT,QUIT,TERM,TSTP").arg(program).process_group(0);
        command
    }

    /// The processes inside, without the holder; none where there is no namespace to tell them by.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let Some(holder) = &self.holder else { return Vec::new() };
        let Some(ours) = network_of(holder.id()) else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| *pid != holder.id() && network_of(*pid).as_ref() == Some(&ours))
            .filter_map(Process::read)
            .collect()
    }

    /// Ends everything inside and waits until it is gone.
    pub fn clear(&mut self) {
        let mut kill = || {
            let left = self.processes();
            for process in &left {
                process.kill();
            }
            left.is_empty().then_some(())
        };
        let cleared = wait::until(Duration::from_secs(5), &mut kill);
        let is_clear = cleared.is_some() || std::thread::panicking();
        assert!(is_clear, "processes survived the end of their world: {:?}", self.processes());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.clear();
        if let Some(mut holder) = self.holder.take() {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// The command line, words separated by spaces.
    pub line: String,
    /// One letter: `R`unning, `S`leeping, s`T`opped, …
    pub state: char,
}

impl Process {
    /// Reads a living process; `None` when it is gone or only waits to be collected.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(dir.join("stat")).ok()?;
        let state = stat.rsplit_once(") ")?.1.chars().next().filter(|state| !matches!(state, 'Z' | 'X'))?;
        let words = fs::read(dir.join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
        Some(Self { pid, line, state })
    }

    /// Resident memory in bytes; `None` when the process is gone.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        self.status_bytes("VmRSS:")
    }

    /// Memory of its own, without the pages of files, in bytes; `None` when the process is gone.
    #[must_use]
    pub fn private_bytes(&self) -> Option<u64> {
        self.status_bytes("RssAnon:")
    }

    fn status_bytes(&self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    /// Kills the process at once, as `kill -9` does.
    pub fn kill(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A system tool by its whole path: a world's own PATH may lead nowhere.
fn tool(name: &str) -> PathBuf {
    let dirs = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

fn network_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(pid.to_string()).join("ns/net")).ok()
}
