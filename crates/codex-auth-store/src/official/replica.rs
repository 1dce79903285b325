//! Owns living with copies: an `auth.json` and an account of the pool may hold the same sign-in, and either may be
//! renewed first.
//!
//! A newer pair of the same identity is adopted, whoever wrote it; never across identities, even for equal e-mails.

use std::sync::Arc;

use camino::Utf8Path;
use codex_auth_core::{Credential, Held, Login, LoginState, OfficialLogins as _, Timestamp};

use super::{Homes, OfficialHomes, accounts_json, write};
use crate::{engine::Engine, freshness, kin};

/// The newest login of these homes and of the stores beside ours that is newer than `held`, and not known as spent. What
/// cannot be read has nothing to say.
pub(crate) fn newest(engine: &Engine, homes: &Homes, held: &Held, now: Timestamp) -> Option<Login> {
    let logins = homes.all().into_iter().flat_map(|home| logins_in(engine, &home)).chain(kin::logins(engine));
    kin::newest(logins.filter(|login| is_newer_copy(held, login, now) && !kin::is_spent(engine, login)), now)
}

/// Takes over the login's pair, if it is a newer one of the same account.
pub(crate) fn adopt(held: &mut Held, login: &Login, now: Timestamp) {
    if held.credential.id.is_none() && held.credential.same_grant(&login.credential) {
        // A pool of the predecessor's has no id token; without it this login could never be written again.
        held.credential.id.clone_from(&login.credential.id);
    }
    if !is_newer_copy(held, login, now) {
        return;
    }
    // A list of logins may lack the id token; the one we have is of the same person.
    let id = login.credential.id.clone().or_else(|| held.credential.id.clone());
    freshness::replace(held, Credential { id, ..login.credential.clone() });
    // It may be a sign-in of its own.
    held.account.incident = None;
    let (owner, found) = (&mut held.account.owner, &login.owner);
    owner.user = owner.user.take().or_else(|| found.user.clone());
    owner.email = owner.email.take().or_else(|| found.email.clone());
    owner.plan = found.plan.clone().or_else(|| owner.plan.take());
    held.account.issuer = held.account.issuer.take().or_else(|| login.issuer.clone());
}

/// Whether a home still holds this spent token.
pub(crate) fn is_behind(engine: &Engine, homes: &Homes, spent_hash: &str) -> bool {
    let mut logins = homes.all().into_iter().flat_map(|home| logins_in(engine, &home));
    logins.any(|login| accounts_json::spends(&login, spent_hash))
}

/// Hands the fresh pair on to every home and store that still holds the token it was bought with. Busy locks and other trouble
/// are passed over: the pool has the pair, and whoever reads both sees that it is newer.
pub(crate) fn follow(engine: &Engine, homes: &Homes, spent_hash: &str, fresh: &Credential) {
    for home in homes.all() {
        // Looked at before locking, so that homes of other accounts are never locked.
        if logins_in(engine, &home).iter().any(|login| accounts_json::spends(login, spent_hash)) {
            let _ = write::renew(engine, &engine.layout.client_files(&home), spent_hash, fresh);
        }
    }
    kin::follow(engine, spent_hash, fresh);
}

/// The logins of a home: its own, and those it lists.
fn logins_in(engine: &Engine, home: &Utf8Path) -> Vec<Login> {
    let reader = OfficialHomes::over(Arc::clone(&engine.fs), &engine.layout);
    let own = match reader.login(home.as_str()) {
        Ok(LoginState::Usable(login)) => Some(*login),
        Ok(LoginState::Absent | LoginState::Unusable { .. }) | Err(_) => None,
    };
    let listed = accounts_json::logins(engine.fs.as_ref(), &engine.layout.client_files(home).accounts);
    own.into_iter().chain(listed).collect()
}

fn is_newer_copy(held: &Held, login: &Login, now: Timestamp) -> bool {
    let issuers_differ = matches!((&held.account.issuer, &login.issuer), (Some(mine), Some(theirs)) if mine != theirs);
    !issuers_differ
        && held.account.owner.agrees_with(&login.owner)
        && !held.credential.same_grant(&login.credential)
        && !login.credential.refresh.is_blank()
        && freshness::is_newer(&login.credential, &held.credential, now)
}
