//! The issuer: single use, family revocation, PKCE, codes, device flow, API keys.

use codex_auth_testkit::{CLIENT_ID, ClockKind, FakeOpenAi, Setup, SignIn, TokenSetup, Verdict, Who};

use crate::client::{Answer, access, form, get, post, refresh, refresh_of, secret, start, turn};

const ONE: Who = Who::Account(1);
const CALLBACK: &str = "http://127.0.0.1:1455/auth/callback";
/// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[track_caller]
fn is(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code));
}

#[test]
fn a_refresh_token_is_good_for_one_presentation() {
    let fake = start(&Setup::default());
    let old = refresh_of(&fake, ONE);
    let fresh = refresh(&fake, &old);
    assert_eq!(fresh.status, 200);
    assert_eq!(fresh.json()["expires_in"], 86400);
    assert_ne!(fresh.json()["refresh_token"], old.as_str());
    assert_eq!(turn().bearer(fresh.json()["access_token"].as_str().unwrap()).send(&fake).status, 200);
}

#[test]
fn reuse_revokes_the_whole_family_and_nobody_else() {
    let fake = start(&Setup::default());
    let old = refresh_of(&fake, ONE);
    let fresh = refresh(&fake, &old).json();
    is(&refresh(&fake, &old), 401, "refresh_token_reused");
    is(&refresh(&fake, fresh["refresh_token"].as_str().unwrap()), 401, "refresh_token_invalidated");
    is(&turn().bearer(fresh["access_token"].as_str().unwrap()).send(&fake), 401, "token_invalidated");
    assert_eq!(turn().bearer(&access(&fake, Who::Account(2))).send(&fake).status, 200);

    let state = fake.state();
    let one = state.account(ONE).unwrap();
    assert_eq!((one.counts.presentations, one.counts.reuses, one.revoked), (3, 1, true));
    let verdicts: Vec<Verdict> =
        fake.log().iter().filter_map(|record| record.body.presented.as_ref()).map(|seen| seen.verdict).collect();
    assert_eq!(verdicts, [Verdict::Fresh, Verdict::Reused, Verdict::Revoked]);
}

#[test]
fn unknown_tokens_clients_and_grants_are_refused() {
    let fake = start(&Setup::default());
    is(&refresh(&fake, "rt_nobody"), 400, "invalid_grant");
    is(&form("/oauth/token", &[("client_id", "app_other")]).send(&fake), 401, "invalid_client");
    let odd = [("client_id", CLIENT_ID), ("grant_type", "password")];
    is(&form("/oauth/token", &odd).send(&fake), 400, "unsupported_grant_type");
}

#[test]
fn revoking_a_token_ends_its_family() {
    let fake = start(&Setup::default());
    let token = refresh_of(&fake, ONE);
    let body = serde_json::json!({ "token": token, "token_type_hint": "refresh_token", "client_id": CLIENT_ID });
    assert_eq!(post("/oauth/revoke", body.to_string()).send(&fake).status, 200);
    is(&refresh(&fake, &token), 401, "refresh_token_invalidated");
    assert_eq!(post("/oauth/revoke", r#"{"token":"rt_nobody"}"#).send(&fake).status, 200);
}

fn authorize(fake: &FakeOpenAi, changes: &[(&str, &str)]) -> Answer {
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "state-1"),
        ("scope", "openid profile email offline_access"),
    ];
    for (name, value) in changes {
        query.iter_mut().filter(|(key, _)| key == name).for_each(|pair| pair.1 = value);
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    get(format!("/oauth/authorize?{query}")).send(fake)
}

/// A value of the query the browser is sent to.
fn landed(answer: &Answer, name: &str) -> Option<String> {
    let location = url::Url::parse(answer.header("location")?).unwrap();
    location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn exchange(fake: &FakeOpenAi, code: &str, verifier: &str, redirect: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("code", code),
        ("code_verifier", verifier),
        ("redirect_uri", redirect),
    ];
    form("/oauth/token", &fields).send(fake)
}

#[test]
fn a_browser_sign_in_ends_in_tokens_of_who_was_next() {
    let fake = start(&Setup::default());
    fake.next_login(SignIn::of(Who::Account(7)));
    let page = authorize(&fake, &[]);
    assert_eq!((page.status, landed(&page, "state").as_deref()), (302, Some("state-1")));
    let code = landed(&page, "code").unwrap();
    let tokens = exchange(&fake, &code, VERIFIER, CALLBACK);
    assert_eq!(tokens.status, 200);
    assert_eq!(turn().bearer(tokens.json()["access_token"].as_str().unwrap()).send(&fake).status, 200);
    assert_eq!(fake.state().account(Who::Account(7)).unwrap().counts.served, 1);
    is(&exchange(&fake, &code, VERIFIER, CALLBACK), 400, "invalid_grant");
}

#[test]
fn a_browser_is_asked_first_and_sent_on_once_it_agrees() {
    let fake = start(&Setup::default());
    let query = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "\"><b>"),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let browse = |path: String| get(path).with("accept", "text/html,*/*;q=0.8").send(&fake);
    let asked = browse(format!("/oauth/authorize?{query}"));
    assert_eq!((asked.status, asked.header("location")), (200, None));
    assert!(asked.text().contains("value=\"&quot;>&lt;b>\""), "{}", asked.text());
    let agreed = browse(format!("/oauth/authorize?{query}&consent=given"));
    assert_eq!(landed(&agreed, "state").as_deref(), Some("\"><b>"));
    assert!(landed(&agreed, "code").is_some());
}

