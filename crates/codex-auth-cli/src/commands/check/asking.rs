//! One account is asked: its token renewed when it is stale, once and durably, then its usage read.

use std::sync::Arc;

use codex_auth_core::{
    AccountStore, Clock, CredentialKeeper, Held, KeepError, Kind, NeedsLogin, Outcome, QuotaSnapshot, Recovery,
    RefreshPlan, RefreshReason, Renewed, StoreError, plan, reason_ahead,
};
use codex_auth_oauth::{HttpClient, ReqwestClient};
use codex_auth_view::CheckOutcome;
use http::{HeaderValue, Request, header};
use tokio::sync::Mutex;

use super::usage::{self, Usage};
use crate::{assemble::Product, error::CliError};

/// What asking needs.
#[derive(Debug)]
pub(super) struct Asking {
    http: ReqwestClient,
    backend: String,
    keeper: CredentialKeeper,
    store: Arc<dyn AccountStore>,
    clock: Arc<dyn Clock>,
    /// Held while a token is presented or an account marked: one at a time, so that whoever is next knows of it.
    alone: Mutex<()>,
}

/// What was found out about an account.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) outcome: CheckOutcome,
    pub(crate) detail: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) quota: Option<QuotaSnapshot>,
    /// Why nothing could be kept.
    pub(super) store: Option<StoreError>,
}

/// The answer to a question for usage.
enum Told {
    Usage(Usage),
    Refused(Outcome, u16),
    Nothing(String),
}

impl Finding {
    fn of(outcome: CheckOutcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: Some(detail.into()), plan: None, quota: None, store: None }
    }

    fn not_renewed(error: KeepError) -> Self {
        let found = Self::of(CheckOutcome::SignedInOnly, format!("refresh failed: {error}"));
        match error {
            KeepError::HeldBack { .. } => {
                Self::of(CheckOutcome::SignedInOnly, format!("token_invalidated_wave: {error}"))
            }
            // Only this account is affected by its removal.
            KeepError::Store(StoreError::NoSuchAccount(_))
            | KeepError::NeedsLogin { .. }
            | KeepError::Paused { .. }
            | KeepError::Issuer(_) => found,
            KeepError::Store(error) => Self { store: Some(error), ..found },
        }
    }

    fn told(usage: Usage) -> Self {
        let outcome = if usage.is_exhausted { CheckOutcome::Exhausted } else { CheckOutcome::Available };
        Self { outcome, detail: None, plan: usage.plan, quota: usage.quota, store: None }
    }
}

impl Asking {
    pub(super) fn new(product: &Product) -> Result<Self, CliError> {
        Ok(Self {
            http: product.http(),
            backend: product.backend()?.to_string().trim_end_matches('/').to_owned(),
            keeper: product.keeper()?,
            store: product.store.clone(),
            clock: product.clock.clone(),
            alone: Mutex::default(),
        })
    }

    /// Looks at one account.
    pub(super) async fn look(&self, held: Held) -> Finding {
        if !held.account.enabled {
            return Finding { outcome: CheckOutcome::Disabled, detail: None, plan: None, quota: None, store: None };
        }
        if let Some(needs) = &held.account.needs_login {
            return Finding::of(CheckOutcome::NeedsLogin, needs.code.clone());
        }
        let planned = plan(&held, self.clock.now());
        let held = match planned {
            RefreshPlan::Use => held,
            RefreshPlan::AskForLogin => return Finding::of(CheckOutcome::NeedsLogin, "no usable token is left"),
            RefreshPlan::RefreshBehind | RefreshPlan::RefreshFirst => {
                match self.renewed(&held, reason_ahead(&held.credential)).await {
                    Ok(fresh) => fresh,
                    Err(error) if error.kind() == Kind::NeedsLogin => return dead(&error),
                    Err(_) if planned == RefreshPlan::RefreshBehind => held,
                    Err(error) => return Finding::not_renewed(error),
                }
            }
        };
        match self.usage(&held).await {
            Told::Refused(Outcome::Unauthorized, _) => self.once_more(&held).await,
            told => self.found(&held, told).await,
        }
    }

    /// A token that was refused may only have grown old: it is renewed, and asked with once more, as often as core says.
    async fn once_more(&self, held: &Held) -> Finding {
        let (mut seen, mut recovery) = (held.clone(), Recovery::default());
        loop {
            let renewed = match self.recovered(&seen, RefreshReason::UnauthorizedRecovery).await {
                Ok(renewed) => renewed,
                Err(error) if error.kind() == Kind::NeedsLogin => return dead(&error),
                Err(error) => return Finding::not_renewed(error),
            };
            recovery.came_to(&renewed);
            seen = renewed.held;
            match self.usage(&seen).await {
                Told::Refused(Outcome::Unauthorized, _) if !recovery.is_over() => {}
                told => return self.found(&seen, told).await,
            }
        }
    }

