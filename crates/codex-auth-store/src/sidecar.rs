//! Owns what the predecessors' documents have no room for, kept beside them in `codex-auth.json`.
//!
//! Each entry says by hash which refresh token it describes. When the document carries another one, a foreign program
//! wrote a newer credential: it is adopted, the generation grows, and what described the old one is forgotten.
//!
//! The hashes of tokens that were spent stay for a while: a program that writes an old pool back brings a spent token
//! with it, which must never be presented and never counts as newer.

use std::collections::HashMap;

use camino::Utf8Path;
use codex_auth_core::{
    Credential, Held, IdToken, Incident, NeedsLogin, Provenance, RecordId, SavedPool, StoreError, Timestamp, UserId,
    Vain, WorkspaceId,
};
use serde_json::{Value, json};

use crate::{
    claims,
    hash::token_hash,
    json::{self, Object},
};

/// Said where the file is refused.
const REMEDY: &str = "mend it, or move it away: accounts and refresh tokens stay, aliases and id tokens are lost";
/// Spent tokens remembered of one account.
const REMEMBERED: usize = 8;
/// The marker of an account whose newest refresh token is nowhere any more: the one there is was spent.
pub const OLDER_TOKEN: &str = "older_token_restored";

/// How the document came to differ from what an entry describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Somebody wrote the document after us: what is not known as spent is newer.
    WrittenSince,
    /// The document was put together from copies: what is not the known token is older.
    FromCopies,
}

/// The newest credential of an account, kept for the day its document goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) newest: Credential,
    /// Hash of the token it was bought with.
    pub(crate) spent: String,
}

/// The parsed file; unknown keys survive.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sidecar(Object);

impl Sidecar {
    /// Parses the file; a missing one has no entries.
    pub(crate) fn parse(path: &Utf8Path, bytes: Option<&[u8]>) -> Result<Self, StoreError> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        let object = json::parse_object(path, bytes, REMEDY)?;
        if json::version(&object) == Some(1) {
            return Ok(Self(object));
        }
        Err(StoreError::UnknownVersion { path: path.to_string(), found: json::version_named(&object) })
    }

    /// The sidecar a copy of the document carries.
    pub(crate) fn of_copy(object: Object) -> Self {
        Self(object)
    }

    /// The same, to be carried by a copy.
    pub(crate) fn as_object(&self) -> &Object {
        &self.0
    }

    /// The text of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        json::pretty(&self.0)
    }

    /// Completes what the document said. `kept` knows the newest credential of an account whose document went back to
    /// an older one.
    pub(crate) fn complete(
        &self,
        pool: &mut SavedPool,
        difference: Difference,
        kept: &dyn Fn(&RecordId) -> Option<Kept>,
    ) {
        for held in &mut pool.accounts {
            let entry = self.entries().and_then(|entries| entries.get(held.account.record.as_str()));
            if let Some(Value::Object(entry)) = entry {
                complete(held, entry, difference, kept);
            }
            claims::complete(held);
        }
    }

    /// The sidecar that says `pool`: an entry for each of its accounts, and no others.
    pub(crate) fn saying(&self, pool: &SavedPool) -> Self {
        let none = Object::new();
        let known = self.entries().unwrap_or(&none);
        let there: HashMap<&str, &Held> =
            pool.accounts.iter().map(|held| (held.account.record.as_str(), held)).collect();
        // Entries stay in their order; those of new accounts follow in theirs.
        let old = known.keys().filter_map(|record| there.get(record.as_str()).copied());
        let new = pool.accounts.iter().filter(|held| !known.contains_key(held.account.record.as_str()));
        let mut entries = Object::new();
        for held in old.chain(new) {
            let record = held.account.record.as_str();
            let mut entry = known.get(record).and_then(Value::as_object).cloned().unwrap_or_default();
            encode(&mut entry, held);
            entries.insert(record.to_owned(), Value::Object(entry));
        }
        let mut object = self.0.clone();
        json::set(&mut object, "version", Some(json!(1)));
        json::set(&mut object, "accounts", Some(Value::Object(entries)));
        Self(object)
    }

    /// The accounts there were when this was written.
    pub(crate) fn records(&self) -> Vec<RecordId> {
        self.entries().into_iter().flatten().filter_map(|(record, _)| RecordId::parse(record)).collect()
    }

    /// The account a token with this hash was spent for.
    pub(crate) fn spender_of(&self, hash: &str) -> Option<RecordId> {
        let mut all = self.entries()?.iter();
        let found =
            all.find(|(_, entry)| entry.as_object().is_some_and(|entry| spent(entry).any(|known| known == hash)));
        found.and_then(|(record, _)| RecordId::parse(record))
    }

    fn entries(&self) -> Option<&Object> {
        self.0.get("accounts")?.as_object()
    }
}

