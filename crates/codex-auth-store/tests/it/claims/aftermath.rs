//! What follows a renewal: logins that were busy get the pair, and an incident lasts or ends.

use codex_auth_core::{AccountStore as _, Incident, Intent, RefreshToken, SavedPool, Timestamp, Vain};
use codex_auth_store::merge;
use serde_json::json;

use super::{Begun, SOON, begun, lock};
use crate::world::{NOW, credential, sign_in};

#[tokio::test(start_paused = true)]
async fn a_login_that_was_passed_over_gets_the_pair_as_soon_as_it_is_free() {
    let begun = begun();
    begun.login(1, "R1", 100);
    begun.store.hand_over().await.expect("nothing is owed");
    begun.store.hand_over().await.expect("nothing is owed");
    let busy = lock(format!("{}.lock", begun.world.layout().auth_json()).into());
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    claim.commit(&credential("user-1", "ws-1", "R1-next", 0)).await.expect("kept");
    assert!(begun.store.published(SOON));
    let stands = || begun.auth_json()["tokens"]["refresh_token"].clone();
    begun.store.hand_over().await.expect("the renewal is not over");
    drop(claim);
    begun.store.hand_over().await.expect("its lock is busy");
    assert_eq!(stands(), json!("R1"));
    drop(busy);
    begun.store.hand_over().await.expect("free");
    assert_eq!(stands(), json!("R1-next"));
    // An old copy that is put back is behind again, however quiet it was before.
    for _ in 0..3 {
        begun.store.hand_over().await.expect("nothing is owed");
    }
    begun.login(1, "R1", 100);
    begun.store.hand_over().await.expect("free");
    assert_eq!(stands(), json!("R1-next"));
}

#[tokio::test(start_paused = true)]
async fn logins_of_other_grants_are_owed_nothing() {
    let begun = begun();
    let mut claim = begun.store.claim(&begun.record).await.expect("free");
    assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
    claim.commit(&credential("user-1", "ws-1", "R1-next", 0)).await.expect("kept");
    assert!(begun.store.published(SOON));
    drop(claim);
    begun.login(1, "ANOTHER", 500);
    let before = begun.auth_json();
    begun.store.hand_over().await.expect("nothing is owed");
    assert_eq!(begun.auth_json(), before);
}

/// What becomes of an incident when `then` happens to its account.
#[track_caller]
fn incident_after(what: Vain, then: impl FnOnce(&Begun), expect: bool) {
    let begun = begun();
    let incident = Incident { what, times: 1, generation: 4, at: Timestamp::from_secs(NOW) };
    let note = |pool: &mut SavedPool| {
        pool.find_mut(&begun.record).expect("there").account.incident = Some(incident.clone());
    };
    begun.store.edit_now(note).expect("written");
    then(&begun);
    assert_eq!(
        begun.world.store().read_now().expect("readable").find(&begun.record).expect("there").account.incident,
        expect.then_some(incident)
    );
}

#[test]
fn an_incident_lasts_until_a_success_or_another_sign_in() {
    let declined = || Vain::Declined { code: "http_403".into() };
    let grant = |begun: &Begun| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut claim = begun.store.claim(&begun.record).await.expect("free");
            assert_eq!(claim.intend(&RefreshToken::new("R1")).await, Ok(Intent::Clear));
            claim.commit(&credential("user-1", "ws-1", "R1-next", 0)).await.expect("kept");
        });
        assert!(begun.store.published(SOON));
    };
    let sign_in_anew = |begun: &Begun| {
        let now = Timestamp::from_secs(NOW);
        begun.store.edit_now(|pool| drop(merge(pool, vec![sign_in(1, "OWN", 1)], now))).expect("written");
    };
    let elsewhere = |begun: &Begun| {
        let mut document = begun.world.accounts();
        document["accounts"][0]["refreshToken"] = json!("ELSEWHERE");
        begun.world.write(&begun.world.layout().accounts(), &document.to_string());
    };
    incident_after(Vain::Unauthorized, |_| {}, true);
    incident_after(declined(), |_| {}, true);
    incident_after(Vain::Unauthorized, grant, true);
    incident_after(declined(), grant, false);
    incident_after(Vain::Unauthorized, sign_in_anew, false);
    incident_after(declined(), sign_in_anew, false);
    incident_after(Vain::Unauthorized, elsewhere, false);
}
