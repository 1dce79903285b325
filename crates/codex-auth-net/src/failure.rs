//! Why a call failed, and what is wrong with a setting of the network. Neither text ever holds a password, a path below
//! a host, a header or a body.

use codex_auth_core::Kind;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection stood, so nothing was sent: a single-use token that was to be in the request is unspent.
    #[error("{why}")]
    Unsent {
        /// What failed, and what helps.
        why: String,
    },
    /// Something may have been sent and no whole answer came.
    #[error("{why}")]
    BrokeOff {
        /// What failed.
        why: String,
    },
}

/// A variable that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// The certificate authorities cannot be used.
    #[error("{variable} names {file}, which cannot be used: {why}")]
    Bundle {
        /// The variable that counts.
        variable: &'static str,
        /// The file it names.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The address is no proxy we can use. It is not repeated: it may hold a password.
    #[error("{variable} cannot be used: {why}")]
    Proxy {
        /// The variable that counts.
        variable: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl NetworkFault {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Bundle { .. } | Self::Proxy { .. } => Kind::Usage,
        }
    }

    /// The variable to correct.
    pub fn variable(&self) -> &'static str {
        match self {
            Self::Bundle { variable, .. } | Self::Proxy { variable, .. } => variable,
        }
    }
}

impl From<NetworkFault> for Failure {
    fn from(fault: NetworkFault) -> Self {
        Self::Unsent { why: fault.to_string() }
    }
}
