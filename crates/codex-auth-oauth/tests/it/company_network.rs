//! Sign-in and renewal where a company's proxy stands between: what fails before the issuer is reached leaves a
//! single-use token unspent, and it serves once the settings are right.

use std::{io::Write as _, sync::Arc};

use codex_auth_core::{
    Account, RefreshError, RefreshReason, RefreshToken, TokenIssuer as _,
    testing::{self, ManualClock, SeededEntropy},
};
use codex_auth_net::Network;
use codex_auth_oauth::{
    BrowserLogin, Endpoints, LoginError, LoginPorts, OpenAiIssuer, ReqwestClient, SignedIn, USER_AGENT, sign_in,
};
use codex_auth_testkit::{Authority, CompanyProxy, CompanySetup, FakeOpenAi, Setup, SignIn, TlsFront, Verdict, Who};
use url::Url;

use crate::support::Person;

const ISSUER: &str = "https://issuer.test:8443";

/// An issuer by https that is reached through a company's proxy only.
struct Company {
    fake: FakeOpenAi,
    vendor: Authority,
    opener: Authority,
    front: TlsFront,
    bundles: tempfile::TempDir,
}

impl Company {
    async fn new() -> Self {
        let fake = FakeOpenAi::start(Setup::default()).await.expect("a fake");
        let (vendor, opener) = (Authority::new("vendor"), Authority::new("company"));
        let front = TlsFront::start(&vendor, "issuer.test", fake.port()).expect("a door");
        Self { fake, vendor, opener, front, bundles: tempfile::tempdir().expect("a directory") }
    }

    fn proxy(&self, setup: CompanySetup) -> CompanyProxy {
        let names = vec![("issuer.test:8443".to_owned(), self.front.port())];
        CompanyProxy::start(CompanySetup { names, ..setup }).expect("a proxy")
    }

    fn opening(&self) -> CompanyProxy {
        self.proxy(CompanySetup { opens: Some((self.opener.clone(), self.vendor.clone())), ..CompanySetup::default() })
    }

    /// The way out through a proxy, believing one authority more.
    fn client(&self, user: &str, proxy: &CompanyProxy, believed: Option<&Authority>) -> ReqwestClient {
        let file = believed.map(|authority| {
            let mut file = tempfile::NamedTempFile::new_in(self.bundles.path()).expect("made");
            file.write_all(authority.pem().as_bytes()).expect("written");
            file.into_temp_path().keep().expect("kept").display().to_string()
        });
        let network = Network::from_values(|name| match name {
            "HTTPS_PROXY" => Some(format!("http://{user}{}", proxy.place())),
            "CODEX_CA_CERTIFICATE" => file.clone(),
            _ => None,
        });
        ReqwestClient::over(Arc::new(network), USER_AGENT)
    }

    async fn sign_in(&self, http: &ReqwestClient) -> Result<SignedIn, LoginError> {
        self.fake.next_login(SignIn::of(Who::Account(2)));
        let endpoints = Endpoints::parse(ISSUER).expect("an issuer");
        let login = BrowserLogin { callback_ports: vec![0], ..BrowserLogin::at(endpoints) };
        // The browser has settings of its own; what it meets is the issuer.
        let plain = self.fake.url();
        let person = Person::new(|url: &Url| Url::parse(&url.as_str().replacen(ISSUER, &plain, 1)).ok());
        let (entropy, clock) = (SeededEntropy::new(7), ManualClock::default());
        sign_in(&login, LoginPorts { http, entropy: &entropy, clock: &clock, ui: &person }).await
    }

    async fn refresh(&self, http: ReqwestClient, token: &RefreshToken) -> Result<RefreshToken, RefreshError> {
        let endpoints = Endpoints::parse(ISSUER).expect("an issuer");
        let issuer = OpenAiIssuer::new(endpoints, Arc::new(http), Arc::new(ManualClock::default()));
        let account = Account { issuer: Some(ISSUER.to_owned()), ..testing::account(2) };
        issuer.refresh(&account, token, RefreshReason::Forced).await.map(|granted| granted.refresh.expect("a new one"))
    }

    fn presented(&self) -> Vec<Verdict> {
        self.fake.log().into_iter().filter_map(|record| record.body.presented).map(|one| one.verdict).collect()
    }
}

#[tokio::test]
async fn a_sign_in_through_a_proxy_that_opens_connections() {
    let company = Company::new().await;
    let proxy = company.opening();
    let refused = company.sign_in(&company.client("", &proxy, None)).await.expect_err("not trusted");
    assert!(
        matches!(&refused, LoginError::ExchangeUnanswered { why } if why.contains("CODEX_CA_CERTIFICATE")),
        "{refused}"
    );
    assert!(refused.next_step().contains("codex-multi-auth login"));
    let signed_in = company.sign_in(&company.client("", &proxy, Some(&company.opener))).await.expect("signed in");
    assert_eq!(signed_in.issuer, ISSUER);
    assert_eq!(company.presented(), [Verdict::Fresh], "the first code never left");
}

#[tokio::test]
async fn a_token_that_no_proxy_let_through_is_unspent_and_serves_afterwards() {
    let company = Company::new().await;
    let opening = company.opening();
    let asking = company.proxy(CompanySetup { sign_in: Some(("me".into(), "pw".into())), ..CompanySetup::default() });
    let forbidding = company.proxy(CompanySetup { refuses: Some(403), ..CompanySetup::default() });
    let trusting = company.client("", &opening, Some(&company.opener));
    let token = company.sign_in(&trusting).await.expect("signed in").credential.refresh;

    let untrusting = company.client("", &opening, None);
    let nameless = company.client("", &asking, Some(&company.vendor));
    let wrong = company.client("me:wrong@", &asking, Some(&company.vendor));
    let forbidden = company.client("", &forbidding, Some(&company.vendor));
    for (http, says) in [
        (untrusting, "signed by nobody we trust"),
        (nameless, "(407)"),
        (wrong, "(407)"),
        (forbidden, "does not let us"),
    ] {
        let error = company.refresh(http, &token).await.expect_err("stopped on the way");
        assert!(matches!(&error, RefreshError::Unsent { why } if why.contains(says)), "{says}: {error}");
        assert!(error.is_unspent(), "{error}");
    }
    assert_eq!(company.presented(), [Verdict::Fresh], "only the code of the sign-in");

    let fresh = company.refresh(trusting, &token).await.expect("it was never shown");
    company.refresh(company.client("me:pw@", &asking, Some(&company.vendor)), &fresh).await.expect("renewed");
    assert_eq!(company.presented(), [Verdict::Fresh; 3]);
}
