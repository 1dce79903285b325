//! The person at the other end of a sign-in: whether somebody is there, and whether a browser may be opened.

use codex_auth_core::Kind;
use codex_auth_oauth::LoginUi;

use crate::{assemble::Product, environment::Environment, error::CliError, ui::Ui};

/// Somebody who can sign in.
#[derive(Debug)]
pub(crate) struct Person {
    ui: Ui,
    may_open: bool,
}

impl Person {
    /// Whoever is here. Without a terminal nobody would see the address, so a sign-in would only wait in vain, unless
    /// its printing was asked for.
    pub(crate) fn here(product: &Product, no_browser: bool) -> Result<Self, CliError> {
        if !no_browser && !is_interactive(&product.environment, product.ui) {
            return Err(CliError::new(
                Kind::Usage,
                "not_interactive",
                "Signing in needs a person, and this is no terminal.",
            )
            .hint(
                "Run `codex-multi-auth login` in a terminal, `codex-multi-auth login --no-browser` to print the \
                 address and wait five minutes for the browser, or `codex-multi-auth login --device-auth` to type a \
                 code on another device.",
            ));
        }
        Ok(Self { ui: product.ui, may_open: !no_browser && may_open(&product.environment) })
    }
}

/// Whether questions make sense here: the predecessor's rule.
pub(crate) fn is_interactive(environment: &Environment, ui: Ui) -> bool {
    let is_one = |name: &str| environment.text(name) == Some("1");
    if is_one("FORCE_INTERACTIVE_MODE") {
        return true;
    }
    let inside_another = is_one("CODEX_TUI")
        || is_one("CODEX_DESKTOP")
        || is_one("ELECTRON_RUN_AS_NODE")
        || environment.text("TERM_PROGRAM").is_some_and(|name| name.eq_ignore_ascii_case("codex"));
    ui.can_ask && !inside_another
}

/// Whether a browser may be opened: `CODEX_AUTH_NO_BROWSER` decides alone where it is set, then `BROWSER`.
fn may_open(environment: &Environment) -> bool {
    let said = |name: &str| environment.text(name).map(str::to_lowercase);
    match said("CODEX_AUTH_NO_BROWSER") {
        Some(word) => !matches!(word.as_str(), "1" | "true" | "yes" | "on"),
        None => !said("BROWSER").is_some_and(|word| matches!(word.as_str(), "0" | "false" | "no" | "off" | "none")),
    }
}

impl LoginUi for Person {
    fn show_url(&self, url: &str) {
        self.ui.say(&format!("Open this address in a browser on this machine to sign in:\n\n  {url}\n"));
    }

    fn open_browser(&self, url: &str) -> bool {
        if !self.may_open {
            return false;
        }
        let opened = webbrowser::open(url).is_ok();
        self.ui.say(if opened { "Browser opened." } else { "Could not open browser. Use the link above." });
        opened
    }

    fn waiting(&self, port: u16) {
        self.ui.say(&format!("Waiting for login callback on localhost:{port}... (Ctrl-C ends the wait)"));
        if !self.may_open {
            self.ui.say(&format!(
                "Is the browser on another machine? Let its port lead here first: ssh -L {port}:127.0.0.1:{port} <this machine>"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(no_browser: &str, browser: &str, expect: bool) {
        let environment = Environment::from([("CODEX_AUTH_NO_BROWSER", no_browser), ("BROWSER", browser)]);
        assert_eq!(may_open(&environment), expect);
    }

    #[test]
    fn the_first_variable_decides_alone() {
        check("", "", true);
        check("1", "firefox", false);
        check("Yes", "", false);
        check("0", "none", true);
        check("nonsense", "none", true);
    }

    #[test]
    fn a_browser_that_is_none_is_not_opened() {
        check("", "none", false);
        check("", "OFF", false);
        check("", "firefox", true);
    }

    #[track_caller]
    fn interactive(variables: [(&str, &str); 1], can_ask: bool, expect: bool) {
        let ui = Ui { talks_to_a_person: can_ask, can_ask, width: 80 };
        assert_eq!(is_interactive(&Environment::from(variables), ui), expect);
    }

    #[test]
    fn a_terminal_inside_another_program_asks_nothing() {
        interactive([("X", "1")], true, true);
        interactive([("X", "1")], false, false);
        interactive([("CODEX_TUI", "1")], true, false);
        interactive([("TERM_PROGRAM", "Codex")], true, false);
        interactive([("FORCE_INTERACTIVE_MODE", "1")], false, true);
    }
}
