//! An answer that comes after another program wrote another token is not lost: it lies aside until it is proven stale.

use std::sync::Arc;

use codex_auth_core::{AccountStore as _, Intent, NeedsLogin, RefreshToken, Timestamp};
use codex_auth_store::{FileStore, OsFs};
use serde_json::json;

use crate::{
    claims::{Begun, HASH_OF_R1, SOON, begun, lock},
    world::{NOW, World, credential},
};

impl Begun {
    /// Writes another refresh token into the row, as a program without our lock.
    fn write_token(&self, refresh: &str) {
        let mut document = self.world.accounts();
        document["accounts"][0]["refreshToken"] = json!(refresh);
        self.world.write(&self.world.layout().accounts(), &document.to_string());
    }
}

/// A renewal of `R1` is under way, another program writes `R1-other` into the row, and then the answer comes.
async fn overtaken(begun: &Begun) {
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    begun.write_token("R1-other");
    claim.commit(&credential("user-1", "ws-1", "R1-late", 0)).await.expect("noted");
    assert!(begun.store.published(SOON));
    assert_eq!(claim.look_again().await.expect("there").credential.refresh.expose(), "R1-other", "theirs counts");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_late_lies_aside_until_it_is_proven_stale() {
    let begun = begun();
    overtaken(&begun).await;
    let spare = begun.world.layout().spare_credential(&begun.record, HASH_OF_R1);
    assert!(spare.exists());
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1-other")).await, Ok(Intent::Clear));
    claim.commit(&credential("user-1", "ws-1", "R1-next", 0)).await.expect("kept");
    assert!(begun.store.published(SOON));
    assert!(spare.exists(), "another token that is good proves nothing");
    assert_eq!(claim.intend(&RefreshToken::new("R1-next")).await, Ok(Intent::Clear));
    let why = NeedsLogin { code: "refresh_token_reused".into(), at: Timestamp::from_secs(NOW) };
    claim.refuse(why.clone()).await.expect("noted");
    let held = claim.look_again().await.expect("there");
    assert_eq!((held.credential.refresh.expose(), &held.account.needs_login), ("R1-late", &None), "it takes the place");
    assert!(!spare.exists(), "the pool has it");
    assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
    claim.refuse(why.clone()).await.expect("noted");
    assert_eq!(begun.held().account.needs_login, Some(why), "nothing else is left");
}

#[tokio::test(start_paused = true)]
async fn the_token_of_an_answer_that_lies_aside_is_not_presented_again() {
    let begun = begun();
    overtaken(&begun).await;
    begun.write_token("R1");
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::MaybeSpent));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_in_the_journal_does_not_take_the_place_of_another_token() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    let busy = lock(begun.world.layout().root_lock());
    claim.commit(&credential("user-1", "ws-1", "R1-late", 0)).await.expect("the journal has it");
    assert!(begun.store.published(SOON));
    begun.write_token("R1-other");
    assert_eq!(begun.held().credential.refresh.expose(), "R1-other");
    drop((busy, claim));
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.look_again().await.expect("there").credential.refresh.expose(), "R1-other");
    assert!(begun.world.layout().spare_credential(&begun.record, HASH_OF_R1).exists());
}

#[tokio::test(start_paused = true)]
async fn a_row_says_its_name_before_its_token_is_presented() {
    let world = World::new();
    let added = (NOW - 1000) * 1000;
    let row = json!({ "accountId": "ws-1", "refreshToken": "R1", "addedAt": added, "lastUsed": added });
    let document = json!({ "version": 3, "accounts": [row], "activeIndex": 0 });
    world.write(&world.layout().accounts(), &document.to_string());
    let store = FileStore::over(world.layout().clone(), world.clock.clone(), Arc::new(OsFs));
    let record = store.read_now().expect("readable").accounts[0].account.record.clone();
    let begun = Begun { world, store, record };
    overtaken(&begun).await;
    assert_eq!(begun.world.accounts()["accounts"][0]["recordId"], json!(begun.record.as_str()));
    assert!(begun.world.layout().spare_credential(&begun.record, HASH_OF_R1).exists());
}
