//! When the kill comes: at a random point of the run, or just after something was seen to happen.

use std::time::Duration;

use codex_auth_testkit::Route;

use super::support::Running;
use crate::world::World;

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
    let document = file_of(world);
    let running = Running::start(world, words, patience);
    let is_due = match moment {
        Moment::After(span) => running.outlasts(span),
        Moment::Seen(sight, span) => sees(&running, world, sight, document) && running.outlasts(span),
    };
    if !is_due {
        running.said(world);
        return Killed::TooLate;
    }
    if running.kill() { Killed::InTime } else { Killed::TooLate }
}

/// Waits for the sight; `false` when the command ended without.
fn sees(running: &Running, world: &World, sight: Sight, document: Option<u64>) -> bool {
    let root = world.root();
    let any = |dir: camino::Utf8PathBuf, test: fn(&str) -> bool| {
        dir.read_dir_utf8()
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| test(entry.file_name()))))
    };
    match sight {
        Sight::Journal => running.until(|| any(root.join("journal"), |name| name.strip_suffix(".json").is_some())),
        Sight::Asked => running.until_logged(world, |record| record.asked.route == Route::Token),
        Sight::Answered => {
            running.until_logged(world, |record| record.asked.route == Route::Token && record.answer.is_some())
        }
        Sight::RootLock => running.until(|| root.join(".lock").exists()),
        Sight::Beside => running.until(|| any(root.clone(), |name| name.strip_suffix(".tmp").is_some())),
        Sight::Sidecar => running.until(|| root.join("codex-auth.json").exists()),
        Sight::Document => running.until(|| file_of(world) != document),
        Sight::Logged => running.until(|| root.join("oplog/ops.jsonl").exists()),
    }
}

/// Which file the accounts document is.
fn file_of(world: &World) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;

    world.root().join("openai-codex-accounts.json").metadata().ok().map(|seen| seen.ino())
}
