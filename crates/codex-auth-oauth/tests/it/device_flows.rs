//! A sign-in by device code from the hint to the tokens, over real HTTP and in virtual time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use codex_auth_core::{
    Timestamp, WorkspaceId,
    testing::{ManualClock, SeededEntropy},
};
use codex_auth_oauth::{
    DeviceError, DeviceLogin, DevicePorts, DeviceRhythm, DeviceUi, Endpoints, HttpClient, HttpError, LoginError,
    ReqwestClient, SignedIn, Wishes, sign_in_by_device,
};
use codex_auth_testkit::{Act, FakeOpenAi, Fault, Route, Setup, SignIn, TokenSetup, Who};
use tokio::time::{Instant, timeout};

use crate::support::{Answer, Scripted, in_turn, jwt, says};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const CODE: &str = r#"{"device_auth_id":"CANARY-d","user_code":"AB-12","interval":"5"}"#;
const GRANT: &str = r#"{"authorization_code":"AC","code_challenge":"c","code_verifier":"the-issuers-verifier"}"#;

/// What the person was told, in order; of the countdown the first and the last.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn says(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_countdown = |line: &str| line.ends_with("left");
        if is_countdown(&line) && lines.iter().filter(|line| is_countdown(line)).count() > 1 {
            lines.pop();
        }
        lines.push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl DeviceUi for Told {
    fn may_be_disabled(&self) {
        self.says("may be disabled".to_owned());
    }

    fn show_code(&self, page: &str, code: &str, lifetime: Duration) {
        self.says(format!("{page} {code} {}", lifetime.as_secs()));
    }

    fn waiting(&self, left: Duration) {
        self.says(format!("{} left", left.as_secs()));
    }
}

async fn run(login: &DeviceLogin, http: &dyn HttpClient, ui: &Told) -> Result<SignedIn, LoginError> {
    let (entropy, clock) = (SeededEntropy::new(7), ManualClock::at(NOW));
    sign_in_by_device(login, DevicePorts { http, entropy: &entropy, clock: &clock, ui }).await
}

async fn fake(tokens: TokenSetup) -> (FakeOpenAi, DeviceLogin) {
    let fake = FakeOpenAi::start(Setup { tokens, ..Setup::default() }).await.expect("a fake");
    let endpoints = Endpoints::parse(&fake.url()).expect("a loopback issuer");
    (fake, DeviceLogin::at(endpoints))
}

/// The code is used before it is first asked after.
fn at_once() -> TokenSetup {
    TokenSetup { device_pending_polls: Some(0), ..TokenSetup::default() }
}

#[tokio::test]
async fn somebody_types_the_code() {
    let tokens = TokenSetup { device_code_alias: true, device_expires_in_secs: Some(600), ..at_once() };
    let (fake, login) = fake(tokens).await;
    fake.next_login(SignIn::of(Who::Account(2)));
    let told = Told::default();
    let signed_in = run(&login, &ReqwestClient::default(), &told).await.expect("signed in");
    let person = fake.person(Who::Account(2));
    assert_eq!(signed_in.claims.workspace.as_ref().map(WorkspaceId::as_str), Some(person.account_id.as_str()));
    assert_eq!((signed_in.issuer.as_str(), signed_in.has_id_token()), (fake.url().as_str(), true));

    let lines = told.lines();
    assert_eq!(lines[0], "may be disabled", "said before anything is asked");
    assert!(lines[1].starts_with(&format!("{}/codex/device ", fake.url())) && lines[1].ends_with(" 600"), "{lines:?}");
    let asked: Vec<_> = fake.log().iter().map(|record| record.asked.route).collect();
    assert_eq!(asked, [Route::DeviceCode, Route::DeviceToken, Route::Token]);
}

#[tokio::test]
async fn a_denial_ends_it_at_once() {
    let (fake, login) = fake(at_once()).await;
    fake.next_login(SignIn::refused("access_denied", None));
    let result = run(&login, &ReqwestClient::default(), &Told::default()).await;
    assert_eq!(result, Err(DeviceError::Denied { code: "access_denied" }.into()));
}

#[tokio::test]
async fn a_server_without_it_says_so() {
    let (fake, login) = fake(at_once()).await;
    let nowhere = Act::Answer { status: 404, headers: [].into(), body: "CANARY".into() };
    fake.fault(Fault::once(Route::DeviceCode, nowhere));
    let told = Told::default();
    let error = run(&login, &ReqwestClient::default(), &told).await.expect_err("refused");
    assert_eq!(
        error.to_string(),
        "Device auth login is not enabled for this Codex server. Use browser login or --manual."
    );
    assert!(error.next_step().contains("`codex-multi-auth login --manual`"), "{}", error.next_step());
    assert_eq!(told.lines(), ["may be disabled"]);
}

#[tokio::test]
async fn only_allowed_workspaces_are_let_in() {
    let (fake, login) = fake(at_once()).await;
    fake.next_login(SignIn::of(Who::Account(1)));
    let workspaces = WorkspaceId::parse("ws-other").into_iter().collect();
    let login = DeviceLogin { wishes: Wishes { fresh: false, workspaces }, ..login };
    let found = Some(fake.person(Who::Account(1)).account_id);
    let result = run(&login, &ReqwestClient::default(), &Told::default()).await;
    assert_eq!(result, Err(LoginError::OtherWorkspace { found }));
}

