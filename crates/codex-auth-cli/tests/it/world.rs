//! A throw-away home, an environment with nothing of ours in it, and what the program said.

use std::{
    fmt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_testkit::{FakeOpenAi, PoolKnobs, Setup};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-multi-auth");

/// A home, and an OpenAI beside it where one is needed.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) fake: Option<FakeOpenAi>,
    variables: Vec<(&'static str, String)>,
}

/// What the program said and returned, with the home's path and the fake's port made the same in every run.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// An empty home, and no way to anybody.
    pub(crate) fn empty() -> Self {
        Self::within(tempfile::tempdir().expect("a directory"))
    }

    fn within(dir: tempfile::TempDir) -> Self {
        Self { dir, fake: None, variables: Vec::new() }
    }

    /// A home beside a fake OpenAI.
    pub(crate) fn beside(setup: &Setup) -> Self {
        Self::empty().joined(setup)
    }

    fn joined(self, setup: &Setup) -> Self {
        let fake = FakeOpenAi::start_blocking(setup).expect("a fake");
        let mut world = self;
        world.set("CODEX_MULTI_AUTH_ISSUER_URL", &fake.url());
        world.set("CODEX_MULTI_AUTH_BACKEND_URL", &fake.backend_url());
        world.fake = Some(fake);
        world
    }

    /// The same with the fake's people in the pool.
    pub(crate) fn with_pool(setup: &Setup, knobs: &PoolKnobs) -> Self {
        let world = Self::beside(setup);
        world.fake().write_pool(&world.root(), knobs).expect("written");
        world
    }

    /// The same for hundreds of worlds in a row: in memory where that is to be had. What a killed program wrote is
    /// there whether or not it is on a disk.
    pub(crate) fn with_pool_in_memory(setup: &Setup, knobs: &PoolKnobs) -> Self {
        let in_memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let world = Self::within(in_memory.expect("a directory")).joined(setup);
        world.fake().write_pool(&world.root(), knobs).expect("written");
        world
    }

    /// A home with these rows in its accounts file.
    pub(crate) fn holding(rows: &[Value]) -> Self {
        let world = Self::empty();
        world.write_pool(&json!({ "version": 3, "accounts": rows, "activeIndex": 0, "activeIndexByFamily": {} }));
        world
    }

    pub(crate) fn fake(&self) -> &FakeOpenAi {
        self.fake.as_ref().expect("this world has a fake")
    }

    pub(crate) fn home(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).expect("text")
    }

    pub(crate) fn root(&self) -> Utf8PathBuf {
        self.codex_home().join("multi-auth")
    }

    pub(crate) fn codex_home(&self) -> Utf8PathBuf {
        self.home().join(".codex")
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    pub(crate) fn write_pool(&self, document: &Value) {
        write(&self.root().join("openai-codex-accounts.json"), &format!("{document:#}"));
    }

    /// The accounts file as it stands.
    pub(crate) fn pool(&self) -> Value {
        read(&self.root().join("openai-codex-accounts.json"))
    }

    pub(crate) fn auth_json(&self) -> Utf8PathBuf {
        self.codex_home().join("auth.json")
    }

    /// Every file below the home with its content, to see what a command touched.
    pub(crate) fn files(&self) -> Vec<(Utf8PathBuf, String)> {
        let mut found = Vec::new();
        let mut rooms = vec![self.home().to_owned()];
        while let Some(room) = rooms.pop() {
            for entry in room.read_dir_utf8().expect("readable").flatten() {
                let path = entry.path().to_owned();
                let content = match path.symlink_metadata().expect("there").file_type() {
                    kind if kind.is_dir() => {
                        rooms.push(path.clone());
                        "directory".to_owned()
                    }
                    // Its holder's process id, another one each time.
                    _ if path.file_name() == Some(".lock") => "a lock".to_owned(),
                    kind if kind.is_symlink() => path.read_link_utf8().expect("a link").into_string(),
                    _ => String::from_utf8_lossy(&std::fs::read(&path).expect("readable")).into_owned(),
                };
                found.push((path, content));
            }
        }
        found.sort();
        found
    }

    /// The program under its own name.
    pub(crate) fn run(&self, typed: &str) -> Said {
        let words: Vec<&str> = typed.split_whitespace().collect();
        self.run_words(&words)
    }

    pub(crate) fn run_words(&self, words: &[&str]) -> Said {
        self.said(&self.command(PROGRAM, words).output().expect("it starts"))
    }

    /// The program under the name `codex`, with a stand-in for the official client.
    pub(crate) fn run_as_codex(&self, typed: &str) -> Said {
        let words: Vec<&str> = typed.split_whitespace().collect();
        self.said(&self.command_as_codex(&words).output().expect("it starts"))
    }

    pub(crate) fn command_as_codex(&self, words: &[&str]) -> Command {
        let link = self.home().join("names/codex");
        if !link.exists() {
            std::fs::create_dir_all(link.parent().expect("a directory")).expect("made");
            std::os::unix::fs::symlink(PROGRAM, &link).expect("linked");
        }
        self.command(link.as_str(), words)
    }

    pub(crate) fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("HOME", self.home()).env("PATH", self.home()).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).current_dir(self.dir.path());
        command
    }

    pub(crate) fn own_command(&self, words: &[&str]) -> Command {
        self.command(PROGRAM, words)
    }

    pub(crate) fn said(&self, output: &Output) -> Said {
        let same = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(self.home().as_str(), "[HOME]");
            let text = text.replace(&PathBuf::from(PROGRAM).display().to_string(), "[PROGRAM]");
            // Only in an address: the same digits may stand in the middle of a number.
            self.fake.as_ref().map_or(text.clone(), |fake| text.replace(&format!(":{}", fake.port()), ":[PORT]"))
        };
        Said { code: output.status.code(), out: same(&output.stdout), err: same(&output.stderr) }
    }
}

