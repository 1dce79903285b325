//! An incident of an account: renewals that did not help, and no success between them. Two presentations are the most
//! it may cost, then there is one clear word.
//!
//! It is kept with the account, because an agent lives no longer than its clients: counted in memory alone, a script
//! that runs a client again and again would present a token each time and never come to an end.

use std::time::Duration;

use crate::{Renewed, Timestamp};

/// Renewals in vain that an incident may cost.
pub const IN_VAIN: u64 = 2;

/// Code of an account whose tokens the backend refuses although the issuer grants them anew.
pub const UNAUTHORIZED_AFTER_REFRESH: &str = "unauthorized_after_refresh";

/// How long no token is presented that the issuer declined twice. A policy or a region changes in hours, not seconds;
/// the account itself is sound, so it comes back without a sign-in.
pub const DECLINED_REST: Duration = Duration::from_hours(1);

/// Renewals in vain since the last success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// What the last one came to.
    pub what: Vain,
    /// How many there were.
    pub times: u64,
    /// Generation of the credential that the last one was about: what several requests tell of one token counts once.
    pub generation: u64,
    /// When the last one was.
    pub at: Timestamp,
}

/// What one request has had renewed of an account whose token was refused: a pair that was taken over from somebody else
/// may have grown old too and is renewed once itself; one that was bought for the request is as good as it gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    renewals: u64,
    presented: bool,
}

impl Recovery {
    /// Notes that the account has another pair now.
    pub fn came_to(&mut self, renewed: &Renewed) {
        self.renewals += 1;
        self.presented |= renewed.presented;
    }

    /// Whether another refusal is in vain: then nothing more is renewed for this request.
    pub fn is_over(self) -> bool {
        self.presented || self.renewals >= IN_VAIN
    }
}

/// How a renewal can be in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vain {
    /// The issuer granted a token, and the backend refused it like the one before.
    Unauthorized,
    /// The issuer granted nothing and said nothing against the token.
    Declined {
        /// Its code.
        code: String,
    },
}

impl Incident {
    /// The backend refused a token of this generation right after it was granted; `None` where that is counted already.
    pub fn refused_again(known: Option<&Self>, generation: u64, now: Timestamp) -> Option<Self> {
        let is_counted = known.is_some_and(|known| known.what == Vain::Unauthorized && known.generation >= generation);
        (!is_counted).then(|| Self::grown(known, Vain::Unauthorized, generation, now))
    }

    /// The issuer declined to renew the credential of this generation.
    #[must_use]
    pub fn declined(known: Option<&Self>, code: &str, generation: u64, now: Timestamp) -> Self {
        Self::grown(known, Vain::Declined { code: code.to_owned() }, generation, now)
    }

    fn grown(known: Option<&Self>, what: Vain, generation: u64, now: Timestamp) -> Self {
        let before = known.map_or(0, |known| known.times);
        Self { what, times: before.saturating_add(1), generation, at: now }
    }

