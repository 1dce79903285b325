//! Pools a project had before its worktrees shared one: moved in once, removed only when that is durable.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{StoreError, Timestamp};
use codex_auth_store::{
    FileStore, OsPlaces, Project, legacy_pools,
    testing::{Fault, FaultFs},
};
use serde_json::{Value, json};

use crate::world::{NOW, World};

const AT: Timestamp = Timestamp::from_secs(NOW);

/// A repository `repo` with a linked worktree `wt`, a pool under the worktree's old key and a V1 pool inside it.
struct Linked {
    world: World,
    project: Project,
    keyed: Utf8PathBuf,
    inside: Utf8PathBuf,
}

fn row(name: &str) -> Value {
    json!({ "accountId": name, "email": format!("{name}@example.test"), "refreshToken": format!("refresh-{name}"),
            "addedAt": 1, "lastUsed": 1 })
}

impl Linked {
    fn new() -> Self {
        let world = World::new();
        let (repo, tree) = (world.home().join("repo"), world.home().join("wt"));
        let git_dir = repo.join(".git/worktrees/wt");
        world.write(&repo.join(".git/HEAD"), "ref: refs/heads/main");
        world.write(&tree.join(".git"), &format!("gitdir: {git_dir}\n"));
        world.write(&git_dir.join("gitdir"), &format!("{}\n", tree.join(".git")));
        world.write(&git_dir.join("commondir"), "../..\n");
        let project = Project::of(&tree, world.layout().codex_home(), &OsPlaces).expect("a project");
        let keyed = world.layout().project_root(&project.worktree_key().expect("another key"));
        let keyed = keyed.join("openai-codex-accounts.json");
        let inside = tree.join(".codex/openai-codex-accounts.json");
        let reset = (NOW + 60) * 1000;
        let mut second = row("M");
        second["rateLimitResetTime"] = json!(reset);
        let legacy = json!({ "version": 3, "accounts": [row("L")], "activeIndex": 0, "pinnedAccountIndex": 0,
                             "affinityGeneration": 2 });
        world.write(&keyed, &legacy.to_string());
        let v1 = json!({ "version": 1, "accounts": [second], "activeIndex": 0 });
        world.write(&inside, &v1.to_string());
        Self { world, project, keyed, inside }
    }

    fn root(&self) -> Utf8PathBuf {
        self.world.layout().project_root(&self.project.key())
    }

    fn store(&self, fs: Option<Arc<FaultFs>>) -> FileStore {
        let layout = self.world.layout().with_pool_in(self.root());
        match fs {
            Some(fs) => FileStore::over(layout, self.world.clock.clone(), fs),
            None => FileStore::new(layout, self.world.clock.clone()),
        }
    }

    fn move_in(&self, store: &FileStore) -> Result<usize, StoreError> {
        let mut moved = 0;
        for legacy in legacy_pools(store, &self.project) {
            let legacy = legacy?;
            store.edit_now(|pool| _ = legacy.fold_into(pool, AT))?;
            legacy.remove(store)?;
            moved += 1;
        }
        Ok(moved)
    }

    fn tokens(&self) -> Vec<String> {
        let pool = self.store(None).read_now().expect("readable");
        pool.accounts.iter().map(|held| held.credential.refresh.expose().to_owned()).collect()
    }

    fn is_there(path: &Utf8Path) -> bool {
        path.symlink_metadata().is_ok()
    }
}

#[test]
fn both_move_in_in_order_and_are_gone() {
    let linked = Linked::new();
    assert_eq!(linked.move_in(&linked.store(None)), Ok(2));
    assert_eq!(linked.tokens(), ["refresh-L", "refresh-M"]);
    assert!(!Linked::is_there(&linked.keyed) && !Linked::is_there(&linked.inside));
    assert!(linked.root().as_str().contains("/projects/repo-"), "{}", linked.root());
    let pool = linked.store(None).read_now().expect("readable");
    assert_eq!((pool.pin.as_ref(), pool.affinity_generation), (Some(&pool.accounts[0].account.record), 2));
    assert_eq!(pool.accounts[1].account.rests.len(), 1, "its wait came along");
    assert_eq!(linked.move_in(&linked.store(None)), Ok(0), "nothing is left to move");
}

#[test]
fn f11_the_pin_and_the_generation_of_todays_pool_stay() {
    let linked = Linked::new();
    let today = json!({ "version": 3, "accounts": [row("X"), row("Y")], "activeIndex": 1, "pinnedAccountIndex": 1,
                        "affinityGeneration": 9 });
    linked.world.write(&linked.root().join("openai-codex-accounts.json"), &today.to_string());
    linked.move_in(&linked.store(None)).expect("moved");
    assert_eq!(linked.tokens(), ["refresh-X", "refresh-Y", "refresh-L", "refresh-M"]);
    let pool = linked.store(None).read_now().expect("readable");
    let second = Some(&pool.accounts[1].account.record);
    assert_eq!((pool.pin.as_ref(), pool.active.as_ref(), pool.affinity_generation), (second, second, 9));
}

#[test]
fn a_pool_that_cannot_be_read_stays_and_the_other_moves() {
    let linked = Linked::new();
    linked.world.write(&linked.keyed, r#"{"version":4,"accounts":[]}"#);
    let found = legacy_pools(&linked.store(None), &linked.project);
    let [Err(error), Ok(_)] = &found[..] else { panic!("one of two: {found:?}") };
    assert!(error.to_string().contains("has version 4"), "{error}");
    assert!(Linked::is_there(&linked.keyed));
}

#[test]
fn a_pool_that_changed_meanwhile_stays() {
    let linked = Linked::new();
    let store = linked.store(None);
    let legacy = legacy_pools(&store, &linked.project).remove(0).expect("readable");
    store.edit_now(|pool| _ = legacy.fold_into(pool, AT)).expect("written");
    let changed = json!({ "version": 3, "accounts": [row("L"), row("N")], "activeIndex": 0 });
    linked.world.write(&linked.keyed, &changed.to_string());
    assert_eq!(legacy.remove(&store), Ok(false));
    linked.move_in(&store).expect("moved");
    assert_eq!(linked.tokens(), ["refresh-L", "refresh-N", "refresh-M"]);
}

/// Whatever step fails or is the last one, no account is lost, and the next look ends the work.
#[test]
fn a_fault_at_any_step_loses_nothing() {
    let steps = {
        let (linked, disk) = (Linked::new(), Arc::new(FaultFs::default()));
        linked.move_in(&linked.store(Some(disk.clone()))).expect("no fault");
        disk.steps()
    };
    assert!(steps > 10, "two moves write, rename, remove and sync; they took {steps} steps");
    for fault in (0..steps).flat_map(|step| [Fault::Fail(step), Fault::Stop(step)]) {
        let linked = Linked::new();
        let _ended = linked.move_in(&linked.store(Some(Arc::new(FaultFs::with(fault)))));
        let is_kept = |name: &str, path: &Utf8Path| {
            linked.tokens().contains(&format!("refresh-{name}")) || Linked::is_there(path)
        };
        assert!(is_kept("L", &linked.keyed) && is_kept("M", &linked.inside), "{fault:?}");
        linked.move_in(&linked.store(None)).expect("moved");
        assert_eq!(linked.tokens(), ["refresh-L", "refresh-M"], "{fault:?}");
        assert!(!Linked::is_there(&linked.keyed) && !Linked::is_there(&linked.inside), "{fault:?}");
    }
}
