//! The crate as its users see it.

mod company_network;
mod fake_issuer;
mod login_flows;
mod refresh_refusals;
mod support;
