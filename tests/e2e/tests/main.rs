//! Every end-to-end test, in one program: they run side by side, each in a world of its own.
//!
//! Names begin with the exit they prove (a to l); `direct_*` prove the harness and the fake without us.
//! Names begin with the exit they prove (a to k); `direct_*` prove the harness and the fake without us.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read and write the files of their own worlds; a set-up that fails is a failed test"
)]

mod a_answers;
mod b_failover;
mod bad_callers;
mod bad_disk;
mod bad_input;
mod c_history;
mod commands;
mod d_refresh;
mod direct;
mod e_login_logout;
mod f_kill;
mod g_exhausted;
mod h_sessions;
mod i_transparent;
mod j_terminal;
mod k_browser;
mod k_mixed;
mod l_together;
mod leaks;
mod models;
mod signin;
mod token;
mod usage;
