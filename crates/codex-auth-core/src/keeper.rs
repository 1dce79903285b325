//! The refresh keeper: a single-use token is presented once, and what it bought is never lost.
//!
//! Claim, look again, note the intent, present, keep durably. Under the claim only the token just read there is spent.

use std::sync::Arc;

use crate::{
    AccountStore, Clock, Credential, Granted, Held, Incident, Intent, Kind, NeedsLogin, Owner, RecordId, RefreshClaim,
    RefreshError, RefreshReason, Rest, RestPolicy, RestReason, SavedPool, StoreError, Timestamp, TokenIssuer, breaker,
    refresh::USABLE_FOR,
};

/// Code of an account whose refresh answer never came while its token may be spent.
pub const ANSWER_LOST: &str = "refresh_answer_lost";
/// Code of an account whose issuer answered with somebody else's tokens.
pub const IDENTITY_CHANGED: &str = "identity_changed";

/// Renews credentials through a store and an issuer.
#[derive(Debug, Clone)]
pub struct CredentialKeeper {
    store: Arc<dyn AccountStore>,
    issuer: Arc<dyn TokenIssuer>,
    clock: Arc<dyn Clock>,
}

/// A credential that may be used, and whether a refresh token was presented for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The account with it.
    pub held: Held,
    /// Whether it was; else somebody else had bought the pair before.
    pub presented: bool,
}

