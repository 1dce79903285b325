//! Documents of every version of the format, as the predecessor left them and as they read after one change of ours.
//!
//! Each directory of `tests/golden/` holds `before.json`, where there is one `before.sidecar.json`, and what becomes
//! of both. `CODEX_AUTH_BLESS=1` writes the latter anew, to be looked at before they are kept.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_store::opencode::Domain;

use crate::world::World;

fn directory(name: &str) -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[track_caller]
fn same(found: &str, golden: &Utf8Path) {
    let found = found.trim_end().to_owned() + "\n";
    #[expect(clippy::disallowed_methods, reason = "goldens are kept by whoever runs the tests")]
    if std::env::var_os("CODEX_AUTH_BLESS").is_some() {
        std::fs::write(golden, found.as_str()).expect("kept");
    }
    assert_eq!(found, std::fs::read_to_string(golden).expect("a golden"), "{golden}");
}

/// Reads the documents, makes one change, and compares what was written; then again, which changes nothing more.
#[track_caller]
fn check(name: &str) {
    check_in(&World::new(), name);
}

/// The same for a document of `OpenCode`.
#[track_caller]
fn check_opencode(name: &str) {
    let world = World::new();
    world.is_opencodes(Domain::Native);
    check_in(&world, name);
}

#[track_caller]
fn check_in(world: &World, name: &str) {
    let golden = directory(name);
    let text = |file: &str| std::fs::read_to_string(golden.join(file));
    world.write(&world.layout().accounts(), &text("before.json").expect("a document"));
    if let Ok(sidecar) = text("before.sidecar.json") {
        world.write(&world.layout().sidecar(), &sidecar);
    }
    for round in 0..2 {
        let change = |pool: &mut codex_auth_core::SavedPool| pool.affinity_generation = 9;
        let written = world.store().edit_now(change).expect("written");
        assert_eq!(world.store().read_now().expect("readable"), written, "round {round}");
        let document = std::fs::read_to_string(world.layout().accounts()).expect("written");
        same(&document, &golden.join("after.json"));
        // What else the sidecar says is about this very write.
        same(&format!("{:#}", world.sidecar()["accounts"]), &golden.join("after.sidecar.json"));
    }
}

#[test]
fn version_1() {
    check("v1");
}

#[test]
fn version_3() {
    check("v3");
}

#[test]
fn version_3_with_a_sidecar_that_tells_two_seats_apart() {
    check("v3-sidecar");
}

#[test]
fn version_3_with_duplicates() {
    check("v3-duplicates");
}

#[test]
fn opencode_with_the_hosts_own_login() {
    check_opencode("opencode-host");
}

#[test]
fn opencode_of_the_older_plugin() {
    check_opencode("opencode-older-plugin");
}

#[test]
fn opencode_of_today() {
    check_opencode("opencode-current");
}
