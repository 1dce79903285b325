//! Which account serves a request of the host, with a token that is good (plugin 7.3, with defect 7 mended): a renewal
//! that came late is kept, and an account whose token somebody else replaced meanwhile is asked once more.

use std::sync::Arc;

use codex_auth_core::{
    AccessToken, AccountStore, Ask, Clock, CredentialKeeper, Held, KeepError, Kind, Pick, RecordId, RefreshPlan,
    SavedPool, Seat, Standards, StoreError, Strategy, Timestamp, USABLE_FOR, WorkspaceId, pick, plan, reason_ahead,
};

/// A token another program spent or replaced meanwhile is worth one more renewal, not a third.
const RENEWALS: usize = 2;

/// Hands out accounts of one pool.
#[derive(Debug, Clone)]
pub struct Acquisition {
    store: Arc<dyn AccountStore>,
    keeper: CredentialKeeper,
    clock: Arc<dyn Clock>,
}

/// Who serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquired {
    /// The account.
    pub record: RecordId,
    /// Its token.
    pub access: AccessToken,
    /// Its workspace, for the header.
    pub workspace: Option<WorkspaceId>,
}

/// Why nobody serves. The texts are the ones the host's users know (plugin 7.4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAcquired {
    /// There is no account.
    #[error("No OpenAI accounts configured. Run `opencode auth login`.")]
    NoAccounts,
    /// All are out of service.
    #[error("No enabled OpenAI accounts available. Enable an account or run `opencode auth login`.")]
    NoneEnabled,
    /// All that might serve rest.
    #[error("All enabled OpenAI accounts are cooling down. Try again later or run `opencode auth login`.")]
    CoolingDown {
        /// When the first is ready.
        until: Timestamp,
    },
    /// The issuer wants new sign-ins.
    #[error("OpenAI refresh token was rejected ({code}). Run `opencode auth login` to reauthenticate this account.")]
    NeedsLogin {
        /// The code of the last one.
        code: String,
    },
    /// Accounts are being signed out one after the other, so nobody's refresh token is presented.
    #[error("Several OpenAI accounts were signed out within ten minutes. Run `opencode auth login` for each of them.")]
    HeldBack {
        /// When renewals go on.
        until: Timestamp,
    },
    /// Nothing could be renewed.
    #[error("Failed to refresh OpenAI access token: {0}. Run `opencode auth login` and try again.")]
    RefreshFailed(KeepError),
    /// The store did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotAcquired {
    /// The type and the status of the answer the host gets.
    pub fn wire(&self) -> (&'static str, u16) {
        match self {
            Self::NoAccounts => ("no_accounts_configured", 401),
            Self::NoneEnabled => ("no_enabled_accounts", 403),
            Self::CoolingDown { .. } => ("all_accounts_cooling_down", 429),
            Self::NeedsLogin { .. } => ("refresh_invalid_grant", 401),
            Self::HeldBack { .. } => ("token_invalidated_wave", 400),
            Self::RefreshFailed(_) => ("refresh_failed", 401),
            Self::Store(_) => ("auth_storage_error", 500),
        }
    }

    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoAccounts | Self::NoneEnabled | Self::NeedsLogin { .. } => Kind::NeedsLogin,
            Self::CoolingDown { until } | Self::HeldBack { until } => Kind::Wait { until: Some(*until) },
            Self::RefreshFailed(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

impl Acquisition {
    /// Accounts of `store`, renewed by `keeper`.
    pub fn new(store: Arc<dyn AccountStore>, keeper: CredentialKeeper, clock: Arc<dyn Clock>) -> Self {
        Self { store, keeper, clock }
    }

    /// The active account, else the first that can; each is tried once.
    pub async fn acquire(&self) -> Result<Acquired, NotAcquired> {
        let (mut tried, mut failed) = (Vec::new(), None);
        loop {
            let pool = self.store.read().await?;
            let Some(held) = self.chosen(&pool, &tried) else { return Err(self.nobody(&pool, failed)) };
            match self.with_good_token(held).await {
                Ok(Some(acquired)) => return Ok(acquired),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            tried.push(held.account.record.clone());
        }
    }

    fn chosen<'p>(&self, pool: &'p SavedPool, tried: &[RecordId]) -> Option<&'p Held> {
        let seats: Vec<Seat<'_>> = pool.accounts.iter().map(|held| Seat::of(&held.account)).collect();
        let standards = Standards {
            strategy: Strategy::Sequential,
            pin: pool.pin.as_ref(),
            active: pool.active.as_ref(),
            ..Standards::default()
        };
        let bound = pool.active.as_ref().filter(|active| !tried.contains(active));
        let Pick { place, .. } = pick(&seats, standards, Ask { bound, tried, ..Ask::default() }, self.clock.now())?;
        pool.accounts.get(place)
    }

    /// The account with a token that is good; `None` when it was taken out of service meanwhile.
    async fn with_good_token(&self, held: &Held) -> Result<Option<Acquired>, KeepError> {
        if matches!(plan(held, self.clock.now()), RefreshPlan::Use | RefreshPlan::RefreshBehind) {
            return Ok(acquired(held));
        }
        let mut seen = held.credential.clone();
        for _ in 0..RENEWALS {
            let again = self.keeper.renew(&held.account.record, &seen, reason_ahead(&seen)).await?;
            if !again.account.enabled {
                return Ok(None);
            }
            if again.credential.is_live(self.clock.now(), USABLE_FOR) {
                return Ok(acquired(&again));
            }
            seen = again.credential;
        }
        Ok(None)
    }

    fn nobody(&self, pool: &SavedPool, failed: Option<KeepError>) -> NotAcquired {
        let enabled: Vec<&Held> = pool.accounts.iter().filter(|held| held.account.enabled).collect();
        if pool.accounts.is_empty() {
            return NotAcquired::NoAccounts;
        }
        if enabled.is_empty() {
            return NotAcquired::NoneEnabled;
        }
        let resting = pool.first_back(self.clock.now());
        let dead = enabled.iter().find_map(|held| held.account.needs_login.as_ref());
        match (failed, resting, dead) {
            (Some(KeepError::NeedsLogin { code }), _, _) => NotAcquired::NeedsLogin { code },
            (Some(KeepError::HeldBack { until, .. }), _, _) => NotAcquired::HeldBack { until },
            (Some(KeepError::Store(error)), _, _) => NotAcquired::Store(error),
            (Some(error @ (KeepError::Paused { .. } | KeepError::Issuer(_))), _, _) => {
                NotAcquired::RefreshFailed(error)
            }
            (None, Some(until), _) => NotAcquired::CoolingDown { until },
            (None, None, Some(needs)) => NotAcquired::NeedsLogin { code: needs.code.clone() },
            (None, None, None) => NotAcquired::NoneEnabled,
        }
    }
}

fn acquired(held: &Held) -> Option<Acquired> {
    let access = held.credential.access.clone()?;
    Some(Acquired { record: held.account.record.clone(), access, workspace: held.account.owner.workspace.clone() })
}