/// Why there is no usable credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeepError {
    /// Only a new sign-in helps; the account is marked durably.
    #[error("a new sign-in is needed: {code}")]
    NeedsLogin {
        /// The issuer's code, or one of ours.
        code: String,
    },
    /// Accounts are being signed out one after the other: nobody's refresh token is presented until this is over.
    #[error("several accounts were signed out within ten minutes, so no refresh token is presented for a while")]
    HeldBack {
        /// When renewals go on.
        until: Timestamp,
        /// The accounts that were signed out.
        hit: Vec<RecordId>,
    },
    /// The issuer declined to renew it twice in a row: it is not asked again for a while.
    #[error("the issuer declined to renew it twice in a row ({code}), so it is asked again an hour after that")]
    Paused {
        /// The issuer's code.
        code: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// The issuer did not renew it now.
    #[error(transparent)]
    Issuer(#[from] RefreshError),
    /// The disk did not obey; nothing was presented, or what was bought waits in the journal.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeepError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NeedsLogin { .. } => Kind::NeedsLogin,
            Self::HeldBack { until, .. } | Self::Paused { until, .. } => Kind::Wait { until: Some(*until) },
            Self::Issuer(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    /// How long the account rests (domain 3.5). Nobody rests for a wave: it is not about this account, and whoever asks
    /// hears of it.
    pub fn rest(&self, policy: RestPolicy, now: Timestamp) -> Option<Rest> {
        let (reason, span) = match self {
            Self::NeedsLogin { .. } | Self::HeldBack { .. } => return None,
            Self::Paused { until, .. } => return Some(Rest::of_account(RestReason::Auth, *until, now)),
            Self::Issuer(RefreshError::Throttled { wait: Some(wait) }) => (RestReason::Auth, *wait),
            Self::Issuer(_) | Self::Store(_) => match self.kind() {
                Kind::Network => (RestReason::Network, policy.network),
                Kind::Usage
                | Kind::NeedsLogin
                | Kind::Wait { .. }
                | Kind::Conflict
                | Kind::Storage
                | Kind::Internal => (RestReason::Auth, policy.auth),
            },
        };
        Some(Rest::of_account(reason, now.after(span), now))
    }
}

impl CredentialKeeper {
    /// A keeper over these ports.
    pub fn new(store: Arc<dyn AccountStore>, issuer: Arc<dyn TokenIssuer>, clock: Arc<dyn Clock>) -> Self {
        Self { store, issuer, clock }
    }

    /// Renews the credential of `record`, unless somebody already replaced the one the caller had `seen`.
    ///
    /// Must run to its end once begun: a caller that stops waiting must not stop the renewal. Presents at most once.
    pub async fn renew(&self, record: &RecordId, seen: &Credential, why: RefreshReason) -> Result<Held, KeepError> {
        self.recover(record, seen, why).await.map(|renewed| renewed.held)
    }

    /// The same, telling whether it cost a presentation: a pair that was only taken over may have grown old as well
    /// ([`Recovery`](crate::Recovery)).
    pub async fn recover(
        &self,
        record: &RecordId,
        seen: &Credential,
        why: RefreshReason,
    ) -> Result<Renewed, KeepError> {
        let mut claim = self.store.claim(record).await?;
        let held = claim.look_again().await?;
        if let Some(needs) = &held.account.needs_login {
            return Err(KeepError::NeedsLogin { code: needs.code.clone() });
        }
        if is_replaced(&held.credential, seen) && held.credential.is_live(self.clock.now(), USABLE_FOR) {
            return Ok(Renewed { held, presented: false });
        }
        if let Some((code, until)) = held.account.incident.as_ref().and_then(|known| known.pause(self.clock.now())) {
            return Err(KeepError::Paused { code: code.to_owned(), until });
        }
        self.hold_back().await?;
        let held = match claim.intend(&held.credential.refresh).await? {
            Intent::Clear => self.present(claim.as_mut(), held, why).await,
            Intent::MaybeSpent => self.refuse(claim.as_mut(), ANSWER_LOST).await,
        }?;
        // Spent by us or by an attempt before: either way a presentation went before this pair.
        Ok(Renewed { held, presented: true })
    }

    /// The one gate before every presentation, whoever asks for it and in whichever process.
    async fn hold_back(&self) -> Result<(), KeepError> {
        let pool = self.store.read().await?;
        match breaker::wave(pool.accounts.iter().map(|held| &held.account), self.clock.now()) {
            Some(breaker::Wave { hit, until }) => Err(KeepError::HeldBack { until, hit }),
            None => Ok(()),
        }
    }

    async fn present(&self, claim: &mut dyn RefreshClaim, held: Held, why: RefreshReason) -> Result<Held, KeepError> {
        match self.issuer.refresh(&held.account, &held.credential.refresh, why).await {
            Ok(granted) => self.keep(claim, held, granted).await,
            Err(error) if error.is_unspent() => {
                claim.unspent().await?;
                if let RefreshError::Declined { code } = &error {
                    self.note_declined(&held, code.clone()).await?;
                }
                Err(error.into())
            }
            Err(error) => self.after_loss(claim, &held, error).await,
        }
    }

    /// Counts it where every process finds it.
    async fn note_declined(&self, held: &Held, code: String) -> Result<(), StoreError> {
        let (record, declined, now) = (held.account.record.clone(), held.credential.clone(), self.clock.now());
        let note = move |pool: &mut SavedPool| {
            if let Some(held) = pool.find_mut(&record).filter(|held| held.credential.same_grant(&declined)) {
                let known = held.account.incident.as_ref();
                held.account.incident = Some(Incident::declined(known, &code, declined.generation, now));
            }
        };
        self.store.edit(Box::new(note)).await.map(drop)
    }

    async fn keep(&self, claim: &mut dyn RefreshClaim, held: Held, granted: Granted) -> Result<Held, KeepError> {
        if !names_the_same(&held.account.owner, &granted) {
            return self.refuse(claim, IDENTITY_CHANGED).await;
        }
        let fresh = held.credential.succeeded_by(granted, self.clock.now());
        claim.commit(&fresh).await?;
        // A sign-in made meanwhile stands, so what counts is what is kept now.
        Ok(claim.look_again().await.unwrap_or(Held { credential: fresh, ..held }))
    }

    /// The token may be spent. Another program may have written the pair it bought; otherwise the account is done
    /// for, though a live access token serves until its renewal is wanted again.
    async fn after_loss(
        &self,
        claim: &mut dyn RefreshClaim,
        held: &Held,
        error: RefreshError,
    ) -> Result<Held, KeepError> {
        let again = claim.look_again().await?;
        if !again.credential.same_grant(&held.credential) {
            return Ok(again);
        }
        match error {
            RefreshError::Refused { code } => self.refuse(claim, &code).await,
            RefreshError::Lost { .. } if again.credential.is_live(self.clock.now(), USABLE_FOR) => Err(error.into()),
            RefreshError::Lost { .. } => self.refuse(claim, ANSWER_LOST).await,
            RefreshError::Throttled { .. }
            | RefreshError::Declined { .. }
            | RefreshError::Unsent { .. }
            | RefreshError::OtherIssuer { .. } => Err(error.into()),
        }
    }

    async fn refuse(&self, claim: &mut dyn RefreshClaim, code: &str) -> Result<Held, KeepError> {
        let at: Timestamp = self.clock.now();
        claim.refuse(NeedsLogin { code: code.to_owned(), at }).await?;
        // A sign-in made meanwhile stands, and the mark concerned the token before it.
        let again = claim.look_again().await.ok().filter(|held| held.account.needs_login.is_none());
        if let Some(held) = again {
            return Ok(held);
        }
        Err(KeepError::NeedsLogin { code: code.to_owned() })
    }
}

/// Whether the credential read under the claim is another one than the caller came with.
fn is_replaced(current: &Credential, seen: &Credential) -> bool {
    !current.same_grant(seen) || current.access != seen.access
}

/// Tokens that name nobody are taken at their word; tokens that name somebody else are not.
fn names_the_same(owner: &Owner, granted: &Granted) -> bool {
    let differs = |mine: Option<&str>, theirs: Option<&str>| matches!((mine, theirs), (Some(a), Some(b)) if a != b);
    let claims = &granted.claims;
    let users = (owner.user.as_ref().map(crate::UserId::as_str), claims.user.as_ref().map(crate::UserId::as_str));
    let workspaces = (
        owner.workspace.as_ref().map(crate::WorkspaceId::as_str),
        claims.workspace.as_ref().map(crate::WorkspaceId::as_str),
    );
    !differs(users.0, users.1) && !differs(workspaces.0, workspaces.1)
}
