//! The JavaScript shim, judged by its own tests under node.

use std::process::Command;

#[test]
fn toasts_are_shown_once() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/shim");
    let run = Command::new("node").args(["--test", "toasts.test.mjs"]).current_dir(dir).output();
    let run = run.expect("node runs: the shim is tested under it");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("pass 4"), "all of them ran: {said}");
}
