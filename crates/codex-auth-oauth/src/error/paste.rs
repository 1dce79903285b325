//! Why what a person pasted, or did not paste, signs nobody in. The sentences are the predecessor's, which people look
//! up (domain 3.3).

use std::time::Duration;

use codex_auth_core::Kind;

/// Why a paste was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasteError {
    /// A bare code, an address without one, or something else altogether.
    #[error(
        "That callback URL is missing the code or state parameter. Paste the full URL you were redirected to (it should \
         contain both code= and state=)."
    )]
    Incomplete,
    /// The answer to another sign-in than this one.
    #[error(
        "OAuth state mismatch. That callback URL was generated for a different login attempt. Restart login and paste \
         the callback URL from this attempt."
    )]
    OtherAttempt,
    /// Nobody pasted anything that fits.
    #[error("no callback URL was pasted within {} s", waited.as_secs())]
    Nothing {
        /// How long it was waited for.
        waited: Duration,
    },
}

impl PasteError {
    /// What the caller may do about it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Incomplete | Self::OtherAttempt | Self::Nothing { .. } => Kind::NeedsLogin,
        }
    }

    /// The next thing to do, with the exact command.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Incomplete => {
                "run `codex-multi-auth login --manual` and paste the whole address the browser shows at the end, even \
                 if its page did not load"
            }
            Self::OtherAttempt => {
                "run `codex-multi-auth login --manual`, open the link it prints and paste the address that one ends at"
            }
            Self::Nothing { .. } => {
                "run `codex-multi-auth login --manual`, or `codex-multi-auth login --device-auth` where nothing can be \
                 pasted"
            }
        }
    }
}
