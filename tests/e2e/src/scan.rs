//! No secret leaves its store: files, output and command lines are searched for what the fake planted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use codex_auth_testkit::CANARY_MARK;

use crate::leaks::store_of;
use crate::namespace::Namespace;
use crate::process::Record;
use crate::wait;

/// The payload of every JWT of the fake begins with `{"jti":"CANARY-`, here in base64url.
const PAYLOAD: &[u8] = b"eyJqdGkiOiJDQU5BUlkt";

/// Digits after the mark that make it a secret and not a word about secrets.
const DIGITS: usize = 6;

/// Whether a text holds a planted secret.
#[must_use]
pub fn holds_canary(bytes: &[u8]) -> bool {
    let mark = CANARY_MARK.as_bytes();
    let is_secret = |rest: &[u8]| {
        rest.starts_with(PAYLOAD)
            || rest
                .strip_prefix(mark)
                .and_then(|rest| rest.get(..DIGITS))
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    (0..bytes.len()).any(|at| matches!(bytes[at], b'e' | b'C') && is_secret(&bytes[at..]))
}

/// Files below `dir` that hold a planted secret and are not stores of credentials.
#[must_use]
pub fn leaks_in_files(dir: &Path) -> Vec<String> {
    files_below(dir)
        .into_iter()
        .filter(|file| store_of(file).is_none() && fs::read(file).is_ok_and(|bytes| holds_canary(&bytes)))
        .map(|file| format!("a secret stands in {}", file.display()))
        .collect()
}

/// The one command that prints an account's own token, after a yes: its standard output is what it is for.
const RAW: &str = " token --raw ";

/// Children whose output holds a planted secret.
#[must_use]
pub fn leaks_in_output(records: &[Record]) -> Vec<String> {
    let mut leaks = Vec::new();
    for record in records {
        let is_raw = record.line.contains(RAW);
        for (name, stream) in [("standard output", &record.stdout), ("standard error", &record.stderr)] {
            let is_asked_for = is_raw && name == "standard output";
            if !is_asked_for && holds_canary(stream.text().as_bytes()) {
                leaks.push(format!("a secret stands in the {name} of `{}`", record.line));
            }
        }
    }
    leaks
}

/// Every file below `dir`, links not followed.
#[must_use]
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        // A directory may vanish while a process tidies up after itself.
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files.sort();
    files
}

/// Reads the command lines of a world again and again while its processes come and go.
#[derive(Debug)]
pub struct CommandLines {
    stop: Arc<AtomicBool>,
    leaks: Arc<Mutex<BTreeSet<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl CommandLines {
    /// Begins to watch the processes of a namespace.
    #[must_use]
    pub fn watch(namespace: Arc<Namespace>) -> Self {
        let (stop, leaks) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (stopped, found) = (Arc::clone(&stop), Arc::clone(&leaks));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for process in namespace.processes() {
                    if holds_canary(process.line.as_bytes()) {
                        let program = process.line.split(' ').next().unwrap_or_default();
                        let leak = format!("a secret stands in the command line of {program}");
                        found.lock().unwrap_or_else(PoisonError::into_inner).insert(leak);
                    }
                }
                // Ten looks a second see every process that lives long enough to be seen by others.
                let _ = wait::until(Duration::from_millis(100), || stopped.load(Ordering::Relaxed).then_some(()));
            }
        });
        Self { stop, leaks, thread: Some(thread) }
    }

    /// Ends the watch and returns what was seen.
    pub fn stop(&mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in the watcher is reported by the thread itself.
            let _ = thread.join();
        }
        self.leaks()
    }

    /// What was seen so far.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        self.leaks.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for CommandLines {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_secret_is_found_outside_the_stores_only() {
        let dir = tempfile::tempdir().unwrap();
        let secret = format!("x{CANARY_MARK}0123abcdef");
        for name in ["auth.json", "openai-codex-accounts.json.bak", "notes.txt"] {
            fs::write(dir.path().join(name), &secret).unwrap();
        }
        let leaks = leaks_in_files(dir.path());
        assert_eq!(leaks.len(), 1, "{leaks:?}");
        assert!(leaks[0].ends_with("notes.txt"), "{leaks:?}");
    }

    #[test]
    fn the_payload_of_a_planted_jwt_is_found() {
        assert!(holds_canary(b"Bearer aaa.eyJqdGkiOiJDQU5BUlktMTIz.sig"));
        assert!(!holds_canary(b"Bearer aaa.eyJqdGkiOiJzb21ldGhpbmcifQ.sig"));
        assert!(!holds_canary(b"tokens look like CANARY-... here"));
    }
}
