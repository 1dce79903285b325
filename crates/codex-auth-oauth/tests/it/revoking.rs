//! Giving a grant back: to whom, with what, and how long it may take.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    AccessToken, Account, Credential, Kind, RefreshError, RefreshReason, RefreshToken, TokenIssuer as _,
    testing::{self, ManualClock},
};
use codex_auth_oauth::{DEFAULT_ISSUER, Endpoints, HttpError, OpenAiIssuer, ReqwestClient, RevokeError, revoke};
use codex_auth_testkit::{FakeOpenAi, PoolKnobs, Setup};
use tokio::time::Instant;

use crate::support::{Answer, Scripted, Silent, in_turn, says};

const HERE: &str = "http://127.0.0.1:9";

fn endpoints(issuer: &str) -> Endpoints {
    Endpoints::parse(issuer).expect("a good issuer")
}

fn credential(refresh: &str, access: &str) -> Credential {
    let access = Some(AccessToken::new(access));
    Credential { access, refresh: RefreshToken::new(refresh), ..testing::held(1).credential }
}

/// What is asked with this credential, and what comes of it.
async fn check(credential: &Credential, answer: Answer, asked: &[&str], expect: &str) {
    let http = Scripted::new(in_turn(vec![answer]));
    let result = revoke(&endpoints(HERE), &*http, Some(HERE), credential).await;
    let shown = format!("{result:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
    assert_eq!(http.asked(), asked);
    assert_eq!(result.map_or_else(|error| error.to_string(), |()| "revoked".to_owned()), expect);
}

const BY_REFRESH: &str = r#"POST http://127.0.0.1:9/oauth/revoke application/json {"token":"CANARY-r","token_type_hint":"refresh_token","client_id":"app_EMoamEEZ73f0CkXaXp7hrann"}"#;
const BY_ACCESS: &str =
    r#"POST http://127.0.0.1:9/oauth/revoke application/json {"token":"CANARY-a","token_type_hint":"access_token"}"#;

#[tokio::test]
async fn the_refresh_token_first_and_the_access_token_only_alone() {
    check(&credential("CANARY-r", "CANARY-a"), says(200, ""), &[BY_REFRESH], "revoked").await;
    check(&credential(" ", "CANARY-a"), says(204, ""), &[BY_ACCESS], "revoked").await;
    check(&credential("", ""), says(200, ""), &[], "the account holds no token to revoke").await;
}

#[tokio::test]
async fn an_answer_that_is_no_yes_is_told() {
    let both = credential("CANARY-r", "CANARY-a");
    let refused = "the issuer refused to revoke the token: invalid_client";
    check(&both, says(401, r#"{"error":"invalid_client","x":"CANARY"}"#), &[BY_REFRESH], refused).await;
    check(&both, says(500, "CANARY"), &[BY_REFRESH], "the issuer refused to revoke the token: http_500").await;
    let gone = Err(HttpError::Unsent { why: "no route".to_owned() });
    check(&both, gone, &[BY_REFRESH], "the issuer did not confirm the revocation: no route").await;
}

#[tokio::test(start_paused = true)]
async fn it_takes_ten_seconds_at_most() {
    let begun = Instant::now();
    let error = revoke(&endpoints(HERE), &Silent, Some(HERE), &credential("CANARY-r", "a")).await.expect_err("silence");
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(error.to_string(), "the issuer did not confirm the revocation: no answer within 10 s");
    assert_eq!(error.kind(), Kind::Network);
}

#[tokio::test]
async fn a_token_is_shown_to_nobody_but_its_issuer() {
    for (configured, recorded) in
        [(HERE, Some(DEFAULT_ISSUER)), (DEFAULT_ISSUER, Some(HERE)), ("https://sso.example.test", None)]
    {
        let http = Scripted::new(|| says(200, ""));
        let error = revoke(&endpoints(configured), &*http, recorded, &credential("CANARY-r", "CANARY-a")).await;
        let error = error.expect_err("another issuer");
        assert!(matches!(error, RevokeError::OtherIssuer { .. }), "{error}");
        assert!(error.to_string().contains(configured) && http.asked().is_empty(), "{error}");
    }
}

#[tokio::test]
async fn a_revoked_account_is_never_renewed() {
    let fake = FakeOpenAi::start(Setup::default()).await.expect("a fake");
    let pool = fake.pool_document(&PoolKnobs::default());
    let refresh = pool["accounts"][0]["refreshToken"].as_str().expect("a token");
    let http = ReqwestClient::default();
    let (issuer, credential) = (fake.url(), credential(refresh, ""));
    revoke(&endpoints(&issuer), &http, Some(&issuer), &credential).await.expect("revoked");
    let (http, clock) = (Arc::new(http), Arc::new(ManualClock::default()));
    let account = Account { issuer: Some(issuer.clone()), ..testing::account(1) };
    let renewed = OpenAiIssuer::new(endpoints(&issuer), http, clock)
        .refresh(&account, &credential.refresh, RefreshReason::Forced)
        .await;
    let code = "refresh_token_invalidated".to_owned();
    assert_eq!(renewed, Err(RefreshError::Refused { code }));
}
