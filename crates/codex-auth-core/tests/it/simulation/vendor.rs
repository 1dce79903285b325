//! The far side: an issuer that rotates tokens and punishes reuse, and a backend with true quotas.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use codex_auth_core::{
    AccessToken, Account, Claims, Credential, Granted, Outcome, RefreshError, RefreshReason, RefreshToken, Timestamp,
    TokenIssuer, UserId,
};

use super::world::World;

/// Requests per quota window; the window; how long an access token lives.
const QUOTA: u32 = 60;
const WINDOW: Duration = Duration::from_mins(40);
const ACCESS_LIVES: Duration = Duration::from_mins(15);

/// Issuer and backend.
#[derive(Debug)]
pub(crate) struct Vendor {
    world: Arc<World>,
    truth: Mutex<Truth>,
}

#[derive(Debug, Default)]
struct Truth {
    families: Vec<Family>,
    /// Whose family a token is of, by the token's text.
    refresh: BTreeMap<String, usize>,
    access: BTreeMap<String, (usize, Timestamp)>,
    quotas: BTreeMap<String, (u32, Timestamp)>,
    /// Tokens presented without word that they are unspent.
    maybe_spent: BTreeSet<String>,
    minted: usize,
}

#[derive(Debug)]
struct Family {
    person: String,
    /// The one refresh token that is good; none once the family is revoked.
    current: Option<String>,
}

impl Vendor {
    pub(crate) fn of(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: world.clone(), truth: Mutex::default() })
    }

    /// A person signs in: a family of their own.
    pub(crate) fn sign_in(&self, person: &str) -> Credential {
        let now = self.world.now();
        let mut truth = self.truth.lock().unwrap();
        truth.families.push(Family { person: person.to_owned(), current: None });
        let family = truth.families.len() - 1;
        let (refresh, access) = truth.mint(family, now);
        Credential {
            access: Some(AccessToken::new(access)),
            refresh: RefreshToken::new(refresh),
            id: None,
            expires_at: Some(now.after(ACCESS_LIVES)),
            obtained_at: Some(now),
            generation: 0,
        }
    }

    /// Whether this token would buy a credential, were it presented.
    pub(crate) fn is_good(&self, token: &RefreshToken) -> bool {
        let truth = self.truth.lock().unwrap();
        truth.family_of(token.expose()).is_some_and(|family| family.current.as_deref() == Some(token.expose()))
    }

    /// Whether this token may have been spent, as far as whoever presented it could tell.
    pub(crate) fn may_be_spent(&self, token: &RefreshToken) -> bool {
        self.truth.lock().unwrap().maybe_spent.contains(token.expose())
    }

    /// The backend's answer to a model call, as far as its head tells.
    pub(crate) async fn answer(&self, access: &str) -> Outcome {
        self.world.a_while(Duration::from_secs(2)).await;
        let now = self.world.now();
        let mut truth = self.truth.lock().unwrap();
        let Some((family, ends_at)) = truth.access.get(access).copied() else { return Outcome::Unauthorized };
        if self.world.strikes(600) {
            truth.families[family].current = None;
        }
        if truth.families[family].current.is_none() {
            return Outcome::TokenInvalidated { code: "token_invalidated".into() };
        }
        if now >= ends_at || self.world.strikes(80) {
            return Outcome::Unauthorized;
        }
        match self.world.below(120) {
            0 | 1 if !self.world.is_calm() => return Outcome::ServerFault { status: 503 },
            2 | 3 if !self.world.is_calm() => return Outcome::NetworkFault,
            4 if !self.world.is_calm() => return Outcome::PolicyRefused,
            5 if self.world.strikes(10) => return Outcome::Deactivated { code: "workspace_expired".into() },
            _ => {}
        }
        let person = truth.families[family].person.clone();
        let (left, resets_at) = truth.quotas.entry(person).or_insert((QUOTA, now.after(WINDOW)));
        if now >= *resets_at {
            (*left, *resets_at) = (QUOTA, now.after(WINDOW));
        }
        if *left == 0 {
            let until = (!self.world.strikes(5)).then_some(*resets_at);
            return Outcome::UsageLimited { until };
        }
        *left -= 1;
        Outcome::Served
    }
}

impl Truth {
    fn mint(&mut self, family: usize, now: Timestamp) -> (String, String) {
        self.minted += 1;
        let (refresh, access) = (format!("refresh-{}", self.minted), format!("access-{}", self.minted));
        self.refresh.insert(refresh.clone(), family);
        self.families[family].current = Some(refresh.clone());
        self.access.insert(access.clone(), (family, now.after(ACCESS_LIVES)));
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
        let is_first = self.truth.lock().unwrap().maybe_spent.insert(text.to_owned());
        world.must(is_first, || {
            format!("{text} of {} was presented after an attempt that may have spent it", account.record)
        });
        world.a_while(Duration::from_secs(3)).await;
        if world.strikes(12) {
            self.truth.lock().unwrap().maybe_spent.remove(text);
            let wait = None;
            return Err(if world.below(2) == 0 {
                RefreshError::Throttled { wait }
            } else {
                RefreshError::Unsent { why: "connection refused".into() }
            });
        }
        if world.strikes(80) {
            return Err(RefreshError::Lost { why: "reset before the issuer read it".into() });
        }
        let granted = self.spend(text)?;
        world.a_while(Duration::from_secs(1)).await;
        if world.strikes(60) {
            return Err(RefreshError::Lost { why: "reset before the answer came".into() });
        }
        if granted.refresh.is_none() {
            self.truth.lock().unwrap().maybe_spent.remove(text);
        }
        Ok(granted)
    }
}

impl Vendor {
    fn spend(&self, text: &str) -> Result<Granted, RefreshError> {
        let now = self.world.now();
        let mut truth = self.truth.lock().unwrap();
        let family = truth.refresh[text];
        let is_current = truth.families[family].current.as_deref() == Some(text);
        if !is_current || self.world.strikes(150) {
            truth.families[family].current = None;
            return Err(RefreshError::Refused { code: "refresh_token_reused".into() });
        }
        let (refresh, access) = truth.mint(family, now);
        let keeps_the_old = self.world.strikes(15);
        if keeps_the_old {
            truth.families[family].current = Some(text.to_owned());
        }
        let claims = Claims {
            user: self.world.strikes(200).then(|| UserId::parse("somebody-else")).flatten(),
            ..Claims::default()
        };
        Ok(Granted {
            access: Some(AccessToken::new(access)),
            refresh: (!keeps_the_old).then(|| RefreshToken::new(refresh)),
            id: None,
            expires_at: Some(now.after(ACCESS_LIVES)),
            claims,
        })
    }
}
