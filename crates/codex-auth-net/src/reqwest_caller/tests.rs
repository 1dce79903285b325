//! Calls over real sockets on loopback: the end of each sort of call, and every proxy a company may have.

use std::net::Ipv4Addr;
use std::time::Duration;

use codex_auth_testkit::{Authority, CompanyProxy, CompanySetup, FakeOpenAi, Setup, TlsFront};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

const HOST: &str = "issuer.test";
const PASSWORD: &str = "CANARY-password";

/// A server whose connections are handled by `serve`.
async fn server<F, T>(serve: F) -> (u16, JoinHandle<()>)
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    (port, serving)
}

/// Takes everything and never answers.
async fn silent(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Answers the head and the first byte of a body, then nothing more.
async fn falls_silent(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1024]).await;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx").await;
    silent(stream).await;
}

/// Far below the real ones, so that nobody waits for them; the others stay far away.
fn short(of: Limits, shorten: fn(&mut Limits, Duration)) -> Limits {
    let mut limits = of;
    shorten(&mut limits, Duration::from_millis(60));
    limits
}

fn small(limits: Limits) -> Caller {
    Caller { limits, ..Caller::small(Arc::default(), "codex-multi-auth/test") }
}

fn streaming(limits: Limits) -> Caller {
    Caller { limits, ..Caller::streaming(Arc::default()) }
}

async fn whole(caller: &Caller, uri: &str) -> Result<Vec<u8>, Failure> {
    let request = Request::post(uri).body(b"secret".to_vec()).expect("a request");
    let answer = caller.send(request).await?;
    Ok(answer.into_body().collect().await?.to_bytes().to_vec())
}

#[track_caller]
fn too_late(failed: &Result<Vec<u8>, Failure>) {
    assert!(matches!(failed, Err(Failure::BrokeOff { why }) if why.contains("timed out")), "{failed:?}");
}

#[test]
fn every_sort_of_call_has_an_end() {
    let secs = Duration::from_secs;
    assert_eq!(
        Caller::small(Arc::default(), "").limits,
        Limits { connect: secs(10), total: Some(secs(30)), silence: None }
    );
    let streaming = Limits { connect: secs(10), total: None, silence: Some(secs(300)) };
    assert_eq!(Caller::streaming(Arc::default()).limits, streaming);
}

#[tokio::test]
async fn a_small_call_ends_when_nobody_answers() {
    let limits = short(Limits::SMALL, |limits, span| limits.total = Some(span));
    for serve in [true, false] {
        let (port, _serving) = if serve { server(silent).await } else { server(falls_silent).await };
        too_late(&whole(&small(limits), &format!("http://127.0.0.1:{port}/")).await);
    }
}

#[tokio::test]
async fn a_streaming_call_ends_when_the_other_side_falls_silent() {
    let limits = short(Limits::STREAMING, |limits, span| limits.silence = Some(span));
    for serve in [true, false] {
        let (port, _serving) = if serve { server(silent).await } else { server(falls_silent).await };
        too_late(&whole(&streaming(limits), &format!("http://127.0.0.1:{port}/")).await);
    }
}