impl Said {
    /// The document on stdout; nothing else may be there.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("one document: {self}"))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn failed(self) -> Self {
        assert_eq!(self.code, Some(1), "{self}");
        self
    }
}

impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        write!(out, "{}--- stderr\n{}--- exit {code}", self.out, self.err)
    }
}

/// Writes a file, with the directories it lies in.
pub(crate) fn write(path: &Utf8Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("below a directory")).expect("made");
    std::fs::write(path, text).expect("written");
}

/// The document in a file.
pub(crate) fn read(path: &Utf8Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("there")).expect("JSON")
}

/// A row of an accounts file written by hand: account `n`, never used, with a token that lives until 2100.
pub(crate) fn row(n: usize) -> Value {
    json!({
        "recordId": format!("record:{n}"), "accountId": format!("ws-{n:06}"), "email": format!("person{n}@example.test"),
        "refreshToken": format!("refresh-{n}"), "accessToken": format!("access-{n}"),
        "expiresAt": 4_102_444_800_000_i64, "addedAt": 1_700_000_000_000_i64, "lastUsed": 0,
    })
}

/// A row with some keys set otherwise.
pub(crate) fn row_with(n: usize, keys: &Value) -> Value {
    let mut row = row(n);
    for (key, value) in keys.as_object().expect("an object") {
        row[key] = value.clone();
    }
    row
}

/// Milliseconds since the epoch, from now.
pub(crate) fn in_millis(from_now: i64) -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("this age") + from_now
}

/// Spans of time replaced, so that a golden holds at any moment: `59m 12s` and `5m 0s` become `[wait]`.
pub(crate) fn timeless(text: &str) -> String {
    let is_span = |word: &str| {
        let digits = word.trim_end_matches(['d', 'h', 'm', 's']);
        !digits.is_empty() && digits.len() + 1 == word.len() && digits.chars().all(|letter| letter.is_ascii_digit())
    };
    let line = |line: &str| {
        let mut words: Vec<String> = Vec::new();
        for word in line.split(' ') {
            let core = word.trim_matches(['(', ')', ',', ';']);
            if is_span(core) {
                if words.last().is_some_and(|last| last == "[wait]") {
                    words.pop();
                }
                words.push(word.replace(core, "[wait]"));
            } else {
                words.push(word.to_owned());
            }
        }
        words.join(" ")
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}
