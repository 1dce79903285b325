//! The commands, one room each.

pub(crate) mod official;
pub(crate) mod run;
pub(crate) mod serve;