fn complete(held: &mut Held, entry: &Object, difference: Difference, kept: &dyn Fn(&RecordId) -> Option<Kept>) {
    let Held { account, credential } = held;
    credential.generation = json::count(entry, "generation").unwrap_or(0);
    account.alias = json::text(entry, "alias").map(str::to_owned);
    account.issuer = json::text(entry, "issuer").map(str::to_owned);
    account.provenance = provenance_of(entry);
    let user = json::text(entry, "userId").and_then(UserId::parse);
    let workspace = json::text(entry, "workspaceId").and_then(WorkspaceId::parse);
    let known = json::text(entry, "refreshTokenHash");
    let found = token_hash(&credential.refresh);
    if known.is_some_and(|hash| hash != found) {
        let kept = kept(&account.record);
        let was_spent = spent(entry).any(|hash| hash == found) || kept.as_ref().is_some_and(|kept| kept.spent == found);
        if !was_spent && difference == Difference::WrittenSince {
            credential.generation += 1;
            // What the new tokens say about themselves comes first; the rest is the same person as before.
            claims::complete(held);
            let Held { account, .. } = held;
            account.owner.user = account.owner.user.take().or(user);
            account.owner.workspace = account.owner.workspace.take().or(workspace);
            return;
        }
        match kept.map(|kept| kept.newest).filter(|newest| known == Some(&token_hash(&newest.refresh))) {
            Some(newest) => *credential = newest,
            None => account.needs_login = account.needs_login.take().or(Some(older_token(entry))),
        }
    } else {
        credential.id = json::text(entry, "idToken").map(IdToken::new);
        credential.obtained_at = json::millis(entry, "obtainedAt");
    }
    account.incident = incident_of(entry);
    account.owner.user = user.or_else(|| account.owner.user.take());
    account.owner.workspace = account.owner.workspace.take().or(workspace);
    // A plan is as new as the tokens it was read from.
    account.owner.plan = account.owner.plan.take().or_else(|| json::text(entry, "plan").map(str::to_owned));
    if let Some(needs) = entry.get("needsLogin").and_then(Value::as_object) {
        let at = json::millis(needs, "at").unwrap_or_default();
        let code = json::text(needs, "code").unwrap_or("token_invalidated").to_owned();
        account.needs_login = account.needs_login.take().or(Some(NeedsLogin { code, at }));
    }
}

/// Presenting a spent token could end the whole family; a sign-in is the safe way on.
fn older_token(entry: &Object) -> NeedsLogin {
    NeedsLogin { code: OLDER_TOKEN.to_owned(), at: json::millis(entry, "obtainedAt").unwrap_or_default() }
}

fn spent(entry: &Object) -> impl Iterator<Item = &str> {
    entry.get("spentTokenHashes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn provenance_of(entry: &Object) -> Option<Provenance> {
    let from = entry.get("importedFrom")?.as_object()?;
    let text = |key: &str| json::text(from, key).unwrap_or_default().to_owned();
    let shared = entry.get("shared").and_then(Value::as_bool).unwrap_or(false);
    let at = json::millis(from, "at").unwrap_or_default();
    Some(Provenance { path: text("path"), format: text("format"), at, shared })
}

fn incident_of(entry: &Object) -> Option<Incident> {
    let incident = entry.get("incident")?.as_object()?;
    let what = match json::text(incident, "declined") {
        Some(code) => Vain::Declined { code: code.to_owned() },
        None => Vain::Unauthorized,
    };
    let count = |key: &str| json::count(incident, key).unwrap_or(0);
    let at = json::millis(incident, "at").unwrap_or_default();
    Some(Incident { what, times: count("times"), generation: count("generation"), at })
}

fn incident_told(Incident { what, times, generation, at }: &Incident) -> Value {
    let at = Timestamp::as_millis(*at);
    match what {
        Vain::Unauthorized => json!({ "times": times, "generation": generation, "at": at }),
        Vain::Declined { code } => json!({ "declined": code, "times": times, "generation": generation, "at": at }),
    }
}

fn encode(entry: &mut Object, held: &Held) {
    let Held { account, credential } = held;
    let Credential { id, obtained_at, generation, refresh, .. } = credential;
    let text = |text: Option<&str>| text.map(|text| json!(text));
    json::set(entry, "userId", text(account.owner.user.as_ref().map(UserId::as_str)));
    json::set(entry, "workspaceId", text(account.owner.workspace.as_ref().map(WorkspaceId::as_str)));
    json::set(entry, "plan", text(account.owner.plan.as_deref()));
    json::set(entry, "idToken", text(id.as_ref().map(IdToken::expose)));
    json::set(entry, "issuer", text(account.issuer.as_deref()));
    json::set(entry, "generation", Some(json!(generation)));
    json::set(entry, "obtainedAt", obtained_at.map(|at| json!(at.as_millis())));
    let hash = token_hash(refresh);
    if let Some(old) = json::text(entry, "refreshTokenHash").filter(|old| *old != hash).map(str::to_owned) {
        let mut all: Vec<String> =
            spent(entry).filter(|known| *known != old && *known != hash).map(str::to_owned).collect();
        all.push(old);
        let forgotten = all.len().saturating_sub(REMEMBERED);
        json::set(entry, "spentTokenHashes", Some(json!(all[forgotten..])));
    }
    json::set(entry, "refreshTokenHash", Some(json!(hash)));
    json::set(entry, "alias", text(account.alias.as_deref()));
    let from = account.provenance.as_ref();
    let told = from.map(|from| json!({ "path": from.path, "format": from.format, "at": from.at.as_millis() }));
    json::set(entry, "importedFrom", told);
    json::set(entry, "shared", from.filter(|from| from.shared).map(|_| json!(true)));
    let disabled_by = json::text(entry, "disabledBy").unwrap_or("user").to_owned();
    json::set(entry, "disabledBy", (!account.enabled).then(|| json!(disabled_by)));
    json::set(entry, "incident", account.incident.as_ref().map(incident_told));
    let needs = account.needs_login.as_ref();
    json::set(entry, "needsLogin", needs.map(|needs| json!({ "code": needs.code, "at": needs.at.as_millis() })));
}
