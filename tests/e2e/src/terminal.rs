//! A person at a terminal: a tmux of its own inside the world, keys in, screen out.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::wait;
use crate::world::World;

const SESSION: &str = "person";

/// One terminal, 100 columns by 30 lines.
#[derive(Debug)]
pub struct Terminal<'w> {
    world: &'w World,
    socket: PathBuf,
}

impl<'w> Terminal<'w> {
    /// Opens a terminal that runs `program`, and keeps it open after the program has ended.
    ///
    /// The last line then reads `[ended N]` with the exit code.
    #[must_use]
    pub fn open(world: &'w World, program: &str, args: &[&str]) -> Self {
        let terminal = Self { world, socket: world.path("tmux") };
        let words: Vec<String> = std::iter::once(&program).chain(args).map(|word| quoted(word)).collect();
        let script = format!("{}; echo \"[ended $?]\"; exec cat", words.join(" "));
        let opened =
            terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", SESSION, "-x", "100", "-y", "30", &script]);
        assert!(opened.status.success(), "tmux: {}", String::from_utf8_lossy(&opened.stderr));
        terminal
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-t", SESSION, "-l", text]);
    }

    /// Pastes a secret: unlike typed text it never stands in a command line.
    #[track_caller]
    pub fn paste(&self, secret: &str) {
        let mut load = self.tmux_command(&["load-buffer", "-"]);
        let mut load = load.stdin(Stdio::piped()).spawn().expect("tmux is installed by: cargo xtask tools");
        load.stdin.take().expect("piped").write_all(secret.as_bytes()).expect("tmux reads");
        assert!(load.wait().expect("it ends").success(), "tmux takes no paste");
        self.tmux(&["paste-buffer", "-d", "-t", SESSION]);
    }

    /// Presses a key by its tmux name: `Enter`, `Escape`, `C-c`, `Up`, …
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", "-t", SESSION, key]);
    }

    /// Presses a key until the screen holds `text`: a client may take a key right after typed text for part of a paste.
    #[track_caller]
    pub fn press_until(&self, key: &str, text: &str, limit: Duration) -> String {
        let pressed = wait::until(limit, || {
            self.press(key);
            wait::until(Duration::from_secs(1), || Some(self.screen()).filter(|screen| screen.contains(text)))
        });
        pressed.unwrap_or_else(|| panic!("no `{text}` within {limit:?} on this screen:\n{}", self.screen()))
    }

    /// The visible screen with what has scrolled away above it.
    #[must_use]
    pub fn screen(&self) -> String {
        let captured = self.tmux(&["capture-pane", "-p", "-J", "-S", "-200", "-t", SESSION]);
        String::from_utf8_lossy(&captured.stdout).trim_end().to_owned()
    }

    /// Waits until the screen holds `text` and returns the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str, limit: Duration) -> String {
        self.wait_until(&format!("`{text}`"), limit, |screen| screen.contains(text))
    }

    /// Waits until the screen is as `wanted` says and returns it; `what` names it in the failure.
    #[track_caller]
    pub fn wait_until(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let seen = wait::until(limit, || Some(self.screen()).filter(|screen| wanted(screen)));
        seen.unwrap_or_else(|| panic!("no {what} within {limit:?} on this screen:\n{}", self.screen()))
    }

    fn tmux(&self, args: &[&str]) -> Output {
        self.tmux_command(args).output().expect("tmux is installed by: cargo xtask tools")
    }

    fn tmux_command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command("tmux");
        command.arg("-S").arg(&self.socket).args(args);
        command
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// A word as a shell takes it literally.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
