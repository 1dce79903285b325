//! One way through the model: the jobs, who may die, and the judgement at its end.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex},
};

use codex_auth_core::ANSWER_LOST;

use super::{
    Client, Found, Scene, actors,
    facts::{Asked, CLIENTS_WINDOW, Class, Disk, Fate, Issuer, LIFE, Left, Pair, State, Who},
    ports::Process,
    world::World,
};
use crate::executor::{Jobs, Orders};

/// A world and its jobs.
pub(super) struct Run {
    world: World,
    jobs: Jobs,
    whose: BTreeMap<usize, Who>,
    scene: Scene,
}

impl Run {
    pub(super) fn new(scene: Scene, orders: Arc<Mutex<Orders>>) -> Self {
        let first = Pair { number: 0, ends: LIFE };
        let disk = Disk { stored: first, generation: 0, needs_login: None, intent: None, claimed: None, login: first };
        let state = State {
            now: scene.begins,
            ticks: 0,
            disk,
            issuer: Issuer { tokens: vec![(0, false)], revoked: BTreeSet::new(), shown: Vec::new() },
            left: scene.left,
            is_client_alive: true,
            asked: BTreeMap::new(),
            handing: None,
            classes: BTreeSet::new(),
            was_late: first.ends_within(CLIENTS_WINDOW, scene.begins),
            broken: None,
        };
        let mut run = Self { world: World::new(state, orders), jobs: Jobs::default(), whose: BTreeMap::new(), scene };
        run.begin(Who::Agent);
        run.begin(Who::Other);
        run.begin(Who::Client);
        run
    }

    fn begin(&mut self, who: Who) {
        let (world, rounds) = (self.world.clone(), self.scene.rounds);
        match (who, self.scene.client) {
            // Behind the wrapper the agent renews what its door is asked for.
            (Who::Agent, Client::Wrapped) => {}
            (Who::Agent | Who::Other, _) => {
                let process = Process { world: world.clone(), who };
                world.spawn(who, actors::keeper(process, self.scene.ahead, rounds));
            }
            (Who::Client, Client::Wrapped) => world.spawn(who, actors::wrapped(world.clone(), rounds)),
            (Who::Client, Client::Plain) => world.spawn(who, actors::plain(world.clone(), rounds)),
        }
        self.take_in();
    }

    fn take_in(&mut self) {
        for (who, job) in self.world.born() {
            let name = self.jobs.give(job);
            self.whose.insert(name, who);
            self.world.runs(name);
            self.world.note(&who);
        }
    }

    fn step(&mut self, job: usize) {
        self.world.runs(job);
        self.jobs.step(job);
        if !self.jobs.is_open(job) {
            self.forget(job);
        }
        self.take_in();
    }

    fn forget(&mut self, job: usize) {
        self.world.forget(job);
        if self.whose.remove(&job) == Some(Who::Client) {
            self.world.with(|state| state.is_client_alive = false);
        }
    }

    /// A process ends where it stands, and what it held is free. One of ours is started again.
    fn crash(&mut self, who: Who) {
        let gone: Vec<usize> = self.whose.iter().filter(|(_, whose)| **whose == who).map(|(job, _)| *job).collect();
        for job in gone {
            self.world.runs(job);
            self.world.tell("dies");
            self.jobs.kill(job);
            self.forget(job);
        }
        self.world.with(|state| {
            state.left.crashes -= 1;
            state.handing = None;
            if who == Who::Agent {
                let open = state.asked.values_mut().filter(|asked| **asked == Asked::Open);
                open.for_each(|asked| *asked = Asked::Answered(None));
            }
        });
        self.world.wake_all();
        if who != Who::Client {
            self.begin(who);
        }
    }

    fn mortals(&self) -> Vec<Who> {
        let may_crash = self.world.with(|state| state.left.crashes > 0);
        let is_mortal = |who: &Who| *who != Who::Client || self.scene.client == Client::Plain;
        let who: BTreeSet<Who> = self.whose.values().copied().filter(is_mortal).collect();
        if may_crash { who.into_iter().collect() } else { Vec::new() }
    }