fn at_nine(rhythm: DeviceRhythm) -> DeviceLogin {
    let endpoints = Endpoints::parse("http://127.0.0.1:9").expect("a good issuer");
    DeviceLogin { rhythm, ..DeviceLogin::at(endpoints) }
}

fn tokens() -> Answer {
    let access = jwt(&serde_json::json!({ "sub": "s" }));
    says(200, &serde_json::json!({ "access_token": access, "refresh_token": "CANARY-r" }).to_string())
}

/// How it ends with these answers after the code, how many seconds it takes, and how often is asked.
async fn check(rhythm: DeviceRhythm, answers: Vec<Answer>, expect: (&str, u64, usize)) {
    let http = Scripted::new(in_turn([vec![says(200, CODE)], answers].concat()));
    let begun = Instant::now();
    let result = run(&at_nine(rhythm), &*http, &Told::default()).await;
    let shown = format!("{result:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
    let said = result.map_or_else(|error| error.to_string(), |_| "signed in".to_owned());
    assert_eq!((said.as_str(), begun.elapsed().as_secs(), http.asked().len()), expect);
}

fn slow_down() -> Answer {
    says(400, r#"{"error":"slow_down"}"#)
}

fn later() -> http::Response<Vec<u8>> {
    http::Response::builder().status(429).header("retry-after", "9").body(Vec::new()).expect("a good status")
}

fn gone() -> HttpError {
    HttpError::BrokeOff { why: "timed out".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_in_the_products_rhythm() {
    let answers = || vec![says(403, ""), says(404, ""), says(200, GRANT), tokens()];
    check(DeviceRhythm::CODEX, answers(), ("signed in", 10, 5)).await;
    check(DeviceRhythm::OPENCODE, answers(), ("signed in", 16, 5)).await;
    let slower = || vec![slow_down(), says(403, ""), Ok(later()), says(200, GRANT), tokens()];
    check(DeviceRhythm::CODEX, slower(), ("signed in", 29, 6)).await;
    check(DeviceRhythm::OPENCODE, slower(), ("signed in", 35, 6)).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_types_the_code() {
    check(DeviceRhythm::CODEX, vec![says(403, "")], ("Device auth timed out after 15 min", 900, 182)).await;
    check(DeviceRhythm::OPENCODE, vec![says(403, "")], ("Device auth timed out after 10 min", 600, 77)).await;
    let expired = says(400, r#"{"error":"expired_token"}"#);
    check(DeviceRhythm::CODEX, vec![says(403, ""), expired], ("the device code expired before it was used", 5, 3))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_network_that_comes_back_is_waited_for() {
    check(DeviceRhythm::OPENCODE, vec![Err(gone()), says(200, GRANT), tokens()], ("signed in", 8, 4)).await;
    let unanswered = "the issuer did not answer the device sign-in: timed out";
    check(DeviceRhythm::OPENCODE, vec![Err(gone())], (unanswered, 600, 77)).await;
}

#[tokio::test(start_paused = true)]
async fn it_asks_for_a_code_once() {
    for (answer, expect) in [
        (Err(gone()), "the issuer did not answer the device sign-in: timed out"),
        (says(500, "CANARY"), "Device code request failed with status 500"),
        (says(401, r#"{"error":"invalid_client"}"#), "Device code request failed with status 401: invalid_client"),
        (says(200, "CANARY"), "Device code request response failed schema validation"),
    ] {
        let http = Scripted::new(in_turn(vec![answer]));
        let error = run(&at_nine(DeviceRhythm::CODEX), &*http, &Told::default()).await.expect_err("no code");
        assert_eq!((error.to_string().as_str(), http.asked().len()), (expect, 1));
        assert!(error.next_step().contains("`codex-multi-auth login --device-auth`"), "{}", error.next_step());
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_is_left_is_told_every_second() {
    let http = Scripted::new(in_turn(vec![says(200, CODE), says(403, ""), says(200, GRANT), tokens()]));
    let told = Told::default();
    let signed_in = run(&at_nine(DeviceRhythm::CODEX), &*http, &told).await.expect("signed in");
    assert!(!signed_in.has_id_token(), "an exchange without one is a sign-in");
    let page = "http://127.0.0.1:9/codex/device AB-12 900";
    assert_eq!(told.lines(), ["may be disabled", page, "900 left", "896 left"]);
    let asked = http.asked();
    let url = "POST http://127.0.0.1:9";
    let poll = r#"application/json {"device_auth_id":"CANARY-d","user_code":"AB-12"}"#;
    assert_eq!(
        asked,
        [
            format!(
                "{url}/api/accounts/deviceauth/usercode application/json {}",
                r#"{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann"}"#
            ),
            format!("{url}/api/accounts/deviceauth/token {poll}"),
            format!("{url}/api/accounts/deviceauth/token {poll}"),
            format!(
                "{url}/oauth/token application/x-www-form-urlencoded grant_type=authorization_code\
                 &client_id=app_EMoamEEZ73f0CkXaXp7hrann&code=AC\
                 &redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fdeviceauth%2Fcallback&code_verifier=the-issuers-verifier"
            ),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_listening_stops_the_questions() {
    let http = Scripted::new(in_turn(vec![says(200, CODE), says(403, "")]));
    let told = Told::default();
    let login = at_nine(DeviceRhythm::CODEX);
    timeout(Duration::from_secs(7), run(&login, &*http, &told)).await.expect_err("nobody used the code");
    let asked = http.asked().len();
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!((asked, http.asked().len()), (3, 3));
}
