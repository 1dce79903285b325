//! OpenCode's variables for a sign-in, which count here too: how long its parts may take, and the debug log
//! (`CODEX_AUTH_DEBUG`), printed on stderr and kept in `logs/oauth-lifecycle.log` under the root.

use std::time::Duration;

use codex_auth_oauth::{
    DEBUG_LOG, DEBUG_MAX_BYTES_VARIABLE, DEBUG_PREFIX, DEBUG_VARIABLE, DebugLog, DeviceRhythm, LoginEvents, NoEvents,
    PATIENCE, Timing, debug_log_limit, is_debugging,
};
use codex_auth_store::LineLog;

use crate::assemble::Product;

/// Longer than any request takes that the client does not end itself.
const REQUEST: Duration = Duration::from_secs(45);

/// The times of this product, as far as no variable says otherwise.
pub(super) fn timing(product: &Product) -> Timing {
    let usual = Timing { http: REQUEST, device: DeviceRhythm::CODEX.limit, callback: PATIENCE, ..Timing::OPENCODE };
    usual.told_by(|name| product.environment.text(name).map(str::to_owned))
}

/// Who hears what a sign-in does: the debug log where it is asked for, else nobody.
pub(super) fn events(product: &Product) -> Box<dyn LoginEvents> {
    let variable = |name: &str| product.environment.text(name);
    if !is_debugging(variable(DEBUG_VARIABLE)) {
        return Box::new(NoEvents);
    }
    let limit = debug_log_limit(variable(DEBUG_MAX_BYTES_VARIABLE));
    let log = LineLog::new(product.layout.logs_dir().join(DEBUG_LOG), limit);
    let ui = product.ui;
    Box::new(DebugLog::new(product.clock.clone(), std::process::id(), move |line| {
        ui.say(&format!("{DEBUG_PREFIX}{line}"));
        if let Err(error) = log.append(line) {
            ui.say(&format!("{DEBUG_PREFIX}the log cannot be kept: {error}"));
        }
    }))
}
