//! What other programs of the same user can see of ours: command lines and environments, as long as they live.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::Secrets;
use crate::namespace::Namespace;
use crate::wait;

/// Variables that may hold a secret, and why.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("HTTPS_PROXY", "the person put the proxy's password there, and every child inherits it"),
    ("OPENAI_API_KEY", "the person put the key there"),
    ("CODEX_API_KEY", "the lease's token, in the official client alone: it serves model routes of one session only"),
];

/// How long the watcher looks away.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sight {
    line: Vec<u8>,
    environment: Vec<u8>,
}

/// Looks at every process of a world again and again, and remembers what it saw.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<Sight>>>,
    /// Judged once already.
    judged: BTreeSet<Sight>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch. The fake is no program of ours.
    #[must_use]
    pub fn over(namespace: Arc<Namespace>, fake: u32) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (stopped, sights) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for process in namespace.processes().into_iter().filter(|process| process.pid != fake) {
                    let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
                    let sight = Sight { line: process.line.into_bytes(), environment };
                    sights.lock().unwrap_or_else(PoisonError::into_inner).insert(sight);
                }
                let _ = wait::until(PAUSE, || stopped.load(Ordering::Relaxed).then_some(()));
            }
        });
        Self { stop, seen, judged: BTreeSet::new(), thread: Some(thread) }
    }

    /// Adds what a program that lived too briefly to be met shows of itself, as `/proc` has it.
    pub fn note(&self, line: &[u8], environment: &[u8]) {
        let line = line.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
        let sight = Sight { line, environment: environment.to_vec() };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(sight);
    }

    /// How many different processes were judged.
    #[must_use]
    pub fn count(&self) -> usize {
        self.judged.len()
    }

    /// Every secret that could be seen since the last judgement, whoever could have looked.
    pub fn leaks(&mut self, secrets: &Secrets) -> BTreeSet<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let new: Vec<Sight> = seen.into_iter().filter(|sight| !self.judged.contains(sight)).collect();
        let leaks = all_leaks(secrets, &new);
        self.judged.extend(new);
        leaks
    }

    /// Every secret that could be seen at any time, by what is known to be secret now.
    #[must_use]
    pub fn leaks_at_any_time(&self, secrets: &Secrets) -> BTreeSet<String> {
        all_leaks(secrets, &self.judged)
    }
}

fn all_leaks<'a>(secrets: &Secrets, sights: impl IntoIterator<Item = &'a Sight>) -> BTreeSet<String> {
    sights.into_iter().flat_map(|sight| leaks_of(secrets, &sight.line, &sight.environment)).collect()
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in the watcher is reported by the thread itself.
            let _ = thread.join();
        }
    }
}

/// What one process shows; the variables a person filled, and the lease's, are judged by their names.
fn leaks_of(secrets: &Secrets, line: &[u8], environment: &[u8]) -> Vec<String> {
    let program = String::from_utf8_lossy(line).split(' ').next().unwrap_or_default().to_owned();
    let mut leaks: Vec<String> =
        secrets.hits(line).into_iter().map(|what| format!("{what}, stands in the command line of {program}")).collect();
    for variable in environment.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(variable);
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        let is_ours = program.ends_with("codex-multi-auth");
        let may = ENVIRONMENT.iter().any(|(allowed, _)| *allowed == name);
        // A token of the pool is nobody's API key, and we are started with none.
        let is_pools = secrets.what(value).is_some_and(|what| what != LEASE) || is_ours;
        if may && !(name == "CODEX_API_KEY" && is_pools) {
            continue;
        }
        let place = |what: String| format!("{what}, stands in {name} of {program}");
        leaks.extend(secrets.hits(variable).into_iter().map(place));
    }
    leaks
}

/// What the token of a lease is called among the secrets.
const LEASE: &str = "lease token";

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "CANARY-0123456789abcdef";

    #[track_caller]
    fn check(what: &str, line: &str, environment: &str, expect: usize) {
        let mut secrets = Secrets::default();
        secrets.add(what, SECRET);
        let whole = |leak: &String| leak.contains(", whole, ");
        let leaks = leaks_of(&secrets, line.as_bytes(), environment.replace(' ', "\0").as_bytes());
        assert_eq!(leaks.iter().filter(|leak| whole(leak)).count(), expect, "{leaks:?}");
    }

    #[test]
    fn a_lease_is_shown_to_the_client_alone() {
        check(LEASE, "/bin/codex exec", &format!("A=1 CODEX_API_KEY={SECRET}"), 0);
        check(LEASE, "/bin/codex exec", &format!("OTHER={SECRET}"), 1);
        check(LEASE, "/bin/codex-multi-auth serve", &format!("CODEX_API_KEY={SECRET}"), 1);
        check(LEASE, &format!("/bin/codex --key {SECRET}"), "A=1", 1);
        check("access token of account 1", "/bin/codex exec", &format!("CODEX_API_KEY={SECRET}"), 1);
        check("proxy password", "/bin/codex exec", &format!("HTTPS_PROXY=http://me:{SECRET}@h"), 0);
    }
}
