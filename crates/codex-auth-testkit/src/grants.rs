//! Owns the issuer's book: which tokens exist, to which sign-in they belong, and what presenting one means.
//!
//! Every sign-in starts a family. A refresh token is good for one presentation; presenting it a second time revokes
//! the whole family, as the vendor does.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::jwt::{Lifetime, Mint, access_claims, id_claims};
use crate::people::{Person, Who};

/// What the issuer thought of a presented refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The live token of a live family.
    Fresh,
    /// Spent before.
    Reused,
    /// Its family was revoked.
    Revoked,
    /// Never minted here.
    Unknown,
}

/// What a bearer turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    /// No `Authorization` at all.
    Absent,
    /// Not minted here.
    Unknown,
    /// A live access token.
    Live,
    /// An access token past its time.
    Expired,
    /// An access token of a revoked family.
    Revoked,
    /// An API key.
    ApiKey,
}

/// The tokens of one answer of the token endpoint.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub id: String,
    pub access: String,
    pub refresh: String,
    pub life: Lifetime,
}

#[derive(Debug)]
struct Family {
    who: Who,
    revoked: bool,
}

#[derive(Debug)]
struct Refresh {
    family: usize,
    spent: bool,
}

#[derive(Debug)]
struct Access {
    family: usize,
    expires_ms: i64,
}

/// For whom, by whom and when tokens are minted.
pub(crate) struct Minting<'a> {
    pub person: &'a Person,
    pub issuer: &'a str,
    pub now_ms: i64,
    pub access_secs: u64,
}

/// Every token of this fake.
#[derive(Default)]
pub(crate) struct Grants {
    families: Vec<Family>,
    refresh: HashMap<String, Refresh>,
    access: HashMap<String, Access>,
    ids: HashMap<String, Who>,
    api_keys: BTreeMap<Who, String>,
    current: BTreeMap<Who, (usize, Tokens)>,
}

impl Grants {
    /// Starts a family: somebody signed in. `current` says whether this is the pair documents are written with.
    pub(crate) fn sign_in(&mut self, mint: &mut Mint, minting: &Minting<'_>, current: bool) -> Tokens {
        let family = self.families.len();
        self.families.push(Family { who: minting.person.who, revoked: false });
        let tokens = self.mint(mint, minting, family);
        if current {
            self.current.insert(minting.person.who, (family, tokens.clone()));
        }
        tokens
    }

    /// The newest tokens of the sign-in that documents are written with.
    pub(crate) fn current(&self, who: Who) -> Option<&Tokens> {
        self.current.get(&who).map(|(_, tokens)| tokens)
    }

    /// Whose refresh token this is and what presenting it would mean; changes nothing.
    pub(crate) fn peek(&self, refresh: &str) -> (Verdict, Option<Who>) {
        let Some(known) = self.refresh.get(refresh) else { return (Verdict::Unknown, None) };
        let family = &self.families[known.family];
        let verdict = match (known.spent, family.revoked) {
            (true, _) => Verdict::Reused,
            (false, true) => Verdict::Revoked,
            (false, false) => Verdict::Fresh,
        };
        (verdict, Some(family.who))
    }

    /// Spends a refresh token. A reused one takes its family with it.
    pub(crate) fn redeem(&mut self, refresh: &str, mint: &mut Mint, minting: &Minting<'_>) -> Result<Tokens, Verdict> {
        let (verdict, _) = self.peek(refresh);
        let Some(known) = self.refresh.get_mut(refresh) else { return Err(Verdict::Unknown) };
        let family = known.family;
        match verdict {
            Verdict::Fresh => {
                known.spent = true;
                let tokens = self.mint(mint, minting, family);
                let current = self.current.get_mut(&minting.person.who).filter(|(held, _)| *held == family);
                if let Some((_, held)) = current {
                    *held = tokens.clone();
                }
                Ok(tokens)
            }
            Verdict::Reused => {
                self.families[family].revoked = true;
                Err(verdict)
            }
            Verdict::Revoked | Verdict::Unknown => Err(verdict),
        }
    }

