//! Clients that run on the home without us: what is done for them before the login changes, and what is said after.

use codex_auth_core::{
    Held, Login, LoginState, OfficialLogins as _, REFRESH_AHEAD, SavedPool, Timestamp, reason_ahead,
};
use codex_auth_store::plain_clients;
use codex_auth_view::Named;

use crate::{
    accounts::{Chosen, keeps_away},
    assemble::Product,
    error::CliError,
};

/// The plain clients of the home, and the login they began with.
#[derive(Debug)]
pub(super) struct Neighbours {
    pids: Vec<u32>,
    login: Login,
    /// The account of the pool behind that login.
    held: Option<Held>,
    /// How it is called.
    label: String,
}

impl Neighbours {
    /// Those that a switch to this account concerns; `None` when there are none.
    pub(super) fn of(product: &Product, pool: &SavedPool, target: &Chosen) -> Option<Self> {
        if keeps_away(product) {
            return None;
        }
        let home = product.layout.codex_home();
        let Ok(LoginState::Usable(login)) = product.official.login(home.as_str()) else { return None };
        if login.owner.agrees_with(&target.held.account.owner) {
            return None;
        }
        let pids = plain_clients(home);
        if pids.is_empty() {
            return None;
        }
        let held = pool.accounts.iter().find(|held| held.account.owner.agrees_with(&login.owner)).cloned();
        let named = held.as_ref().and_then(|held| Named::of(pool, &held.account.record));
        let label = named.map(|named| named.label).or_else(|| login.owner.email.clone());
        Some(Self { pids, login: *login, held, label: label.unwrap_or_else(|| "the login before".to_owned()) })
    }

    /// Renews the login that is about to be replaced, where a client would renew it at its next turn.
    ///
    /// That client's own renewal would be lost: it finds another account in the file afterwards, and drops what it was
    /// granted (protocol 1.6). Renewed by us first, the newest pair is in the pool; the client sees at its next turn
    /// that the file is another account's and presents nothing (protocol 1.7). In the other order a token that a client
    /// is about to present would stand in the pool as good.
    pub(super) fn renew_ahead(&self, product: &Product, now: Timestamp) -> Result<Option<String>, CliError> {
        let Some(held) = self.held.as_ref().filter(|held| must_be_renewed(held, &self.login, now)) else {
            return Ok(None);
        };
        let renewed = product.keeper()?;
        let renewed = renewed.renew(&held.account.record, &held.credential, reason_ahead(&held.credential));
        let failed = Product::runtime()?.block_on(renewed).err();
        Ok(failed.map(|error| format!("{} could not be renewed before the switch: {error}.", self.label)))
    }

    /// One sentence per client.
    pub(super) fn told(&self) -> Vec<String> {
        let told = |pid: &u32| format!("codex (pid {pid}) still uses {} until it is restarted.", self.label);
        self.pids.iter().map(told).collect()
    }
}

/// Whether the login is inside the client's window, and ours to renew.
fn must_be_renewed(held: &Held, login: &Login, now: Timestamp) -> bool {
    !login.credential.is_live(now, REFRESH_AHEAD)
        && held.account.needs_login.is_none()
        && !held.credential.refresh.is_blank()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codex_auth_core::NeedsLogin;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[track_caller]
    fn check(left: Duration, change: impl FnOnce(&mut Held), expect: bool) {
        let document = json!({ "version": 3, "activeIndex": 0, "accounts": [{
            "accountId": "ws-1", "refreshToken": "R1", "accessToken": "A1", "addedAt": 1, "lastUsed": 1,
            "expiresAt": NOW.after(left).as_millis(),
        }]});
        let path = camino::Utf8Path::new("pool");
        let pool = codex_auth_store::import::from_document(path, document.to_string().as_bytes(), NOW).expect("a pool");
        let mut held = pool.accounts.into_iter().next().expect("an account");
        let login = Login { owner: held.account.owner.clone(), credential: held.credential.clone(), issuer: None };
        change(&mut held);
        assert_eq!(must_be_renewed(&held, &login, NOW), expect);
    }

    #[test]
    fn only_a_login_inside_the_clients_window_is_renewed_first() {
        check(REFRESH_AHEAD, |_| {}, true);
        check(REFRESH_AHEAD + Duration::from_secs(1), |_| {}, false);
        let marked = NeedsLogin { code: "x".into(), at: Timestamp::default() };
        check(Duration::ZERO, |held| held.account.needs_login = Some(marked), false);
    }
}
