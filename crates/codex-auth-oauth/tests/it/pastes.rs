//! A sign-in whose answer a person pastes, alone or beside the port.

use std::{net::Ipv4Addr, time::Duration};

use codex_auth_core::testing::{ManualClock, SeededEntropy};
use codex_auth_oauth::{
    BrowserLogin, ComesBack, Endpoints, LoginError, LoginPorts, LoginUi, PASTE_PATIENCE, Pastes, ReqwestClient,
    SignedIn, sign_in,
};
use codex_auth_testkit::{FakeOpenAi, Setup, SignIn, Who};
use url::Url;

use crate::support::{Answer, Person, Scripted, query, says, sent_to};

const SOON: Duration = Duration::from_secs(20);
const ADDRESS: &str = "http://127.0.0.1:1455/auth/callback?code=AC&state=STATE";

fn login(comes_back: ComesBack) -> BrowserLogin {
    let endpoints = Endpoints::parse("http://127.0.0.1:9").expect("a good issuer");
    BrowserLogin { callback_ports: vec![0], comes_back, ..BrowserLogin::at(endpoints) }
}

fn tokens() -> Answer {
    says(200, r#"{"access_token":"CANARY-a","refresh_token":"CANARY-r"}"#)
}

async fn run(login: &BrowserLogin, ui: &dyn LoginUi) -> Result<SignedIn, LoginError> {
    let http = Scripted::new(tokens);
    let ports = LoginPorts { http: &*http, entropy: &SeededEntropy::new(7), clock: &ManualClock::default(), ui };
    sign_in(login, ports).await
}

/// How it ends when somebody pastes `lines` and no browser comes back, and what was said meanwhile.
async fn check(comes_back: ComesBack, lines: &[(Duration, Option<&'static str>)], expect: &str, meanwhile: &[&str]) {
    let person = Person::new(|_: &Url| None).pasting(lines);
    let result = run(&login(comes_back), &person).await;
    let said = result.map_or_else(|error| error.to_string(), |_| "signed in".to_owned());
    assert_eq!(said, expect);
    let went_on: Vec<String> =
        person.went_on_after().iter().map(|said| said.split(" > ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(went_on.len(), meanwhile.len(), "{went_on:?}");
    assert!(went_on.iter().zip(meanwhile).all(|(said, part)| said.contains(part)), "{went_on:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_heard_until_it_is_one() {
    let by_paste = ComesBack::ByPaste(Pastes::UntilAnswer);
    check(by_paste, &[(SOON, Some(ADDRESS))], "signed in", &[]).await;
    check(
        by_paste,
        &[(SOON, Some("AC")), (SOON, Some("AC#other")), (SOON, Some("AC#STATE"))],
        "signed in",
        &["missing the code or state", "OAuth state mismatch"],
    )
    .await;
    let refused = "the issuer refused the sign-in: access_denied";
    check(by_paste, &[(SOON, Some("error=access_denied&state=STATE")), (SOON, Some(ADDRESS))], refused, &[]).await;
    check(by_paste, &[(SOON, Some("q")), (SOON, Some(ADDRESS))], "the sign-in was cancelled", &[]).await;
    check(by_paste, &[(SOON, None)], "the sign-in was cancelled", &[]).await;
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_be_asked_again_one_line_is_all() {
    let one = ComesBack::ByPaste(Pastes::One);
    check(one, &[(SOON, Some(ADDRESS))], "signed in", &[]).await;
    let incomplete = "That callback URL is missing the code or state parameter. Paste the full URL you were redirected \
        to (it should contain both code= and state=).";
    check(one, &[(SOON, Some("AC")), (SOON, Some(ADDRESS))], incomplete, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_pastes_anything() {
    let expect = format!("no callback URL was pasted within {} s", PASTE_PATIENCE.as_secs());
    check(ComesBack::ByPaste(Pastes::UntilAnswer), &[], &expect, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_stays_away_leaves_the_paste() {
    let beside = ComesBack::ByPortOrPaste(Pastes::UntilAnswer);
    check(beside, &[(SOON, Some(ADDRESS))], "signed in", &[]).await;
    check(beside, &[(Duration::from_mins(6), Some(ADDRESS))], "signed in", &["did not come back to port"]).await;
    check(beside, &[], "no callback URL was pasted within 900 s", &["did not come back to port"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_cannot_be_had_leaves_the_paste() {
    let held = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = held.local_addr().expect("bound").port();
    let at = |comes_back| BrowserLogin { callback_ports: vec![port], ..login(comes_back) };

    let person = Person::new(|_: &Url| None).pasting(&[(SOON, Some(ADDRESS))]);
    run(&at(ComesBack::ByPortOrPaste(Pastes::UntilAnswer)), &person).await.expect("signed in");
    let went_on = person.went_on_after();
    assert!(went_on[0].contains(&format!("another program listens on port {port}")), "{went_on:?}");
    assert!(went_on[0].ends_with("`codex-multi-auth login --device-auth`"), "{went_on:?}");
    let redirect = query(&Url::parse(&person.url()).expect("a URL"), "redirect_uri");
    assert_eq!(redirect, "http://127.0.0.1:1455/auth/callback", "the registered one");
    assert_eq!(person.port(), 0, "nothing is waited for there");

    let person = Person::new(|_: &Url| None).pasting(&[(SOON, Some(ADDRESS))]);
    assert_eq!(run(&at(ComesBack::ByPort), &person).await, Err(LoginError::PortBusy { port }));
}

#[tokio::test]
async fn whoever_comes_first_is_heard() {
    let back = |url: &Url| {
        let back = format!("{}?state={}&code=AC", query(url, "redirect_uri"), query(url, "state"));
        Some(Url::parse(&back).expect("a URL"))
    };
    let person = Person::new(back);
    run(&login(ComesBack::ByPortOrPaste(Pastes::UntilAnswer)), &person).await.expect("signed in");
    assert!(person.page().await.contains("You are signed in"));
}

/// A person who opens the page elsewhere and brings back the address it ends at.
#[derive(Debug, Default)]
struct Elsewhere(std::sync::Mutex<String>);

#[async_trait::async_trait]
impl LoginUi for Elsewhere {
    fn show_url(&self, url: &str) {
        url.clone_into(&mut self.0.lock().expect("nobody panicked"));
    }

    fn open_browser(&self, _: &str) -> bool {
        false
    }

    fn waiting(&self, port: u16) {
        panic!("a manual sign-in binds no port, and not {port}");
    }

    async fn pasted(&self) -> Option<String> {
        let url = self.0.lock().expect("nobody panicked").clone();
        Some(sent_to(&url).await)
    }
}

#[tokio::test]
async fn a_person_signs_in_by_paste_alone() {
    let fake = FakeOpenAi::start(Setup::default()).await.expect("a fake");
    let endpoints = Endpoints::parse(&fake.url()).expect("a loopback issuer");
    let comes_back = ComesBack::ByPaste(Pastes::One);
    let login = BrowserLogin { comes_back, ..BrowserLogin::at(endpoints) };
    fake.next_login(SignIn::of(Who::Account(2)));
    fake.next_login(SignIn::refused("access_denied", Some("missing_codex_entitlement")));
    let ports = LoginPorts {
        http: &ReqwestClient::default(),
        entropy: &SeededEntropy::new(7),
        clock: &ManualClock::default(),
        ui: &Elsewhere::default(),
    };
    let signed_in = sign_in(&login, ports).await.expect("signed in");
    assert_eq!(signed_in.claims.email, Some(fake.person(Who::Account(2)).email));
    assert_eq!(signed_in.issuer, fake.url());
    assert_eq!(sign_in(&login, ports).await, Err(LoginError::NotEntitled));
}
