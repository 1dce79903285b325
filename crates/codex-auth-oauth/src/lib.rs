//! Signing in to ChatGPT and renewing what was granted.
//!
//! A sign-in by browser ([`sign_in`]): listen on loopback → make verifier and state → a person signs in at the issuer →
//! the browser comes back with a code, or the person pastes it → the code buys the tokens → the browser is shown how it
//! went.
//! A sign-in by device code ([`sign_in_by_device`]): the issuer names a code → a person types it on any device → we ask
//! until it was used → what it bought buys the tokens.
//! A renewal ([`OpenAiIssuer`]): a refresh token is shown once to the issuer that granted it → new tokens, or an error
//! that says whether the old one may be spent.
//!
//! | Room | Question it answers |
//! |---|---|
//! | `endpoints` ([`Endpoints`]) | which issuer, and whose tokens may it see? |
//! | `http` ([`HttpClient`]), `reqwest_client` ([`ReqwestClient`]) | how is a small request sent, and was anything sent at all? |
//! | `jwt` ([`unverified_claims`]) | what does a token say about its owner? |
//! | `grant` | what is the token endpoint asked, and what does it answer? |
//! | `issuer` ([`OpenAiIssuer`]) | what does an answer mean for the refresh token that was shown? |
//! | `pkce`, `authorize` ([`AuthorizeProfile`]) | which page is opened, and what does the browser bring back? |
//! | `callback` | how is the browser heard, and nobody else? |
//! | `paste` | what does a person paste in the browser's place? |
//! | `exchange` ([`SignedIn`]) | what does a code buy, and whom does it let in? |
//! | `login` ([`sign_in`]), `device` ([`sign_in_by_device`]) | how does a sign-in go? |
//! | [`opencode`] | the same as OpenCode's plugin offers it to its host |
//! | `error` ([`LoginError`]) | what helps when it does not? |
//! | `revoke` ([`revoke()`]) | how is a grant given back? |
//! | `timing` ([`Timing`]) | how long may each part take, by the environment? |
//! | `events` ([`LoginEvents`]), `observed`, `redact`, `debug_log` ([`DebugLog`]) | what happened, and what of it may be written down? |

mod authorize;
mod callback;
mod debug_log;
mod device;
mod endpoints;
mod error;
mod events;
mod exchange;
mod grant;
mod http;
mod issuer;
mod jwt;
mod login;
mod observed;
pub mod opencode;
mod paste;
mod pkce;
mod redact;
mod reqwest_client;
mod revoke;
#[cfg(feature = "testing")]
pub mod testing;
mod timing;

pub use crate::http::{BODY_LIMIT, HttpClient, HttpError};
pub use authorize::{AttemptText, AuthorizeProfile, CALLBACK_PATH, Wishes};
pub use debug_log::{DEBUG_LOG, DEBUG_MAX_BYTES_VARIABLE, DEBUG_PREFIX, DEBUG_VARIABLE, DebugLog, is_debugging};
pub use device::{DeviceLogin, DevicePorts, DeviceRhythm, DeviceUi, sign_in_by_device};
pub use endpoints::{DEFAULT_CLIENT_ID, DEFAULT_ISSUER, EndpointError, Endpoints};
pub use error::{DeviceError, LoginError, PasteError};
pub use events::{LoginEvent, LoginEvents, NoEvents};
pub use exchange::SignedIn;
pub use issuer::OpenAiIssuer;
pub use jwt::unverified_claims;
pub use login::{
    BrowserLogin, CALLBACK_PORTS, ComesBack, LoginPorts, LoginUi, PASTE_PATIENCE, PATIENCE, Pastes, sign_in,
};
pub use observed::{ObservedHttp, ObservedUi, tell_end};
pub use reqwest_client::{ReqwestClient, USER_AGENT};
pub use revoke::{RevokeError, revoke};
pub use timing::{Timing, debug_log_limit};
