//! A sign-in as OpenCode's plugin offers it to its host (plugin 5.3, 5.5, 5.6): a callback server that stays for a
//! while, one sign-in at a time, and the token endpoint in the plugin's form.
//!
//! | Room | Question it answers |
//! |---|---|
//! | `server` ([`CallbackServer`]) | when does the port open and close? |
//! | `answers` | what is a caller answered? |
//! | `pending` ([`PendingLogin`]) | which sign-in is waited for, and how does it end? |
//! | `device` ([`device_tokens`]) | how does a sign-in by device code end here? |
//! | `success` ([`success_address`]) | where does the browser go when all went well? |
//! | `token_endpoint` ([`TokenEndpoint`]) | what is the token endpoint asked, and what does a refusal say? |
//! | `error` ([`HostLoginError`]) | what does the host hear when a sign-in fails? |

mod answers;
mod device;
mod error;
mod pending;
mod server;
mod success;
mod token_endpoint;

pub use answers::is_loopback;
pub use device::device_tokens;
pub use error::HostLoginError;
pub use pending::{Look, PendingLogin};
pub use server::CallbackServer;
pub use success::success_address;
pub use token_endpoint::{TokenEndpoint, TokenError};

#[cfg(test)]
mod tests;
