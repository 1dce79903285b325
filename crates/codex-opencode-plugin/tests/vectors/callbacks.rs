//! Performs the groups of file 26 about the callback server: real sockets on loopback, and an issuer by script.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use codex_auth_core::{
    AccessToken, Granted, IdToken, RefreshToken,
    testing::{ManualClock, SeededEntropy},
};
use codex_auth_oauth::{
    AuthorizeProfile, Endpoints, NoEvents,
    opencode::{CallbackServer, HostLoginError, Look, PendingLogin, TokenEndpoint, is_loopback},
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;

use super::{
    case::{Case, Found, Outcome, field, text},
    issuer::Issuer,
    world::{NOW, World},
};

/// How long a case waits for the browser.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let found = match group {
        "loopback" => Ok(json!(case.input.as_str().is_some_and(is_near))),
        "server" => runtime(false).and_then(|runtime| runtime.block_on(server(case, world))),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// A runtime whose time stands still while nothing happens, or an ordinary one.
pub(crate) fn runtime(is_virtual: bool) -> Result<tokio::runtime::Runtime, String> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(is_virtual).build();
    built.map_err(|error| error.to_string())
}

/// An address as the system writes it, perhaps with the zone it belongs to.
fn is_near(peer: &str) -> bool {
    let address = peer.split('%').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok_and(is_loopback)
}

fn shut() -> CallbackServer {
    CallbackServer::new([0], Arc::new(NoEvents))
}

async fn server(case: &Case, world: &World) -> Result<Value, String> {
    let input = &case.input;
    let server = shut();
    let port = port_of(&server.start().await.map_err(|error| error.to_string())?)?;
    world.mean("<PORT>", port.to_string());
    match input.get("action").and_then(Value::as_str) {
        Some("start_twice") => {
            let start = || async { server.start().await.map_err(|error| error.to_string()) };
            Ok(json!({ "redirectUri": start().await?, "again": start().await? }))
        }
        Some("start_on_occupied_port") => occupied().await,
        Some("wait_again") => {
            let _first = begun(&server, Look::Native).await.map_err(|error| error.to_string())?;
            Ok(message(&begun(&server, Look::Native).await.map(drop)))
        }
        Some("timeout") => {
            let pending = begun(&server, look(field(input, "pending")?)?).await.map_err(|error| error.to_string())?;
            Ok(message(&pending.tokens(&endpoint(&Value::Null), PATIENCE).await.map(drop)))
        }
        Some(other) => Err(format!("`{other}` is no action")),
        None => paths(case, &server, port).await,
    }
}

/// The paths in their order; with a sign-in that waits, where one is told.
async fn paths(case: &Case, server: &CallbackServer, port: u16) -> Result<Value, String> {
    let input = &case.input;
    let pending = field(input, "pending")?;
    let targets = field(input, "paths")?.as_array().ok_or("`paths` is no list")?;
    let mut targets: Vec<&str> = targets.iter().filter_map(Value::as_str).collect();
    if pending.is_null() {
        let mut last = Value::Null;
        for target in targets.drain(..) {
            last = ask(case, port, target).await?;
        }
        return Ok(last);
    }
    let login = begun(server, look(pending)?).await.map_err(|error| error.to_string())?;
    // The state is ours to choose, so that the told one stands for it.
    let (told, real) = (format!("state={}", text(pending, "state")?), format!("state={}", state_of(&login)?));
    let endpoint = endpoint(field(input, "exchange")?);
    let waits = tokio::spawn(async move { login.tokens(&endpoint, PATIENCE).await });
    let mut last = Value::Null;
    for target in targets.drain(..) {
        let target = if target.ends_with(&told) { target.replace(&told, &real) } else { target.to_owned() };
        last = ask(case, port, &target).await?;
    }
    if !case.shown().contains(&"http") {
        return Ok(last);
    }
    match waits.await.map_err(|error| error.to_string())? {
        Ok(granted) => Ok(json!({ "http": last, "tokens": tokens(&granted) })),
        Err(error) => Ok(json!({ "http": last, "waitThrows": { "message": error.to_string() } })),
    }
}

