//! k. The official client and ours share one `CODEX_HOME` for a long time: whatever they do in whatever order, no family
//! is revoked, both stay signed in, and our pool has the issuer's newest token of every account.
//!
//! The operations come from a seed; `CODEX_AUTH_LONG=1` makes 2,000 of them, otherwise 60. A failure prints the seed
//! and what was done so far in one line.

use std::io::Write as _;
use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::{Scene, Who, World};
use codex_auth_testkit::fingerprint;
use serde_json::json;

const ACCOUNTS: usize = 3;
const LIMIT: Duration = Duration::from_secs(90);
/// How many operations lie between two looks at the issuer's book.
const BETWEEN_LOOKS: usize = 20;

/// One thing that somebody does.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// A turn of the official client through us.
    Run,
    /// A turn of the official client by itself.
    Plain,
    /// Both at once, while the login's tokens are good.
    RunAndPlain,
    /// Two turns through us and our own look at every account, at once.
    Crowd,
    /// `codex login status`, by the official client itself.
    Status,
    Switch(usize),
    Check,
    /// The backend ends every access token of this account: whoever uses it next has to renew it.
    Age(usize),
    /// The same for whoever the official client is signed in as.
    AgeLogin,
}

/// What was done, told when something fails.
struct Story {
    seed: u64,
    done: Vec<Operation>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let line = format!("seed {}: {:?}\n", self.seed, self.done);
            // Nothing is left to do where nobody listens.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// Numbers that repeat: the same seed gives the same operations (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn account(&mut self) -> usize {
        usize::try_from(self.below(ACCOUNTS as u64)).expect("a small number") + 1
    }

    /// A turn costs a hundred times as much as anything else, so there are fewer of them.
    fn operation(&mut self) -> Operation {
        match self.below(100) {
            0..12 => Operation::Run,
            12..24 => Operation::Plain,
            24..28 => Operation::RunAndPlain,
            28..32 => Operation::Crowd,
            32..45 => Operation::Status,
            45..58 => Operation::Switch(self.account()),
            58..70 => Operation::Check,
            70..82 => Operation::Age(self.account()),
            _ => Operation::AgeLogin,
        }
    }
}

fn operations() -> usize {
    let is_long = std::env::var_os("CODEX_AUTH_LONG").is_some_and(|long| long == "1");
    if is_long { 2000 } else { 60 }
}

/// What is true while the operations go on.
struct Home {
    world: World,
    /// Whose login the official client has.
    login: usize,
    /// Whether the backend has ended the access token that stands in the login.
    is_aged: bool,
}

impl Home {
    fn act(&mut self, operation: Operation) {
        let world = &self.world;
        match operation {
            Operation::Run => {
                assert_eq!(world.start_run(&SAY_HI).wait(LIMIT).succeeds().stdout, ANSWER);
            }
            Operation::Plain => self.plain(),
            // A client that renews by itself takes no lock; beside one, nobody else may have to renew the same account.
            Operation::RunAndPlain if self.is_aged => self.plain(),
            Operation::RunAndPlain => {
                let both = [world.start_run(&SAY_HI), world.start_codex_direct(&SAY_HI)];
                for turn in both {
                    assert_eq!(turn.wait(LIMIT).succeeds().stdout, ANSWER);
                }
            }
            Operation::Crowd => {
                let turns = [world.start_run(&SAY_HI), world.start_run(&SAY_HI)];
                world.start_ours(&["check", "--json"]).wait(LIMIT).succeeds();
                for turn in turns {
                    assert_eq!(turn.wait(LIMIT).succeeds().stdout, ANSWER);
                }
            }
            Operation::Status => {
                world.codex_direct(&["login", "status"]).succeeds();
            }
            Operation::Switch(number) => {
                world.ours(&["switch", &number.to_string()]).succeeds();
                self.login = number;
                // The backend has ended more tokens than the one in the login before.
                self.is_aged = true;
            }
            Operation::Check => self.check(),
            Operation::Age(number) => {
                world.fake().rotate(Who::Account(number));
                self.is_aged |= number == self.login;
            }
            Operation::AgeLogin => {
                world.fake().rotate(Who::Account(self.login));
                self.is_aged = true;
            }
        }
    }

    fn plain(&mut self) {
        assert_eq!(self.world.start_codex_direct(&SAY_HI).wait(LIMIT).succeeds().stdout, ANSWER);
        self.is_aged = false;
    }

    /// Our own look at every account; it renews what the backend has ended.
    fn check(&mut self) {
        let done = self.world.start_ours(&["check", "--json"]).wait(LIMIT).succeeds();
        let told: serde_json::Value = serde_json::from_str(&done.stdout).expect("one document");
        assert_eq!(told["summary"]["available"], json!(ACCOUNTS), "{}", done.story());
        self.is_aged = false;
    }

    #[track_caller]
    fn nothing_was_reused(&self) {
        let upstream = self.world.upstream();
        let refreshes = upstream.refreshes();
        let verdicts: Vec<_> = refreshes.iter().filter_map(|exchange| exchange.refresh_verdict()).collect();
        assert!(verdicts.iter().all(|verdict| *verdict == "fresh"), "{verdicts:?}");
    }
}

#[test]
fn k_the_official_client_and_ours_share_one_home() {
    let seed = 20_261_127;
    let mut chance = Chance(seed);
    let mut story = Story { seed, done: Vec::new() };
    let world = World::of(&Scene::accounts(ACCOUNTS).login(Who::Account(1)));
    let mut home = Home { world, login: 1, is_aged: false };
    for count in 1..=operations() {
        let operation = chance.operation();
        story.done.push(operation);
        home.act(operation);
        if count % BETWEEN_LOOKS == 0 {
            home.nothing_was_reused();
        }
    }
    // Both are signed in, and nobody holds anything but the newest.
    home.check();
    home.plain();
    home.act(Operation::Status);
    home.check();
    home.nothing_was_reused();
    let world = home.world;
    let renewals = world.upstream().refreshes();
    let is_ours = |agent: &String| agent.starts_with("codex-multi-auth/");
    let theirs = renewals.only(|exchange| !exchange.headers.get("user-agent").is_some_and(is_ours)).count();
    let line = format!(
        "\nmixed: {} operations, {} renewals, {theirs} of them the official client's\n",
        operations(),
        renewals.count()
    );
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    assert!(renewals.count() - theirs > operations() / 20 && theirs > operations() / 50, "hardly anything was renewed");
    for number in 1..=ACCOUNTS {
        let known = world.fake().account(Who::Account(number));
        assert_eq!(known["revoked"], false, "account {number}");
        let held = world.account(number)["refreshToken"].as_str().map(fingerprint);
        assert_eq!(known["tokens"]["refresh"].as_str().map(str::to_owned), held, "account {number}");
    }
    world.close();
}
