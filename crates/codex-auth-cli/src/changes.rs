//! A change a person asked for: applied to freshly read state under the lock, and noted in the log of operations.

use codex_auth_core::SavedPool;
use codex_auth_store::{OpLog, Operation};

use crate::{
    assemble::Product,
    error::{CliError, capitalised},
};

impl Product {
    /// Applies and notes a change; `what` says it in a few words.
    pub(crate) fn change(
        &self,
        command: &str,
        what: &str,
        change: impl FnOnce(&mut SavedPool),
    ) -> Result<SavedPool, CliError> {
        let mut before = SavedPool::default();
        let after = self.store.edit_now(|pool| {
            before = pool.clone();
            change(pool);
        })?;
        let operation = Operation { at: self.clock.now(), command, change: what };
        if let Err(error) = OpLog::new(self.layout.oplog()).append(operation, &before, &after) {
            // The change itself is done and durable.
            self.ui.say(&format!("codex-multi-auth: the change was not logged. {}", capitalised(&error.to_string())));
        }
        // A running agent looks by itself five times a second; asked, it has seen the change when we return.
        if let Err(error) = crate::agent::ask(self, http::Method::POST, "/v1/reload") {
            self.ui.say(&format!("codex-multi-auth: {}", error.message));
        }
        Ok(after)
    }
}
