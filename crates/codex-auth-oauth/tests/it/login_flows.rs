//! A sign-in from the address to the tokens, with an issuer that is a closure.

use std::time::Duration;

use codex_auth_core::{
    AccessToken, Kind, Timestamp, WorkspaceId,
    testing::{ManualClock, SeededEntropy},
};
use codex_auth_oauth::{BrowserLogin, Endpoints, HttpError, LoginError, LoginPorts, SignedIn, Wishes, sign_in};
use serde_json::json;
use url::Url;

use crate::support::{Answer, Person, Scripted, jwt, query, says};

/// The sign-in page as seed 7 makes it; `PORT` is the one we wait on.
const GOLDEN_URL: &str = "http://127.0.0.1:9/oauth/authorize?response_type=code\
    &client_id=app_EMoamEEZ73f0CkXaXp7hrann&redirect_uri=http%3A%2F%2F127.0.0.1%3APORT%2Fauth%2Fcallback\
    &code_challenge=NRfYbqTFFW4jKSGi90ko3kb5iOwHTBC8Mz2KBbQVsXY&code_challenge_method=S256\
    &state=YWdQmXrAXiJpU3mIdqLDaev6tQWb54IaLGPdKLdOuvU\
    &scope=openid+profile+email+offline_access+api.connectors.read+api.connectors.invoke\
    &id_token_add_organizations=true&codex_cli_simplified_flow=true&originator=codex_cli_rs";
/// The exchange of the same sign-in.
const GOLDEN_EXCHANGE: &str = "POST http://127.0.0.1:9/oauth/token application/x-www-form-urlencoded \
    grant_type=authorization_code&client_id=app_EMoamEEZ73f0CkXaXp7hrann&code=A%2BC\
    &redirect_uri=http%3A%2F%2F127.0.0.1%3APORT%2Fauth%2Fcallback\
    &code_verifier=1w0yWeThy2McZjz01zxMBAIqsbqAQJjmyyk-Z3DrOpX\
    aIR5qZjvTcxGqvsuGvto_9tDCM6HEy3f-vgI9Udb8Uw";

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn login() -> BrowserLogin {
    let endpoints = Endpoints::parse("http://127.0.0.1:9").expect("a good issuer");
    BrowserLogin { callback_ports: vec![0], ..BrowserLogin::at(endpoints) }
}

/// The issuer sends the browser back with this; the state is added.
fn comes_back_with(rest: &'static str) -> impl Fn(&Url) -> Option<Url> {
    move |url| {
        let back = format!("{}?state={}{rest}", query(url, "redirect_uri"), query(url, "state"));
        Some(Url::parse(&back).expect("a URL"))
    }
}

fn tokens() -> Answer {
    let auth = "https://api.openai.com/auth";
    let id = jwt(&json!({"email": "ann@x", auth: {"chatgpt_account_id": "ws-1", "chatgpt_user_id": "u-1"}}));
    let body = json!({"access_token": "CANARY-a", "refresh_token": "CANARY-r", "id_token": id, "expires_in": 60});
    says(200, &body.to_string())
}

/// Signs in with a browser that comes back with `rest`; the page it ends at comes along.
async fn run(
    login: &BrowserLogin,
    rest: &'static str,
    answer: impl Fn() -> Answer + Send + Sync + 'static,
) -> (Result<SignedIn, LoginError>, String) {
    let (person, http) = (Person::new(comes_back_with(rest)), Scripted::new(answer));
    let ports = LoginPorts { http: &*http, entropy: &SeededEntropy::new(7), clock: &ManualClock::at(NOW), ui: &person };
    let result = sign_in(login, ports).await;
    let page = person.page().await;
    let shown = format!("{result:?} {page}");
    assert!(!shown.contains("CANARY"), "{shown}");
    (result, page)
}

