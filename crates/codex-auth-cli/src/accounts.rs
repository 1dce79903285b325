//! The account a person means: found by what they typed, refused when it is dead, freshened before it is handed on.

use codex_auth_core::{
    Alert, Held, KeepError, Kind, QuotaDiary as _, RefreshPlan, RefreshReason, SavedPool, Timestamp, WorkspaceId, plan,
    reason_ahead,
};
use codex_auth_store::{AccountsJson, LoginError};
use codex_auth_view::{LoginMirror, Named, wait};

use crate::{
    assemble::Product,
    error::{CliError, capitalised},
};

/// An account of the pool under its names.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) named: Named,
    pub(crate) held: Held,
}

/// Finds the account meant by a number, an alias, an e-mail address or a workspace id.
pub(crate) fn chosen(pool: &SavedPool, selector: &str) -> Result<Chosen, CliError> {
    if pool.accounts.is_empty() {
        return Err(no_accounts());
    }
    let held = pool.select(selector)?.clone();
    let named = Named::of(pool, &held.account.record).expect("the pool just named it");
    Ok(Chosen { named, held })
}

/// There is nobody to choose from.
pub(crate) fn no_accounts() -> CliError {
    CliError::new(Kind::NeedsLogin, "no_accounts", "No accounts configured.")
        .hint("Run `codex-multi-auth login` to sign in, or `codex-multi-auth import-current` to add codex's own login.")
}

impl Chosen {
    /// Refuses an account that no request could use: choosing it would only make every request fail.
    pub(crate) fn refuse_dead(&self, product: &Product) -> Result<(), CliError> {
        let Held { account, .. } = &self.held;
        if let Some(needs) = &account.needs_login {
            return Err(self.dead(&format!("needs a new sign-in ({})", needs.code)));
        }
        if account.owner.workspace.as_ref().is_none_or(WorkspaceId::is_platform_organisation) {
            return Err(self.dead("names no workspace, so no request could use it"));
        }
        if plan(&self.held, product.clock.now()) == RefreshPlan::AskForLogin {
            return Err(self.dead("has no usable token any more"));
        }
        Ok(())
    }

    /// Why it is renewed: what is about to end, or what the official client's login lacks.
    fn why(&self) -> RefreshReason {
        if self.held.credential.id.is_none() { RefreshReason::Forced } else { reason_ahead(&self.held.credential) }
    }

    fn dead(&self, why: &str) -> CliError {
        let Named { number, label, .. } = &self.named;
        CliError::new(Kind::NeedsLogin, "needs_login", format!("{label} {why}. Nothing was changed."))
            .hint(format!("Run `codex-multi-auth login --account {number}`."))
            .account(*number)
    }

    /// Renews tokens that are about to end, and those without the id token that codex needs. What only the network
    /// keeps from being renewed is handed back as it is, with a warning.
    pub(crate) fn freshened(self, product: &Product) -> Result<(Self, Option<String>), CliError> {
        let is_whole = self.held.credential.id.is_some();
        match plan(&self.held, product.clock.now()) {
            RefreshPlan::Use if is_whole => return Ok((self, None)),
            RefreshPlan::Use | RefreshPlan::RefreshBehind | RefreshPlan::RefreshFirst => {}
            RefreshPlan::AskForLogin => return Err(self.dead("has no usable token any more")),
        }
        product.say_overrides();
        let keeper = product.keeper()?;
        let renewed = keeper.renew(&self.held.account.record, &self.held.credential, self.why());
        match Product::runtime()?.block_on(renewed) {
            Ok(held) => Ok((Self { held, ..self }, None)),
            Err(KeepError::NeedsLogin { code }) => Err(self.dead(&format!("needs a new sign-in ({code})"))),
            Err(error) => match error.kind() {
                Kind::Network | Kind::Wait { .. } => {
                    let number = self.named.number;
                    let warning = format!("Switch validation refresh failed for account {number}: {error}.");
                    Ok((self, Some(warning)))
                }
                Kind::Usage | Kind::NeedsLogin | Kind::Conflict | Kind::Storage | Kind::Internal => Err(error.into()),
            },
        }
    }

    /// Makes it the login of the official client, unless the user keeps us away from there.
    pub(crate) fn mirrored(&self, product: &Product) -> LoginMirror {
        if keeps_away(product) {
            return LoginMirror::Off;
        }
        mirror(product, &self.named, product.store.write_login(product.layout.codex_home(), &self.held.account.record))
    }
}

/// Whether the user keeps us away from the official client's login.
pub(crate) fn keeps_away(product: &Product) -> bool {
    product.environment.switch("CODEX_MULTI_AUTH_SYNC_CODEX_CLI") == Some(false)
}

/// What the agent found to be low, a sentence for each window; since an instant, where one is given. Files that cannot
/// be used are shown by `files`, and made anew by the agent.
pub(crate) fn low_quotas(product: &Product, pool: &SavedPool, since: Option<Timestamp>) -> Vec<String> {
    let alerts = product.diary().alerts().unwrap_or_default();
    let mut newest: Vec<Alert> = Vec::new();
    for alert in alerts.into_iter().filter(|alert| since.is_none_or(|since| alert.at >= since)) {
        newest.retain(|known| (&known.record, known.length) != (&alert.record, alert.length));
        newest.push(alert);
    }
    let told = |alert: &Alert| {
        let number = pool.number_of(&alert.record)?;
        let resets = alert.resets_at.map(|at| format!("; it starts anew in {}", wait(at.since(product.clock.now()))));
        Some(format!("account {number}: {}{}.", alert.sentence(), resets.unwrap_or_default()))
    };
    newest.iter().filter_map(told).collect()
}

/// What became of the login file of `named`.
pub(crate) fn mirror(product: &Product, named: &Named, written: Result<AccountsJson, LoginError>) -> LoginMirror {
    match written {
        // The official client would only say `missing field id_token`.
        Err(LoginError::Incomplete { what, .. }) => {
            let Named { number, label, .. } = named;
            let why = format!(
                "{label} has no {what}, which codex needs (`missing field {}`). Run `codex-multi-auth login --account \
                 {number}`, then `codex-multi-auth switch {number}`.",
                what.replace(' ', "_")
            );
            LoginMirror::Failed { why }
        }
        Ok(listed) => LoginMirror::Written { path: product.layout.auth_json().into_string(), drift: drift(listed) },
        Err(error) => {
            let CliError { message, hint, .. } = error.into();
            LoginMirror::Failed { why: hint.map_or_else(|| message.clone(), |hint| format!("{message} {hint}")) }
        }
    }
}

/// What the list of logins says otherwise than the login file, in one sentence.
fn drift(listed: AccountsJson) -> Option<String> {
    match listed {
        AccountsJson::Absent | AccountsJson::InStep => None,
        AccountsJson::NoEntry { path } => {
            Some(format!("{path} does not list this account, so it still names another one; it was left as it is."))
        }
        AccountsJson::Skipped { why } => {
            Some(format!("{} Programs that read it may still use another account.", capitalised(&why)))
        }
    }
}
