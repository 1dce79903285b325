//! A network of its own for the demo, where the system allows it: only loopback exists there.

use std::process::{Command, ExitCode, Stdio};

use crate::assemble::Product;

/// Plays the demo again inside a network namespace; `None` where that is not allowed, and then the refusing proxy
/// alone stands between the demo and the outside.
pub(super) fn replay_inside(product: &Product) -> Option<ExitCode> {
    let in_own_network = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-n", "--", "sh", "-c", script, "sh"]).arg(&product.own_path).args(["demo", "--inside"]);
        command
    };
    let mut probe = in_own_network("ip link set lo up");
    let allowed = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        return None;
    }
    let ended = in_own_network("ip link set lo up && exec \"$@\"").stdin(Stdio::null()).status().ok()?;
    Some(ended.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
