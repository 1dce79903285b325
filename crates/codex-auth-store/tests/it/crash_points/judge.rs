//! Runs one operation with every fault there is, each on a world of its own, and looks at what is left.

use std::sync::Arc;

use codex_auth_core::SavedPool;
use codex_auth_store::{
    FileStore,
    testing::{Fault, FaultFs, Kept},
};
use serde_json::Value;

use crate::world::World;

/// What stands on the disk before an operation.
pub(super) type Scene = fn(&World);

/// An operation of the public interface; doing it twice is as doing it once.
pub(super) type Run = fn(&FileStore) -> Result<(), String>;

/// What a person would find.
#[derive(Debug, Clone, PartialEq)]
struct State {
    pool: SavedPool,
    login: Option<Value>,
    config: Option<String>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mishap {
    pub(super) fault: Fault,
    /// Whether the power was gone, too.
    pub(super) power: Option<Kept>,
}

impl Mishap {
    /// All mishaps of an operation of so many steps; the last ones strike when it is over.
    pub(super) fn all(steps: u64) -> impl Iterator<Item = Self> {
        let lost = [None, Some(Kept::Nothing), Some(Kept::Names)];
        let halts = move |step| lost.map(|power| Self { fault: Fault::Stop(step), power });
        let fails = (0..steps).map(|step| Self { fault: Fault::Fail(step), power: None });
        fails.chain((0..=steps).flat_map(halts))
    }

    /// The disk on which it happens.
    pub(super) fn disk(self) -> Arc<FaultFs> {
        Arc::new(FaultFs::with(self.fault))
    }

    /// What follows once the program is gone.
    pub(super) fn strike(self, disk: &FaultFs) {
        if let Some(kept) = self.power {
            disk.lose_power(kept).expect("the real disk is well");
        }
    }
}

/// After every mishap there is the state before `run`, after it, or after one of `between`; after an operation that
/// said it was done, the state after it. And it can be done then.
pub(super) fn check(scene: Scene, run: Run, between: &[Run]) {
    let steps = {
        let (world, _) = begun(scene);
        let disk = Arc::new(FaultFs::default());
        run(&world.store_over(disk.clone())).expect("no fault");
        disk.steps()
    };
    assert!(steps >= 2, "an operation changes names and syncs them; it took {steps} steps");
    let (old, new) = (begun(scene).1, after(scene, run));
    assert_ne!(old, new, "an operation does something");
    let passing: Vec<State> = between.iter().map(|part| after(scene, *part)).collect();
    for mishap in Mishap::all(steps) {
        let (world, before) = begun(scene);
        assert_eq!(before, old, "a scene is the same each time");
        let disk = mishap.disk();
        let said = run(&world.store_over(disk.clone()));
        mishap.strike(&disk);
        let left = state(&world, &format!("{mishap:?}"));
        assert!(left == new || left == old || passing.contains(&left), "{mishap:?} left {left:#?}");
        assert!(left == new || said.is_err(), "{mishap:?}: said to be done, and left {left:#?}");
        run(&world.quick()).unwrap_or_else(|error| panic!("{mishap:?} spoiled the next operation: {error}"));
        assert_eq!(state(&world, "afterwards"), new, "{mishap:?} spoiled what the next operation does");
        let other = world.quick().edit_now(|pool| pool.affinity_generation += 7).expect("anything else works, too");
        assert_eq!(other.affinity_generation, new.pool.affinity_generation + 7, "{mishap:?}");
    }
}

fn begun(scene: Scene) -> (World, State) {
    let world = World::with_rooms();
    scene(&world);
    let found = state(&world, "the scene");
    (world, found)
}

fn after(scene: Scene, run: Run) -> State {
    let (world, _) = begun(scene);
    run(&world.quick()).expect("no fault");
    state(&world, "without a fault")
}

fn state(world: &World, when: &str) -> State {
    let pool = world.quick().read_now().unwrap_or_else(|error| panic!("{when}: {error}"));
    let login = std::fs::read(world.layout().auth_json()).ok();
    let login = login.map(|bytes| serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{when}: {error}")));
    let config = std::fs::read_to_string(world.layout().config_toml()).ok();
    State { pool, login, config }
}
