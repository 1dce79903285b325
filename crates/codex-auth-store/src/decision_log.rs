//! Owns the file of recorded decisions: an entry in each line, as text without padding, in a log that is put aside when
//! it is full. What the entries mean is the core's business.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    StoreError,
    record::{DecisionLog, is_keyframe},
};

use crate::{fs::Fs, line_log::LineLog};

/// Name of the file in the agent's directory.
const NAME: &str = "decisions.log";
/// With the one that was put aside there are twice as many bytes: some fifty thousand decisions at least.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The log of decisions of one agent.
#[derive(Debug, Clone)]
pub struct DecisionFile(LineLog);

impl DecisionFile {
    /// The log in the agent's directory.
    pub fn within(agent_dir: &Utf8Path) -> Self {
        Self(LineLog::new(agent_dir.join(NAME), LARGEST))
    }

    /// The same over another disk, put aside at another size.
    #[must_use]
    pub fn over(self, fs: Arc<dyn Fs>, limit: u64) -> Self {
        Self(LineLog::new(self.path(), limit).over(fs))
    }

    /// Where it is.
    pub fn path(&self) -> Utf8PathBuf {
        self.0.path().to_owned()
    }

    /// All entries in their order. A line that is none, torn by a crash, is an entry that nobody can read.
    pub fn entries(&self, mut each: impl FnMut(&[u8])) -> Result<(), StoreError> {
        for bytes in self.0.read()? {
            lines(&bytes).for_each(|line| each(&entry(line)));
        }
        Ok(())
    }

    /// The entries from the last keyframe on, for whoever asks for the last decision only.
    pub fn tail(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut tail = Vec::new();
        for bytes in self.0.read()?.iter().rev() {
            for line in lines(bytes).collect::<Vec<_>>().into_iter().rev() {
                tail.push(entry(line));
                if tail.last().is_some_and(|entry| is_keyframe(entry)) {
                    tail.reverse();
                    return Ok(tail);
                }
            }
        }
        tail.reverse();
        Ok(tail)
    }
}

impl DecisionLog for DecisionFile {
    fn append(&self, entries: &[Vec<u8>]) -> Result<(), StoreError> {
        let lines: Vec<_> = entries.iter().map(|entry| URL_SAFE_NO_PAD.encode(entry)).collect();
        self.0.append_all(lines.iter().map(String::as_str))
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn entry(line: &[u8]) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(line).unwrap_or_default()
}
