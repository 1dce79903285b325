//! Owns the one rule that says which pool is in effect: the user's, or that of the project they work in.
//!
//! A project has a pool of its own only where somebody asked for it. The predecessor's default said yes, but none of
//! its commands ever followed it, so an absent setting means what its users have always had: one pool.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::StoreError;
use serde_json::Value;

use crate::{
    documents::settings::boolean,
    fs::{Fs, read_optional},
    json,
    layout::{ACCOUNTS, Layout},
    legacy::legacy_places,
    project::{Places, Project},
};

/// Which pool is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The user's.
    Global {
        /// The project they work in, which shares that pool.
        project: Option<Project>,
    },
    /// The project's own.
    Project(Project),
}

impl Scope {
    /// The scope of whoever works in `directory`. `asked` is `CODEX_AUTH_PER_PROJECT_ACCOUNTS`; it wins over
    /// `pluginConfig.perProjectAccounts` of the settings.
    ///
    /// Settings that cannot be read decide nothing. Where the project has a pool of its own, that is an error: to
    /// guess could show one repository the accounts of another.
    pub fn of(
        layout: &Layout,
        asked: Option<&str>,
        directory: &Utf8Path,
        fs: &dyn Fs,
        places: &dyn Places,
    ) -> Result<Self, StoreError> {
        let Some(project) = Project::of(directory, layout.codex_home(), places) else {
            return Ok(Self::Global { project: None });
        };
        let wanted = match (asked.and_then(boolean), stored(layout, fs)) {
            (Some(asked), _) => asked,
            (None, Ok(stored)) => stored.unwrap_or(false),
            (None, Err(error)) if places.exists(&layout.project_root(&project.key()).join(ACCOUNTS)) => {
                return Err(error);
            }
            (None, Err(_)) => false,
        };
        Ok(if wanted { Self::Project(project) } else { Self::Global { project: Some(project) } })
    }

    /// Accounts files of this project alone, which nobody uses as long as the user's pool is in effect.
    pub fn unused_pools(&self, layout: &Layout, places: &dyn Places) -> Vec<Utf8PathBuf> {
        let Self::Global { project: Some(project) } = self else { return Vec::new() };
        let own = layout.project_root(&project.key());
        let before = legacy_places(layout, project);
        [own].into_iter().chain(before).map(|dir| dir.join(ACCOUNTS)).filter(|path| places.exists(path)).collect()
    }

    /// Where everything is in this scope.
    #[must_use]
    pub fn applied_to(&self, layout: Layout) -> Layout {
        match self {
            Self::Global { .. } => layout,
            Self::Project(project) => {
                let root = layout.project_root(&project.key());
                layout.with_pool_in(root)
            }
        }
    }
}

/// What the settings say; `None` when they say nothing.
fn stored(layout: &Layout, fs: &dyn Fs) -> Result<Option<bool>, StoreError> {
    let path = layout.settings();
    let Some(bytes) = read_optional(fs, &path)? else { return Ok(None) };
    let settings = json::parse_object(&path, &bytes, "mend it or move it away")?;
    Ok(settings.get("pluginConfig").and_then(|config| config.get("perProjectAccounts")).and_then(Value::as_bool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OsFs, OsPlaces, Write, layout::LayoutInputs};

    struct Home {
        dir: tempfile::TempDir,
    }

    impl Home {
        /// A home with a repository `shop`, and these settings.
        fn with(settings: Option<&str>) -> Self {
            let home = Self { dir: tempfile::tempdir().expect("a directory") };
            OsFs.make_dir(&home.path("shop/.git")).expect("made");
            if let Some(text) = settings {
                write(&home.layout().settings(), text);
            }
            home
        }

        fn path(&self, path: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.dir.path()).expect("text").join(path)
        }

        fn layout(&self) -> Layout {
            let inputs = LayoutInputs { home: self.path("").into_string(), ..LayoutInputs::default() };
            Layout::resolve_with(&inputs, &|_| Vec::new())
        }

        fn scope(&self, asked: &str, directory: &str) -> Result<Scope, StoreError> {
            Scope::of(&self.layout(), Some(asked), &self.path(directory), &OsFs, &OsPlaces)
        }
    }

    fn write(path: &Utf8Path, text: &str) {
        OsFs.make_dir(path.parent().expect("in a directory")).expect("made");
        OsFs.write(path, text.as_bytes(), Write::New).expect("written");
    }

    #[track_caller]
    fn check(settings: Option<&str>, asked: &str, directory: &str, is_own: bool) {
        let home = Home::with(settings);
        let scope = home.scope(asked, directory).expect("a scope");
        assert_eq!(matches!(scope, Scope::Project(_)), is_own);
        let layout = scope.applied_to(home.layout());
        assert_eq!(layout.base(), home.layout().root(), "what pools share does not move");
        assert_eq!((layout.settings(), layout.base_lock()), (home.layout().settings(), home.layout().root_lock()));
        assert_eq!(layout.root() == layout.base(), !is_own);
    }

    const ON: Option<&str> = Some(r#"{"pluginConfig":{"perProjectAccounts":true}}"#);
    const OFF: Option<&str> = Some(r#"{"pluginConfig":{"perProjectAccounts":false}}"#);

    #[test]
    fn only_who_asks_has_a_pool_per_project() {
        check(None, "", "shop", false);
        check(Some(r#"{"pluginConfig":{"perProjectAccounts":"yes"}}"#), "", "shop", false);
        check(OFF, "", "shop", false);
        check(ON, "", "shop/src", true);
        check(ON, "", "elsewhere", false);
    }

    #[test]
    fn the_environment_wins() {
        check(None, "1", "shop", true);
        check(OFF, "yes", "shop", true);
        check(ON, "0", "shop", false);
        check(ON, "perhaps", "shop", true);
    }

    #[test]
    fn unreadable_settings_never_show_a_project_other_accounts() {
        let home = Home::with(Some("{"));
        assert!(matches!(home.scope("", "shop"), Ok(Scope::Global { .. })));
        let project = Project::of(&home.path("shop"), home.layout().codex_home(), &OsPlaces).expect("a project");
        write(&home.layout().project_root(&project.key()).join(ACCOUNTS), "{}");
        let error = home.scope("", "shop").expect_err("nobody can tell");
        assert!(error.to_string().contains("settings.json cannot be used: it ends in the middle"), "{error}");
        assert!(matches!(home.scope("1", "shop"), Ok(Scope::Project(_))));
    }
}
