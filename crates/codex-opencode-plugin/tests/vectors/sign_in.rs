//! Performs the groups of file 25: the plugin's ways in, each with a store, an issuer and a browser of the case's own.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use codex_auth_core::{
    AccessToken, IdToken, RefreshToken,
    testing::{ManualClock, SeededEntropy},
};
use codex_auth_oauth::{
    AttemptText, AuthorizeProfile, CALLBACK_PORTS, DEFAULT_CLIENT_ID, DEFAULT_ISSUER, DeviceRhythm, Endpoints,
    LoginEvent, LoginEvents, NoEvents, Timing, Wishes,
    opencode::{CallbackServer, TokenEndpoint, TokenError, success_address},
};
use codex_auth_store::opencode::Domain;
use codex_opencode_plugin::{
    HostAnswer, HostLogin, LoginMethods, PLACEHOLDER_KEY, Platform, USER_AGENT, browser_command, may_open,
};
use http::Request;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    callbacks::{escaped, get, parameter, port_of, runtime, tokens},
    case::{Case, Found, Outcome, field, text},
    identity::whole_text,
    issuer::{Issuer, shown},
    upsert,
    world::{NOW, STORE, World},
};

const TOKEN_PATH: &str = "/oauth/token";
const POLL_PATH: &str = "/api/accounts/deviceauth/token";

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let input = &case.input;
    let found = match group {
        "authorize_url" => address(input),
        "pkce" => secrets(world),
        "constants" => Ok(constants()),
        "success_redirect" => Ok(success(input)),
        "error_page" => error_page(input, world),
        "token_endpoint" => runtime(true).and_then(|runtime| runtime.block_on(token_endpoint(case))),
        "device_flow" => device_flow(case, world),
        "login_persist" => persisted(input, world),
        "browser_command" => opener(input),
        "browser_allowed" => allowed(input),
        "browser_flow" => runtime(false).and_then(|runtime| runtime.block_on(browser_flow(input, world))),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

fn profile(originator: &str) -> Result<AuthorizeProfile, String> {
    let known = [AuthorizeProfile::OPENCODE, AuthorizeProfile::OPENCODE_AS_CODEX];
    known
        .into_iter()
        .find(|profile| profile.originator == originator)
        .ok_or_else(|| format!("`{originator}` is nobody"))
}

fn address(input: &Value) -> Result<Value, String> {
    let attempt = AttemptText {
        redirect_uri: text(input, "redirectUri")?,
        challenge: text(input, "challenge")?,
        state: text(input, "state")?,
    };
    let profile = profile(text(input, "originator")?)?;
    Ok(json!(profile.address(&Endpoints::default(), attempt, &Wishes::default())))
}

fn constants() -> Value {
    let uri = AuthorizeProfile::OPENCODE.redirect_uri(CALLBACK_PORTS[0]);
    let Timing { http, device, callback, grace, error_grace } = Timing::OPENCODE;
    let ms = |span: Duration| json!(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    json!({
        "CLIENT_ID": DEFAULT_CLIENT_ID, "ISSUER": DEFAULT_ISSUER, "port": CALLBACK_PORTS[0],
        "path": Url::parse(&uri).map(|url| url.path().to_owned()).ok(), "uri": uri, "dummyKey": PLACEHOLDER_KEY,
        "httpTimeout": ms(http), "deviceTimeout": ms(device), "callbackTimeout": ms(callback), "grace": ms(grace),
        "errorGrace": ms(error_grace), "pollMargin": ms(DeviceRhythm::OPENCODE.margin),
    })
}

/// An unsigned token with these claims; an opaque one where there are none.
fn jwt(claims: Option<&Value>) -> String {
    match claims.filter(|claims| !claims.is_null()) {
        Some(claims) => format!(
            "{}.{}.sig",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        ),
        None => "opaque".to_owned(),
    }
}

fn success(input: &Value) -> Value {
    let issuer = input.get("issuer").and_then(Value::as_str);
    let endpoints = Endpoints::overridden_by(issuer).unwrap_or_default();
    let (id, access) = (IdToken::new(jwt(input.get("idClaims"))), AccessToken::new(jwt(input.get("accessClaims"))));
    json!(success_address(CALLBACK_PORTS[0], &endpoints, Some(&id), Some(&access)))
}

/// What the host's parts see of a sign-in.
#[derive(Debug, Default)]
struct Stops(Mutex<Vec<Value>>);

impl LoginEvents for Stops {
    fn happened(&self, event: LoginEvent, meta: Value) {
        if event == LoginEvent::ServerStopScheduled {
            let stop = json!([meta["graceMs"], meta["reason"]]);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stop);
        }
    }
}

fn methods(world: &World, issuer: &Arc<Issuer>, events: Arc<dyn LoginEvents>, timing: Timing) -> LoginMethods {
    LoginMethods {
        endpoints: Endpoints::default(),
        http: issuer.clone(),
        clock: Arc::new(ManualClock::at(NOW)),
        entropy: Arc::new(SeededEntropy::new(25)),
        events: events.clone(),
        timing,
        server: Arc::new(CallbackServer::new([0], events)),
        file: world.file(),
    }
}

/// Signs in with a browser that comes back with this; the page it is shown comes along.
async fn by_browser(methods: &LoginMethods, domain: Domain, back: &str) -> Result<(HostLogin, String), String> {
    let profile =
        if domain == Domain::Native { AuthorizeProfile::OPENCODE } else { AuthorizeProfile::OPENCODE_AS_CODEX };
    let login = methods.browser(domain, &profile).await;
    let (state, port) = (parameter(&login.url, "state")?, port_of(&parameter(&login.url, "redirect_uri")?)?);
    let page = get(port, &format!("/auth/callback?state={state}&{back}")).await?;
    Ok((login, page))
}

fn secrets(world: &World) -> Result<Value, String> {
    runtime(false)?.block_on(async {
        let issuer = Issuer::default().answering(TOKEN_PATH, vec![json!({ "status": 400 })]).shared();
        let methods = methods(world, &issuer, Arc::new(NoEvents), Timing::OPENCODE);
        let (login, _) = by_browser(&methods, Domain::Native, "code=AC").await?;
        let form = issuer.requests(|request| json!(String::from_utf8_lossy(request.body())));
        let form = format!("http://x/?{}", form[0].as_str().unwrap_or_default());
        let texts = [
            parameter(&form, "code_verifier")?,
            parameter(&login.url, "code_challenge")?,
            parameter(&login.url, "state")?,
        ];
        let is_ours = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        Ok(json!({
            "verifierChars": texts[0].len(), "challengeChars": texts[1].len(), "stateChars": texts[2].len(),
            "alphabetOk": texts.iter().all(|text| text.chars().all(is_ours)),
        }))
    })
}

fn error_page(input: &Value, world: &World) -> Result<Value, String> {
    let said = whole_text(input)?;
    let back: String = url::form_urlencoded::Serializer::new("error=access_denied".to_owned())
        .append_pair("error_description", said)
        .finish();
    let page = runtime(false)?.block_on(async {
        let methods = methods(world, &Issuer::default().shared(), Arc::new(NoEvents), Timing::OPENCODE);
        by_browser(&methods, Domain::Native, &back).await.map(|(_, page)| page)
    })?;
    Ok(json!({ "containsEscaped": page.contains(&escaped(said)) && !page.contains(said) }))
}

async fn token_endpoint(case: &Case) -> Result<Value, String> {
    let input = &case.input;
    let issuer = Issuer::default().answering(TOKEN_PATH, vec![field(input, "reply")?.clone()]).shared();
    let within = input.get("timeoutMs").and_then(Value::as_u64).map_or(Timing::OPENCODE.http, Duration::from_millis);
    let endpoint = TokenEndpoint::new(Endpoints::default(), issuer.clone(), Arc::new(ManualClock::at(NOW)), within);
    let answer = match text(input, "call")? {
        "exchange" => {
            let (code, redirect, verifier) =
                (text(input, "code")?, text(input, "redirectUri")?, text(input, "verifier")?);
            endpoint.exchange(code, redirect, verifier).await
        }
        "refresh" => endpoint.refresh(&RefreshToken::new(text(input, "refreshToken")?)).await,
        other => return Err(format!("`{other}` is no call")),
    };
    let mut found = match &answer {
        Ok(granted) => json!({ "ok": tokens(granted) }),
        Err(error) => json!({ "throws": thrown(error, case) }),
    };
    if case.shown().contains(&"requests") {
        // No client of ours follows a redirect.
        let more = [("method", json!("POST")), ("redirect", json!("error"))];
        found["requests"] = issuer.requests(|request| shown(request, &more));
    }
    Ok(found)
}

/// Only the members shown count.
fn thrown(error: &TokenError, case: &Case) -> Value {
    let mut thrown = Map::new();
    thrown.insert("message".to_owned(), json!(error.to_string()));
    if let Some(refused) = error.refused() {
        thrown.insert("status".to_owned(), json!(refused.status));
        thrown.insert("oauthCode".to_owned(), json!(refused.code));
        thrown.insert("oauthMessage".to_owned(), json!(refused.message));
    }
    let wanted = case.expect_member("throws").and_then(Value::as_object).cloned().unwrap_or_default();
    thrown.retain(|key, _| wanted.contains_key(key));
    Value::Object(thrown)
}

fn device_flow(case: &Case, world: &World) -> Result<Value, String> {
    let input = &case.input;
    let domain = upsert::mode(input, "mode")?;
    let reply = field(input, "tokenReply")?;
    if let Some(access) = reply.get("access_token").and_then(Value::as_str) {
        world.mean("<jwt>", access);
    }
    let polls = field(input, "polls")?.as_array().cloned().ok_or("`polls` is no list")?;
    let issuer = Issuer::default()
        .answering("/api/accounts/deviceauth/usercode", vec![field(input, "usercode")?.clone()])
        .answering(POLL_PATH, polls)
        .answering(TOKEN_PATH, vec![json!({ "body": reply })])
        .shared();
    let mut found = runtime(true)?.block_on(async {
        let methods = methods(world, &issuer, Arc::new(NoEvents), Timing::OPENCODE);
        match methods.device(domain, USER_AGENT).await {
            Err(error) => json!({ "throws": { "message": error.to_string() } }),
            Ok(login) => {
                let (url, instructions) = (login.url.clone(), login.instructions.clone());
                let answer = login.callback().await;
                json!({ "url": url, "instructions": instructions, "method": HostLogin::METHOD, "callback": answer.to_json() })
            }
        }
    });
    found["sleepsMs"] = json!(issuer.pauses(POLL_PATH));
    found["requests"] = issuer.requests(|request: &Request<Vec<u8>>| shown(request, &[]));
    found["persisted"] = refresh_tokens(world, domain);
    Ok(found)
}

fn refresh_tokens(world: &World, domain: Domain) -> Value {
    let stored: Value = world.text(STORE).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let accounts = stored.pointer(&format!("/openai/{}/accounts", domain.name())).and_then(Value::as_array);
    accounts.into_iter().flatten().map(|account| account["refresh"].clone()).collect()
}

fn persisted(input: &Value, world: &World) -> Result<Value, String> {
    let logins = field(input, "logins")?.as_array().ok_or("`logins` is no list")?;
    for login in logins {
        let domain = upsert::mode(login, "mode")?;
        let answer = json!({ "body": field(login, "tokens")? });
        let issuer = Issuer::default().answering(TOKEN_PATH, vec![answer]).shared();
        let ended = runtime(false)?.block_on(async {
            let methods = methods(world, &issuer, Arc::new(NoEvents), Timing::OPENCODE);
            let (login, _) = by_browser(&methods, domain, "code=AC").await?;
            Ok::<_, String>(login.callback().await)
        })?;
        if ended == HostAnswer::Failed {
            return Err("the sign-in failed".to_owned());
        }
    }
    let stored: Value = serde_json::from_str(&world.text(STORE)?).map_err(|error| error.to_string())?;
    let shown = text(input, "show")?.split('.').filter(|key| !key.is_empty());
    Ok(shown.fold(stored, |value, key| value[key].clone()))
}

fn opener(input: &Value) -> Result<Value, String> {
    let platform = Platform::of_node(text(input, "platform")?);
    let (command, args) = browser_command(text(input, "url")?, platform);
    Ok(json!({ "command": command, "args": args }))
}

fn allowed(input: &Value) -> Result<Value, String> {
    let origins = field(input, "allowedOrigins")?.as_array().ok_or("`allowedOrigins` is no list")?;
    Ok(json!(may_open(text(input, "url")?, origins.iter().filter_map(Value::as_str))))
}

async fn browser_flow(input: &Value, world: &World) -> Result<Value, String> {
    let domain = upsert::mode(input, "mode")?;
    let answer = json!({ "body": field(input, "callbackTokens")? });
    let issuer = Issuer::default().answering(TOKEN_PATH, vec![answer]).shared();
    let told = |key: &str| field(input, key)?.as_u64().map(Duration::from_millis).ok_or("no number".to_owned());
    let timing = Timing { grace: told("graceMs")?, error_grace: told("errorGraceMs")?, ..Timing::OPENCODE };
    let stops = Arc::new(Stops::default());
    let methods = methods(world, &issuer, stops.clone(), timing);
    let login = methods.browser(domain, &profile(text(input, "originator")?)?).await;
    let (state, redirect) = (parameter(&login.url, "state")?, parameter(&login.url, "redirect_uri")?);
    let port = port_of(&redirect)?;
    get(port, &format!("/auth/callback?state={state}&code=AC")).await?;
    // Any free port stands for the one that the case names.
    let told = text(field(input, "startServer")?, "redirectUri")?;
    let url = Url::parse(&login.url).map_err(|error| error.to_string())?;
    let parameters: Map<String, Value> = url
        .query_pairs()
        .map(|(key, value)| (key.into_owned(), json!(if value == redirect { told.into() } else { value })))
        .collect();
    let instructions = login.instructions.clone();
    let answer = login.callback().await;
    let stops = stops.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(json!({
        // The address is shown as it is opened.
        "urlParams": parameters, "displayState": state, "instructions": instructions, "method": HostLogin::METHOD,
        "callback": answer.to_json(), "stops": stops,
    }))
}
