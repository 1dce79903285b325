//! Every target is this file under the name of one entry; what must hold stands in the oauth crate.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| codex_auth_oauth::testing::fuzz::run(env!("CARGO_BIN_NAME"), bytes));
