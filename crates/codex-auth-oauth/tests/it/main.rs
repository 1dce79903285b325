//! The crate as its users see it.

mod fake_issuer;
mod login_flows;
mod refresh_refusals;
mod support;
