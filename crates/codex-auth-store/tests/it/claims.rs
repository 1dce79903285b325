//! A refresh token is presented at most once, by one holder at a time, and newer pairs of others are adopted.

mod aftermath;

use codex_auth_core::{
    AccountStore as _, Held, IdToken, Intent, NeedsLogin, RecordId, RefreshToken, Rest, RestReason, StoreError,
    Timestamp,
};
use codex_auth_store::{FileStore, auth_json_of, testing::auth_json};
use serde_json::{Value, json};

use crate::world::{NOW, World, credential, sign_in};

pub(crate) const HASH_OF_R1: &str = "a791366f6f6201254edcac9ec72017b12d8a69513b5e1e29a29a4048ffb16e27";

/// Nothing here takes so long.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_secs(20);

pub(crate) struct Begun {
    pub(crate) world: World,
    pub(crate) store: FileStore,
    pub(crate) record: RecordId,
}

pub(crate) fn begun() -> Begun {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    let record = store.read_now().expect("readable").accounts[0].account.record.clone();
    Begun { world, store, record }
}

impl Begun {
    pub(crate) fn held(&self) -> Held {
        self.store.read_now().expect("readable").find(&self.record).expect("there").clone()
    }

    /// Writes a login into the default home: person `n`, granted `age` seconds ago.
    fn login(&self, n: usize, refresh: &str, age: i64) {
        let login = auth_json(&format!("user-{n}"), &format!("ws-{n}"), refresh, NOW - age + 86_400);
        self.world.write(&self.world.layout().auth_json(), &login.to_string());
    }

    fn auth_json(&self) -> Value {
        let bytes = std::fs::read(auth_json_of(self.world.layout().codex_home())).expect("there");
        serde_json::from_slice(&bytes).expect("JSON")
    }
}

#[tokio::test(start_paused = true)]
async fn one_holder_at_a_time_and_the_error_names_it() {
    let begun = begun();
    let _held = begun.store.claim(&begun.record).await.expect("free");
    let error = begun.store.claim(&begun.record).await.expect_err("taken");
    let StoreError::Locked { holder, .. } = &error else { panic!("{error}") };
    assert_eq!(*holder, format!("process {}", std::process::id()));
}

#[tokio::test(start_paused = true)]
async fn other_accounts_are_free_meanwhile() {
    let begun = begun();
    let _held = begun.store.claim(&begun.record).await.expect("free");
    let other = begun.store.read_now().expect("readable").accounts[1].account.record.clone();
    begun.store.claim(&other).await.expect("free");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_account_cannot_be_claimed() {
    let begun = begun();
    let nobody = RecordId::parse("record:nobody").expect("not blank");
    assert_eq!(begun.store.claim(&nobody).await.err(), Some(StoreError::NoSuchAccount(nobody)));
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_kept_and_clears_what_the_old_token_caused() {
    let begun = begun();
    begun
        .store
        .edit_now(|pool| {
            let account = &mut pool.find_mut(&begun.record).expect("there").account;
            account.needs_login = Some(NeedsLogin { code: "x".into(), at: Timestamp::from_secs(NOW) });
            account.enabled = false;
            account.alias = Some("work".into());
            for reason in [RestReason::Auth, RestReason::UsageLimit] {
                account.rest(Rest::of_account(reason, Timestamp::from_secs(NOW + 60), Timestamp::from_secs(NOW)));
            }
        })
        .expect("written");
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    let held = claim.look_again().await.expect("there");
    assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
    let mut fresh = credential("user-1", "ws-1", "R1-new", 0);
    fresh.generation = held.credential.generation + 1;
    claim.commit(&fresh).await.expect("kept");
    assert!(begun.store.published(SOON));
    let after = begun.held();
    assert_eq!(after.credential, fresh);
    assert_eq!((after.account.needs_login.as_ref(), after.account.enabled), (None, false));
    assert_eq!(after.account.alias.as_deref(), Some("work"));
    let reasons: Vec<_> = after.account.rests.iter().map(|rest| rest.reason).collect();
    assert_eq!(reasons, [RestReason::UsageLimit]);
    assert!(!begun.world.layout().refresh_journal(&begun.record).exists(), "nothing is left in the journal");
}

#[tokio::test(start_paused = true)]
async fn a_busy_root_keeps_the_answer_in_the_journal_and_no_later_intent_overwrites_it() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    let busy = lock(begun.world.layout().root_lock());
    let mut fresh = credential("user-1", "ws-1", "R1-new", 0);
    fresh.generation = 1;
    claim.commit(&fresh).await.expect("the journal has it");
    assert_eq!(claim.look_again().await.expect("there").credential, fresh);
    assert!(matches!(claim.intend(&fresh.refresh).await, Err(StoreError::Locked { .. })));
    drop((busy, claim));
    assert_eq!(begun.held().credential, fresh);
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.look_again().await.expect("there").credential, fresh);
    assert_eq!(begun.world.accounts()["accounts"][0]["refreshToken"], json!("R1-new"));
    assert_eq!(claim.intend(&fresh.refresh).await, Ok(Intent::Clear));
}

