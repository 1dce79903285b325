//! What an engine says of itself, and the bundle of what it can do.

use std::fmt::{self, Debug};

use super::{Affinity, CapabilityError, Contents, Counters, Facts, Journal, Leases, Ledger, Vault, Watch};

/// An engine: what it can do, and what that is worth.
pub trait StorageEngine: Debug + Send + Sync {
    /// What it says of itself.
    fn caps(&self) -> Caps;

    /// Its capabilities; those it does not have are `None`.
    fn parts(&self) -> Parts<'_>;
}

/// The capabilities of one engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parts<'e> {
    /// Tokens.
    pub vault: Option<&'e dyn Vault>,
    /// Rights for a while.
    pub leases: Option<&'e dyn Leases>,
    /// Presentations.
    pub journal: Option<&'e dyn Journal>,
    /// Observations.
    pub facts: Option<&'e dyn Facts>,
    /// Sessions.
    pub affinity: Option<&'e dyn Affinity>,
    /// Room under limits.
    pub counters: Option<&'e dyn Counters>,
    /// Usage events.
    pub ledger: Option<&'e dyn Ledger>,
    /// Changes.
    pub watch: Option<&'e dyn Watch>,
}

impl Parts<'_> {
    /// The names of those that are there, in the order above.
    pub fn names(&self) -> Vec<&'static str> {
        let there = [
            ("vault", self.vault.is_some()),
            ("leases", self.leases.is_some()),
            ("journal", self.journal.is_some()),
            ("facts", self.facts.is_some()),
            ("affinity", self.affinity.is_some()),
            ("counters", self.counters.is_some()),
            ("ledger", self.ledger.is_some()),
            ("watch", self.watch.is_some()),
        ];
        there.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }
}

/// What an engine says of itself. A caller asks here first and refuses, rather than hoping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Its name.
    pub engine: &'static str,
    /// Who may share its state.
    pub reach: Reach,
    /// Whose clock ends leases.
    pub clock: ClockSource,
    /// Bytes of secrets per account.
    pub largest_item: u64,
    /// What a returned write survives.
    pub durability: Durability,
    /// Whether it takes tokens as they are; only an engine on the person's own machine may.
    pub takes_plain: bool,
    /// Whether it takes sealed bytes.
    pub takes_sealed: bool,
}

/// Who may share an engine's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Tasks of one process.
    OneProcess,
    /// Processes of one machine.
    OneHost,
    /// Machines.
    ManyHosts,
}

/// Whose clock ends leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSource {
    /// The host's, made to never run back; see [`super::EngineTime`].
    HostForward,
    /// The server's own.
    Server,
}

/// What a returned write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing.
    Memory,
    /// The end of the process and of the machine's power.
    Disk,
    /// The loss of a machine.
    Replicated,
}

/// Why an engine cannot carry a pool on several machines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {engine} engine cannot serve several machines: {why}")]
pub struct Unfit {
    /// The engine.
    pub engine: &'static str,
    /// What is missing.
    pub why: &'static str,
}

impl Caps {
    /// Whether machines may share a pool through this engine. Never assumed: cluster mode begins with this question.
    pub fn fit_for_many_hosts(&self, parts: &Parts<'_>) -> Result<(), Unfit> {
        let lack = match self.clock {
            _ if self.reach < Reach::ManyHosts => Some("its state belongs to one machine"),
            ClockSource::HostForward => Some("its leases end by a host's clock"),
            ClockSource::Server if parts.leases.is_none() => {
                Some("it has no leases, so nothing fences a paused holder")
            }
            ClockSource::Server if parts.vault.is_none() => Some("it has no vault"),
            ClockSource::Server if parts.journal.is_none() => Some("it has no journal, so a token could be sent twice"),
            ClockSource::Server if self.takes_plain => Some("it takes tokens that are not sealed"),
            ClockSource::Server if self.durability < Durability::Disk => Some("what it keeps survives nothing"),
            ClockSource::Server => None,
        };
        lack.map_or(Ok(()), |why| Err(Unfit { engine: self.engine, why }))
    }

    /// Whether these contents may be handed to this engine.
    pub fn admits(&self, contents: &Contents) -> Result<(), CapabilityError> {
        let verb = match contents {
            Contents::Plain(_) if !self.takes_plain => Some("take tokens that are not sealed"),
            Contents::Sealed(_) if !self.takes_sealed => Some("take sealed tokens"),
            Contents::Plain(_) | Contents::Sealed(_) => None,
        };
        if let Some(verb) = verb {
            return Err(CapabilityError::Unsupported { engine: self.engine, verb });
        }
        let (size, limit) = (contents.size(), self.largest_item);
        if size > limit {
            return Err(CapabilityError::TooLarge { what: "a credential".to_owned(), size, limit });
        }
        Ok(())
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::OneProcess => "one process",
            Self::OneHost => "one machine",
            Self::ManyHosts => "many machines",
        })
    }
}

impl fmt::Display for ClockSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::HostForward => "the host's, never back",
            Self::Server => "the server's",
        })
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Memory => "nothing",
            Self::Disk => "power loss",
            Self::Replicated => "loss of a machine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::held;

    const SERVER: Caps = Caps {
        engine: "server",
        reach: Reach::ManyHosts,
        clock: ClockSource::Server,
        largest_item: 100,
        durability: Durability::Disk,
        takes_plain: false,
        takes_sealed: true,
    };

    #[track_caller]
    fn check(caps: Caps, expect: &str) {
        assert_eq!(caps.fit_for_many_hosts(&Parts::default()).expect_err("something is missing").why, expect);
    }

    #[test]
    fn a_cluster_is_refused_by_name() {
        check(Caps { reach: Reach::OneHost, ..SERVER }, "its state belongs to one machine");
        check(Caps { clock: ClockSource::HostForward, ..SERVER }, "its leases end by a host's clock");
        check(SERVER, "it has no leases, so nothing fences a paused holder");
    }

    #[test]
    fn plain_tokens_stay_at_home() {
        let plain = Contents::Plain(held(1).credential);
        assert!(matches!(SERVER.admits(&plain), Err(CapabilityError::Unsupported { .. })));
        assert_eq!(Caps { takes_plain: true, ..SERVER }.admits(&plain), Ok(()));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let large = Contents::Sealed(super::super::SealedBytes::new(vec![0; 101]));
        assert!(matches!(SERVER.admits(&large), Err(CapabilityError::TooLarge { size: 101, limit: 100, .. })));
    }
}
