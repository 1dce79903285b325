//! How somebody signs in when no flag says it: by browser, by an address, by device code, or not at all, with the
//! reason. A pure rule over facts of the environment.

use std::path::Path;

use super::person::is_interactive;
use crate::{environment::Environment, ui::Ui};

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A browser is opened here; its callback or a paste is heard.
    Browser,
    /// The address is printed and no browser opened; callback or paste is heard.
    Address,
    /// The address is printed and nothing listens: the callback's address is pasted.
    Paste,
    /// A code is typed on any other device.
    Device,
}

/// What was decided without a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The usual way; nothing needs to be said.
    Plain(Way),
    /// Another way than the usual one, and why.
    Because(Way, &'static str),
    /// Nobody is here to sign in.
    Refuse,
}

/// What is known about the place this runs at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each of them a yes or a no")]
pub(super) struct Facts {
    /// Somebody sits at a terminal.
    pub(super) interactive: bool,
    /// What the user said about browsers: `CODEX_AUTH_NO_BROWSER` decides alone where it is set, then `BROWSER`.
    pub(super) may_open: Option<bool>,
    pub(super) ssh: bool,
    pub(super) container: bool,
    pub(super) wsl: bool,
    pub(super) ci: bool,
    /// No graphical screen, on a system that would tell.
    pub(super) no_screen: bool,
}

impl Facts {
    /// Looks around.
    pub(super) fn here(environment: &Environment, ui: Ui) -> Self {
        let is_set = |names: &[&str]| names.iter().any(|name| environment.text(name).is_some());
        let is_linux = cfg!(target_os = "linux");
        Self {
            interactive: is_interactive(environment, ui),
            may_open: may_open(environment),
            ssh: is_set(&["SSH_CONNECTION", "SSH_TTY"]),
            container: is_set(&["container"])
                || is_linux && [DOCKER, PODMAN].iter().any(|file| Path::new(file).exists()),
            wsl: is_set(&["WSL_DISTRO_NAME"]) || is_linux && is_microsofts(&kernel()),
            ci: environment.switch("CI") == Some(true) || is_set(&["GITHUB_ACTIONS", "GITLAB_CI"]),
            no_screen: is_linux && !is_set(&["DISPLAY", "WAYLAND_DISPLAY"]),
        }
    }
}

const DOCKER: &str = "/.dockerenv";
const PODMAN: &str = "/run/.containerenv";

#[expect(clippy::disallowed_methods, reason = "a file of the kernel, not of ours")]
fn kernel() -> String {
    std::fs::read_to_string("/proc/version").unwrap_or_default()
}

/// Windows' Linux names its maker in the kernel's version.
fn is_microsofts(kernel: &str) -> bool {
    kernel.to_lowercase().contains("microsoft")
}

/// What the user said about opening browsers, if anything.
fn may_open(environment: &Environment) -> Option<bool> {
    let said = |name: &str| environment.text(name).map(str::to_lowercase);
    if let Some(word) = said("CODEX_AUTH_NO_BROWSER") {
        return Some(!matches!(word.as_str(), "1" | "true" | "yes" | "on"));
    }
    said("BROWSER").map(|word| !matches!(word.as_str(), "0" | "false" | "no" | "off" | "none"))
}

