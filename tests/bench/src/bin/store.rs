//! What the pool on disk costs: opening it and deciding, and keeping one renewed token beside few and many others. The
//! documents that follow a kept token are waited for between the rounds, and timed by themselves.
//!
//! Rounds go over all pools in turn, so that what disturbs the disk disturbs everybody. One line of JSON at the end.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measuring tool: the clock is what it is for, standard output is its answer"
)]

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use camino::Utf8PathBuf;
use clap::Parser;
use codex_auth_core::{
    AccessToken, AccountStore as _, Clock, Credential, Held, IdToken, Intent, Owner, Query, RefreshToken, RestPolicy,
    Rotation, StoreError, Strategy, Timestamp, UserId, WorkspaceId,
};
use codex_auth_store::{FileStore, Layout, LayoutInputs, import};
use serde_json::{Value, json};

/// Accounts of the pool that is opened.
const OPENED: usize = 50;
/// Other accounts of the pools a token is kept in.
const OTHERS: [usize; 2] = [10, 1000];
/// Documents follow a token within this, or something hangs.
const FOLLOWED: Duration = Duration::from_mins(1);
/// Tokens of the vendor are of about this size; most of it is what workspaces say about themselves.
const FILLER: usize = 1200;

#[derive(Parser)]
struct Arguments {
    /// Where the pools may lie while it runs; must exist
    #[arg(long)]
    dir: PathBuf,
    /// How often each thing is measured
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let dir = Utf8PathBuf::from_path_buf(arguments.dir).map_err(|dir| format!("{} is no text", dir.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let opened = pool_of(&dir.join("opened"), OPENED)?;
    let kept: Vec<FileStore> =
        OTHERS.iter().map(|others| pool_of(&dir.join(others.to_string()), others + 1)).collect::<Result<_, _>>()?;
    let mut open = Vec::new();
    let (mut commit, mut publish) = (vec![Vec::new(); kept.len()], vec![Vec::new(); kept.len()]);
    // The first round warms the caches and is thrown away.
    for round in 0..=arguments.rounds {
        let took = open_and_decide(&opened)?;
        if round > 0 {
            open.push(micros(took));
        }
        for ((store, commit), publish) in kept.iter().zip(&mut commit).zip(&mut publish) {
            let kept = runtime.block_on(keep_a_token(store, round))?;
            if round > 0 {
                commit.push(micros(kept.commit));
                publish.push(micros(kept.publish));
            }
        }
    }
    println!("{}", json!({ "open_us": open, "commit_us": said(&commit), "publish_us": said(&publish) }));
    Ok(())
}

/// Values by the number of other accounts.
fn said(values: &[Vec<f64>]) -> Value {
    OTHERS.iter().zip(values).map(|(others, seen)| (others.to_string(), json!(seen))).collect()
}

/// As a program does that starts: where the files are, what they say, who serves.
fn open_and_decide(at: &FileStore) -> Result<Duration, StoreError> {
    let began = Instant::now();
    let store = FileStore::new(at.layout().clone(), Arc::new(SystemClock));
    let rotation = Rotation::new(store.read_now()?, Strategy::default(), RestPolicy::default());
    let decision = rotation.decide(&Query::default(), SystemClock.now());
    let took = began.elapsed();
    assert!(decision.choice.is_some(), "everybody is ready");
    Ok(took)
}

/// How long one token took.
struct Kept {
    /// From the claim until no crash can lose it.
    commit: Duration,
    /// From then until the documents say it, too.
    publish: Duration,
}

/// One refresh as far as the disk sees it: claim, a look, intent, answer; on a store that lives as long as an agent.
async fn keep_a_token(store: &FileStore, round: usize) -> Result<Kept, StoreError> {
    let record = store.read_now()?.accounts[0].account.record.clone();
    let answer = credential(0, &format!("next-{round}"));
    let began = Instant::now();
    let mut claim = store.claim(&record).await?;
    let held = claim.look_again().await?;
    assert_eq!(claim.intend(&held.credential.refresh).await?, Intent::Clear, "nobody else spends it");
    let fresh = Credential { generation: held.credential.generation + 1, ..answer };
    claim.commit(&fresh).await?;
    let (commit, kept) = (began.elapsed(), Instant::now());
    drop(claim);
    assert!(store.published(FOLLOWED), "the documents never followed");
    let publish = kept.elapsed();
    assert_eq!(store.read_now()?.accounts[0].credential.refresh, fresh.refresh, "it was kept");
    Ok(Kept { commit, publish })
}

/// A pool of so many accounts in a home of its own.
fn pool_of(home: &Utf8PathBuf, accounts: usize) -> Result<FileStore, StoreError> {
    let inputs = LayoutInputs { home: home.to_string(), ..LayoutInputs::default() };
    let store = FileStore::new(Layout::resolve(&inputs), Arc::new(SystemClock));
    store.edit_now(|pool| {
        pool.accounts = (0..accounts).map(account).collect();
        pool.active = pool.accounts.first().map(|held| held.account.record.clone());
    })?;
    Ok(store)
}

fn account(n: usize) -> Held {
    let owner = Owner {
        user: UserId::parse(&format!("user-{n}")),
        workspace: WorkspaceId::parse(&format!("ws-{n}")),
        email: Some(format!("user-{n}@example.test")),
        plan: Some("plus".into()),
    };
    import::from_sign_in(owner, credential(n, "first"), None, SystemClock.now())
}

fn credential(n: usize, refresh: &str) -> Credential {
    let now = SystemClock.now();
    let ends_at = now.after(Duration::from_hours(24));
    let token = jwt(&json!({
        "exp": ends_at.as_millis() / 1000, "iat": now.as_millis() / 1000, "email": format!("user-{n}@example.test"),
        "https://api.openai.com/auth": {
            "chatgpt_user_id": format!("user-{n}"), "chatgpt_account_id": format!("ws-{n}"),
            "chatgpt_plan_type": "plus", "organizations": "x".repeat(FILLER),
        },
    }));
    Credential {
        access: Some(AccessToken::new(&token)),
        refresh: RefreshToken::new(format!("rt-{n}-{refresh}")),
        id: Some(IdToken::new(&token)),
        expires_at: Some(ends_at),
        obtained_at: Some(now),
        generation: 0,
    }
}

/// A JWT with a made-up signature.
fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.signature", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(claims))
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
