//! Behind a company's proxy: what the program says when it cannot get out, that it gets out when the variables are
//! right, that a token nobody saw stays good, and that the proxy's password is nowhere.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
};

use codex_auth_testkit::{
    Authority, CompanyProxy, CompanySetup, PoolKnobs, Route, Setup, SignIn, TlsFront, Verdict, Who,
};
use serde_json::{Value, json};

use crate::{
    browser::paste_at,
    world::{Said, World, read, write},
};

const PASSWORD: &str = "CANARY-of-the-proxy";
/// How it begins when it travels.
const ENCODED: &str = "bWU6Q0FOQVJZ";

/// A person with one account whose issuer and backend are reached through a company's proxy only.
struct Office {
    world: World,
    proxy: CompanyProxy,
    issuer: String,
    _front: TlsFront,
}

impl Office {
    /// Behind a proxy that opens encrypted connections.
    fn opening() -> Self {
        Self::behind("issuer.test", CompanySetup::default(), true)
    }

    /// Behind a proxy that asks for a password.
    fn asking() -> Self {
        let sign_in = Some(("me".to_owned(), PASSWORD.to_owned()));
        Self::behind("issuer.test", CompanySetup { sign_in, ..CompanySetup::default() }, false)
    }

    fn behind(host: &str, setup: CompanySetup, is_opening: bool) -> Self {
        let one = PoolKnobs { only: Some(vec![1]), expired_access: vec![1], ..PoolKnobs::default() };
        let mut world = World::with_pool(&Setup::default(), &one);
        let (vendor, company) = (Authority::new("vendor"), Authority::new("company"));
        let front = TlsFront::start(&vendor, host, world.fake().port()).expect("a door");
        write(&world.home().join("vendor.pem"), &vendor.pem());
        write(&world.home().join("company.pem"), &company.pem());
        let place = format!("{host}:{}", front.port());
        let opens = is_opening.then_some((company, vendor));
        let names = vec![(place.clone(), front.port())];
        let proxy = CompanyProxy::start(CompanySetup { names, opens, ..setup }).expect("a proxy");
        let issuer = format!("https://{place}");
        let record = world.pool()["accounts"][0]["recordId"].as_str().expect("a record").to_owned();
        // Whose token it is, as a sign-in writes it down.
        let known = json!({ "version": 1, "accounts": { record: { "issuer": issuer } } });
        write(&world.root().join("codex-auth.json"), &known.to_string());
        world.set("CODEX_MULTI_AUTH_ISSUER_URL", &issuer);
        world.set("CODEX_MULTI_AUTH_BACKEND_URL", &format!("{issuer}/backend-api"));
        Self { world, proxy, issuer, _front: front }
    }

    fn proxied(&mut self, credentials: &str) {
        let address = format!("http://{credentials}{}", self.proxy.place());
        self.world.set("HTTPS_PROXY", &address);
    }

    fn believing(&mut self, variable: &'static str, file: &str) {
        let file = self.world.home().join(file);
        self.world.set(variable, file.as_str());
    }

    fn statuses(&self) -> Vec<u16> {
        self.proxy.passages().iter().map(|passage| passage.status).collect()
    }

    /// Every refresh token the issuer was shown, and whether it was good.
    fn presented(&self) -> Vec<Verdict> {
        let all = self.world.fake().log();
        all.into_iter().filter_map(|record| record.body.presented).map(|one| one.verdict).collect()
    }

    /// What `check` finds out about the account.
    fn check(&self) -> Value {
        let said = self.world.run("check --json").ok();
        self.keeps_the_password(&format!("{said} {}", self.world.run("check").ok()));
        said.document()["accounts"][0].clone()
    }

    /// The account was not renewed, for a reason that says all this; nobody saw its token.
    #[track_caller]
    fn stopped(&self, parts: &[&str]) {
        let found = self.check();
        let detail = found["detail"].as_str().unwrap_or_default();
        for part in parts.iter().chain(&["refresh failed: the issuer could not be reached: "]) {
            assert!(detail.contains(part), "{detail} lacks {part}");
        }
        assert_eq!(self.world.fake().log().len(), 0, "nothing reached the issuer");
    }

    /// The account is renewed and asked, with the token that was stopped before.
    #[track_caller]
    fn renewed(&self) {
        let found = self.check();
        assert_eq!((&found["outcome"], self.presented()), (&json!("available"), vec![Verdict::Fresh]), "{found}");
    }

    /// A sign-in as account 2 by paste. The person's browser knows the way to the issuer by itself.
    fn signs_in_by_paste(&self) -> Said {
        self.world.fake().next_login(SignIn::of(Who::Account(2)));
        let (issuer, fake) = (self.issuer.clone(), self.world.fake().url());
        let command = self.world.own_command(&["login", "--manual"]);
        paste_at(&self.world, command, |address| address.replace(&issuer, &fake), str::to_owned)
    }

    fn asked(&self, route: Route) -> usize {
        self.world.fake().log().iter().filter(|record| record.asked.route == route).count()
    }