#[tokio::test]
async fn a_code_becomes_a_credential() {
    let (person, http) = (Person::new(comes_back_with("&code=A%2BC")), Scripted::new(tokens));
    let ports = LoginPorts { http: &*http, entropy: &SeededEntropy::new(7), clock: &ManualClock::at(NOW), ui: &person };
    let signed_in = sign_in(&login(), ports).await.expect("signed in");

    let port = person.port().to_string();
    assert_eq!(person.url(), GOLDEN_URL.replace("PORT", &port));
    assert_eq!(http.asked(), [GOLDEN_EXCHANGE.replace("PORT", &port)]);
    assert_eq!(signed_in.issuer, "http://127.0.0.1:9");
    assert_eq!(signed_in.claims.workspace, WorkspaceId::parse("ws-1"));
    assert_eq!(signed_in.claims.email.as_deref(), Some("ann@x"));
    let credential = signed_in.credential;
    assert_eq!(credential.refresh.expose(), "CANARY-r");
    assert_eq!(credential.access.as_ref().map(AccessToken::expose), Some("CANARY-a"));
    assert_eq!(credential.expires_at, Some(NOW.after(Duration::from_mins(1))));
    assert_eq!((credential.obtained_at, credential.generation), (Some(NOW), 0));
    assert!(person.page().await.contains("You are signed in"));
}

/// What the person reads in the browser, in the terminal, and what is advised there.
async fn fails(rest: &'static str, answer: fn() -> Answer, [title, says, advice]: [&str; 3]) {
    let (result, page) = run(&login(), rest, answer).await;
    let error = result.expect_err("nobody is signed in");
    assert!(page.contains(&format!("<h1>{title}</h1>")), "{page}");
    assert_eq!([error.to_string(), error.next_step()], [says, advice]);
}

const AGAIN: &str = "run `codex-multi-auth login`";

#[tokio::test]
async fn the_issuer_says_no() {
    fails(
        "&error=access_denied",
        tokens,
        ["The sign-in was refused", "the issuer refused the sign-in: access_denied", AGAIN],
    )
    .await;
    fails(
        "&error=access_denied&error_description=missing_codex_entitlement",
        tokens,
        [
            "This workspace has no Codex",
            "the workspace has no access to Codex",
            "ask the workspace's admin for Codex access, or run `codex-multi-auth login` and choose another workspace",
        ],
    )
    .await;
    fails("", tokens, ["The sign-in did not work", "the browser came back without an authorization code", AGAIN]).await;
}

#[tokio::test]
async fn the_code_buys_nothing() {
    let page = "The sign-in did not work";
    fails(
        "&code=AC",
        || says(400, r#"{"error":"invalid_grant","error_description":"CANARY"}"#),
        [page, "the issuer refused the authorization code: invalid_grant", AGAIN],
    )
    .await;
    fails("&code=AC", || says(500, "CANARY"), [page, "the issuer refused the authorization code: http_500", AGAIN])
        .await;
    fails(
        "&code=AC",
        || says(200, r#"{"access_token":"CANARY"}"#),
        [page, "the issuer's answer lacks an access token or a refresh token", AGAIN],
    )
    .await;
    fails(
        "&code=AC",
        || Err(HttpError::BrokeOff { why: "timed out".to_owned() }),
        [
            page,
            "the issuer did not answer the authorization code: timed out",
            "check the connection, then run `codex-multi-auth login`",
        ],
    )
    .await;
}

#[tokio::test]
async fn only_allowed_workspaces_are_let_in() {
    let only = |workspace: &str| {
        let workspaces = WorkspaceId::parse(workspace).into_iter().collect();
        BrowserLogin { wishes: Wishes { fresh: false, workspaces }, ..login() }
    };
    assert!(run(&only("ws-1"), "&code=AC", tokens).await.0.is_ok());
    let (result, page) = run(&only("ws-2"), "&code=AC", tokens).await;
    assert_eq!(result, Err(LoginError::OtherWorkspace { found: Some("ws-1".to_owned()) }));
    assert!(page.contains("This workspace is not allowed here"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_back() {
    let (person, http) = (Person::new(|_: &Url| None), Scripted::new(tokens));
    let ports = LoginPorts { http: &*http, entropy: &SeededEntropy::new(7), clock: &ManualClock::at(NOW), ui: &person };
    let error = sign_in(&login(), ports).await.expect_err("nobody came");
    let port = person.port();
    assert_eq!(error.to_string(), format!("the browser did not come back to port {port} within 300 s"));
    assert_eq!(
        error.next_step(),
        "run `codex-multi-auth login` and open the link it prints in a browser on this machine, or \
         `codex-multi-auth login --manual` where the browser is on another one"
    );
    assert_eq!(error.kind(), Kind::NeedsLogin);
    assert!(http.asked().is_empty());
}