#[tokio::test(start_paused = true)]
async fn a_presentation_nobody_finished_may_have_spent_the_token() {
    let begun = begun();
    let token = RefreshToken::new("R1");
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&token).await, Ok(Intent::Clear));
    drop(claim);
    let mut claim = begun.store.claim(&begun.record).await.expect("free again");
    assert_eq!(claim.intend(&token).await, Ok(Intent::MaybeSpent));
    assert_eq!(claim.intend(&token).await, Ok(Intent::MaybeSpent), "however often it is asked");
    assert_eq!(claim.intend(&RefreshToken::new("another")).await, Ok(Intent::Clear));
}

#[tokio::test(start_paused = true)]
async fn a_token_certainly_unspent_may_be_presented_again() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    let token = RefreshToken::new("R1");
    assert_eq!(claim.intend(&token).await, Ok(Intent::Clear));
    claim.unspent().await.expect("noted");
    assert_eq!(claim.intend(&token).await, Ok(Intent::Clear));
}

#[tokio::test(start_paused = true)]
async fn no_secret_stands_in_an_intent() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1-CANARY")).await, Ok(Intent::Clear));
    let path = begun.world.layout().refresh_journal(&begun.record);
    let text = std::fs::read_to_string(path).expect("there");
    assert!(!text.contains("CANARY"));
    assert!(text.len() > 16 * 1024, "the room for the answer is taken beforehand");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_durable_for_us_and_for_the_predecessor() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    let why = NeedsLogin { code: "refresh_token_reused".into(), at: Timestamp::from_secs(NOW) };
    claim.refuse(why.clone()).await.expect("noted");
    assert_eq!(begun.held().account.needs_login.as_ref(), Some(&why));
    let row = &begun.world.accounts()["accounts"][0];
    assert_eq!(row["authInvalidatedAt"], json!(NOW * 1000));
    assert_eq!(row["authInvalidationErrorCode"], json!("refresh_token_reused"));
    assert!(!begun.world.layout().refresh_journal(&begun.record).exists());
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_meanwhile_is_not_marked_by_the_old_tokens_refusal() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    let fresh = credential("user-1", "ws-1", "SIGNED-IN", 0);
    begun.store.edit_now(|pool| pool.find_mut(&begun.record).expect("there").credential = fresh).expect("written");
    let why = NeedsLogin { code: "refresh_token_reused".into(), at: Timestamp::from_secs(NOW) };
    claim.refuse(why).await.expect("noted");
    assert_eq!(begun.held().account.needs_login, None);
}

#[tokio::test(start_paused = true)]
async fn an_account_deleted_meanwhile_stays_deleted() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    begun.store.edit_now(|pool| pool.accounts.retain(|held| held.account.record != begun.record)).expect("written");
    let fresh = credential("user-1", "ws-1", "R1-new", 0);
    assert_eq!(claim.commit(&fresh).await, Err(StoreError::NoSuchAccount(begun.record.clone())));
    assert!(!begun.world.layout().refresh_journal(&begun.record).exists());
}

#[tokio::test(start_paused = true)]
async fn a_newer_pair_of_the_same_identity_is_adopted_durably() {
    let begun = begun();
    begun.login(1, "OFFICIAL", 10);
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    let held = claim.look_again().await.expect("there");
    assert_eq!(held.credential.refresh.expose(), "OFFICIAL");
    assert!(held.credential.generation > 0);
    assert_eq!(begun.held(), held);
}

#[tokio::test(start_paused = true)]
async fn a_leased_home_counts_from_the_moment_it_is_known() {
    let begun = begun();
    let home = begun.world.home().join("leased");
    let login = auth_json("user-1", "ws-1", "LEASED", NOW - 10 + 86_400);
    begun.world.write(&auth_json_of(&home), &login.to_string());
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.look_again().await.expect("there").credential.refresh.expose(), "R1");
    begun.store.homes().add(home);
    assert_eq!(claim.look_again().await.expect("there").credential.refresh.expose(), "LEASED");
}

