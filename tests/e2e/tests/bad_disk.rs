//! A disk that is full, a real one: nothing is lost, nothing is spent twice, and the error names the file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::{Scene, Who, World, wait};
use codex_auth_testkit::{Act, Fault, PoolKnobs, Route};

/// A file system of a quarter megabyte in the place of our root.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn in_place_of(root: &Path) -> Self {
        let files: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
        let kept: Vec<_> =
            files.iter().filter(|path| path.is_file()).map(|path| (path, fs::read(path).unwrap())).collect();
        system("mount", &["-t", "tmpfs", "-o", "size=256k,mode=0700", "small"], root);
        let disk = Self(root.to_owned());
        for (path, bytes) in kept {
            fs::write(path, bytes).unwrap();
        }
        disk
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        system("umount", &["-l"], &self.0);
    }
}

#[track_caller]
fn system(program: &str, args: &[&str], dir: &Path) {
    let ended = Command::new(program).args(args).arg(dir).status().unwrap();
    assert!(ended.success(), "{program} needs root");
}

fn expired() -> World {
    let world = World::of(&Scene::accounts(1).login(Who::Outsider));
    world.write_pool(&PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    world
}

#[track_caller]
fn check_spent_once(world: &World) {
    assert_eq!(world.upstream().refreshes().count(), 1, "{}", world.story());
    assert_eq!(world.fake().account(Who::Account(1))["reuses"], 0, "{}", world.story());
}

#[test]
fn bad_disk_fills_up_while_a_renewal_is_under_way() {
    let world = expired();
    let disk = SmallDisk::in_place_of(&world.root());
    let spent = world.account(1)["refreshToken"].clone();
    world.fake().fault(&Fault::once(Route::Token, Act::HoldBeforeHeaders));
    let run = world.start_run(&SAY_HI);
    let asked = wait::until(Duration::from_secs(20), || (world.upstream().refreshes().count() == 1).then_some(()));
    assert!(asked.is_some(), "{}", world.story());
    disk.fill();
    world.fake().release();
    assert_eq!(run.wait(Duration::from_mins(1)).succeeds().stdout, ANSWER);
    assert_eq!(world.account(1)["refreshToken"], spent, "the disk was not full");
    disk.make_room();
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    check_spent_once(&world);
    world.await_quiet();
    drop(disk);
    world.close();
}

#[test]
fn bad_disk_is_full_from_the_start() {
    let world = expired();
    let disk = SmallDisk::in_place_of(&world.root());
    let before = fs::read(world.pool_file()).unwrap();
    disk.fill();
    let done = world.run(&SAY_HI).fails();
    assert!(done.stderr.contains("No space left on device"), "{}", done.story());
    assert!(done.stderr.contains(&world.root().display().to_string()), "{}", done.story());
    assert_eq!(world.upstream().refreshes().count(), 0, "{}", world.story());
    assert_eq!(fs::read(world.pool_file()).unwrap(), before);
    disk.make_room();
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    check_spent_once(&world);
    world.await_quiet();
    drop(disk);
    world.close();
}
