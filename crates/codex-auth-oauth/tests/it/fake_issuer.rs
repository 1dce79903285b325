//! Sign-in and renewal over real HTTP, against an issuer with single-use refresh tokens.

use std::sync::Arc;

use codex_auth_core::{
    Account, RefreshError, RefreshReason, TokenIssuer as _,
    testing::{self, ManualClock, SeededEntropy},
};
use codex_auth_oauth::{
    BrowserLogin, Endpoints, LoginError, LoginPorts, OpenAiIssuer, ReqwestClient, SignedIn, sign_in,
};
use codex_auth_testkit::{Act, FakeOpenAi, Fault, Malformed, Route, Setup, SignIn, Verdict, Who};

use crate::support::Person;

async fn fake() -> (FakeOpenAi, BrowserLogin) {
    let fake = FakeOpenAi::start(Setup::default()).await.expect("a fake");
    let endpoints = Endpoints::parse(&fake.url()).expect("a loopback issuer");
    (fake, BrowserLogin { callback_ports: vec![0], ..BrowserLogin::at(endpoints) })
}

async fn run(login: &BrowserLogin) -> (Result<SignedIn, LoginError>, String) {
    let person = Person::new(|url: &url::Url| Some(url.clone()));
    let ports = LoginPorts {
        http: &ReqwestClient::default(),
        entropy: &SeededEntropy::new(7),
        clock: &ManualClock::default(),
        ui: &person,
    };
    (sign_in(login, ports).await, person.page().await)
}

#[tokio::test]
async fn a_person_signs_in_and_is_renewed_once_per_token() {
    let (fake, login) = fake().await;
    fake.next_login(SignIn::of(Who::Account(2)));
    let (signed_in, page) = run(&login).await;
    let signed_in = signed_in.expect("signed in");
    let person = fake.person(Who::Account(2));
    assert!(page.contains("You are signed in"), "{page}");
    assert_eq!(signed_in.claims.workspace.map(|id| id.to_string()), Some(person.account_id));
    assert_eq!(signed_in.claims.user.map(|id| id.to_string()), Some(person.user_id));
    assert_eq!(signed_in.claims.email, Some(person.email));
    assert_eq!(signed_in.issuer, fake.url());

    let issuer = OpenAiIssuer::new(
        login.endpoints.clone(),
        Arc::new(ReqwestClient::default()),
        Arc::new(ManualClock::default()),
    );
    let account = Account { issuer: Some(signed_in.issuer), ..testing::account(2) };
    let old = signed_in.credential.refresh;
    let granted = issuer.refresh(&account, &old, RefreshReason::Forced).await.expect("renewed");
    assert!(granted.refresh.is_some_and(|fresh| fresh != old));
    let again = issuer.refresh(&account, &old, RefreshReason::Forced).await;
    assert!(matches!(again, Err(RefreshError::Refused { .. })), "{again:?}");

    let shown: Vec<_> = fake.log().into_iter().filter_map(|record| record.body.presented).collect();
    let verdicts: Vec<_> = shown.iter().map(|one| (one.grant_type.as_str(), one.verdict)).collect();
    assert_eq!(
        verdicts,
        [("authorization_code", Verdict::Fresh), ("refresh_token", Verdict::Fresh), ("refresh_token", Verdict::Reused)]
    );
}

#[tokio::test]
async fn a_refusal_at_the_sign_in_page_ends_the_wait() {
    let (fake, login) = fake().await;
    fake.next_login(SignIn::refused("access_denied", Some("missing_codex_entitlement")));
    let (signed_in, page) = run(&login).await;
    assert_eq!(signed_in, Err(LoginError::NotEntitled));
    assert!(page.contains("This workspace has no Codex"), "{page}");
}

/// The official client cannot load such a login (`missing field id_token`); whoever writes one for it can see it here.
#[tokio::test]
async fn a_sign_in_without_an_id_token_is_one_and_says_so() {
    let (fake, login) = fake().await;
    assert!(run(&login).await.0.expect("signed in").has_id_token());
    fake.fault(Fault::once(Route::Token, Act::MalformedTokens(Malformed::NoIdToken)));
    let signed_in = run(&login).await.0.expect("signed in");
    assert!(!signed_in.has_id_token());
    assert!(signed_in.claims.workspace.is_some(), "the access token says whose it is");
}

#[tokio::test]
async fn what_an_answer_that_breaks_off_leaves() {
    let (fake, login) = fake().await;
    let signed_in = run(&login).await.0.expect("signed in");
    let issuer = OpenAiIssuer::new(
        login.endpoints.clone(),
        Arc::new(ReqwestClient::default()),
        Arc::new(ManualClock::default()),
    );
    let token = signed_in.credential.refresh;
    let throttle =
        Act::Answer { status: 429, headers: [("retry-after".to_owned(), "7".to_owned())].into(), body: "".into() };
    for (act, is_unspent) in [(throttle, true), (Act::Reset, false), (Act::LoseAnswer, false)] {
        fake.fault(Fault::once(Route::Token, act.clone()));
        let error = issuer.refresh(&testing::account(1), &token, RefreshReason::Forced).await.expect_err("no answer");
        assert_eq!(error.is_unspent(), is_unspent, "{act:?} {error}");
    }
    fake.stop();
    let error = issuer.refresh(&testing::account(1), &token, RefreshReason::Forced).await.expect_err("nobody there");
    assert!(matches!(error, RefreshError::Unsent { .. }), "{error}");
}