/// The way to sign in when no flag names one.
pub(super) fn choose(facts: Facts) -> Choice {
    if !facts.interactive {
        return Choice::Refuse;
    }
    match facts.may_open {
        // Who names a browser has one, also over SSH: editors forward both the address and the port.
        Some(true) => return Choice::Plain(Way::Browser),
        Some(false) => return Choice::Plain(Way::Address),
        None => {}
    }
    let reasons = [
        (facts.ssh, "this is an SSH session"),
        (facts.container, "this is a container"),
        (facts.wsl, "this is WSL, whose ports a browser on Windows may not reach"),
        (facts.ci, "this is a CI job"),
        (facts.no_screen, "there is no graphical screen"),
    ];
    let reason = reasons.into_iter().find(|(holds, _)| *holds);
    reason.map_or(Choice::Plain(Way::Browser), |(_, why)| Choice::Because(Way::Device, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESK: Facts = Facts {
        interactive: true,
        may_open: None,
        ssh: false,
        container: false,
        wsl: false,
        ci: false,
        no_screen: false,
    };

    #[track_caller]
    fn check(facts: Facts, expect: Choice) {
        assert_eq!(choose(facts), expect, "{facts:?}");
    }

    #[track_caller]
    fn by_device(facts: Facts, names: &str) {
        let Choice::Because(Way::Device, why) = choose(facts) else { panic!("{facts:?}: {:?}", choose(facts)) };
        assert!(why.contains(names), "{why}");
    }

    #[test]
    fn the_way_follows_from_the_place() {
        check(DESK, Choice::Plain(Way::Browser));
        by_device(Facts { ssh: true, ..DESK }, "SSH");
        by_device(Facts { container: true, ..DESK }, "container");
        by_device(Facts { wsl: true, ..DESK }, "WSL");
        by_device(Facts { ci: true, ..DESK }, "CI");
        by_device(Facts { no_screen: true, ..DESK }, "screen");
        // What is nearest to the person is named.
        by_device(Facts { ssh: true, container: true, no_screen: true, ..DESK }, "SSH");
        by_device(Facts { wsl: true, no_screen: true, ..DESK }, "WSL");
    }

    #[test]
    fn what_the_user_said_about_browsers_beats_the_place() {
        let far = Facts { ssh: true, container: true, wsl: true, ci: true, no_screen: true, ..DESK };
        check(Facts { may_open: Some(true), ..far }, Choice::Plain(Way::Browser));
        check(Facts { may_open: Some(false), ..far }, Choice::Plain(Way::Address));
        check(Facts { may_open: Some(false), ..DESK }, Choice::Plain(Way::Address));
    }

    #[test]
    fn nobody_waits_where_nobody_is() {
        check(Facts { interactive: false, ..DESK }, Choice::Refuse);
        check(Facts { interactive: false, may_open: Some(true), ..DESK }, Choice::Refuse);
        check(Facts { interactive: false, ssh: true, ..DESK }, Choice::Refuse);
    }

    #[track_caller]
    fn says(no_browser: &str, browser: &str, expect: Option<bool>) {
        let environment = Environment::from([("CODEX_AUTH_NO_BROWSER", no_browser), ("BROWSER", browser)]);
        assert_eq!(may_open(&environment), expect);
    }

    #[test]
    fn the_first_variable_decides_alone() {
        says("", "", None);
        says("1", "firefox", Some(false));
        says("Yes", "", Some(false));
        says("0", "none", Some(true));
        says("nonsense", "none", Some(true));
    }

    #[test]
    fn a_browser_that_is_none_is_not_opened() {
        says("", "none", Some(false));
        says("", "OFF", Some(false));
        says("", "firefox", Some(true));
    }

    #[track_caller]
    fn here(variable: &str, value: &str, wanted: impl Fn(&Facts) -> bool) {
        let ui = Ui { talks_to_a_person: true, can_ask: true, width: 80 };
        assert!(wanted(&Facts::here(&Environment::from([(variable, value)]), ui)), "{variable}={value}");
    }

    #[test]
    fn the_place_is_read_from_the_environment() {
        here("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22", |facts| facts.ssh);
        here("SSH_TTY", "/dev/pts/1", |facts| facts.ssh);
        here("container", "podman", |facts| facts.container);
        here("WSL_DISTRO_NAME", "Debian", |facts| facts.wsl);
        here("CI", "true", |facts| facts.ci);
        here("CI", "0", |facts| !facts.ci);
        here("DISPLAY", ":0", |facts| !facts.no_screen && !facts.ssh);
        here("WAYLAND_DISPLAY", "wayland-0", |facts| !facts.no_screen);
        assert!(is_microsofts("Linux version 5.15.90.1-microsoft-standard-WSL2"));
        assert!(!is_microsofts("Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)"));
    }
}
