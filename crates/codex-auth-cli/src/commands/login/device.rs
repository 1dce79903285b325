//! A sign-in by a code that is typed on any other device: what stands on the screen while it is waited for.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use codex_auth_oauth::DeviceUi;
use codex_auth_view::wait;

use super::qr;
use crate::ui::Ui;

/// Said before anything else: the page itself says it only after the code was typed.
const HINT: &str = "A workspace may have device code sign-in disabled. If the page says so, enable device code \
                    authorization in the security settings of ChatGPT, or ask the workspace's admin to; `codex-multi-auth \
                    login --manual` works without it.";

/// Lines that must stand on one screen with the picture: the code above all.
const AROUND: usize = 5;

/// The screen of a sign-in by device code.
#[derive(Debug)]
pub(super) struct DeviceScreen {
    ui: Ui,
    /// Whether Q ends the wait.
    can_type: bool,
    waits: AtomicBool,
}

impl DeviceScreen {
    pub(super) fn new(ui: Ui, can_type: bool) -> Self {
        Self { ui, can_type, waits: AtomicBool::new(false) }
    }

    /// Ends the countdown's line.
    pub(super) fn end(&self) {
        if self.waits.load(Ordering::Relaxed) {
            self.ui.say_over("");
        }
    }
}

impl DeviceUi for DeviceScreen {
    fn may_be_disabled(&self) {
        self.ui.say(HINT);
    }

    fn show_code(&self, page: &str, code: &str, lifetime: Duration) {
        self.ui.say("Device auth login");
        self.ui.say(&format!("Open: {page}"));
        self.ui.say(&format!("Code: {code}"));
        self.ui.say(&format!("This code expires in {}. Never share it.", expires_in(lifetime)));
        if self.ui.talks_to_a_person
            && let Some(picture) = qr::picture(page, self.ui.width, self.ui.height().saturating_sub(AROUND))
        {
            self.ui.say(&picture);
        }
    }

    fn waiting(&self, left: Duration) {
        let is_first = !self.waits.swap(true, Ordering::Relaxed);
        if self.ui.talks_to_a_person {
            let way_out = if self.can_type { "Q then Enter cancels" } else { "Ctrl-C cancels" };
            self.ui.say_over(&format!("Waiting for the sign-in, {} left. {way_out}.", wait(left)));
        } else if is_first {
            self.ui.say("Waiting for the sign-in...");
        }
    }
}

/// Whole minutes, rounded up; seconds below one minute.
fn expires_in(lifetime: Duration) -> String {
    let many = |count: u64, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let seconds = lifetime.as_secs();
    if seconds < 60 { many(seconds, "second") } else { many(seconds.div_ceil(60), "minute") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_code_is_said_in_the_unit_that_fits() {
        let said = [900, 899, 841, 840, 61, 60, 59, 1].map(|seconds| expires_in(Duration::from_secs(seconds)));
        assert_eq!(
            said,
            ["15 minutes", "15 minutes", "15 minutes", "14 minutes", "2 minutes", "1 minute", "59 seconds", "1 second"]
        );
    }
}
