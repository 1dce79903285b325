//! When the kill comes: at a random point of the run, or just after something was seen to happen.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use codex_auth_testkit::Route;

use crate::{
    browser::open,
    world::{Said, World},
};

/// Between two looks.
const GLANCE: Duration = Duration::from_micros(20);

/// When.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// So long after the start.
    After(Duration),
    /// So long after this was seen.
    Seen(Sight, Duration),
}

/// What can be seen from outside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight {
    /// The intent to present a token.
    Journal,
    /// The issuer was asked.
    Asked,
    /// The issuer has answered.
    Answered,
    /// Somebody took the lock of the root.
    RootLock,
    /// A file is written beside the accounts.
    Beside,
    /// What the document has no room for.
    Sidecar,
    /// The document is another file.
    Document,
    /// The log of operations.
    Logged,
}

const SIGHTS: [Sight; 8] = [
    Sight::Journal,
    Sight::Asked,
    Sight::Answered,
    Sight::RootLock,
    Sight::Beside,
    Sight::Sidecar,
    Sight::Document,
    Sight::Logged,
];

impl Moment {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::After(_) => "at random",
            Self::Seen(Sight::Journal, _) => "after the intent",
            Self::Seen(Sight::Asked, _) => "after the issuer was asked",
            Self::Seen(Sight::Answered, _) => "after the issuer answered",
            Self::Seen(Sight::RootLock, _) => "after the root was locked",
            Self::Seen(Sight::Beside, _) => "while a file is written",
            Self::Seen(Sight::Sidecar, _) => "after the sidecar",
            Self::Seen(Sight::Document, _) => "after the document",
            Self::Seen(Sight::Logged, _) => "after the log",
        }
    }
}

/// Moments without end, the same for the same name: every other one at random, the others in the order of sights.
pub(super) struct Moments {
    chance: u64,
    whole: Duration,
    count: usize,
}

impl Moments {
    pub(super) fn seeded(name: &str, whole: Duration) -> Self {
        let chance = name.bytes().fold(0x9e37_79b9_7f4a_7c15, |seed: u64, byte| seed.rotate_left(7) ^ u64::from(byte));
        Self { chance, whole, count: 0 }
    }

    /// A part of `span`, evenly.
    fn part_of(&mut self, span: Duration) -> Duration {
        // Marsaglia's xorshift; any would do.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        span.mul_f64(f64::from(u32::try_from(self.chance >> 32).unwrap_or(0)) / f64::from(u32::MAX))
    }
}

impl Iterator for Moments {
    type Item = Moment;

    fn next(&mut self) -> Option<Moment> {
        self.count += 1;
        let sight = SIGHTS[self.count / 2 % SIGHTS.len()];
        Some(if self.count.is_multiple_of(2) {
            Moment::Seen(sight, self.part_of(Duration::from_millis(3)))
        } else {
            Moment::After(self.part_of(self.whole))
        })
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Killed {
    /// It was under way.
    InTime,
    /// It had ended.
    TooLate,
}

/// Starts the command and kills it at the moment, or lets it end when the moment never comes.
pub(super) fn kill(world: &World, words: &[&str], moment: Moment, patience: Duration) -> Killed {
    let (began, document) = (Instant::now(), file_of(world));
    let (mut child, browser) = start(world, words);
    let mut seen_at = None;
    loop {
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        let is_due = match moment {
            Moment::After(span) => began.elapsed() >= span,
            Moment::Seen(sight, span) => {
                if seen_at.is_none() && is_there(world, sight, document) {
                    seen_at = Some(Instant::now());
                }
                seen_at.is_some_and(|at| at.elapsed() >= span)
            }
        };
        if is_due {
            child.kill().expect("a child");
            break;
        }
        assert!(began.elapsed() < patience, "{words:?} does not end");
        std::thread::sleep(GLANCE);
    }
    let status = child.wait().expect("a child");
    browser.join().expect("no browser panics");
    if status.signal() == Some(9) { Killed::InTime } else { Killed::TooLate }
}

/// The command to its end, with somebody at the browser if it asks for one.
pub(super) fn run(world: &World, words: &[&str], patience: Duration) -> Said {
    let began = Instant::now();
    let (mut child, browser) = start(world, words);
    while child.try_wait().expect("a child").is_none() {
        if began.elapsed() >= patience {
            child.kill().expect("a child");
            panic!("{words:?} waits for something after {patience:?}");
        }
        std::thread::sleep(GLANCE * 50);
    }
    let stderr = browser.join().expect("no browser panics").into_bytes();
    let output = child.wait_with_output().expect("it ended");
    world.said(&std::process::Output { stderr, ..output })
}

/// The same, and it has to go well.
pub(super) fn undisturbed(world: &World, words: &[&str], patience: Duration) {
    run(world, words, patience).ok();
}

/// A command, and somebody who opens what it wants opened; returns what it said to them.
fn start(world: &World, words: &[&str]) -> (Child, JoinHandle<String>) {
    let mut command = world.own_command(words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let talk = BufReader::new(child.stderr.take().expect("piped"));
    let browser = std::thread::spawn(move || {
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
    (child, browser)
}

fn is_there(world: &World, sight: Sight, document: Option<u64>) -> bool {
    let root = world.root();
    let any = |dir: camino::Utf8PathBuf, test: fn(&str) -> bool| {
        dir.read_dir_utf8()
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| test(entry.file_name()))))
    };
    let token_calls = |is_over: bool| {
        let log = world.fake().log();
        log.iter().any(|record| record.asked.route == Route::Token && (!is_over || record.answer.is_some()))
    };
    match sight {
        Sight::Journal => any(root.join("journal"), |name| name.strip_suffix(".json").is_some()),
        Sight::Asked => token_calls(false),
        Sight::Answered => token_calls(true),
        Sight::RootLock => root.join(".lock").exists(),
        Sight::Beside => any(root, |name| name.strip_suffix(".tmp").is_some()),
        Sight::Sidecar => root.join("codex-auth.json").exists(),
        Sight::Document => file_of(world) != document,
        Sight::Logged => root.join("oplog/ops.jsonl").exists(),
    }
}

/// Which file the accounts document is.
fn file_of(world: &World) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;

    world.root().join("openai-codex-accounts.json").metadata().ok().map(|seen| seen.ino())
}
