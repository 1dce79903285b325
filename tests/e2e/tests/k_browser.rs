//! Sign-ins completed in Chromium, and the page at each of their ends: what it says, to whom, and in which colours.
//!
//! `docs/shots/sign-in-<end>.txt` holds what each page says, with a picture of both schemes beside it. The text is
//! compared; with `CODEX_AUTH_SHOTS` set, text and pictures are written anew.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use codex_auth_e2e::browser::{Browser, Desk, Page, Scheme};
use codex_auth_e2e::{Finished, Running, Scene, Who, World};
use codex_auth_testkit::{Act, Fault, Route, SignIn};

const LIMIT: Duration = Duration::from_secs(20);

/// WCAG 2.2, 1.4.3: the least contrast of letters of ordinary size.
const AA: f64 = 4.5;

/// A person at a desk, with a world whose sign-ins are theirs.
struct Person {
    world: World,
    desk: Desk,
    browser: Browser,
}

impl Person {
    fn arrives() -> Self {
        let world = World::of(&Scene::accounts(1));
        let (desk, browser) = (Desk::of(&world), Browser::open(&world));
        Self { world, desk, browser }
    }

    /// Starts a sign-in and returns it with the address the program opens.
    fn starts(&self) -> (Running, String) {
        let mut command = self.world.our_command();
        command.arg("login");
        self.desk.seat(&mut command);
        let login = self.world.start(command, b"");
        let address = self.desk.address();
        (login, address)
    }

    /// Reads the question of the sign-in page and agrees.
    fn agrees(&self, address: &str) {
        self.browser.go(address);
        self.browser.click("button");
        self.browser.await_true("location.pathname === '/auth/callback' && document.readyState === 'complete'");
    }

    /// A sign-in from its first word to its end, with a look at its page.
    fn signs_in(&self, end: &str) -> Finished {
        let (login, address) = self.starts();
        self.agrees(&address);
        check(&self.browser, end);
        login.wait(LIMIT)
    }

    /// Goes home: the browser fetched nothing from anybody else, and forbade our pages nothing.
    fn leaves(self) {
        let Self { world, browser, .. } = self;
        let fetched = browser.fetched();
        assert!(fetched.iter().any(|url| url.contains("/auth/callback?")), "the watch saw nothing: {fetched:?}");
        let stranger = |url: &&String| !url.starts_with("http://127.0.0.1:");
        assert_eq!(fetched.iter().find(stranger), None, "a page asked somebody else");
        assert_eq!(browser.complaints(), Vec::<String>::new());
        drop(browser);
        assert_eq!(world.fake().egress(), Vec::<String>::new());
        world.close();
    }
}

/// Where the call-back listens, by the address of the sign-in.
fn callback_of(address: &str) -> String {
    let (_, rest) = address.split_once("redirect_uri=http%3A%2F%2F127.0.0.1%3A").expect("a redirect to loopback");
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    format!("http://127.0.0.1:{port}")
}

/// Checks everything about the page that stands, and that its text is the kept one.
#[track_caller]
fn check(browser: &Browser, end: &str) {
    let page = browser.page();
    assert_eq!(page.headings.len(), 1, "{page:?}");
    assert!(page.title.starts_with(&page.headings[0]) && page.title.ends_with("codex-multi-auth"), "{page:?}");
    assert_eq!(page.language, "en", "{page:?}");
    assert_eq!((page.reached, page.leading_elsewhere, page.scrolls_sideways), (0, 0, false), "{page:?}");
    for told in [format!("RootWebArea: {}", page.title), "main".to_owned(), format!("heading: {}", page.headings[0])] {
        assert!(page.spoken.contains(&told), "a screen reader is not told `{told}`: {page:?}");
    }
    for scheme in Scheme::ALL {
        let looks = browser.look(scheme);
        assert!(looks.contrast >= AA, "{end}, {}: contrast {:.2}", scheme.name(), looks.contrast);
        assert_eq!(looks.ground > 0.5, scheme == Scheme::Light, "{end}, {}: {:.2}", scheme.name(), looks.ground);
        if writes_anew() {
            fs::write(kept(&format!("{end}-{}.png", scheme.name())), &looks.picture).unwrap();
        }
    }
    let (file, text) = (kept(&format!("{end}.txt")), told(&page));
    if writes_anew() {
        fs::write(&file, &text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "the page has changed; with CODEX_AUTH_SHOTS=1 this test takes its pictures anew");
    for scheme in Scheme::ALL {
        let picture = kept(&format!("{end}-{}.png", scheme.name()));
        assert!(picture.is_file(), "{} is missing; CODEX_AUTH_SHOTS=1 takes it", picture.display());
    }
}

fn told(page: &Page) -> String {
    format!("{}\n\n{}\n\nA screen reader is told:\n{}\n", page.title, page.text, page.spoken.join("\n"))
}

fn writes_anew() -> bool {
    std::env::var_os("CODEX_AUTH_SHOTS").is_some()
}

fn kept(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/shots")).join(format!("sign-in-{name}"))
}

#[test]
fn browser_a_person_signs_in_and_reads_that_it_worked() {
    let person = Person::arrives();
    person.world.fake().next_login(&SignIn::of(Who::Account(7)));
    let done = person.signs_in("success").succeeds();
    assert!(done.stderr.contains("Browser opened."), "{}", done.story());
    let pool = person.world.pool();
    assert_eq!(pool["accounts"].as_array().map(Vec::len), Some(2), "{}", done.story());
    assert_eq!(pool["accounts"][1]["email"], "person7@example.test", "{}", done.story());
    person.leaves();
}

#[test]
fn browser_a_sign_in_that_was_refused_says_why_and_changes_nothing() {
    let person = Person::arrives();
    let before = person.world.pool();
    let refused = |error: &str, why: Option<&str>| {
        person.world.fake().next_login(&SignIn::refused(error, why));
    };
    refused("access_denied", None);
    person.signs_in("refused").fails();
    refused("access_denied", Some("missing_codex_entitlement"));
    person.signs_in("not-entitled").fails();
    let body = serde_json::json!({ "error": "invalid_grant" });
    let answer = Act::Answer { status: 400, headers: std::collections::BTreeMap::new(), body };
    person.world.fake().fault(&Fault::once(Route::Token, answer));
    person.signs_in("failed").fails();
    assert_eq!(person.world.pool(), before);
    person.leaves();
}

#[test]
fn browser_a_page_of_another_sign_in_ends_nothing_and_a_cancelled_one_ends() {
    let person = Person::arrives();
    let (login, address) = person.starts();
    let callback = callback_of(&address);
    person.browser.go(&format!("{callback}/auth/callback?code=ac_other&state=another"));
    check(&person.browser, "another");
    person.browser.go(&format!("{callback}/nowhere"));
    check(&person.browser, "nowhere");
    person.browser.go(&format!("{callback}/cancel"));
    check(&person.browser, "cancelled");
    // A sign-in that gives way has not failed.
    let done = login.wait(LIMIT).succeeds();
    assert_eq!(done.stdout, "Cancelled.\n", "{}", done.story());
    person.leaves();
}
