//! `agent.json`: what a client needs to find and talk to the agent; 0600 in a 0700 directory.

use std::fmt;

use codex_auth_core::{ClientToken, StateDir, StoreError};
use serde::{Deserialize, Serialize};

const NAME: &str = "agent.json";

/// The document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentRecord {
    /// Version of this document.
    pub version: u32,
    /// Version of the control protocol.
    pub protocol: u32,
    /// Process id of the agent.
    pub pid: u32,
    /// Version of its program.
    pub binary_version: String,
    /// Port of the proxy; kept from one agent to the next.
    pub port: u16,
    /// Path of the control socket.
    pub socket: String,
    /// Admits programs that can read this file.
    pub client_token: String,
    /// When it started, in milliseconds since the epoch.
    pub started_at: i64,
}

impl fmt::Debug for AgentRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, port, socket, binary_version, .. } = self;
        out.debug_struct("AgentRecord")
            .field("pid", pid)
            .field("port", port)
            .field("socket", socket)
            .field("binary_version", binary_version)
            .finish_non_exhaustive()
    }
}

impl AgentRecord {
    /// Reads the record of the last agent. A damaged one is as good as none: it holds nothing that cannot be chosen
    /// anew.
    pub fn read(directory: &dyn StateDir) -> Result<Option<Self>, StoreError> {
        let bytes = directory.read(NAME)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Replaces the record.
    pub(super) fn write(&self, directory: &dyn StateDir) -> Result<(), StoreError> {
        let text = serde_json::to_string_pretty(self).expect("plain fields serialise");
        directory.replace(NAME, format!("{text}\n").as_bytes())
    }

    /// The token that admits programs.
    pub fn token(&self) -> ClientToken {
        ClientToken::new(&self.client_token)
    }
}
