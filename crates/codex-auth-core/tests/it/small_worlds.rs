//! Every state of up to four accounts, judged one by one: whatever the accounts, the user's standards and the request
//! are like, the decision keeps its laws.
//!
//! What is left out, and why that loses nothing:
//! - Accounts are named by their place. Names are compared and never ordered, so other names decide alike.
//! - Up to two accounts stand for every kind of ailment, weather and binding. There it is seen that an account's
//!   blockers depend on that account, the request and the pin alone (the judge says them by hand, account by account).
//!   Three and four accounts therefore stand for one kind of each sort only, in fair weather, and a pin is set by one
//!   binding in turn: what is left to see there is the choice among them.
//!
//! `CODEX_AUTH_LONG=1` leaves out less: three accounts of every kind, and four of every sort.

mod judge;
mod kinds;

use std::{fmt, io::Write as _, sync::LazyLock};

use codex_auth_core::{Binding, Reason, Strategy};

use judge::{Weather, World};
use kinds::{Kind, Made};

/// The largest pool, and the place of an account that is in none.
const MOST: usize = 4;

/// Every kind at every place, made once.
static MADE: LazyLock<Vec<Vec<Made>>> =
    LazyLock::new(|| (0..=MOST).map(|place| Kind::ALL.iter().map(|kind| Made::of(*kind, place)).collect()).collect());

fn made(kind: Kind, place: usize) -> &'static Made {
    &MADE[place][kind as usize]
}

/// What was seen, so that a search in which nothing happens is noticed.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    states: u64,
    refusals: u64,
    pinned: u64,
    kept: u64,
    /// The session's account could not serve, and another did.
    moved: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, refusals, pinned, kept, moved } = self;
        write!(out, "{states} states: {refusals} refusals, {pinned} pinned, {kept} kept, {moved} moved")
    }
}

/// Which worlds of one size are looked at.
struct Extent<'a> {
    accounts: usize,
    kinds: &'a [Kind],
    weathers: &'a [Weather],
    bindings: &'a [Binding],
    /// Whether the selected account varies apart from the session's.
    is_selection_apart: bool,
}

const BINDINGS: [Binding; 3] = [Binding::Switch, Binding::Run, Binding::Project];

impl Extent<'_> {
    fn walk(&self) -> Seen {
        let mut seen = Seen::default();
        let pools = self.kinds.len().pow(u32::try_from(self.accounts).expect("few"));
        for pool in 0..pools {
            let kinds: Vec<Kind> = (0..self.accounts)
                .scan(pool, |rest, _| {
                    let kind = self.kinds[*rest % self.kinds.len()];
                    *rest /= self.kinds.len();
                    Some(kind)
                })
                .collect();
            self.walk_pool(&kinds, &mut seen);
        }
        let line = format!("\nsmall worlds: {} accounts of {} kinds, {seen}\n", self.accounts, self.kinds.len());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        seen
    }

    fn walk_pool(&self, kinds: &[Kind], seen: &mut Seen) {
        let nobody_or_any = || std::iter::once(None).chain((0..=self.accounts).map(Some));
        for (&strategy, &weather) in Strategy::ALL.iter().flat_map(|s| self.weathers.iter().map(move |w| (s, w))) {
            for pin in nobody_or_any() {
                let bindings = if pin.is_some() { self.bindings } else { &self.bindings[..1] };
                for (bound, &by) in nobody_or_any().flat_map(|bound| bindings.iter().map(move |by| (bound, by))) {
                    for active in nobody_or_any().filter(|active| self.is_selection_apart || *active == bound) {
                        let kinds = kinds.to_vec();
                        see(&World { kinds, strategy, pin, by, bound, active, weather }, seen);
                    }
                }
            }
        }
    }
}

fn see(world: &World, seen: &mut Seen) {
    let decision = world.judge().unwrap_or_else(|broken| panic!("{broken}"));
    seen.states += 1;
    match decision.choice.map(|(_, reason)| reason) {
        None => seen.refusals += 1,
        Some(Reason::Pinned) => seen.pinned += 1,
        Some(Reason::SameSession) => seen.kept += 1,
        Some(_) if world.bound.is_some_and(|bound| bound < world.kinds.len()) => seen.moved += 1,
        Some(_) => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "how far to look is said from outside, as for every long test")]
fn is_long() -> bool {
    std::env::var_os("CODEX_AUTH_LONG").is_some_and(|value| value == "1")
}

const FAIR: [Weather; 1] = [Weather::Fair];
const FAIR_AND_DENIED: [Weather; 2] = [Weather::Fair, Weather::DeniedInBurst];

#[track_caller]
fn check(extent: &Extent<'_>) {
    let seen = extent.walk();
    assert!(seen.states > 0 && seen.refusals > 0);
    if extent.accounts > 1 {
        assert!(seen.pinned > 0 && seen.kept > 0 && seen.moved > 0, "{seen}");
    }
}

#[test]
fn alone_an_account_serves_unless_something_that_ends_keeps_it() {
    for accounts in [0, 1] {
        let (kinds, weathers, bindings) = (&Kind::ALL, &Weather::ALL, &BINDINGS);
        check(&Extent { accounts, kinds, weathers, bindings, is_selection_apart: true });
    }
}

#[test]
fn of_two_accounts_of_every_kind_one_serves_where_one_can() {
    let (weathers, bindings): (&[_], &[_]) =
        if is_long() { (&Weather::ALL, &BINDINGS) } else { (&FAIR_AND_DENIED, &BINDINGS[..1]) };
    check(&Extent { accounts: 2, kinds: &Kind::ALL, weathers, bindings, is_selection_apart: is_long() });
}

#[test]
fn of_three_accounts_of_every_sort_one_serves_where_one_can() {
    let kinds: &[_] = if is_long() { &Kind::ALL } else { &Kind::SORTS };
    let bindings = &BINDINGS[1..2];
    check(&Extent { accounts: 3, kinds, weathers: &FAIR, bindings, is_selection_apart: is_long() });
}

#[test]
fn of_four_accounts_one_serves_where_one_can() {
    let kinds: &[_] = if is_long() { &Kind::SORTS } else { &Kind::FEW };
    let bindings = &BINDINGS[2..];
    check(&Extent { accounts: 4, kinds, weathers: &FAIR, bindings, is_selection_apart: is_long() });
}