    fn ready(&self) -> Vec<usize> {
        let mut ready = self.jobs.ready();
        ready.retain(|job| self.world.would_go_on(*job));
        ready
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.world.with(|state| state.hash(&mut hasher));
        let ready = self.ready();
        for (job, who) in &self.whose {
            (who, self.world.stand(*job), ready.contains(job)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Goes on until everybody is done (the steps taken) or the state is known (`None`).
    pub(super) fn walk(&mut self, orders: &Mutex<Orders>, known: &mut HashSet<u64>) -> Option<usize> {
        let mut steps = 0;
        loop {
            self.demand(orders);
            let is_new = orders.lock().unwrap().is_new();
            if is_new && !known.insert(self.digest()) {
                return None;
            }
            if self.jobs.is_empty() {
                return Some(steps);
            }
            let (mut ready, mut mortals) = (self.ready(), self.mortals());
            let mut may_tick = self.world.with(|state| state.ticks < self.scene.moments.len());
            if let Some(job) = self.world.by_itself() {
                ready = vec![job];
                mortals.retain(|who| self.whose.get(&job) == Some(who));
                may_tick = false;
            }
            assert!(!ready.is_empty(), "somebody waits for nobody\n{}", self.world.story());
            let chosen = self.world.choose(ready.len() + mortals.len() + usize::from(may_tick));
            steps += 1;
            if let Some(job) = ready.get(chosen) {
                self.step(*job);
            } else if let Some(who) = mortals.get(chosen - ready.len()) {
                self.crash(*who);
            } else {
                self.world.tell("time goes on");
                self.world.with(|state| state.tick(self.scene.moments));
            }
        }
    }

    #[track_caller]
    fn demand(&self, orders: &Mutex<Orders>) {
        if let Some(why) = self.world.with(|state| state.broken.clone()) {
            let line = orders.lock().unwrap().line();
            panic!("{why}\n{:?}\n{}\nchoices: {line}", self.scene, self.world.story());
        }
    }

    /// Much later, when no misfortune is left: one more process of ours renews. Returns whether it could.
    fn aftermath(&mut self) -> bool {
        self.world.with(|state| {
            state.left = Left { crashes: 0, losses: 0, busy: 0 };
            state.now = state.disk.stored.ends.max(state.now) + LIFE;
        });
        self.begin(Who::Other);
        while let Some(job) = self.jobs.ready().first().copied() {
            self.step(job);
        }
        assert!(self.jobs.is_empty(), "somebody waits for nobody\n{}", self.world.story());
        self.world.with(|state| state.disk.needs_login.is_none())
    }

    /// What an account that is given up was lost by; with keepers alone there must be a reason.
    fn reason(&self) -> Class {
        self.world.with(|state| {
            let token = state.disk.stored.number;
            let shown = state.issuer.shown.iter().rfind(|shown| shown.token == token);
            match shown.map(|shown| shown.fate) {
                Some(Fate::Answered | Fate::TakenAndLost) => Class::AnswerLost,
                Some(Fate::Vanished) => Class::PerhapsSent,
                Some(Fate::Unsent | Fate::ProvenUnsent) | None => Class::NeverSent,
            }
        })
    }

    /// Judges an end.
    pub(super) fn judge(&mut self, orders: &Mutex<Orders>, found: &mut Found) {
        let is_calm = self.world.with(|state| state.left.crashes + state.left.losses)
            == self.scene.left.crashes + self.scene.left.losses;
        found.in_time += usize::from(self.world.with(|state| !state.was_late));
        let told_no = self.world.with(|state| state.asked.values().any(|asked| *asked == Asked::Answered(None)));
        self.expect(!(is_calm && told_no), "a client is told no without cause", orders);
        let is_renewed = self.aftermath();
        self.demand(orders);
        let is_revoked = self.world.with(|state| !state.issuer.revoked.is_empty());
        if is_revoked {
            found.revoked += 1;
            let named = self.world.with(|state| state.classes.iter().any(|class| *class >= Class::WhileWeRenew));
            let is_possible = named && self.scene.client == Client::Plain;
            self.expect(is_possible, "a family is revoked", orders);
        } else if is_renewed {
            let is_good = self.world.with(|state| state.is_good(state.disk.stored));
            self.expect(is_good, "the newest pair is lost, and nobody says so", orders);
        } else {
            let class = self.reason();
            let code = self.world.with(|state| state.disk.needs_login.clone());
            let has_cause = !is_calm && code.as_deref() == Some(ANSWER_LOST);
            self.expect(has_cause, "an account is given up without cause", orders);
            self.world.with(|state| state.classes.insert(class));
        }
        if !is_renewed {
            self.world.with(|state| {
                state.disk.stored = state.sign_in();
                state.disk.login = state.disk.stored;
                (state.disk.needs_login, state.disk.generation) = (None, state.disk.generation + 1);
            });
            let is_mended = self.aftermath();
            self.demand(orders);
            self.expect(is_mended, "one sign-in does not mend it", orders);
        }
        for class in self.world.with(|state| state.classes.clone()) {
            *found.classes.entry(class).or_default() += 1;
        }
    }

    #[track_caller]
    fn expect(&self, holds: bool, why: &str, orders: &Mutex<Orders>) {
        if !holds {
            self.world.with(|state| state.break_rule(why));
            self.demand(orders);
        }
    }
}
