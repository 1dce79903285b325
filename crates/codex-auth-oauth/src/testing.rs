//! What must hold for every parser of this crate, behind the feature `testing`.

pub mod fuzz;
