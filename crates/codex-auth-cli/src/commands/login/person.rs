//! The person at the other end of a sign-in: whether somebody is there, and what they type.

use std::sync::OnceLock;

use super::typed::Typed;
use crate::{environment::Environment, ui::Ui};

/// Words that end a wait.
const CANCELS: [&str; 3] = ["q", "quit", "cancel"];

/// Somebody who can sign in.
#[derive(Debug)]
pub(crate) struct Person {
    pub(super) ui: Ui,
    typed: OnceLock<Typed>,
}

impl Person {
    /// Whoever is here.
    pub(crate) fn at(ui: Ui) -> Self {
        Self { ui, typed: OnceLock::new() }
    }

    /// Whether there is a terminal to type at.
    pub(super) fn can_type(&self) -> bool {
        self.ui.can_ask
    }

    /// The next line they type; `None` once they cannot any more.
    pub(super) async fn line(&self) -> Option<String> {
        self.typed.get_or_init(Typed::begin).line().await
    }

    /// What they answer to a question, in lower case. No answer is the empty one.
    pub(super) async fn answer(&self, question: &str) -> String {
        self.ui.prompt(question);
        self.line().await.unwrap_or_default().trim().to_lowercase()
    }

    /// Comes when they want a wait to end: by Ctrl-C anywhere, by a word on a terminal.
    pub(super) async fn cancels(&self) {
        let word = async {
            while self.can_type() {
                match self.line().await.map(|line| line.trim().to_lowercase()) {
                    Some(word) if CANCELS.contains(&word.as_str()) => return,
                    Some(_) => {}
                    None => break,
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = interrupted() => {}
            () = word => {}
        }
    }
}

/// Comes with Ctrl-C. Where that cannot be heard, the system ends this program as always.
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether questions make sense here: the predecessor's rule.
pub(super) fn is_interactive(environment: &Environment, ui: Ui) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