/// What a claim reads while this login stands in the default home.
async fn adopts(login: Value) -> String {
    let begun = begun();
    begun.world.write(&begun.world.layout().auth_json(), &login.to_string());
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    claim.look_again().await.expect("there").credential.refresh.expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_adopted_across_identities_or_from_the_past() {
    let end = NOW - 10 + 86_400;
    assert_eq!(adopts(auth_json("user-1", "ws-1", "X", end)).await, "X");
    assert_eq!(adopts(auth_json("user-1", "ws-1", "X", end - 500)).await, "R1", "older");
    assert_eq!(adopts(auth_json("user-9", "ws-1", "X", end)).await, "R1", "another seat of the workspace");
    assert_eq!(adopts(auth_json("user-1", "ws-9", "X", end)).await, "R1", "the same person's other workspace");
    let mut broken = auth_json("user-1", "ws-1", "X", end);
    broken["last_refresh"] = Value::Null;
    assert_eq!(adopts(broken).await, "R1", "the official client would not use it either");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_held_the_spent_token_gets_the_new_pair() {
    let begun = begun();
    let mut login = auth_json("user-1", "ws-1", "R1", NOW - 100 + 86_400);
    login["mine"] = json!({ "keep": 1.0 });
    login["tokens"]["oauth_provenance"] = json!({ "issuer": "https://auth.openai.com", "client_id": "c" });
    begun.world.write(&begun.world.layout().auth_json(), &login.to_string());
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    let fresh = credential("user-1", "ws-1", "R1-new", 0);
    claim.commit(&fresh).await.expect("kept");
    assert!(begun.store.published(SOON));
    let after = begun.auth_json();
    assert_eq!(after["tokens"]["refresh_token"], json!("R1-new"));
    assert_eq!(after["tokens"]["id_token"], json!(fresh.id.as_ref().map(IdToken::expose)));
    assert_eq!(after["last_refresh"], json!(jiff_text(NOW)));
    assert_eq!(after["mine"]["keep"].to_string(), "1.0");
    assert_eq!(after["tokens"]["oauth_provenance"], login["tokens"]["oauth_provenance"]);
    let keys: Vec<_> = after.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh", "mine"], "no key of ours");
}

#[tokio::test(start_paused = true)]
async fn a_login_of_another_grant_is_left_alone() {
    let begun = begun();
    begun.login(1, "ANOTHER", 500);
    let before = begun.auth_json();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    claim.commit(&credential("user-1", "ws-1", "R1-new", 0)).await.expect("kept");
    assert!(begun.store.published(SOON));
    assert_eq!(begun.auth_json(), before);
}

#[tokio::test(start_paused = true)]
async fn a_busy_official_client_is_not_waited_for_long() {
    let begun = begun();
    begun.login(1, "R1", 100);
    let _busy = lock(begun.world.layout().codex_home().join("auth.lock"));
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    claim.commit(&credential("user-1", "ws-1", "R1-new", 0)).await.expect("kept all the same");
    assert!(begun.store.published(SOON));
    assert_eq!(begun.auth_json()["tokens"]["refresh_token"], json!("R1"));
    assert_eq!(begun.held().credential.refresh.expose(), "R1-new");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_the_predecessor_has_begun_is_waited_for() {
    let begun = begun();
    let lease = |hash: &str| {
        let path = begun.world.layout().refresh_lease(hash);
        begun.world.write(&path, &json!({ "pid": 4711, "expiresAt": (NOW + 60) * 1000 }).to_string());
        let written_at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW.unsigned_abs());
        let file = std::fs::File::options().write(true).open(path).expect("there");
        file.set_modified(written_at).expect("set");
    };
    lease("another-tokens-hash");
    begun.store.claim(&begun.record).await.expect("another token's lease");
    lease(HASH_OF_R1);
    let error = begun.store.claim(&begun.record).await.expect_err("leased");
    assert!(error.to_string().contains("is locked by process 4711"), "{error}");
    begun.world.clock.advance(std::time::Duration::from_secs(30));
    begun.store.claim(&begun.record).await.expect("no lease lasts longer");
}

pub(crate) fn lock(path: camino::Utf8PathBuf) -> std::fs::File {
    std::fs::create_dir_all(path.parent().expect("in a home")).expect("made");
    let file = std::fs::File::create(path).expect("made");
    file.try_lock().expect("free");
    file
}

fn jiff_text(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).expect("a year of this age").to_string()
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_passed_over_gets_the_pair_at_the_next_claim() {
    let begun = begun();
    begun.login(1, "R1", 100);
    let busy = std::fs::File::create(begun.world.layout().codex_home().join("auth.lock")).expect("made");
    busy.lock().expect("free");
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    let held = claim.look_again().await.expect("readable");
    assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
    claim.commit(&credential("user-1", "ws-1", "R1-next", 0)).await.expect("kept");
    assert!(begun.store.published(SOON));
    drop(claim);
    assert_eq!(begun.auth_json()["tokens"]["refresh_token"], json!("R1"), "its locks are busy");
    busy.unlock().expect("held");
    begun.store.claim(&begun.record).await.expect("free").look_again().await.expect("readable");
    assert_eq!(begun.auth_json()["tokens"]["refresh_token"], json!("R1-next"));
}
