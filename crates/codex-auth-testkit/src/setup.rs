//! Owns what a fake is told before it starts, and the defaults of everything it is not told.

use camino::Utf8PathBuf;

use crate::clock::ClockKind;

/// What a fake is like before its first request. `Setup::default()` is three healthy accounts on any free port.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Port on `127.0.0.1` and, where it exists, `[::1]`; 0 takes any free one.
    pub port: u16,
    /// How many accounts the pool has; numbered from 1.
    pub accounts: usize,
    /// Numbers of accounts whose quota is used up from the start.
    pub exhausted: Vec<usize>,
    /// Whether the pool account that is asked first for a turn turns out to be used up at that moment.
    pub first_asked_is_exhausted: bool,
    /// Which time the fake goes by.
    pub clock: ClockKind,
    /// Where every request is written as JSON lines; the file starts empty.
    pub log_file: Option<Utf8PathBuf>,
    /// Lifetimes and shapes of what the issuer hands out.
    pub tokens: TokenSetup,
    /// Who the people are beyond their number.
    pub people: PeopleSetup,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            port: 0,
            accounts: 3,
            exhausted: Vec::new(),
            first_asked_is_exhausted: false,
            clock: ClockKind::default(),
            log_file: None,
            tokens: TokenSetup::default(),
            people: PeopleSetup::default(),
        }
    }
}

/// Lifetimes of tokens and the pace of the device flow.
#[derive(Clone, Debug)]
pub struct TokenSetup {
    /// Seconds from minting to the `exp` of an access token.
    pub access_lifetime_secs: u64,
    /// `expires_in` as the token endpoint states it; none = the true lifetime.
    pub stated_expires_in: Option<u64>,
    /// Makes two fakes mint the same tokens; none = every fake mints its own.
    pub seed: Option<u64>,
    /// `interval` of a device code, in seconds; sent as text, as the vendor does.
    pub device_interval_secs: u64,
    /// How many polls of a device code are answered "not yet" before somebody signs in; none = until told.
    pub device_pending_polls: Option<u32>,
    /// `expires_in` of a device code, in seconds; afterwards every poll hears `expired_token`. None = it is not stated
    /// and the code does not end.
    pub device_expires_in_secs: Option<u64>,
    /// Whether the code a person types is called `usercode`, as some servers do.
    pub device_code_alias: bool,
}

impl Default for TokenSetup {
    fn default() -> Self {
        Self {
            access_lifetime_secs: 24 * 60 * 60,
            stated_expires_in: None,
            seed: None,
            device_interval_secs: 1,
            device_pending_polls: Some(1),
            device_expires_in_secs: None,
            device_code_alias: false,
        }
    }
}

/// Who the people are beyond their number.
#[derive(Clone, Debug, Default)]
pub struct PeopleSetup {
    /// Plans of single accounts; all others are on `plus`.
    pub plans: Vec<(usize, String)>,
    /// Pairs `(a, b)`: account `b` is another workspace of the person behind account `a`.
    pub same_person: Vec<(usize, usize)>,
    /// By how many per cent a served turn raises the shorter window; at 100 the account is used up.
    pub percent_per_turn: f64,
}
