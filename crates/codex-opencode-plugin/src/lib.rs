//! The native half of the OpenCode plugin, as far as its public shape goes: the identity key of its file format and the
//! words it exchanges with the JavaScript shim.
//!
//! The shim owns no rule. It starts the agent, reads the client token from a private file, and applies what it is told;
//! accounts, rotation and refresh are the same agent's that serves the Codex CLI.
//!
//! | Room | Owns |
//! |---|---|
//! | [`identity_key`](IdentityKeyField) | `identityKey` in `codex-accounts.json`, computed at the edge |
//! | [`login_methods`](LoginMethods) | the ways in, and what the host is told of each |
//! | `login_store`, `identified` | where a sign-in is kept; how we name ourselves meanwhile |
//! | [`acquisition`](Acquisition) | which account serves a request, with a token that is good? |
//! | [`not_acquired`](NotAcquired) | why nobody serves, in the words of the host's users |
//! | [`quota_toasts`](quota_toasts()) | what the host's screen says when little is left |
//! | [`session_pins`](SessionPins) | which sessions outlive the process |
//! | [`browser_opening`](open_browser) | which addresses are opened, and by which program |
//! | [`shim`](Hello) | the first words between shim and agent |

mod acquisition;
mod browser_opening;
mod identified;
mod identity_key;
mod login_methods;
mod login_store;
mod not_acquired;
mod quota_toasts;
mod session_pins;
mod shim;

pub use acquisition::{Acquired, Acquisition, Choosing};
pub use browser_opening::{Platform, browser_command, may_open, open_browser};
pub use identified::USER_AGENT;
pub use identity_key::IdentityKeyField;
pub use login_methods::{HostAnswer, HostLogin, LoginMethods, PLACEHOLDER_KEY};
pub use not_acquired::{NotAcquired, wait_label};
pub use quota_toasts::quota_toasts;
pub use session_pins::SessionPins;
pub use shim::{DEFAULT_PORT, Hello, PROTOCOL, Welcome};
