//! The recorded behaviour of the OpenCode plugin that came before us, judged case by case.
//!
//! `cargo test -p codex-opencode-plugin --test vectors [part of "<file> <group>"]`; the directory comes from
//! `CODEX_AUTH_VECTORS`, else it is `tests/vectors/opencode`, where `OPS.md` says what each group means.
#![allow(clippy::print_stdout, reason = "the report is what this program is for")]

use std::process::ExitCode;

mod vectors {
    pub(crate) mod acquiring;
    pub(crate) mod ahead;
    pub(crate) mod answers;
    pub(crate) mod attempts;
    pub(crate) mod callbacks;
    pub(crate) mod case;
    pub(crate) mod choosing;
    pub(crate) mod compare;
    pub(crate) mod debug_log;
    pub(crate) mod files;
    pub(crate) mod identity;
    pub(crate) mod issuer;
    pub(crate) mod otherwise;
    pub(crate) mod pins;
    pub(crate) mod placeholder;
    pub(crate) mod quotas;
    pub(crate) mod races;
    pub(crate) mod renewals;
    pub(crate) mod run;
    pub(crate) mod sign_in;
    pub(crate) mod state;
    pub(crate) mod tools;
    pub(crate) mod tree;
    pub(crate) mod upsert;
    pub(crate) mod world;
}

fn main() -> ExitCode {
    vectors::run::main()
}
