//! Owns what the predecessors' documents have no room for, kept beside them in `codex-auth.json`.
//!
//! Each entry says by hash which refresh token it describes. When the document carries another one, a foreign program
//! wrote a newer credential: it is adopted, the generation grows, and what described the old one is forgotten.
//!
//! Two files cannot be replaced at once. The sidecar is written first and keeps, under `before`, the entries it
//! changed together with the length and hash of the document they belonged to. A crash before the document is
//! replaced leaves exactly that document, so a reader knows to use those entries: both files say the old state, or
//! both the new one.

use camino::Utf8Path;
use codex_auth_core::{Credential, Held, IdToken, NeedsLogin, SavedPool, StoreError, UserId, WorkspaceId};
use serde_json::{Value, json};

use crate::{
    claims::claims_of,
    hash::{sha256_hex, token_hash},
    json::{self, Object},
};

const REMEDY: &str = "mend it, or move it away: accounts and refresh tokens stay, aliases and id tokens are lost";

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

    /// The text of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        json::pretty(&self.0)
    }

    /// Completes what `document` said.
    pub(crate) fn complete(&self, pool: &mut SavedPool, document: &[u8]) {
        let earlier = self.earlier(document);
        for held in &mut pool.accounts {
            let record = held.account.record.as_str();
            match earlier.and_then(|entries| entries.get(record)).or_else(|| self.entries()?.get(record)) {
                Some(Value::Object(entry)) => complete(held, entry),
                Some(_) | None => relabel(held),
            }
        }
    }

    /// The sidecar that says `pool`. With `is_replaced` it is to be written before `document` is replaced, and tells
    /// of both states.
    pub(crate) fn saying(&self, pool: &SavedPool, document: &[u8], is_replaced: bool) -> Self {
        let known = self.known(document);
        let mut entries = known.clone();
        let mut before = Object::new();
        for held in &pool.accounts {
            let record = held.account.record.as_str();
            let old = known.get(record).and_then(Value::as_object);
            let mut entry = old.cloned().unwrap_or_default();
            encode(&mut entry, held);
            if old != Some(&entry) {
                before.insert(record.to_owned(), known.get(record).cloned().unwrap_or(Value::Null));
                entries.insert(record.to_owned(), Value::Object(entry));
            }
        }
        let mut object = self.0.clone();
        json::set(&mut object, "version", Some(json!(1)));
        json::set(&mut object, "accounts", Some(Value::Object(entries)));
        let tells = is_replaced && !before.is_empty();
        let earlier = || json!({ "length": document.len(), "sha256": sha256_hex(document), "accounts": before });
        json::set(&mut object, "before", tells.then(earlier));
        Self(object)
    }

    /// The sidecar without entries of accounts that are gone, to be written after the document.
    pub(crate) fn pruned(&self, pool: &SavedPool) -> Self {
        let mut object = self.0.clone();
        let is_gone = |record: &str| pool.accounts.iter().all(|held| held.account.record.as_str() != record);
        let Some(entries) = object.get_mut("accounts").and_then(Value::as_object_mut) else { return self.clone() };
        entries.retain(|record, _| !is_gone(record));
        Self(object)
    }

    fn entries(&self) -> Option<&Object> {
        self.0.get("accounts")?.as_object()
    }

    /// All entries as they count for `document`.
    fn known(&self, document: &[u8]) -> Object {
        let mut entries = self.entries().cloned().unwrap_or_default();
        for (record, entry) in self.earlier(document).into_iter().flatten() {
            json::set(&mut entries, record, Some(entry.clone()).filter(Value::is_object));
        }
        entries
    }

    /// The entries that belong to `document`, when the last write of both files stopped half-way.
    fn earlier(&self, document: &[u8]) -> Option<&Object> {
        let before = self.0.get("before")?.as_object()?;
        let length = before.get("length").and_then(json::integer).and_then(|length| usize::try_from(length).ok());
        // The hash is asked only when the length fits, so that an ordinary read costs nothing.
        let fits = length == Some(document.len()) && json::text(before, "sha256") == Some(&sha256_hex(document));
        before.get("accounts").filter(|_| fits)?.as_object()
    }
}

fn complete(held: &mut Held, entry: &Object) {
    let Held { account, credential } = held;
    credential.generation = json::count(entry, "generation").unwrap_or(0);
    account.alias = json::text(entry, "alias").map(str::to_owned);
    account.issuer = json::text(entry, "issuer").map(str::to_owned);
    let user = json::text(entry, "userId").and_then(UserId::parse);
    let workspace = json::text(entry, "workspaceId").and_then(WorkspaceId::parse);
    if json::text(entry, "refreshTokenHash").is_some_and(|hash| hash != token_hash(&credential.refresh)) {
        // What the new tokens say about themselves comes first; the rest is the same person as before.
        credential.generation += 1;
        account.owner.user = account.owner.user.take().or(user);
        account.owner.workspace = account.owner.workspace.take().or(workspace);
        return;
    }
    account.owner.user = user.or_else(|| account.owner.user.take());
    account.owner.workspace = account.owner.workspace.take().or(workspace);
    credential.id = json::text(entry, "idToken").map(IdToken::new);
    credential.obtained_at = json::millis(entry, "obtainedAt");
    if let Some(needs) = entry.get("needsLogin").and_then(Value::as_object) {
        let at = json::millis(needs, "at").unwrap_or_default();
        let code = json::text(needs, "code").unwrap_or("token_invalidated").to_owned();
        account.needs_login = account.needs_login.take().or(Some(NeedsLogin { code, at }));
    }
    relabel(held);
}

/// Labels the file does not carry come from the tokens.
fn relabel(held: &mut Held) {
    let Held { account, credential } = held;
    let owner = &mut account.owner;
    if credential.id.is_some() && (owner.user.is_none() || owner.workspace.is_none() || owner.email.is_none()) {
        let claims = claims_of(credential.access.as_ref(), credential.id.as_ref());
        owner.user = owner.user.take().or(claims.user);
        owner.workspace = owner.workspace.take().or(claims.workspace);
        owner.email = owner.email.take().or(claims.email);
        owner.plan = owner.plan.take().or(claims.plan);
    }
}

fn encode(entry: &mut Object, held: &Held) {
    let Held { account, credential } = held;
    let Credential { id, obtained_at, generation, refresh, .. } = credential;
    let text = |text: Option<&str>| text.map(|text| json!(text));
    json::set(entry, "userId", text(account.owner.user.as_ref().map(UserId::as_str)));
    json::set(entry, "workspaceId", text(account.owner.workspace.as_ref().map(WorkspaceId::as_str)));
    json::set(entry, "idToken", text(id.as_ref().map(IdToken::expose)));
    json::set(entry, "issuer", text(account.issuer.as_deref()));
    json::set(entry, "generation", Some(json!(generation)));
    json::set(entry, "obtainedAt", obtained_at.map(|at| json!(at.as_millis())));
    json::set(entry, "refreshTokenHash", Some(json!(token_hash(refresh))));
    json::set(entry, "alias", text(account.alias.as_deref()));
    let disabled_by = json::text(entry, "disabledBy").unwrap_or("user").to_owned();
    json::set(entry, "disabledBy", (!account.enabled).then(|| json!(disabled_by)));
    let needs = account.needs_login.as_ref();
    json::set(entry, "needsLogin", needs.map(|needs| json!({ "code": needs.code, "at": needs.at.as_millis() })));
}
