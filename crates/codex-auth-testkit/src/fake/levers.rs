//! Owns what a test can tell a running fake to do; the control API has the same levers.

use std::time::Duration;

use serde_json::Value;

use super::FakeOpenAi;
use crate::fault::Fault;
use crate::issuer::SignIn;
use crate::people::Who;
use crate::quota::Used;
use crate::script::Script;

impl FakeOpenAi {
    /// Uses an account's quota up, for an hour unless said otherwise.
    pub fn exhaust(&self, who: Who, rest: Option<Duration>) {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change(|world| world.backend.quotas.exhaust(who, rest, now_ms));
    }

    /// Gives one account, or all, their quota back.
    pub fn restore(&self, who: Option<Who>) {
        self.shared.change(|world| world.backend.quotas.restore(who));
    }

    /// Sets the used shares an account starts from.
    pub fn set_used(&self, who: Who, used: Used) {
        self.shared.change(|world| world.backend.quotas.set_used(who, used));
    }

    /// Gives an account reset credits.
    pub fn set_reset_credits(&self, who: Who, credits: u32) {
        self.shared.change(|world| world.backend.quotas.set_reset_credits(who, credits));
    }

    /// Sets the model list of one account, or of everybody without one: `{"models": […]}`.
    pub fn set_models(&self, who: Option<Who>, list: Value) {
        self.shared.change(|world| world.backend.models.insert(who, list));
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.change(|world| world.faults.add(fault));
    }

    /// Takes all faults back that have not struck.
    pub fn clear_faults(&self) {
        self.shared.change(|world| world.faults.clear());
    }

    /// Tells the model what to say.
    pub fn script(&self, script: Script) {
        self.shared.change(|world| world.backend.scripts.add(script));
    }

    /// Back to the default answer.
    pub fn clear_scripts(&self) {
        self.shared.change(|world| world.backend.scripts.clear());
    }

    /// Queues who signs in next, or how the page refuses.
    pub fn next_login(&self, sign_in: SignIn) {
        self.shared.change(|world| world.issuer.next_login(sign_in));
    }

    /// Grants every pending device code at its next poll.
    pub fn approve_devices(&self) {
        self.shared.change(|world| world.issuer.approve_devices());
    }

    /// Makes every access token of somebody expire now, whatever its `exp` says.
    pub fn expire_access(&self, who: Who) {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change(|world| world.issuer.grants.expire_access(who, now_ms));
    }

    /// Revokes every sign-in of somebody.
    pub fn revoke(&self, who: Who) {
        self.shared.change(|world| world.issuer.grants.revoke_all(who));
    }

    /// Releases every held answer; says how many there were.
    pub fn release(&self) -> usize {
        self.shared.release()
    }

    /// Moves a manual clock; `false` if the clock is real.
    pub fn advance(&self, by: Duration) -> bool {
        self.shared.clock.advance(by)
    }
}
