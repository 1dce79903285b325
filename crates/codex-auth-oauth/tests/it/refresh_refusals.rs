//! What every kind of answer means for the refresh token that was shown.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    Account, RefreshError, RefreshReason, RefreshToken, Timestamp, TokenIssuer as _,
    testing::{self, ManualClock},
};
use codex_auth_oauth::{DEFAULT_ISSUER, Endpoints, HttpError, OpenAiIssuer};
use http::Response;
use serde_json::json;

use crate::support::{Answer, Scripted, jwt, says};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

async fn refresh(
    issuer: &str,
    account: &Account,
    http: Arc<impl codex_auth_oauth::HttpClient + 'static>,
) -> Result<codex_auth_core::Granted, RefreshError> {
    let endpoints = Endpoints::parse(issuer).expect("a good issuer");
    let issuer = OpenAiIssuer::new(endpoints, http, Arc::new(ManualClock::at(NOW)));
    issuer.refresh(account, &RefreshToken::new("CANARY-old"), RefreshReason::ProactiveExpiry).await
}

/// Says what the answer means, as `class detail`.
async fn meaning(answer: impl Fn() -> Answer + Send + Sync + 'static) -> String {
    let result = refresh(DEFAULT_ISSUER, &testing::account(1), Scripted::new(answer)).await;
    let shown = format!("{result:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
    match result {
        Ok(granted) => {
            let access = granted.access.as_ref().map_or("-", |token| token.expose());
            let refresh = granted.refresh.as_ref().map_or("-", |token| token.expose());
            let secs = granted.expires_at.map(|end| end.since(NOW).as_secs());
            format!("granted {access} {refresh} {secs:?}")
        }
        Err(RefreshError::Refused { code }) => format!("refused {code}"),
        Err(RefreshError::Declined { code }) => format!("declined {code}"),
        Err(RefreshError::Throttled { wait }) => format!("throttled {wait:?}"),
        Err(RefreshError::Unsent { why }) => format!("unsent {why}"),
        Err(RefreshError::Lost { why }) => format!("lost {why}"),
        Err(RefreshError::OtherIssuer { .. }) => "other issuer".to_owned(),
    }
}

async fn check(status: u16, body: &'static str, expect: &str) {
    assert_eq!(meaning(move || says(status, body)).await, expect, "{status} {body}");
}

#[tokio::test]
async fn the_request_is_the_official_one() {
    let http = Scripted::new(|| says(200, r#"{"access_token":"a"}"#));
    refresh("http://127.0.0.1:9/realm/", &testing::account(1), Arc::clone(&http)).await.expect("granted");
    let body = r#"{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token","refresh_token":"CANARY-old","refresh_reason":"proactive_expiry"}"#;
    assert_eq!(http.asked(), [format!("POST http://127.0.0.1:9/realm/oauth/token application/json {body}")]);
}

#[tokio::test]
async fn the_issuer_hears_why() {
    for (why, word) in [
        (RefreshReason::ProactiveExpiry, "proactive_expiry"),
        (RefreshReason::Scheduled, "scheduled"),
        (RefreshReason::UnauthorizedRecovery, "unauthorized_recovery"),
        (RefreshReason::Forced, "forced"),
    ] {
        let http = Scripted::new(|| says(200, r#"{"access_token":"a"}"#));
        let endpoints = Endpoints::parse(DEFAULT_ISSUER).expect("a good issuer");
        let issuer = OpenAiIssuer::new(endpoints, http.clone(), Arc::new(ManualClock::at(NOW)));
        issuer.refresh(&testing::account(1), &RefreshToken::new("t"), why).await.expect("granted");
        assert!(http.asked()[0].ends_with(&format!(r#""refresh_reason":"{word}"}}"#)), "{word}");
        assert_eq!(RefreshReason::parse(word), Some(why));
    }
}

#[tokio::test]
async fn tokens_are_taken_as_far_as_they_are_there() {
    check(200, r#"{"access_token":"a","refresh_token":"r","expires_in":3600}"#, "granted a r Some(3600)").await;
    check(200, r#"{"access_token":"a"}"#, "granted a - None").await;
    check(200, r#"{"access_token":"a","refresh_token":" "}"#, "granted a - None").await;
    check(200, r#"{"refresh_token":"r","expires_in":3600}"#, "granted - r None").await;
    check(201, r#"{"access_token":"a","extra":[1]}"#, "granted a - None").await;
}

#[tokio::test]
async fn only_a_whole_number_of_seconds_is_a_life() {
    for stated in ["0", "-5", "1.5", "3600.0", "\"3600\"", "null"] {
        let body = format!(r#"{{"access_token":"a","expires_in":{stated}}}"#);
        assert_eq!(meaning(move || says(200, &body)).await, "granted a - None", "{stated}");
    }
}

#[tokio::test]
async fn without_a_stated_life_the_token_tells_its_end() {
    let granted = |stated: &str| {
        let token = jwt(&json!({"exp": 1_800_000_900}));
        let body = format!(r#"{{"access_token":"{token}"{stated}}}"#);
        async move {
            let http = Scripted::new(move || says(200, &body));
            refresh(DEFAULT_ISSUER, &testing::account(1), http).await.expect("granted").expires_at
        }
    };
    assert_eq!(granted("").await, Some(NOW.after(Duration::from_mins(15))));
    assert_eq!(granted(r#","expires_in":"soon""#).await, Some(NOW.after(Duration::from_mins(15))));
    assert_eq!(granted(r#","expires_in":60"#).await, Some(NOW.after(Duration::from_mins(1))));
}

#[tokio::test]
async fn the_owner_is_read_from_both_tokens() {
    let auth = "https://api.openai.com/auth";
    let id = jwt(&json!({"email": "A@x", "exp": 5, auth: {"chatgpt_account_id": "ws-1"}}));
    let access = jwt(&json!({"exp": 9, auth: {"chatgpt_user_id": "u-1", "chatgpt_account_id": "ws-2"}}));
    let body = json!({"access_token": access, "id_token": id}).to_string();
    let http = Scripted::new(move || says(200, &body));
    let claims = refresh(DEFAULT_ISSUER, &testing::account(1), http).await.expect("granted").claims;
    assert_eq!(claims.user.map(|user| user.to_string()).as_deref(), Some("u-1"));
    assert_eq!(claims.workspace.map(|workspace| workspace.to_string()).as_deref(), Some("ws-2"));
    assert_eq!((claims.email.as_deref(), claims.expires_at), (Some("a@x"), Some(Timestamp::from_secs(9))));
}

#[tokio::test]
async fn an_answer_without_tokens_is_lost() {
    for body in ["", "{}", "[]", "<html>", r#"{"access_token":""}"#, r#"{"id_token":"i"}"#, r#"{"access_token":"#] {
        assert_eq!(meaning(move || says(200, body)).await, "lost HTTP 200 without tokens", "{body}");
    }
}

#[tokio::test]
async fn refusals_keep_the_code_and_nothing_else() {
    check(401, r#"{"error":{"code":"refresh_token_reused","message":"CANARY"}}"#, "refused refresh_token_reused").await;
    check(401, r#"{"error":{"code":"Refresh_Token_Expired"}}"#, "refused refresh_token_expired").await;
    check(400, r#"{"error":"invalid_grant","error_description":"CANARY"}"#, "refused invalid_grant").await;
    check(401, r#"{"code":"refresh_token_invalidated"}"#, "refused refresh_token_invalidated").await;
    check(401, r#"{"error":{"code":"something_new"}}"#, "refused something_new").await;
    check(401, "", "refused http_401").await;
    check(403, r#"{"error":{"code":"refresh_token_invalidated"}}"#, "refused refresh_token_invalidated").await;
    check(403, r#"{"error":"token_expired"}"#, "refused token_expired").await;
    check(422, r#"{"error":{"code":"refresh_token_reused"}}"#, "refused refresh_token_reused").await;
}

#[tokio::test]
async fn words_that_say_the_token_was_revoked_are_as_good_as_a_code() {
    check(400, r#"{"error":{"message":"CANARY: Token has been revoked."}}"#, "refused token_revoked").await;
    check(400, r#"{"error":"access_denied","error_description":"token has been revoked"}"#, "refused access_denied")
        .await;
    check(400, r#"{"message":"Invalid refresh token CANARY"}"#, "refused token_revoked").await;
}

#[tokio::test]
async fn a_refusal_that_says_nothing_against_the_token_leaves_it_unspent() {
    check(403, r#"{"error":{"code":null},"code":"region_blocked"}"#, "declined region_blocked").await;
    check(403, "<html>CANARY</html>", "declined http_403").await;
    check(400, r#"{"error":"CANARY, a whole sentence"}"#, "declined http_400").await;
    check(400, r#"{"error":"invalid_client"}"#, "declined invalid_client").await;
    check(400, "", "declined http_400").await;
}

#[tokio::test]
async fn a_complete_429_leaves_the_token_unspent() {
    let throttled = |name: &'static str, value: &'static str| {
        meaning(move || {
            Ok(Response::builder().status(429).header(name, value).body(Vec::new()).expect("a good answer"))
        })
    };
    assert_eq!(throttled("retry-after", "30").await, "throttled Some(30s)");
    assert_eq!(throttled("retry-after-ms", "1500").await, "throttled Some(1.5s)");
    assert_eq!(throttled("retry-after", "soon").await, "throttled None");
    check(429, r#"{"error":{"code":"rate_limit"}}"#, "throttled None").await;
}

#[tokio::test]
async fn faults_may_have_spent_the_token() {
    check(500, "", "lost HTTP 500").await;
    check(503, r#"{"error":{"code":"refresh_token_reused"}}"#, "lost HTTP 503").await;
    check(408, "", "lost HTTP 408").await;
    check(404, "<html>", "lost HTTP 404").await;
    check(302, "", "lost HTTP 302").await;
    let broke_off = || Err(HttpError::BrokeOff { why: "timed out".to_owned() });
    assert_eq!(meaning(broke_off).await, "lost timed out");
}

#[tokio::test]
async fn without_a_connection_nothing_was_spent() {
    let unsent = || Err(HttpError::Unsent { why: "refused".to_owned() });
    assert_eq!(meaning(unsent).await, "unsent refused");
}

#[tokio::test]
async fn a_token_is_shown_to_its_own_issuer_only() {
    let ask = |configured: &'static str, recorded: Option<&str>| {
        let account = Account { issuer: recorded.map(str::to_owned), ..testing::account(1) };
        async move {
            let http = Scripted::new(|| says(200, r#"{"access_token":"a"}"#));
            let result = refresh(configured, &account, Arc::clone(&http)).await;
            (result.err().map(|error| error.to_string()), http.asked().len())
        }
    };
    assert_eq!(ask(DEFAULT_ISSUER, Some(DEFAULT_ISSUER)).await, (None, 1));
    assert_eq!(ask(DEFAULT_ISSUER, None).await, (None, 1));
    assert_eq!(ask("http://127.0.0.1:9", None).await, (None, 1));
    assert_eq!(
        ask("http://127.0.0.1:9", Some(DEFAULT_ISSUER)).await,
        (Some("the account was signed in at https://auth.openai.com, but http://127.0.0.1:9 is in use".to_owned()), 0)
    );
    assert_eq!(
        ask("https://sso.example.test", None).await,
        (
            Some(
                "the account was signed in at an issuer that was not recorded, but https://sso.example.test is in use"
                    .to_owned()
            ),
            0
        )
    );
}
