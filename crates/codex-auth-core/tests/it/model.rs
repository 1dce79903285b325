//! The real keeper in two processes, an official client and an issuer that punishes reuse: every order of their steps,
//! with crashes, lost answers and busy locks anywhere, up to a stated number of each.
//!
//! A job's code is the same in every run, so what it has seen so far is where it stands. Two ways to the same state go
//! on alike, and the second is not walked again. `CODEX_AUTH_LONG=1` allows more of everything.

mod actors;
mod facts;
mod ports;
mod run;
mod world;

use std::{
    collections::{BTreeMap, HashSet},
    io::Write as _,
    sync::{Arc, Mutex},
};

use self::{
    facts::{Class, LIFE, Left},
    run::Run,
};
use crate::executor::Orders;

/// How the official client lives beside us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// It renews at the agent's door.
    Wrapped,
    /// It renews at the issuer, without a lock.
    Plain,
}

/// What is explored.
#[derive(Debug, Clone, Copy)]
struct Scene {
    client: Client,
    begins: i64,
    /// When time goes on, it goes to these moments; the first pair ends at `LIFE`.
    moments: &'static [i64],
    /// How long before the end we renew.
    ahead: i64,
    /// How often everybody looks whether something is to be renewed.
    rounds: usize,
    left: Left,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    states: usize,
    /// Ends, all different.
    ends: usize,
    /// Ends before which the plain client's login was renewed ahead of its own window.
    in_time: usize,
    /// Ends with a revoked family.
    revoked: usize,
    /// Most steps to an end: nobody waits longer.
    longest: usize,
    /// Ends by what was possible on the way.
    classes: BTreeMap<Class, usize>,
}

impl Found {
    fn classes(&self) -> Vec<Class> {
        self.classes.keys().copied().collect()
    }
}

fn explore(name: &str, scene: Scene) -> Found {
    let orders = Arc::new(Mutex::new(Orders::default()));
    let (mut known, mut found) = (HashSet::new(), Found::default());
    loop {
        let mut run = Run::new(scene, Arc::clone(&orders));
        if let Some(steps) = run.walk(&orders, &mut known) {
            run.judge(&orders, &mut found);
            found.ends += 1;
            found.longest = found.longest.max(steps);
        }
        if !orders.lock().unwrap().next() {
            found.states = known.len();
            let line = format!("\nmodel: {name}, {:?}, {} rounds: {found:?}\n", scene.left, scene.rounds);
            std::io::stdout().write_all(line.as_bytes()).unwrap();
            return found;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how far to look is said from outside, as for every long test")]
fn is_long() -> bool {
    std::env::var_os("CODEX_AUTH_LONG").is_some_and(|value| value == "1")
}

const NONE: Left = Left { crashes: 0, losses: 0, busy: 0 };

#[test]
fn behind_the_wrapper_no_token_is_spent_twice_and_nothing_is_lost_untold() {
    let (rounds, left) = if is_long() {
        (1, Left { crashes: 2, losses: 2, busy: 1 })
    } else {
        (1, Left { crashes: 1, losses: 1, busy: 1 })
    };
    let scene = Scene { client: Client::Wrapped, begins: LIFE - 200, moments: &[LIFE + 1], ahead: 300, rounds, left };
    let found = explore("wrapped", scene);
    assert_eq!(found.revoked, 0);
    // What cannot be prevented is met, so it is judged, too.
    assert_eq!(found.classes(), [Class::AnswerLost, Class::PerhapsSent, Class::NeverSent]);
}

#[test]
fn without_misfortune_nothing_is_lost_behind_the_wrapper() {
    let scene =
        Scene { client: Client::Wrapped, begins: LIFE - 200, moments: &[LIFE + 1], ahead: 300, rounds: 2, left: NONE };
    let found = explore("wrapped and calm", scene);
    assert_eq!((found.revoked, found.classes()), (0, Vec::new()));
}

/// The client's login, which we renew five minutes before the client would.
const LINEAGE: Scene =
    Scene { client: Client::Plain, begins: LIFE - 600, moments: &[LIFE - 290], ahead: 600, rounds: 1, left: NONE };

#[test]
fn beside_a_plain_client_only_a_renewal_that_comes_too_late_can_meet_the_clients_own() {
    // That the client presents nothing after a renewal in time is a rule of every world.
    let found = explore("plain and calm", LINEAGE);
    assert_eq!(found.classes(), [Class::WhileWeRenew, Class::WhileTheyRenew]);
    assert!(found.in_time > 0 && found.revoked < found.ends, "{found:?}");
}

#[test]
fn beside_a_plain_client_every_way_to_a_second_presentation_has_a_name() {
    use Class::{
        AfterOurLoss, AfterTheirLoss, AnswerLost, HandOverMissed, NeverSent, PerhapsSent, TheyRepeat, WhileTheyRenew,
        WhileWeRenew,
    };
    let one = [
        (
            Left { crashes: 1, ..NONE },
            vec![AnswerLost, NeverSent, WhileWeRenew, WhileTheyRenew, AfterOurLoss, AfterTheirLoss, HandOverMissed],
        ),
        (
            Left { losses: 1, ..NONE },
            vec![AnswerLost, PerhapsSent, WhileWeRenew, WhileTheyRenew, AfterOurLoss, AfterTheirLoss],
        ),
        (Left { busy: 1, ..NONE }, vec![WhileWeRenew, WhileTheyRenew, HandOverMissed]),
    ];
    for (left, classes) in one {
        assert_eq!(explore("plain", Scene { left, ..LINEAGE }).classes(), classes, "{left:?}");
    }
    if is_long() {
        let pairs = [
            (1, Left { crashes: 1, losses: 1, busy: 0 }),
            (1, Left { crashes: 1, losses: 0, busy: 1 }),
            (1, Left { crashes: 0, losses: 1, busy: 1 }),
            (2, Left { crashes: 0, losses: 1, busy: 0 }),
            (2, Left { crashes: 0, losses: 0, busy: 1 }),
            (2, Left { crashes: 1, losses: 0, busy: 0 }),
        ];
        let found = pairs.map(|(rounds, left)| explore("plain", Scene { rounds, left, ..LINEAGE }));
        assert!(found.iter().any(|found| found.classes.contains_key(&TheyRepeat)), "{found:?}");
    }
}