    /// The code to mark the account with, once only a new sign-in can help.
    pub fn needs_login(&self) -> Option<&'static str> {
        match self.what {
            Vain::Unauthorized => (self.times >= IN_VAIN).then_some(UNAUTHORIZED_AFTER_REFRESH),
            Vain::Declined { .. } => None,
        }
    }

    /// The issuer's code, and until when no token of the account is presented because of it.
    pub fn pause(&self, now: Timestamp) -> Option<(&str, Timestamp)> {
        let Vain::Declined { code } = &self.what else { return None };
        let until = self.at.after(DECLINED_REST);
        // One from further ahead than it lasts was noted by a clock that has been set back since.
        let holds = self.times >= IN_VAIN && now < until && self.at <= now.after(DECLINED_REST);
        holds.then_some((code.as_str(), until))
    }

    /// Whether a granted renewal ends it. What the backend thinks of the token is only known when it was asked.
    pub fn ends_with_a_grant(&self) -> bool {
        match self.what {
            Vain::Unauthorized => false,
            Vain::Declined { .. } => true,
        }
    }

    /// Whether an answer ends it that the backend gave to a token of this generation. One that was asked before the
    /// renewals proves nothing about them.
    pub fn ends_with_an_answer(&self, generation: u64) -> bool {
        match self.what {
            Vain::Unauthorized => generation >= self.generation,
            Vain::Declined { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AccessToken, Held, Outcome, Query, RefreshToken, RestPolicy, Rotation, SavedPool, Strategy,
        testing::{account, held, pool},
    };

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_pair_that_was_taken_over_is_renewed_once_and_one_that_was_bought_is_not() {
        let came_to = |presented: &[bool]| {
            let mut recovery = Recovery::default();
            for presented in presented {
                recovery.came_to(&Renewed { held: held(1), presented: *presented });
            }
            recovery.is_over()
        };
        assert!(!came_to(&[]), "nothing was renewed yet");
        assert!(!came_to(&[false]), "it may have grown old as well");
        assert!(came_to(&[true]), "it was bought a moment ago");
        assert!(came_to(&[false, true]), "taken over, then bought");
        assert!(came_to(&[false, false]), "pairs of others are no reason to go on for ever");
    }

    /// What happens to account 1.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// A token is granted; then several requests ask with it and are refused.
        RefusedAgain,
        /// One more request hears that the token it has is refused.
        Echo,
        /// The token it has is accepted.
        Served,
        /// A stream ends well that was begun with the first token.
        OldStreamEnds,
        /// A new token is there.
        Granted,
        /// The files are read again.
        Read,
        /// The agent ends and another one begins.
        Restarted,
        /// The user signs in.
        SignedIn,
    }
    use Event::{Echo, Granted, OldStreamEnds, Read, RefusedAgain, Restarted, Served, SignedIn};

    /// The rotation, and the disk beside it.
    struct World {
        disk: SavedPool,
        rotation: Rotation,
    }

    fn agent(disk: &SavedPool) -> Rotation {
        Rotation::new(disk.clone(), Strategy::Sequential, RestPolicy::default())
    }

    impl World {
        fn grant(&mut self) {
            let held = &mut self.disk.accounts[0];
            let generation = held.credential.generation + 1;
            held.credential.access = Some(AccessToken::new(format!("access-{generation}")));
            held.credential.refresh = RefreshToken::new(format!("refresh-{generation}"));
            held.credential.generation = generation;
            self.rotation.renewed(&held.clone());
        }

        fn answer(&mut self, worn: Option<&Held>, outcome: &Outcome) {
            // Rests are waited for.
            self.rotation.adopt(rested(self.rotation.pool()), Strategy::Sequential, NOW.after(DECLINED_REST));
            let query = Query { only: Some(account(1).record), ..Query::default() };
            let Ok(mut lease) = self.rotation.acquire(&query, NOW.after(DECLINED_REST)) else { return };
            if let Some(worn) = worn {
                lease.held = worn.clone();
            }
            let settled = self.rotation.settle(lease, outcome, true, NOW);
            if let Some((edit, lesson)) = settled.edit {
                edit(&mut self.disk);
                self.rotation.kept(lesson);
            }
        }
    }

    fn rested(mut pool: SavedPool) -> SavedPool {
        pool.accounts[0].account.rests.clear();
        pool
    }

    #[track_caller]
    fn check(events: &[Event], expect: bool) {
        let disk = pool(2);
        let first = disk.accounts[0].clone();
        let mut world = World { rotation: agent(&disk), disk };
        for event in events {
            match event {
                RefusedAgain => {
                    world.grant();
                    world.answer(None, &Outcome::Unauthorized);
                    world.answer(None, &Outcome::Unauthorized);
                }
                Echo => world.answer(None, &Outcome::Unauthorized),
                Served => world.answer(None, &Outcome::Served),
                OldStreamEnds => world.answer(Some(&first), &Outcome::Served),
                Granted => world.grant(),
                Read => {
                    world.rotation.reading();
                    world.rotation.adopt(world.disk.clone(), Strategy::Sequential, NOW);
                }
                Restarted => world.rotation = agent(&world.disk),
                SignedIn => {
                    world.disk.accounts[0].account.incident = None;
                    world.disk.accounts[0].account.needs_login = None;
                    world.grant();
                    world.rotation = agent(&world.disk);
                }
            }
        }
        let mark = |pool: &SavedPool, n: usize| pool.accounts[n].account.needs_login.clone().map(|needs| needs.code);
        let expect = expect.then(|| UNAUTHORIZED_AFTER_REFRESH.to_owned());
        assert_eq!(mark(&world.rotation.pool(), 0), expect, "{events:?}");
        assert_eq!(mark(&world.disk, 0), expect, "{events:?}, on disk");
        assert_eq!(mark(&world.disk, 1), None, "{events:?}: nobody else");
    }

    #[test]
    fn two_renewals_in_vain_end_in_one_mark() {
        check(&[RefusedAgain], false);
        check(&[RefusedAgain, RefusedAgain], true);
        check(&[RefusedAgain, Read, RefusedAgain], true);
        check(&[RefusedAgain, Restarted, RefusedAgain], true);
    }

    #[test]
    fn what_several_requests_tell_of_one_token_counts_once() {
        check(&[RefusedAgain, Echo, Echo, Echo], false);
        check(&[RefusedAgain, Restarted, Echo, Read, Echo], false);
    }

    #[test]
    fn a_success_and_a_sign_in_end_it() {
        check(&[RefusedAgain, Served, RefusedAgain], false);
        check(&[RefusedAgain, Granted, Served, RefusedAgain], false);
        check(&[RefusedAgain, Served, Restarted, RefusedAgain], false);
        check(&[RefusedAgain, Served, RefusedAgain, RefusedAgain], true);
        check(&[RefusedAgain, SignedIn, RefusedAgain], false);
        check(&[RefusedAgain, RefusedAgain, SignedIn], false);
    }

    #[test]
    fn a_grant_alone_and_a_stream_from_before_do_not() {
        check(&[RefusedAgain, Granted, RefusedAgain], true);
        check(&[RefusedAgain, OldStreamEnds, RefusedAgain], true);
    }

    /// Whether a token is held back so many seconds after it was declined so often.
    #[track_caller]
    fn paused(times: u64, secs: i64, expect: bool) {
        let mut known = None;
        for _ in 0..times {
            known = Some(Incident::declined(known.as_ref(), "region", 3, NOW));
        }
        let asked_at = Timestamp::from_millis(NOW.as_millis() + secs * 1000);
        let until = expect.then(|| ("region", NOW.after(DECLINED_REST)));
        assert_eq!(known.as_ref().and_then(|known| known.pause(asked_at)), until, "{times} times, {secs} s later");
        assert_eq!(known.and_then(|known| known.needs_login()), None, "it is never marked");
    }

    #[test]
    fn what_is_declined_twice_is_not_presented_for_an_hour() {
        paused(0, 0, false);
        paused(1, 0, false);
        paused(2, 0, true);
        paused(2, 3599, true);
        paused(2, 3600, false);
        paused(3, 3599, true);
        paused(2, -7200, false);
    }
}
