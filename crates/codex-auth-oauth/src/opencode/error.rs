//! What the host hears when a sign-in fails. The texts are the ones its users know (plugin 5.5, 5.6).

use codex_auth_core::Kind;

use super::token_endpoint::TokenError;
use crate::error::{DeviceError, LoginError};

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostLoginError {
    /// The issuer sent the browser back with an error; its explanation, else its code.
    #[error("{said}")]
    Denied {
        /// Printable and short.
        said: String,
    },
    /// The browser came back with neither code nor error.
    #[error("Missing authorization code")]
    MissingCode,
    /// Somebody asked this sign-in to stop, or the server was stopped.
    #[error("Login cancelled")]
    Cancelled,
    /// Nobody came back from the browser.
    #[error("OAuth callback timeout - authorization took too long")]
    TimedOut,
    /// Another sign-in is under way.
    #[error("Authorization already in progress")]
    InProgress,
    /// The code bought nothing.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A sign-in by device code gave nothing.
    #[error("{}", device_text(.0))]
    Device(DeviceError),
    /// The browser has nowhere to come back to.
    #[error(transparent)]
    NotListening(LoginError),
}

impl HostLoginError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Denied { .. } | Self::MissingCode | Self::Cancelled | Self::TimedOut => Kind::NeedsLogin,
            Self::InProgress => Kind::Conflict,
            Self::Token(error) => error.kind(),
            Self::Device(error) => error.kind(),
            Self::NotListening(error) => error.kind(),
        }
    }
}

impl From<DeviceError> for HostLoginError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// A refused code names the setting that most often stands in the way (defect 14).
fn device_text(error: &DeviceError) -> String {
    match error {
        DeviceError::Disabled => {
            "Failed to initiate device authorization: allow device code authorization in ChatGPT's \
             security settings or ask the workspace's admin for it, or sign in with the browser"
                .to_owned()
        }
        DeviceError::CodeRefused { .. } | DeviceError::CodeUnusable => {
            format!("Failed to initiate device authorization: {error}")
        }
        DeviceError::Denied { .. }
        | DeviceError::Expired
        | DeviceError::Refused { .. }
        | DeviceError::GrantUnusable
        | DeviceError::TimedOut { .. }
        | DeviceError::Unanswered { .. } => error.to_string(),
    }
}

/// What the browser brought, as the host hears it.
impl From<LoginError> for HostLoginError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Denied { code, description } => Self::Denied { said: description.unwrap_or(code) },
            LoginError::MissingCode => Self::MissingCode,
            LoginError::Cancelled => Self::Cancelled,
            LoginError::TimedOut { .. } => Self::TimedOut,
            LoginError::PortBusy { .. } | LoginError::Listen { .. } => Self::NotListening(error),
            LoginError::Device(error) => Self::from(error),
            LoginError::NotEntitled
            | LoginError::Paste(_)
            | LoginError::ExchangeRefused { .. }
            | LoginError::ExchangeUnanswered { .. }
            | LoginError::NoTokens
            | LoginError::OtherWorkspace { .. }
            | LoginError::NotKept(_) => Self::Denied { said: error.to_string() },
        }
    }
}