#[test]
fn people_sign_in_in_turn_when_nobody_is_named() {
    let fake = start(&Setup { accounts: 2, ..Setup::default() });
    for _ in 0..3 {
        let code = landed(&authorize(&fake, &[]), "code").unwrap();
        exchange(&fake, &code, VERIFIER, CALLBACK);
    }
    let who: Vec<Option<Who>> =
        fake.log().iter().filter_map(|record| record.body.presented.as_ref()).map(|seen| seen.account).collect();
    assert_eq!(who, [Some(ONE), Some(Who::Account(2)), Some(ONE)]);
}

#[test]
fn a_code_needs_its_own_verifier_and_its_own_redirect() {
    let fake = start(&Setup::default());
    let code = || landed(&authorize(&fake, &[]), "code").unwrap();
    let other = "0123456789012345678901234567890123456789012";
    is(&exchange(&fake, &code(), other, CALLBACK), 400, "invalid_grant");
    is(&exchange(&fake, &code(), "", CALLBACK), 400, "invalid_grant");
    is(&exchange(&fake, &code(), VERIFIER, "http://127.0.0.1:1457/auth/callback"), 400, "invalid_grant");
    // A failed attempt spends the code.
    let spent = code();
    is(&exchange(&fake, &spent, other, CALLBACK), 400, "invalid_grant");
    is(&exchange(&fake, &spent, VERIFIER, CALLBACK), 400, "invalid_grant");
}

#[test]
fn the_page_sends_errors_back_only_to_a_trusted_place() {
    let fake = start(&Setup::default());
    let back = |name: &str, value: &str| landed(&authorize(&fake, &[(name, value)]), "error");
    assert_eq!(back("code_challenge_method", "plain").as_deref(), Some("invalid_request"));
    assert_eq!(back("code_challenge", "short").as_deref(), Some("invalid_request"));
    assert_eq!(back("state", "").as_deref(), Some("invalid_request"));
    assert_eq!(back("response_type", "token").as_deref(), Some("unsupported_response_type"));
    let stays = |name: &str, value: &str| {
        let page = authorize(&fake, &[(name, value)]);
        assert_eq!((page.status, page.header("location")), (400, None), "{name}={value}");
    };
    stays("client_id", "app_other");
    stays("redirect_uri", "https://evil.example/auth/callback");
    stays("redirect_uri", "http://127.0.0.1.evil.example/auth/callback");
    stays("redirect_uri", "http://127.0.0.1:1455/elsewhere");
}

