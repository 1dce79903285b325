//! Owns what must hold for every parser of this crate, whatever the bytes: one entry per parser, driven by seeded
//! mutations in `tests/it/fuzzing.rs` and by cargo-fuzz in `fuzz/`.
//!
//! To add a parser: write its entry (a function of bytes that panics when something does not hold), give it a line in
//! [`ENTRIES`], and put at least one well-formed input under `tests/corpus/<entry>/`. The tests say what is missing.
//! An input that once broke an entry stays in its corpus.

use std::fmt::{Debug, Display};

use camino::Utf8Path;
use codex_auth_core::{
    AccessToken, IdToken, LoginState, Timestamp,
    testing::{check_silent, planted},
};

use crate::{
    claims::{claims_of, is_loadable, issued_at},
    documents::{
        account_policies::AccountPolicies,
        app_bind::{AppBind, ConfigBackup, RouterStatus},
        budget_guards::BudgetGuards,
        client_tokens::ClientTokens,
        first_run::FirstRun,
        observability::Observability,
        opencode_affinity::SessionAffinity,
        opencode_cache::{ClientVersion, ModelCatalog, ModelsMeta},
        opencode_snapshots::QuotaSnapshots,
        quota_cache::QuotaCache,
        routing_profiles::RoutingProfiles,
        settings::Settings,
        usage_ledger::UsageTotals,
    },
    journal,
    json::{self, Object},
    lease,
    official::{config::refuse_other_store, login_of},
    state_file::{self, Document},
};

mod documents;
mod files;
mod lines;

/// The name of a parser's corpus, and what must hold for any bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// Every parser of this crate.
pub const ENTRIES: &[Entry] = &[
    ("account-policies", beside::<AccountPolicies>),
    ("accounts", documents::accounts),
    ("accounts-json", files::accounts_json),
    ("app-bind", beside::<AppBind>),
    ("app-bind-backup", beside::<ConfigBackup>),
    ("app-bind-status", beside::<RouterStatus>),
    ("auth-json", auth_json),
    ("budget-guards", budget_guards),
    ("change-journal", lines::change_journal),
    ("client-tokens", beside::<ClientTokens>),
    ("config-toml", config_toml),
    ("first-run", beside::<FirstRun>),
    ("flagged", files::flagged),
    ("import", files::imported),
    ("observability", beside::<Observability>),
    ("opencode-affinity", beside::<SessionAffinity>),
    ("opencode-catalog", beside::<ModelCatalog>),
    ("opencode-client", beside::<ClientVersion>),
    ("opencode-document", files::opencode_document),
    ("opencode-models", beside::<ModelsMeta>),
    ("opencode-snapshots", beside::<QuotaSnapshots>),
    ("oplog", lines::oplog),
    ("predecessors-journal", lines::predecessors_journal),
    ("project-pointer", lines::project_pointer),
    ("quota-cache", beside::<QuotaCache>),
    ("refresh-journal", refresh_journal),
    ("refresh-lease", refresh_lease),
    ("routing-profiles", beside::<RoutingProfiles>),
    ("salvage", lines::salvage),
    ("settings", beside::<Settings>),
    ("sidecar", documents::sidecar),
    ("token", token),
    ("usage-row", files::usage_row),
    ("usage-totals", beside::<UsageTotals>),
];

/// When the entries take place; corpora tell of times before and after it.
const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// Runs one entry.
pub fn run(entry: &str, bytes: &[u8]) {
    let known = ENTRIES.iter().find(|(name, _)| *name == entry);
    let (_, judge) = known.unwrap_or_else(|| panic!("no parser is called {entry}"));
    judge(bytes);
}

/// Parses `bytes`, and the same with a canary before, after and in the middle; no refusal may repeat it. What the
/// bytes themselves say is handed on.
fn read<T, E: Display + Debug>(bytes: &[u8], parse: impl Fn(&[u8]) -> Result<T, E>) -> Option<T> {
    for planted in planted(bytes) {
        let _ = parse(&planted).map_err(|error| check_silent(&error));
    }
    parse(bytes).map_err(|error| check_silent(&error)).ok()
}

