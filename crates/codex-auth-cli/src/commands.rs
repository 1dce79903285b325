//! The commands, one room each.

pub(crate) mod auth_store;
pub(crate) mod backup;
pub(crate) mod check;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod import;
pub(crate) mod import_current;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod official;
pub(crate) mod remove;
pub(crate) mod reset;
pub(crate) mod restore;
pub(crate) mod rotation;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod switch;
pub(crate) mod token;
pub(crate) mod undo;
pub(crate) mod unpin;
pub(crate) mod what_if;
pub(crate) mod why_selected;
pub(crate) mod wrapper;
