//! `wrapper`: the `codex` on `PATH` that leads to this program.

use serde::Serialize;

use crate::{screen::Screen, words::Lines};

/// What stands where our link belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WrapperState {
    /// Nothing.
    NotInstalled,
    /// Our link.
    Installed,
    /// Something that is not ours; it is never touched.
    Foreign,
}

/// What the command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WrapperChange {
    /// It only looked.
    Looked,
    /// The link was made.
    Installed,
    /// The link was there already.
    Kept,
    /// The link was removed.
    Removed,
    /// There was no link to remove.
    NothingToRemove,
}

/// The link, and what `codex` means on `PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrapperStatus {
    /// What the command did.
    pub change: WrapperChange,
    /// What stands there now.
    pub state: WrapperState,
    /// The link's path.
    pub link: String,
    /// Where it leads, if it is one.
    pub target: Option<String>,
    /// The line that puts the link's directory on `PATH`; never written anywhere by us.
    pub path_line: String,
    /// The first `codex` on `PATH`.
    pub first_on_path: Option<String>,
    /// Whether that one is ours.
    pub first_is_ours: bool,
    /// The official client the wrapper would start.
    pub official: Option<String>,
}

impl Screen for WrapperStatus {
    fn command(&self) -> &'static str {
        match self.change {
            WrapperChange::Looked => "wrapper status",
            WrapperChange::Installed | WrapperChange::Kept => "wrapper install",
            WrapperChange::Removed | WrapperChange::NothingToRemove => "wrapper remove",
        }
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        let link = &self.link;
        match self.change {
            WrapperChange::Looked => match self.state {
                WrapperState::NotInstalled => drop(lines.line("Wrapper: not installed")),
                WrapperState::Installed => drop(lines.line(&format!("Wrapper: installed at {link}"))),
                WrapperState::Foreign => drop(lines.line(&format!("Wrapper: {link} is there, but not ours"))),
            },
            WrapperChange::Installed => drop(lines.line(&format!("Installed {link}."))),
            WrapperChange::Kept => drop(lines.line(&format!("Already installed: {link}."))),
            WrapperChange::Removed => drop(lines.line(&format!("Removed {link}."))),
            WrapperChange::NothingToRemove => drop(lines.line("Nothing to remove.")),
        }
        let first = self.first_on_path.as_deref().unwrap_or("none");
        let whose = if self.first_is_ours { " (this program)" } else { "" };
        lines.line(&format!("`codex` on PATH: {first}{whose}"));
        lines.line(&format!("Official client: {}", self.official.as_deref().unwrap_or("not found")));
        if self.state == WrapperState::Installed && !self.first_is_ours {
            lines.gap().line("To put it first, add this line to your shell's start file yourself:");
            lines.whole(&format!("  {}", self.path_line));
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(change: WrapperChange, state: WrapperState, first_is_ours: bool) -> String {
        WrapperStatus {
            change,
            state,
            link: "/home/a/.codex/multi-auth/bin/codex".to_owned(),
            target: None,
            path_line: "export PATH=\"/home/a/.codex/multi-auth/bin:$PATH\"".to_owned(),
            first_on_path: Some("/usr/bin/codex".to_owned()),
            first_is_ours,
            official: Some("/usr/bin/codex".to_owned()),
        }
        .text(80)
    }

    #[test]
    fn an_installed_link_that_is_not_first_names_the_line() {
        insta::assert_snapshot!(status(WrapperChange::Installed, WrapperState::Installed, false));
    }

    #[test]
    fn a_link_that_is_first_needs_no_line() {
        assert!(!status(WrapperChange::Looked, WrapperState::Installed, true).contains("export"));
        assert!(!status(WrapperChange::Removed, WrapperState::NotInstalled, false).contains("export"));
    }
}
