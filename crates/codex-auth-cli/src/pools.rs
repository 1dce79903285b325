//! Whose pool is in effect: pools from before are moved into it once, and what is so is said.

use codex_auth_core::StoreError;
use codex_auth_store::{LegacyPool, OsPlaces, Scope, legacy_pools};
use codex_auth_view::ScopeView;

use crate::{
    assemble::{PER_PROJECT, Product},
    error::{CliError, capitalised},
};

impl Product {
    /// The product once the pools this project had before are in the one it has now. Whatever stands in the way is
    /// said and changes nothing: the command goes on, and the next one tries again.
    pub(crate) fn settled(mut self) -> Self {
        let Scope::Project(project) = &self.scope else { return self };
        let mut moved = Vec::new();
        for found in legacy_pools(&self.store, project) {
            match self.moved_in(found, project.name()) {
                Ok(note) => moved.push(note),
                Err(CliError { message, .. }) => self.ui.say(&format!(
                    "codex-multi-auth: a pool from before was not moved into that of project {}. {message}",
                    project.name()
                )),
            }
        }
        for note in &moved {
            self.ui.say(&format!("codex-multi-auth: {note}"));
        }
        self.moved = moved;
        self
    }

    fn moved_in(&self, found: Result<LegacyPool, StoreError>, project: &str) -> Result<String, CliError> {
        let legacy = found?;
        let (path, count, now) = (legacy.path().to_owned(), legacy.len(), self.clock.now());
        let mut added = 0;
        self.change("move-in", &format!("moved the accounts of {path} in"), |pool| {
            added = legacy.fold_into(pool, now);
        })?;
        let is_gone = legacy.remove(&self.store).map_err(|error| {
            let CliError { message, .. } = error.into();
            CliError::new(codex_auth_core::Kind::Storage, "storage", format!("Its accounts are in, but: {message}"))
        })?;
        let file = if is_gone { "is removed" } else { "was changed meanwhile and is looked at again next time" };
        let accounts = if count == 1 { "account" } else { "accounts" };
        Ok(format!(
            "{count} {accounts} of {path} moved into the pool of project {project} ({added} new); the file {file}."
        ))
    }

    /// The scope as views tell it.
    pub(crate) fn scope_view(&self) -> ScopeView {
        match &self.scope {
            Scope::Global { .. } => ScopeView::Global,
            Scope::Project(project) => ScopeView::Project {
                name: project.name().to_owned(),
                key: project.key(),
                root: project.identity_root.to_string(),
            },
        }
    }

    /// What there is to say about pools that were moved, and about pools of this project that nobody uses.
    pub(crate) fn notes(&self) -> Vec<String> {
        let unused = self.scope.unused_pools(&self.layout, &OsPlaces).into_iter().map(|path| {
            format!(
                "{path} is a pool of this project alone and is not in use. Set {PER_PROJECT}=1, or perProjectAccounts \
                 to true under pluginConfig in {}, to use it here; or run `codex-multi-auth import {path}`.",
                self.layout.settings()
            )
        });
        self.moved.iter().map(|note| capitalised(note)).chain(unused).collect()
    }
}