fn auth_json(bytes: &[u8]) {
    let path = Utf8Path::new("auth.json");
    let found = read(bytes, |bytes| match login_of(path, bytes) {
        LoginState::Usable(login) => Ok(login),
        LoginState::Unusable { why } => Err(why),
        LoginState::Absent => panic!("bytes are never absent"),
    });
    let Some(login) = found else { return };
    let credential = &login.credential;
    assert!(credential.access.as_ref().is_some_and(|token| !token.is_blank()), "signed requests need a token");
    assert!(credential.id.as_ref().is_some_and(is_loadable), "the client has to load it");
    assert!(login.owner.workspace.is_some() && credential.obtained_at.is_some());
    let object = json::parse_object(path, bytes, "").expect("it was parsed before");
    assert_eq!(login_of(path, &json::pretty(&object)), LoginState::Usable(login), "written anew it says the same");
}

fn config_toml(bytes: &[u8]) {
    // A refusal names the store, which is one of two words.
    read(bytes, |bytes| refuse_other_store(Utf8Path::new("config.toml"), bytes));
}

fn refresh_journal(bytes: &[u8]) {
    let Some(entry) = journal::parse(bytes) else { return };
    let room = usize::try_from(entry.room_at).expect("inside the file");
    let intent = bytes.get(..room).expect("the room begins inside the file");
    assert!(intent.ends_with(b"\n") && !entry.token_hash.is_empty());
    if let Some(fresh) = entry.answer {
        assert!(!fresh.refresh.is_blank(), "an answer without a token is none");
        let again = journal::parse(&[intent, journal::answer_line(&fresh).as_bytes()].concat());
        assert_eq!(again.and_then(|entry| entry.answer), Some(fresh), "written anew it says the same");
    }
    assert!(journal::parse(intent).is_some_and(|entry| entry.answer.is_none()), "an intent stands by itself");
}

fn refresh_lease(bytes: &[u8]) {
    if let Some(holder) = lease::named_in(bytes, NOW) {
        check_silent(&holder);
    }
    let at_the_end = Timestamp::from_millis(i64::MAX);
    let ends = lease::named_in(bytes, at_the_end).is_none();
    assert!(!ends || lease::named_in(b"", at_the_end).is_some(), "only a lease that says so is over");
}

/// A document beside the pool: encoded into itself it says the same, and what nobody knows stays.
fn beside<D: Document + PartialEq>(bytes: &[u8]) {
    let path = Utf8Path::new(D::NAME);
    if let Some(object) = read(bytes, |bytes| state_file::parse::<D>(path, bytes)) {
        check_written_anew::<D>(path, &object);
    }
}

/// A refusal names the limit that cannot be read: its key is a word a person chose, and no secret.
fn budget_guards(bytes: &[u8]) {
    let path = Utf8Path::new(BudgetGuards::NAME);
    if let Ok(object) = state_file::parse::<BudgetGuards>(path, bytes) {
        check_written_anew::<BudgetGuards>(path, &object);
    }
}

fn check_written_anew<D: Document>(path: &Utf8Path, object: &Object) {
    let document = D::decode(object);
    let mut written = object.clone();
    document.encode(&mut written);
    let again = state_file::parse::<D>(path, &json::pretty(&written)).expect("what we write, we read");
    assert!(D::decode(&again) == document, "written anew it says the same");
    let mut twice = again.clone();
    D::decode(&again).encode(&mut twice);
    assert_eq!(twice, again, "writing it again changes nothing");
}

fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (access, id) = (AccessToken::new(text), IdToken::new(text));
    let alone = claims_of(Some(&access), None);
    let both = claims_of(Some(&access), Some(&id));
    // The address is a label, looked up in another order in an id token.
    assert_eq!((both.user, both.workspace), (alone.user, alone.workspace), "one token says one identity");
    let is_opaque = text.split('.').count() != 3;
    assert!(!is_opaque || (issued_at(&access).is_none() && !is_loadable(&id)), "only three parts make a token");
}
