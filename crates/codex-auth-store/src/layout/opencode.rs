//! Owns where the files of a pool lie whose document is `OpenCode`'s.
//!
//! Document, locks and quarantine are where the plugin has them; our own files are under `codex-auth/` there. Both
//! domains change one document, so they share what a crash leaves: the journals. Each has a sidecar, copies and a log
//! of its own, because one account may have a grant of its own in each.

use camino::{Utf8Path, Utf8PathBuf};

use super::{ACCOUNTS, Layout};
use crate::{
    fs::os,
    opencode::{Domain, OPENCODE_ACCOUNTS},
};

/// `OpenCode`'s configuration directory by its own rule: only an absolute `XDG_CONFIG_HOME` counts.
pub fn opencode_config_root(home: &Utf8Path, xdg_config_home: Option<&str>) -> Utf8PathBuf {
    let told = xdg_config_home.map(|told| Utf8Path::new(told.trim())).filter(|told| told.is_absolute());
    told.map_or_else(|| home.join(".config"), Utf8Path::to_owned).join("opencode")
}

/// Whose document a pool is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolFormat {
    /// That of the predecessor's command line.
    CommandLine,
    /// One domain of `OpenCode`'s.
    OpenCode {
        /// The directory of its document.
        config_root: Utf8PathBuf,
        domain: Domain,
    },
}

impl PoolFormat {
    /// The document's name.
    pub(super) fn accounts(&self) -> &'static str {
        match self {
            Self::CommandLine => ACCOUNTS,
            Self::OpenCode { .. } => OPENCODE_ACCOUNTS,
        }
    }
}

impl Layout {
    /// The same with the pool kept in a domain of the document in `OpenCode`'s directory; refresh locks and what all
    /// pools share stay where they were.
    #[must_use]
    pub fn with_opencode_pool_in(self, config_root: impl Into<Utf8PathBuf>, domain: Domain) -> Self {
        let config_root = config_root.into();
        Self { root: config_root.join("codex-auth"), format: PoolFormat::OpenCode { config_root, domain }, ..self }
    }

    /// `OpenCode`'s document, whichever pool this is.
    pub(crate) fn opencode_accounts(&self) -> Utf8PathBuf {
        let config_root = match &self.format {
            PoolFormat::CommandLine => &self.opencode,
            PoolFormat::OpenCode { config_root, .. } => config_root,
        };
        config_root.join(OPENCODE_ACCOUNTS)
    }

    /// The pools of this user beside this one, whether or not there are any: both domains of `OpenCode`'s document, the
    /// user's own pool, and those of projects.
    pub(crate) fn beside(&self) -> Vec<Self> {
        let config_root = match &self.format {
            PoolFormat::CommandLine => &self.opencode,
            PoolFormat::OpenCode { config_root, .. } => config_root,
        };
        let ours = Self { root: self.base.clone(), format: PoolFormat::CommandLine, ..self.clone() };
        let keys = os::names_in(&self.base.join("projects")).unwrap_or_default();
        let projects = keys.iter().map(|key| ours.clone().with_pool_in(self.project_root(key)));
        let opencode = Domain::ALL.into_iter().map(|domain| self.clone().with_opencode_pool_in(config_root, domain));
        let all: Vec<Self> = [ours.clone()].into_iter().chain(projects).chain(opencode).collect();
        all.into_iter().filter(|other| other.pool_dir() != self.pool_dir()).collect()
    }

    pub(crate) fn format(&self) -> &PoolFormat {
        &self.format
    }

    /// Whether the predecessor of this format marks a cleared pool, journals its saves and keeps `.bak` files.
    pub(crate) fn has_predecessors_marks(&self) -> bool {
        self.format == PoolFormat::CommandLine
    }

    /// Where the document lies.
    pub(super) fn document_dir(&self) -> &Utf8Path {
        match &self.format {
            PoolFormat::CommandLine => &self.root,
            PoolFormat::OpenCode { config_root, .. } => config_root,
        }
    }

    /// The directories in which writing leaves something behind when it is stopped.
    pub(crate) fn written_dirs(&self) -> Vec<Utf8PathBuf> {
        match &self.format {
            PoolFormat::CommandLine => vec![self.root.clone(), self.journal_dir()],
            PoolFormat::OpenCode { config_root, .. } => {
                vec![config_root.clone(), self.pool_dir(), self.journal_dir()]
            }
        }
    }

    pub(super) fn sidecar_dir(&self) -> Utf8PathBuf {
        match &self.format {
            PoolFormat::OpenCode { config_root, domain: Domain::Native } => config_root.clone(),
            PoolFormat::CommandLine | PoolFormat::OpenCode { domain: Domain::Codex, .. } => self.pool_dir(),
        }
    }

    /// Where the files lie that are this pool's alone.
    pub(super) fn pool_dir(&self) -> Utf8PathBuf {
        match &self.format {
            PoolFormat::CommandLine => self.root.clone(),
            PoolFormat::OpenCode { domain, .. } => self.root.join(domain.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(told: Option<&str>, expect: &str) {
        assert_eq!(opencode_config_root(Utf8Path::new("/home/a"), told), expect);
    }

    #[test]
    fn only_an_absolute_directory_counts_defect_27() {
        check(None, "/home/a/.config/opencode");
        check(Some(" /c "), "/c/opencode");
        check(Some("c"), "/home/a/.config/opencode");
        check(Some(""), "/home/a/.config/opencode");
    }
}
