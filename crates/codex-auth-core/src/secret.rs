//! Secrets: one type per kind of token, with one greppable way out.
//!
//! None of them implements `Display` or `Serialize`, `Debug` is redacted, and the bytes are wiped when the last copy is
//! dropped; copies share them, so that there is one place to wipe.

use std::{fmt, sync::Arc};

use zeroize::Zeroize;

/// A text that is wiped on drop.
#[derive(PartialEq, Eq, Hash)]
struct Wiped(Box<str>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Arc<Wiped>);

        impl $name {
            /// Wraps the text of a token; surrounding white space is dropped.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::new(Wiped(text.as_ref().trim().into())))
            }

            /// The token itself. Every caller is a place to audit.
            pub fn expose(&self) -> &str {
                &self.0.0
            }

            /// Whether there is no token here at all.
            pub fn is_blank(&self) -> bool {
                self.0.0.is_empty()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

secret_text!(
    /// Proves to the backend who asks; lives for days.
    AccessToken
);
secret_text!(
    /// Buys one new credential at the issuer that granted it; single use.
    RefreshToken
);
secret_text!(
    /// Says who signed in; needed by the official client's `auth.json`.
    IdToken
);
secret_text!(
    /// Lets a local program talk to our agent; never leaves this machine.
    ClientToken
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_token() {
        assert_eq!(format!("{:?}", AccessToken::new("CANARY")), "AccessToken([redacted])");
    }
}
