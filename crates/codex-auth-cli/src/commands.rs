//! The commands, one room each.

#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod official;
pub(crate) mod run;
pub(crate) mod serve;