#[test]
fn a_scripted_refusal_reaches_the_callback() {
    let fake = start(&Setup::default());
    fake.next_login(SignIn::refused("access_denied", Some("missing_codex_entitlement")));
    let page = authorize(&fake, &[]);
    assert_eq!(landed(&page, "error").as_deref(), Some("access_denied"));
    assert_eq!(landed(&page, "error_description").as_deref(), Some("missing_codex_entitlement"));
    assert!(landed(&authorize(&fake, &[]), "code").is_some());
}

#[test]
fn a_device_code_is_pending_until_somebody_signs_in() {
    let fake = start(&Setup::default());
    fake.next_login(SignIn::of(Who::Account(3)));
    let body = serde_json::json!({ "client_id": CLIENT_ID }).to_string();
    let started = post("/api/accounts/deviceauth/usercode", body).send(&fake).json();
    assert_eq!(started["interval"], "1");
    let ask = serde_json::json!({ "device_auth_id": started["device_auth_id"], "user_code": started["user_code"] });
    let poll = || post("/api/accounts/deviceauth/token", ask.to_string()).send(&fake);
    assert_eq!(poll().status, 403);
    let grant = poll().json();
    let (code, verifier) = (grant["authorization_code"].as_str().unwrap(), grant["code_verifier"].as_str().unwrap());
    let tokens = exchange(&fake, code, verifier, &format!("{}/deviceauth/callback", fake.url()));
    assert_eq!(tokens.status, 200);
    assert_eq!(poll().status, 400, "a device code is granted once");
}

#[test]
fn a_device_code_can_wait_for_approval() {
    let tokens = TokenSetup { device_pending_polls: None, ..TokenSetup::default() };
    let fake = start(&Setup { tokens, ..Setup::default() });
    let body = serde_json::json!({ "client_id": CLIENT_ID }).to_string();
    let started = post("/api/accounts/deviceauth/usercode", body).send(&fake).json();
    let ask = serde_json::json!({ "device_auth_id": started["device_auth_id"], "user_code": started["user_code"] });
    let poll = || post("/api/accounts/deviceauth/token", ask.to_string()).send(&fake).status;
    assert_eq!([poll(), poll(), poll()], [403; 3]);
    fake.approve_devices();
    assert_eq!(poll(), 200);
}

#[test]
fn a_device_code_can_end_and_have_the_other_name() {
    let tokens = TokenSetup { device_expires_in_secs: Some(60), device_code_alias: true, ..TokenSetup::default() };
    let fake = start(&Setup { tokens, clock: ClockKind::Manual { start_ms: 1_790_000_000_000 }, ..Setup::default() });
    let body = serde_json::json!({ "client_id": CLIENT_ID }).to_string();
    let started = post("/api/accounts/deviceauth/usercode", body).send(&fake).json();
    assert_eq!(started["expires_in"], 60);
    let ask = serde_json::json!({ "device_auth_id": started["device_auth_id"], "user_code": started["usercode"] });
    let poll = || post("/api/accounts/deviceauth/token", ask.to_string()).send(&fake);
    assert_eq!(poll().status, 403);
    fake.advance(std::time::Duration::from_mins(1));
    is(&poll(), 400, "expired_token");
}

#[test]
fn an_id_token_buys_an_api_key_that_is_good_at_the_platform_alone() {
    let fake = start(&Setup::default());
    let id_token = secret(&fake, ONE, "id_token");
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("client_id", CLIENT_ID),
        ("requested_token", "openai-api-key"),
        ("subject_token", &id_token),
    ];
    let key = form("/oauth/token", &fields).send(&fake).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(key, fake.api_key(ONE));
    assert_eq!(post("/v1/responses", crate::client::TURN).bearer(&key).send(&fake).status, 200);
    assert_eq!(turn().bearer(&key).send(&fake).status, 401);
}

#[test]
fn two_fakes_share_no_token_unless_seeded_alike() {
    let seeded = |seed| Setup { tokens: TokenSetup { seed, ..TokenSetup::default() }, ..Setup::default() };
    let refresh_of_new = |seed| refresh_of(&start(&seeded(seed)), ONE);
    assert_ne!(refresh_of_new(None), refresh_of_new(None));
    assert_eq!(refresh_of_new(Some(9)), refresh_of_new(Some(9)));
}
