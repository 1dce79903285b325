//! A change a person asked for: applied to freshly read state under the lock, and noted in the log of operations.

use codex_auth_core::SavedPool;
use codex_auth_store::{Operated, Operation};

use crate::{assemble::Product, error::CliError};

impl Product {
    /// Applies and notes a change; `what` says it in a few words.
    pub(crate) fn change(
        &self,
        command: &str,
        what: &str,
        change: impl FnOnce(&mut SavedPool),
    ) -> Result<SavedPool, CliError> {
        let Operated { after, .. } = self.store.operate(Operation::new(command, what), change)?;
        self.tell_the_agent();
        Ok(after)
    }

    /// Lets a running agent see a change before the command returns.
    pub(crate) fn tell_the_agent(&self) {
        // A running agent looks by itself five times a second; asked, it has seen the change when we return.
        if let Err(error) = crate::agent::ask(self, http::Method::POST, "/v1/reload") {
            self.ui.say(&format!("codex-multi-auth: {}", error.message));
        }
    }
}
