//! The far side's books: an issuer that rotates tokens and punishes reuse, and whose token is whose.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use codex_auth_core::{
    AccessToken, Account, Claims, Credential, Granted, Held, RecordId, RefreshError, RefreshReason, RefreshToken,
    Timestamp, TokenIssuer, UserId, testing::account,
};
use codex_auth_store::testing::{claims, jwt};

use crate::{limits::Limits, world::World};

/// How long an access token lives.
const ACCESS_LIVES: Duration = Duration::from_mins(9);

/// Issuer and books of the backend.
#[derive(Debug)]
pub(crate) struct Vendor {
    world: Arc<World>,
    truth: Mutex<Truth>,
    limits: Mutex<Limits>,
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    families: Vec<Family>,
    /// Whose family a token is of, by the token's text.
    refresh: BTreeMap<String, usize>,
    access: BTreeMap<String, (usize, Timestamp)>,
    /// Tokens presented without word that they are unspent.
    maybe_spent: BTreeSet<String>,
    minted: usize,
    /// Until when everybody is answered with a fault.
    burst_until: Timestamp,
}

#[derive(Debug)]
struct Family {
    /// The number of the account.
    person: usize,
    /// The one refresh token that is good; none once the family is revoked.
    current: Option<String>,
}

/// What the books say of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody's, or one that has ended.
    Ended,
    /// Its family was signed out.
    SignedOut,
    /// This person's.
    Good(usize),
}

impl Vendor {
    pub(crate) fn of(world: &Arc<World>) -> Arc<Self> {
        let limits = Limits::new(world.below(2) == 0);
        Arc::new(Self { world: world.clone(), truth: Mutex::default(), limits: Mutex::new(limits) })
    }

    /// What is left for whom.
    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap()
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    /// Person `n` signs in: a family of their own.
    pub(crate) fn sign_in(&self, person: usize) -> Credential {
        let now = self.world.now();
        let mut truth = self.truth();
        truth.families.push(Family { person, current: None });
        let family = truth.families.len() - 1;
        let (refresh, access) = truth.mint(family, now);
        Credential {
            access: Some(AccessToken::new(access)),
            refresh: RefreshToken::new(refresh),
            id: None,
            expires_at: Some(end_of(now)),
            obtained_at: Some(now),
            generation: 0,
        }
    }

    /// Account `n`, signed in just now.
    pub(crate) fn held(&self, n: usize) -> Held {
        let mut account = account(n);
        account.seen.added_at = self.world.now();
        Held { account, credential: self.sign_in(n) }
    }

    /// Whether this token would buy a credential, were it presented.
    pub(crate) fn is_good(&self, token: &RefreshToken) -> bool {
        let truth = self.truth();
        truth.family_of(token.expose()).is_some_and(|family| family.current.as_deref() == Some(token.expose()))
    }

    /// Whether this token may have been spent, as far as whoever presented it could tell.
    pub(crate) fn may_be_spent(&self, token: &RefreshToken) -> bool {
        self.truth().maybe_spent.contains(token.expose())
    }

    /// Whose token this is.
    pub(crate) fn standing(&self, access: &str) -> Standing {
        let now = self.world.now();
        let mut truth = self.truth();
        let Some((family, ends_at)) = truth.access.get(access).copied() else { return Standing::Ended };
        if self.world.strikes(400) {
            truth.families[family].current = None;
        }
        if truth.families[family].current.is_none() {
            return Standing::SignedOut;
        }
        if now >= ends_at { Standing::Ended } else { Standing::Good(truth.families[family].person) }
    }

    /// The person a token was minted for, whatever became of it.
    pub(crate) fn person(&self, access: &str) -> Option<usize> {
        let truth = self.truth();
        truth.access.get(access).map(|(family, _)| truth.families[*family].person)
    }

    /// Whether everybody hears of a fault now.
    pub(crate) fn is_failing(&self) -> bool {
        let now = self.world.now();
        let mut truth = self.truth();
        if self.world.strikes(120) {
            truth.burst_until = now.after(Duration::from_secs(40));
        }
        now < truth.burst_until && !self.world.is_calm()
    }
}

/// The account of a person.
pub(crate) fn record_of(person: usize) -> RecordId {
    account(person).record
}

/// The person of an account.
pub(crate) fn person_of(record: &RecordId) -> usize {
    record.as_str().trim_start_matches("record:").parse().unwrap()
}

fn end_of(now: Timestamp) -> Timestamp {
    // Tokens count in whole seconds.
    Timestamp::from_secs(now.after(ACCESS_LIVES).as_secs_ceil())
}

impl Truth {
    fn mint(&mut self, family: usize, now: Timestamp) -> (String, String) {
        self.minted += 1;
        let person = self.families[family].person;
        let mut said = claims(&format!("user-{person}"), &format!("ws-{person}"), end_of(now).as_secs_ceil());
        said["jti"] = self.minted.into();
        let (refresh, access) = (format!("refresh-{}", self.minted), jwt(&said));
        self.refresh.insert(refresh.clone(), family);
        self.families[family].current = Some(refresh.clone());
        self.access.insert(access.clone(), (family, end_of(now)));
        (refresh, access)
    }

    fn family_of(&self, token: &str) -> Option<&Family> {
        self.families.get(*self.refresh.get(token)?)
    }
}

#[async_trait]
impl TokenIssuer for Vendor {
    async fn refresh(
        &self,
        account: &Account,
        token: &RefreshToken,
        _why: RefreshReason,
    ) -> Result<Granted, RefreshError> {
        let world = &self.world;
        world.count(|tally| tally.presentations += 1);
        let text = token.expose();
        let is_first = self.truth().maybe_spent.insert(text.to_owned());
        world.must(is_first, || {
            format!("{text} of {} was presented after an attempt that may have spent it", account.record)
        });
        world.a_while(Duration::from_secs(3)).await;
        if world.strikes(12) {
            self.truth().maybe_spent.remove(text);
            return Err(if world.below(2) == 0 {
                RefreshError::Throttled { wait: None }
            } else {
                RefreshError::Unsent { why: "connection refused".into() }
            });
        }
        if world.strikes(60) {
            return Err(RefreshError::Lost { why: "reset before the issuer read it".into() });
        }
        let granted = self.spend(text)?;
        world.a_while(Duration::from_secs(1)).await;
        if world.strikes(60) {
            return Err(RefreshError::Lost { why: "reset before the answer came".into() });
        }
        if granted.refresh.is_none() {
            self.truth().maybe_spent.remove(text);
        }
        Ok(granted)
    }
}

impl Vendor {
    fn spend(&self, text: &str) -> Result<Granted, RefreshError> {
        let now = self.world.now();
        let mut truth = self.truth();
        let Some(family) = truth.refresh.get(text).copied() else {
            return Err(RefreshError::Refused { code: "invalid_grant".into() });
        };
        let is_current = truth.families[family].current.as_deref() == Some(text);
        if !is_current || self.world.strikes(100) {
            truth.families[family].current = None;
            return Err(RefreshError::Refused { code: "refresh_token_reused".into() });
        }
        let (refresh, access) = truth.mint(family, now);
        let keeps_the_old = self.world.strikes(15);
        if keeps_the_old {
            truth.families[family].current = Some(text.to_owned());
        }
        let somebody_else = self.world.strikes(150).then(|| UserId::parse("somebody-else")).flatten();
        Ok(Granted {
            access: Some(AccessToken::new(access)),
            refresh: (!keeps_the_old).then(|| RefreshToken::new(refresh)),
            id: None,
            expires_at: Some(end_of(now)),
            claims: Claims { user: somebody_else, ..Claims::default() },
        })
    }
}