    /// What a bearer is, and whose.
    pub(crate) fn bearer(&self, token: Option<&str>, now_ms: i64) -> (Bearer, Option<Who>) {
        let Some(token) = token else { return (Bearer::Absent, None) };
        if let Some((who, _)) = self.api_keys.iter().find(|(_, key)| *key == token) {
            return (Bearer::ApiKey, Some(*who));
        }
        let Some(known) = self.access.get(token) else { return (Bearer::Unknown, None) };
        let family = &self.families[known.family];
        let bearer = match (family.revoked, known.expires_ms <= now_ms) {
            (true, _) => Bearer::Revoked,
            (false, true) => Bearer::Expired,
            (false, false) => Bearer::Live,
        };
        (bearer, Some(family.who))
    }

    /// Revokes the family a refresh or access token belongs to; `None` for a token never minted here.
    pub(crate) fn revoke(&mut self, token: &str) -> Option<Who> {
        let family = self.refresh.get(token).map(|known| known.family);
        let family = family.or_else(|| self.access.get(token).map(|known| known.family))?;
        self.families[family].revoked = true;
        Some(self.families[family].who)
    }

    /// Revokes every sign-in of somebody.
    pub(crate) fn revoke_all(&mut self, who: Who) {
        self.families.iter_mut().filter(|family| family.who == who).for_each(|family| family.revoked = true);
    }

    /// Makes every access token of somebody expire now, whatever its `exp` says.
    pub(crate) fn expire_access(&mut self, who: Who, now_ms: i64) {
        let families = &self.families;
        let theirs = self.access.values_mut().filter(|known| families[known.family].who == who);
        theirs.for_each(|known| known.expires_ms = known.expires_ms.min(now_ms));
    }

    /// A further access token in the current family of somebody, with the given life.
    pub(crate) fn extra_access(&mut self, mint: &mut Mint, minting: &Minting<'_>, life: Lifetime) -> Option<String> {
        let (family, _) = self.current.get(&minting.person.who)?;
        let family = *family;
        Some(self.mint_access(mint, minting, family, life))
    }

    /// Whether the sign-in that documents are written with was revoked.
    pub(crate) fn is_revoked(&self, who: Who) -> bool {
        self.current.get(&who).is_some_and(|(family, _)| self.families[*family].revoked)
    }

    /// Whose id token this is.
    pub(crate) fn id_owner(&self, id_token: &str) -> Option<Who> {
        self.ids.get(id_token).copied()
    }

    /// The API key of somebody; minted when first asked for.
    pub(crate) fn api_key(&mut self, mint: &mut Mint, who: Who) -> String {
        let mint_key = || mint.secret("sk-fake-", &format!("API key of {who}"));
        self.api_keys.entry(who).or_insert_with(mint_key).clone()
    }

    fn mint(&mut self, mint: &mut Mint, minting: &Minting<'_>, family: usize) -> Tokens {
        let who = minting.person.who;
        let life = minting.life();
        let id = mint.jwt(&id_claims(minting.person, minting.issuer, life), &format!("id token of {who}"));
        self.ids.insert(id.clone(), who);
        let access = self.mint_access(mint, minting, family, life);
        let refresh = mint.secret("rt_fake.", &format!("refresh token of {who}"));
        self.refresh.insert(refresh.clone(), Refresh { family, spent: false });
        Tokens { id, access, refresh, life }
    }

    fn mint_access(&mut self, mint: &mut Mint, minting: &Minting<'_>, family: usize, life: Lifetime) -> String {
        let what = format!("access token of {}", minting.person.who);
        let access = mint.jwt(&access_claims(minting.person, minting.issuer, life), &what);
        self.access.insert(access.clone(), Access { family, expires_ms: life.expires_ms });
        access
    }
}

impl Minting<'_> {
    fn life(&self) -> Lifetime {
        let span = i64::try_from(self.access_secs).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
        Lifetime { issued_ms: self.now_ms, expires_ms: self.now_ms.saturating_add(span) }
    }
}
