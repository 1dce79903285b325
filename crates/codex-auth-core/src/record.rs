//! A decision that can be made once more elsewhere: what it was made from, as a few bytes.
//!
//! A log of decisions is a sequence of entries. A *keyframe* holds everything the evaluator looks at; a *decision*
//! holds what changed since the entry before it, what was asked, and who was chosen. Where more changed than fits an
//! entry, *changes* go before it. Every entry ends with a check over all entries since its keyframe, so that none is
//! ever laid over a state it was not made for. No token, address or name is in it: accounts are record ids, sessions
//! are hashes.
//!
//! | Room | What it owns |
//! |---|---|
//! | `log` | the port to where entries are kept |
//! | `kept` | the values: an account reduced to what decides, what was asked, what stood |
//! | `watch` | what changed since the last decision, found under the rotation's lock |
//! | `write`, `read` | entries from moments, and decisions from entries |
//! | `what_if` | recorded decisions under other standards, counted |
//! | `items`, `groups` | changes one after another; one account's |
//! | `bytes`, `codes`, `check` | numbers, instants and texts; the numbers of our enums; sums |

mod bytes;
mod check;
mod codes;
mod groups;
mod items;
mod kept;
mod log;
mod read;
mod watch;
mod what_if;
mod write;

#[cfg(test)]
mod tests;

pub use check::SessionHash;
pub use kept::{Asked, KeptSeat, Moment, Premises, Stood};
pub use log::DecisionLog;
pub use read::{Reader, Recorded};
pub(crate) use watch::Watch;
pub use watch::Witness;
pub use what_if::{Served, Supposition, WhatIf};
pub use write::{Writer, Written};

use std::time::Duration;

use crate::Kind;

/// The largest entry that is no keyframe, in bytes: in the text of a log line it stays below 300.
pub const LARGEST_DELTA: usize = 220;
/// The largest keyframe, in bytes: in the text of a log line it stays below 64 KiB.
pub const LARGEST_KEYFRAME: usize = 48 * 1024;
/// How much time lies between two keyframes at least, unless the accounts themselves changed.
pub const KEYFRAMES_APART: Duration = Duration::from_mins(1);
/// More accounts than any pool has; a larger number in an entry is a fault of it.
const MOST_SEATS: usize = 4096;
/// The longest text an entry may bring.
const LONGEST_TEXT: usize = 4096;

/// Why an entry could not be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is of a later format.
    #[error("the entry has format {found}, which this version does not know")]
    Version {
        /// Its number.
        found: u8,
    },
    /// It is no whole entry.
    #[error("the entry is damaged: {0}")]
    Damaged(&'static str),
    /// What it was laid over is not there: an entry before it is missing or damaged.
    #[error("the entries before it are not whole")]
    Unchained,
    /// The state does not fit a keyframe, or a text an entry.
    #[error("the state is too large to be recorded")]
    TooLarge,
}

/// Whether an entry is a keyframe, from which on a log can be read.
pub fn is_keyframe(entry: &[u8]) -> bool {
    entry.first() == Some(&(write::FORMAT << 4 | write::KEYFRAME))
}

impl RecordError {
    /// What kind of failure it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Version { .. } | Self::Damaged(_) | Self::Unchained => Kind::Storage,
            Self::TooLarge => Kind::Internal,
        }
    }
}
