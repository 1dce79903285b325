//! `wrapper`: one link in one directory of ours, and nothing else on the disk.

use serde_json::json;

use crate::world::{World, row, write};

#[test]
fn a_link_comes_and_goes_without_a_trace() {
    let world = World::empty();
    for name in [".bashrc", ".profile", ".zshrc"] {
        write(&world.home().join(name), "# mine\n");
    }
    let before = world.files();
    insta::assert_snapshot!(world.run("wrapper install").ok());
    let made: Vec<_> = world.files().into_iter().filter(|file| !before.contains(file)).map(|(path, _)| path).collect();
    assert!(made.iter().all(|path| path.starts_with(world.codex_home())), "{made:?}");
    assert_eq!(
        world.run("wrapper install").ok().out.lines().next(),
        Some("Already installed: [HOME]/.codex/multi-auth/bin/codex.")
    );
    world.run("wrapper remove").ok();
    assert_eq!(world.files(), before);
}

#[test]
fn the_pool_beside_it_stays() {
    let world = World::holding(&[row(1)]);
    let before = world.files();
    world.run("wrapper install").ok();
    world.run("wrapper remove").ok();
    assert_eq!(world.files(), before);
}

#[test]
fn the_link_wraps_the_first_other_codex() {
    let mut world = World::holding(&[row(1)]);
    let official = world.home().join("official/codex");
    write(&official, "#!/bin/sh\necho official \"$@\"\n");
    std::fs::set_permissions(&official, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    world.run("wrapper install").ok();
    let bin = world.root().join("bin");
    world.set("PATH", &format!("{bin}:{}:/usr/bin:/bin", official.parent().expect("a directory")));
    let status = world.run("wrapper status --json").ok().document();
    assert_eq!((&status["state"], &status["firstIsOurs"]), (&json!("installed"), &json!(true)));
    assert_eq!(status["official"], json!("[HOME]/official/codex"));
    let said = world.said(&world.command(bin.join("codex").as_str(), &["features"]).output().expect("it starts"));
    assert_eq!(said.ok().out, "official features\n");
}

#[test]
fn what_is_not_ours_is_refused() {
    let world = World::empty();
    write(&world.root().join("bin/codex"), "theirs");
    let before = world.files();
    for typed in ["wrapper install", "wrapper remove"] {
        let said = world.run(typed).failed();
        assert!(said.err.contains("was not made by this program"), "{said}");
    }
    assert!(world.run("wrapper").ok().out.contains("is there, but not ours"));
    assert_eq!(world.files(), before);
}
