//! The loopback agent: it admits local programs, picks an account for every request and relays the answer.
//!
//! The life of a request, and the room of each hop:
//!
//! 1. `server`: is there room for another connection?
//! 2. `handler`: may this caller talk to us (`guard`, `leases`), and what is it asking (`inbound`)?
//! 3. `forward`: may we try once more? (the loop of hops 4 to 7)
//! 4. core's [`Rotation`](codex_auth_core::Rotation): which account?
//! 5. `renewals`, core's keeper: is its token good?
//! 6. [`Upstream`]: send it (`headers` has swapped the credentials).
//! 7. `verdict`, core's `classify`: what did the answer mean, and what now?
//! 8. `relay`: bytes to the client; from the first one on, no retry (`begun` awaits the first event). `observe` looks at
//!    them as they pass.
//!
//! Beside the road: `own` (what we answer ourselves), `face` (calls as the account the client believes to be),
//! `models` (the catalogue), `asking` (a question to one account, of either, written down), `token_door` (renewal of wrapped clients' logins), `refresher` (renewals that nobody waits
//! for), `keeping` (the disk, off the path), `remembering` and `diary` (quotas, likewise), `sessions` (who serves which,
//! likewise), `accounting` (every request and question, written down when it has ended), `recording` (what was decided, and from
//! what), `permits` (capabilities: limited, revocable callers), `rules` (what the user wants, composed for each
//! request), `rewrite` (the changes a body may undergo), `instead` (another model's name, where the user wants one),
//! `respond` (every status code of ours). [`run_agent`] is the process around it all.

mod accounting;
mod agent;
mod asking;
mod attempt;
mod begun;
mod body;
mod call;
mod complaint;
mod config;
mod desk;
mod diary;
mod face;
mod forward;
mod guard;
mod handler;
mod headers;
mod inbound;
mod inline_upstream;
mod instead;
mod keeping;
mod lanes;
mod leases;
mod listen;
mod models;
mod observe;
mod own;
mod permits;
mod proxy;
mod recording;
mod refresher;
mod relay;
mod remembering;
mod renewals;
mod reqwest_upstream;
mod respond;
mod rewrite;
mod rules;
mod server;
mod sessions;
#[cfg(feature = "testing")]
pub mod testing;
mod token_door;
mod upstream;
mod verdict;

pub use agent::{
    AgentClient, AgentError, AgentReady, AgentRecord, AgentSetup, Attached, ControlError, SOCKET, attach, hold,
    run_agent,
};
pub use body::{BodyStream, StreamError};
pub use config::ProxyConfig;
pub use inline_upstream::InlineUpstream;
pub use leases::{LeaseFacts, LeaseId, LeaseRequest, Leases, mint};
pub use listen::Listeners;
pub use permits::{PermitError, Permits};
pub use proxy::{Ports, Proxy};
pub use reqwest_upstream::ReqwestUpstream;
pub use server::serve;
pub use upstream::{Upstream, UpstreamError};
