//! The crate as its users see it.

mod company_network;
mod device_flows;
mod fake_issuer;
mod fuzzing;
mod login_flows;
mod pastes;
mod refresh_refusals;
mod revoking;
mod support;
