//! The first words between the JavaScript shim and the agent. Unknown fields are ignored on both sides, so that either
//! may be newer.

use serde::{Deserialize, Serialize};

/// Version of these words.
pub const PROTOCOL: u32 = 1;

/// Port OpenCode's agent starts at, so that a static base address can stand in its configuration.
pub const DEFAULT_PORT: u16 = 14557;

/// What the shim says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// Version of the words the shim knows.
    pub protocol: u32,
    /// Version of OpenCode.
    pub host_version: String,
    /// Directory the host works in.
    pub directory: String,
}

/// What it hears back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// Version of the words both know.
    pub protocol: u32,
    /// Port of the proxy.
    pub port: u16,
    /// Path of the private file that holds the client token; the token itself is never sent.
    pub token_file: String,
}

impl Hello {
    /// The version of the words both sides know.
    pub fn agreed_protocol(&self) -> u32 {
        self.protocol.min(PROTOCOL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_shim_is_understood() {
        let newer = r#"{"protocol":9,"hostVersion":"2.0.0","directory":"/w","mood":"new"}"#;
        let hello: Hello = serde_json::from_str(newer).expect("unknown fields are ignored");
        assert_eq!(hello.agreed_protocol(), PROTOCOL);
    }
}