#[tokio::test]
async fn a_connection_that_never_stands_ends_with_nothing_sent() {
    let (port, _serving) = server(silent).await;
    let connect = |of| short(of, |limits, span| limits.connect = span);
    for caller in [small(connect(Limits::SMALL)), streaming(connect(Limits::STREAMING))] {
        let failed = whole(&caller, &format!("https://127.0.0.1:{port}/")).await;
        assert!(matches!(failed, Err(Failure::Unsent { .. })), "{failed:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_never_answers_is_named_and_nothing_was_sent() {
    let (port, _serving) = server(silent).await;
    let network = Network::from_values(|name| (name == "HTTPS_PROXY").then(|| format!("http://127.0.0.1:{port}")));
    let limits = short(Limits::SMALL, |limits, span| limits.connect = span);
    let caller = Caller { limits, ..Caller::small(Arc::new(network), "") };
    let failed = whole(&caller, "https://issuer.test/").await.expect_err("no answer");
    let place = format!("the proxy 127.0.0.1:{port} (HTTPS_PROXY) did not let us through to issuer.test in time");
    assert!(matches!(&failed, Failure::Unsent { why } if why.starts_with(&place)), "{failed:?}");
}

/// A fake by https behind a proxy of the company.
struct Company {
    vendor: Authority,
    opener: Authority,
    proxy: CompanyProxy,
    fake: FakeOpenAi,
    _front: TlsFront,
    dir: tempfile::TempDir,
}

impl Company {
    fn with(setup: CompanySetup, is_opening: bool) -> Self {
        let (vendor, opener) = (Authority::new("vendor"), Authority::new("company"));
        let fake = FakeOpenAi::start_blocking(&Setup::default()).expect("a fake");
        let front = TlsFront::start(&vendor, HOST, fake.port()).expect("a door");
        let opens = is_opening.then(|| (opener.clone(), vendor.clone()));
        let names = vec![(format!("{HOST}:443"), front.port())];
        let proxy = CompanyProxy::start(CompanySetup { names, opens, ..setup }).expect("a proxy");
        Self { vendor, opener, proxy, fake, _front: front, dir: tempfile::tempdir().expect("a directory") }
    }

    /// Asks for the revocation endpoint, which answers everybody.
    async fn ask(&self, user: &str, bundle: Option<&Authority>) -> Result<Vec<u8>, Failure> {
        let file = self.dir.path().join("bundle.pem");
        if let Some(authority) = bundle {
            let mut written =
                std::fs::File::options().create(true).write(true).truncate(true).open(&file).expect("made");
            std::io::Write::write_all(&mut written, authority.pem().as_bytes()).expect("written");
        }
        let network = Network::from_values(|name| match name {
            "HTTPS_PROXY" => Some(format!("http://{user}{}", self.proxy.place())),
            "CODEX_CA_CERTIFICATE" => bundle.map(|_| file.display().to_string()),
            _ => None,
        });
        let caller = Caller::small(Arc::new(network), "codex-multi-auth/test");
        let answered = whole(&caller, &format!("https://{HOST}/oauth/revoke")).await;
        let shown = format!("{caller:?} {:?}", answered.as_ref().err());
        assert!(!shown.contains(PASSWORD) && !shown.contains("Q0FOQVJZ"), "{shown}");
        answered
    }

    #[track_caller]
    fn refused(&self, answered: Result<Vec<u8>, Failure>, parts: &[&str]) {
        let Err(Failure::Unsent { why }) = answered else { panic!("not unsent: {answered:?}") };
        for part in parts {
            assert!(why.contains(part), "{why} lacks {part}");
        }
        assert_eq!(self.fake.log().len(), 0, "nothing reached the issuer");
    }
}

fn asking() -> CompanySetup {
    CompanySetup { sign_in: Some(("me".to_owned(), format!("{PASSWORD}@1"))), ..CompanySetup::default() }
}

#[tokio::test]
async fn a_proxy_that_opens_connections_needs_its_authority() {
    let company = Company::with(CompanySetup::default(), true);
    company.refused(company.ask("", None).await, &["shown for issuer.test", "CODEX_CA_CERTIFICATE"]);
    let wrong = company.ask("", Some(&company.vendor)).await;
    company.refused(wrong, &["is not in ", "bundle.pem (CODEX_CA_CERTIFICATE)"]);
    company.ask("", Some(&company.opener)).await.expect("through");
    assert_eq!(company.fake.log().len(), 1);
}

#[tokio::test]
async fn a_proxy_with_a_password_wants_it_right() {
    let company = Company::with(asking(), false);
    let place = company.proxy.place();
    let missing = company.ask("", Some(&company.vendor)).await;
    company.refused(missing, &[&place, "(407)", "set HTTPS_PROXY to http://USER:PASSWORD@"]);
    let wrong = company.ask(&format!("me:{PASSWORD}@"), Some(&company.vendor)).await;
    company.refused(wrong, &[&place, "refuses the user and password in HTTPS_PROXY (407)"]);
    company.ask(&format!("me:{PASSWORD}%401@"), Some(&company.vendor)).await.expect("through");
    let statuses: Vec<u16> = company.proxy.passages().iter().map(|passage| passage.status).collect();
    assert_eq!(statuses, [407, 407, 200]);
}

#[tokio::test]
async fn a_proxy_that_forbids_a_host_is_named() {
    let company = Company::with(CompanySetup { refuses: Some(403), ..CompanySetup::default() }, false);
    let refused = company.ask("", Some(&company.vendor)).await;
    company.refused(refused, &["does not let us through to issuer.test", "(HTTPS_PROXY)", "NO_PROXY"]);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port").local_addr().expect("bound");
    let network = Network::from_values(|name| (name == "ALL_PROXY").then(|| format!("http://me:{PASSWORD}@{gone}")));
    let failed = whole(&Caller::small(Arc::new(network), ""), "https://issuer.test/").await.expect_err("nobody");
    let Failure::Unsent { why } = failed else { panic!("{failed:?}") };
    let expect = format!("the proxy {gone} (ALL_PROXY) could not be reached (");
    assert!(why.starts_with(&expect) && why.ends_with("correct ALL_PROXY"), "{why}");
    assert!(!why.contains(PASSWORD), "{why}");
}

#[tokio::test]
async fn a_server_that_is_no_proxy_is_named() {
    let (port, _serving) = server(|stream| async move { drop(stream) }).await;
    let network = Network::from_values(|name| (name == "HTTPS_PROXY").then(|| format!("127.0.0.1:{port}")));
    let failed = whole(&Caller::small(Arc::new(network), ""), "https://issuer.test/").await.expect_err("no tunnel");
    assert!(matches!(&failed, Failure::Unsent { why } if why.contains("(HTTPS_PROXY)")), "{failed:?}");
}

#[tokio::test]
async fn a_bundle_that_cannot_be_used_stops_the_call() {
    let network = Network::from_values(|name| (name == "SSL_CERT_FILE").then(|| "/missing/bundle.pem".to_owned()));
    let failed = whole(&Caller::small(Arc::new(network), ""), "https://issuer.test/").await.expect_err("no bundle");
    let expect = "SSL_CERT_FILE names /missing/bundle.pem, which cannot be used: ";
    assert!(matches!(&failed, Failure::Unsent { why } if why.starts_with(expect)), "{failed:?}");
}

#[tokio::test]
async fn nothing_is_read_or_built_before_it_is_needed() {
    let (port, _serving) = server(|mut stream: TcpStream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
        silent(stream).await;
    })
    .await;
    let network = Network::from_values(|name| match name {
        "CODEX_CA_CERTIFICATE" => Some("/missing/bundle.pem".to_owned()),
        "HTTPS_PROXY" => Some("socks5://nowhere".to_owned()),
        _ => None,
    });
    let caller = Caller::streaming(Arc::new(network));
    assert!(caller.clients.iter().all(|slot| slot.get().is_none()));
    let body = whole(&caller, &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(body.as_deref(), Ok(b"ok".as_slice()), "this machine needs neither authorities nor proxies");
}
