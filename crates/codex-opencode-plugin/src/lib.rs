//! The native half of the OpenCode plugin, as far as its public shape goes: the identity key of its file format and the
//! words it exchanges with the JavaScript shim.
//!
//! The shim owns no rule. It starts the agent, reads the client token from a private file, and applies what it is told;
//! accounts, rotation and refresh are the same agent's that serves the Codex CLI.
//!
//! | Room | Owns |
//! |---|---|
//! | [`identity_key`](IdentityKeyField) | `identityKey` in `codex-accounts.json`, computed at the edge |
//! | [`shim`](Hello) | the first words between shim and agent |

mod identity_key;
mod shim;

pub use identity_key::IdentityKeyField;
pub use shim::{DEFAULT_PORT, Hello, PROTOCOL, Welcome};