    async fn found(&self, held: &Held, told: Told) -> Finding {
        match told {
            Told::Usage(usage) => Finding::told(usage),
            Told::Nothing(why) => Finding::of(CheckOutcome::SignedInOnly, format!("usage not told: {why}")),
            Told::Refused(Outcome::TokenInvalidated { code }, _) => self.invalidated(held, code).await,
            Told::Refused(Outcome::Unauthorized, _) => {
                Finding::of(CheckOutcome::NeedsLogin, "the backend refuses its token, also a fresh one")
            }
            Told::Refused(Outcome::Deactivated { code }, _) => {
                Finding::of(CheckOutcome::SignedInOnly, format!("its workspace is out of service ({code})"))
            }
            Told::Refused(
                Outcome::Served
                | Outcome::Refused { .. }
                | Outcome::UsageLimited { .. }
                | Outcome::RateLimited { .. }
                | Outcome::ModelLimited { .. }
                | Outcome::LacksModel
                | Outcome::PolicyRefused
                | Outcome::ForeignCiphertext
                | Outcome::ServerFault { .. }
                | Outcome::Overloaded { .. }
                | Outcome::NetworkFault
                | Outcome::Stalled
                | Outcome::Cancelled,
                status,
            ) => Finding::of(CheckOutcome::SignedInOnly, format!("usage not told: HTTP {status}")),
        }
    }

    /// Marks the account durably, unless somebody renewed it meanwhile.
    async fn invalidated(&self, held: &Held, code: String) -> Finding {
        let _alone = self.alone.lock().await;
        let (record, credential) = (held.account.record.clone(), held.credential.clone());
        let needs = NeedsLogin { code: code.clone(), at: self.clock.now() };
        let edit = self.store.edit(Box::new(move |pool| {
            let held = pool.find_mut(&record).filter(|held| held.credential.same_grant(&credential));
            if let Some(held) = held {
                held.account.needs_login = Some(needs);
            }
        }));
        match edit.await {
            Ok(_) => Finding::of(CheckOutcome::NeedsLogin, code),
            Err(error) => Finding::of(CheckOutcome::NeedsLogin, format!("{code} (not noted: {error})")),
        }
    }

    async fn renewed(&self, held: &Held, why: RefreshReason) -> Result<Held, KeepError> {
        self.recovered(held, why).await.map(|renewed| renewed.held)
    }

    async fn recovered(&self, held: &Held, why: RefreshReason) -> Result<Renewed, KeepError> {
        let _alone = self.alone.lock().await;
        self.keeper.recover(&held.account.record, &held.credential, why).await
    }

    async fn usage(&self, held: &Held) -> Told {
        let Some(workspace) = &held.account.owner.workspace else {
            return Told::Nothing("its sign-in names no workspace".to_owned());
        };
        let Some(access) = &held.credential.access else { return Told::Nothing("no access token".to_owned()) };
        let bearer = HeaderValue::from_str(&format!("Bearer {}", access.expose()));
        let (Ok(mut bearer), Ok(workspace)) = (bearer, HeaderValue::from_str(workspace.as_str())) else {
            return Told::Nothing("its tokens are no header".to_owned());
        };
        bearer.set_sensitive(true);
        let request = Request::get(format!("{}/wham/usage", self.backend))
            .header(header::AUTHORIZATION, bearer)
            .header("chatgpt-account-id", workspace)
            .header(header::ACCEPT, "application/json")
            .body(Vec::new())
            .expect("the backend's address was checked");
        let answer = match self.http.send(request).await {
            Ok(answer) => answer,
            Err(error) => return Told::Nothing(error.to_string()),
        };
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            return Told::Refused(usage::refusal(status, answer.body()), status);
        }
        usage::read(answer.body(), self.clock.now())
            .map_or_else(|| Told::Nothing("the answer is no usage document".to_owned()), Told::Usage)
    }
}

fn dead(error: &KeepError) -> Finding {
    let why = match error {
        KeepError::NeedsLogin { code } => code.clone(),
        KeepError::HeldBack { .. } | KeepError::Paused { .. } | KeepError::Issuer(_) | KeepError::Store(_) => {
            error.to_string()
        }
    };
    Finding::of(CheckOutcome::NeedsLogin, why)
}