    #[track_caller]
    fn keeps_the_password(&self, said: &str) {
        let files = self.world.files().into_iter().map(|(path, text)| format!("{path} {text}"));
        for text in files.chain([said.to_owned()]) {
            assert!(!text.contains(PASSWORD) && !text.contains(ENCODED), "{text}");
        }
    }
}

#[test]
fn a_proxy_that_opens_connections_is_believed_once_its_authority_is_named() {
    let mut office = Office::opening();
    office.proxied("");
    office.stopped(&["shown for issuer.test", "set CODEX_CA_CERTIFICATE to that PEM file"]);
    office.believing("SSL_CERT_FILE", "vendor.pem");
    office.stopped(&["its authority is not in ", "(SSL_CERT_FILE)"]);
    office.believing("CODEX_CA_CERTIFICATE", "company.pem");
    office.renewed();
}

/// The failure names the host, and what to set.
#[track_caller]
fn names_the_authority(said: &Said) {
    for part in ["shown for issuer.test", "set CODEX_CA_CERTIFICATE to that PEM file"] {
        assert!(said.err.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_sign_in_goes_through_a_proxy_that_opens_connections() {
    let mut office = Office::opening();
    office.proxied("");
    let before = office.world.pool();
    names_the_authority(&office.signs_in_by_paste().failed());
    names_the_authority(&office.world.run("login --device-auth").failed());
    assert_eq!((office.asked(Route::Token), office.asked(Route::DeviceCode)), (0, 0), "nothing reached the issuer");
    assert_eq!(office.world.pool(), before);

    office.believing("CODEX_CA_CERTIFICATE", "company.pem");
    let said = office.signs_in_by_paste().ok();
    assert!(said.out.starts_with("Added account. Total: 2\n"), "{said}");
    office.world.fake().next_login(SignIn::of(Who::Account(2)));
    let said = office.world.run("login --device-auth").ok();
    assert!(said.out.contains("person2@example.test"), "{said}");
    assert_eq!((office.asked(Route::Token), office.asked(Route::DeviceCode)), (2, 1));
}

#[test]
fn a_revocation_goes_through_a_proxy_that_opens_connections() {
    let mut office = Office::opening();
    office.proxied("");
    let said = office.world.run("remove 1 --revoke --yes").failed();
    assert!(said.out.contains("may still be valid: ") && said.out.contains("CODEX_CA_CERTIFICATE"), "{said}");
    assert_eq!(office.asked(Route::Revoke), 0, "nothing reached the issuer");

    let mut office = Office::opening();
    office.proxied("");
    office.believing("CODEX_CA_CERTIFICATE", "company.pem");
    let said = office.world.run("remove 1 --revoke --yes").ok();
    assert!(said.out.contains("Its sign-in is revoked."), "{said}");
    assert_eq!(office.asked(Route::Revoke), 1);
    assert!(office.world.fake().state().account(Who::Account(1)).is_some_and(|state| state.revoked));
}

#[test]
fn ssl_cert_file_serves_where_codexs_variable_is_blank() {
    let mut office = Office::opening();
    office.proxied("");
    office.world.set("CODEX_CA_CERTIFICATE", "");
    office.believing("SSL_CERT_FILE", "company.pem");
    office.renewed();
}

#[test]
fn a_proxy_with_a_password_is_passed_with_the_right_one_only() {
    let mut office = Office::asking();
    office.believing("CODEX_CA_CERTIFICATE", "vendor.pem");
    office.proxied("");
    let place = office.proxy.place();
    office.stopped(&[&place, "asks for a user and a password (407)", "set HTTPS_PROXY to http://USER:PASSWORD@"]);
    office.proxied(&format!("me:{PASSWORD}-wrong@"));
    office.stopped(&[&place, "refuses the user and password in HTTPS_PROXY (407)"]);
    assert!(office.statuses().iter().all(|status| *status == 407));
    office.proxied(&format!("me:{PASSWORD}@"));
    office.renewed();
}

#[test]
fn a_proxy_that_forbids_the_host_or_is_gone_is_named() {
    let mut office =
        Office::behind("issuer.test", CompanySetup { refuses: Some(403), ..CompanySetup::default() }, false);
    office.believing("CODEX_CA_CERTIFICATE", "vendor.pem");
    office.proxied("");
    office.stopped(&["does not let us through to issuer.test", "(HTTPS_PROXY)", "NO_PROXY"]);
    office.world.set("HTTPS_PROXY", "");
    // A port that nobody listens on: it was free a moment ago, and is below the range the system hands out.
    office.world.set("ALL_PROXY", "http://127.0.0.1:9");
    office.stopped(&["the proxy 127.0.0.1:9 (ALL_PROXY) could not be reached", "correct ALL_PROXY"]);
}

/// `0.0.0.0` is this machine to the system, and another one to us: it takes the way of the vendor's hosts.
#[cfg(target_os = "linux")]
#[test]
fn no_proxy_leads_past_the_proxy() {
    let mut office = Office::behind("0.0.0.0", CompanySetup { refuses: Some(403), ..CompanySetup::default() }, false);
    office.believing("CODEX_CA_CERTIFICATE", "vendor.pem");
    office.proxied("");
    office.stopped(&["does not let us through to 0.0.0.0"]);
    let asked = office.proxy.passages().len();
    office.world.set("NO_PROXY", "example.test,0.0.0.0/8");
    office.renewed();
    assert_eq!(office.proxy.passages().len(), asked, "nothing more went to the proxy");
}

#[test]
fn this_machine_is_never_asked_through_a_proxy() {
    let one = PoolKnobs { only: Some(vec![1]), expired_access: vec![1], ..PoolKnobs::default() };
    let mut world = World::with_pool(&Setup::default(), &one);
    let proxy = CompanyProxy::start(CompanySetup { refuses: Some(403), ..CompanySetup::default() }).expect("a proxy");
    for variable in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        world.set(variable, &format!("http://{}", proxy.place()));
    }
    // Nor does it need authorities of its own.
    world.set("CODEX_CA_CERTIFICATE", "/missing.pem");
    assert_eq!(world.run("check --json").ok().document()["summary"]["available"], json!(1));
    assert_eq!(proxy.passages(), []);
}

#[test]
fn a_bundle_that_cannot_be_used_is_refused_before_anything_is_asked() {
    let mut office = Office::opening();
    office.proxied("");
    let broken = office.world.home().join("broken.pem");
    write(&broken, "-----BEGIN CERTIFICATE-----\nd29yZHM=\n-----END CERTIFICATE-----\n");
    let missing = office.world.home().join("missing.pem");
    for (file, why) in [(&broken, "certificate 1 is broken: it is no X.509"), (&missing, "No such file")] {
        office.world.set("CODEX_CA_CERTIFICATE", file.as_str());
        for command in ["check", "login"] {
            let words = if command == "login" { "login --no-browser" } else { command };
            let said = office.world.run(words).failed();
            let name = file.file_name().expect("a name");
            let named = format!("CODEX_CA_CERTIFICATE names [HOME]/{name}, which cannot be used: {why}");
            assert!(said.err.contains(&named), "{said}");
            let next = format!("Correct or remove CODEX_CA_CERTIFICATE, then run `codex-multi-auth {command}`.");
            assert!(said.err.contains(&next), "{said}");
        }
        office.world.run("list").ok();
    }
    assert_eq!(office.proxy.passages(), [], "nobody was asked");
}

#[test]
fn a_proxy_we_cannot_speak_to_is_refused_without_its_password() {
    let mut office = Office::asking();
    office.world.set("HTTPS_PROXY", &format!("socks5://me:{PASSWORD}@127.0.0.1:1080"));
    let said = office.world.run("check").failed();
    assert!(said.err.contains("HTTPS_PROXY cannot be used: only proxies that speak http"), "{said}");
    office.keeps_the_password(&said.to_string());
}

/// A running `serve` whose log is kept.
struct Agent {
    child: Child,
    port: u64,
}

impl Agent {
    fn start(world: &World) -> Self {
        let mut serve = world.own_command(&["serve", "--json"]);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("a ready line");
        Self { child, port: ready["port"].as_u64().expect("a port") }
    }

    /// The head and body of the answer to one turn.
    fn turn(&self, world: &World) -> String {
        let token = read(&world.root().join("agent/agent.json"))["clientToken"].as_str().expect("a token").to_owned();
        let body = json!({ "model": "gpt-5.5", "stream": true, "store": false, "input": [] }).to_string();
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port)).expect("it listens");
        write!(
            stream,
            "POST /backend-api/codex/responses HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.port,
            body.len(),
        )
        .expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    /// Ends it and returns its log. Its socket, which is no file to be read, goes with it.
    fn log(mut self, world: &World) -> String {
        self.child.kill().expect("it runs");
        let mut log = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut log).expect("text");
        self.child.wait().expect("it ends");
        std::fs::remove_file(world.root().join("agent/agent.sock")).expect("there");
        log
    }
}

#[test]
fn the_agent_goes_out_through_the_proxy_and_its_log_says_why_it_cannot() {
    let mut office = Office::asking();
    office.believing("CODEX_CA_CERTIFICATE", "vendor.pem");
    office.proxied(&format!("me:{PASSWORD}@"));
    office.renewed();

    office.proxied(&format!("me:{PASSWORD}-wrong@"));
    let agent = Agent::start(&office.world);
    let answer = agent.turn(&office.world);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let log = agent.log(&office.world);
    assert!(log.contains("refuses the user and password in HTTPS_PROXY (407): correct them there"), "{log}");
    office.keeps_the_password(&format!("{answer} {log}"));

    std::fs::remove_dir_all(office.world.root().join("agent")).expect("removed");
    office.proxied(&format!("me:{PASSWORD}@"));
    let agent = Agent::start(&office.world);
    let answer = agent.turn(&office.world);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("response.completed"), "{answer}");
    office.keeps_the_password(&agent.log(&office.world));
}