async fn begun(server: &CallbackServer, look: Look) -> Result<PendingLogin, HostLoginError> {
    let profile = AuthorizeProfile::OPENCODE;
    server.begin(&Endpoints::default(), &profile, look, &SeededEntropy::new(11)).await
}

async fn occupied() -> Result<Value, String> {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
    let port = held.local_addr().map_err(|error| error.to_string())?.port();
    let server = CallbackServer::new([port, 0], Arc::new(NoEvents));
    let elsewhere = server.start().await.map_err(|error| error.to_string())?;
    Ok(json!({ "redirectUri": elsewhere }))
}

fn look(pending: &Value) -> Result<Look, String> {
    match text(pending, "mode")? {
        "native" => Ok(Look::Native),
        "codex" => Ok(Look::Codex),
        other => Err(format!("`{other}` is no mode")),
    }
}

fn endpoint(exchange: &Value) -> TokenEndpoint {
    let issuer = Issuer::default().answering("/oauth/token", vec![json!({ "body": exchange })]).shared();
    let clock = Arc::new(ManualClock::at(NOW));
    TokenEndpoint::new(Endpoints::default(), issuer, clock, Duration::from_secs(15))
}

fn message(result: &Result<(), HostLoginError>) -> Value {
    match result {
        Ok(()) => Value::Null,
        Err(error) => json!({ "message": error.to_string() }),
    }
}

/// What was granted, as the token endpoint says it.
pub(crate) fn tokens(granted: &Granted) -> Value {
    json!({
        "access_token": granted.access.as_ref().map(AccessToken::expose),
        "refresh_token": granted.refresh.as_ref().map(RefreshToken::expose),
        "id_token": granted.id.as_ref().map(IdToken::expose),
    })
}

/// A parameter of an address.
pub(crate) fn parameter(address: &str, key: &str) -> Result<String, String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let found = url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
    found.ok_or_else(|| format!("the address has no `{key}`"))
}

fn state_of(login: &PendingLogin) -> Result<String, String> {
    parameter(login.url(), "state")
}

/// The port of an address.
pub(crate) fn port_of(address: &str) -> Result<u16, String> {
    Url::parse(address).ok().and_then(|url| url.port()).ok_or_else(|| format!("`{address}` names no port"))
}

/// Asks, and shows of the answer what the case shows.
async fn ask(case: &Case, port: u16, target: &str) -> Result<Value, String> {
    let answer = get(port, target).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no whole answer")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse::<u16>().ok());
    let found: Vec<(String, &str)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value)).collect();
    let wanted = case.expect_member("http").or_else(|| Some(case.expected())).cloned().unwrap_or_default();
    let mut headers = Map::new();
    for name in wanted.get("headers").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
        let value = found.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        headers.insert(name.clone(), json!(value));
    }
    let body = if body.starts_with("<!doctype html>") {
        page(body, wanted.get("body").and_then(Value::as_str).unwrap_or_default())
    } else {
        body.to_owned()
    };
    Ok(json!({ "status": status, "headers": headers, "body": body }))
}

/// A page in brief: that it is one, and the text it has to show, if it does.
fn page(html: &str, wanted: &str) -> String {
    match wanted.split_once(" | ") {
        Some((_, text)) if html.contains(&escaped(text)) => format!("(html) | {text}"),
        Some(_) => "(html) | something else".to_owned(),
        None => "(html)".to_owned(),
    }
}

/// Text as it stands in a page.
pub(crate) fn escaped(text: &str) -> String {
    let pairs = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];
    pairs.into_iter().fold(text.to_owned(), |text, (letter, safe)| text.replace(letter, safe))
}

/// What is answered on this port.
pub(crate) async fn get(port: u16, target: &str) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    exchange.await.map_err(|error| error.to_string())
}
