//! What is mended is said: what happened, where the broken bytes are, what came back from where, how to undo it.

use codex_auth_testkit::PoolKnobs;

use super::{Said, Setup, World, count, delete_the_three, foreign_save, json, used, write};

/// All that was said, on both streams: a list tells in its notes, an edit on stderr.
fn both(said: &Said) -> String {
    format!("{}{}", said.out, said.err)
}

#[track_caller]
fn check_says(said: &Said, fragments: &[&str]) {
    let text = both(said);
    for fragment in fragments {
        assert!(text.contains(fragment), "lacks `{fragment}`: {said}");
    }
}

/// The accounts file holds `bytes`; the pool comes back from the copy called `from`, and that is told once.
#[track_caller]
fn check_mended(world: &World, bytes: &[u8], from: &str) {
    std::fs::write(world.root().join("openai-codex-accounts.json"), bytes).expect("written");
    let said = world.run("list").ok();
    check_says(
        &said,
        &[
            "[HOME]/.codex/multi-auth/openai-codex-accounts.json",
            "quarantine/openai-codex-accounts.json.",
            ".quarantine.json",
            "3 accounts",
            from,
            "codex-multi-auth restore",
        ],
    );
    let kept = world.root().join("quarantine").read_dir_utf8().expect("a quarantine").flatten();
    let contents: Vec<Vec<u8>> = kept.map(|entry| std::fs::read(entry.path()).expect("readable")).collect();
    assert!(contents.iter().any(|content| content == bytes), "the broken bytes are kept whole");
    assert_eq!(count(&world.run("list --json").ok()), json!(3));
    assert!(!both(&world.run("list").ok()).contains("quarantine"), "told once");
}

#[test]
fn a_corrupted_file_comes_back_from_its_copy() {
    check_mended(&used(), b"{\"version\":3,\"accounts\":[{\"refreshTo", "openai-codex-accounts.json.bak");
    check_mended(&used(), b"", "openai-codex-accounts.json.bak");
    check_mended(&used(), b"<html>not found</html>", "openai-codex-accounts.json.bak");
    check_mended(&used(), &[0; 512], "openai-codex-accounts.json.bak");
}

#[test]
fn a_broken_copy_is_passed_over_for_an_older_one() {
    let world = used();
    let (copy, older) = ("openai-codex-accounts.json.bak", "openai-codex-accounts.json.bak.1");
    std::fs::rename(world.root().join(copy), world.root().join(older)).expect("renamed");
    write(&world.root().join(copy), "{\"version\":3,\"acc");
    check_mended(&world, b"", older);
}

#[test]
fn a_soft_reset_is_named_with_the_way_back() {
    let world = used();
    delete_the_three(&world);
    for typed in ["list", "status", "list --json"] {
        check_says(&world.run(typed).ok(), &["reset", "codex-multi-auth restore"]);
    }
}

#[test]
fn what_a_soft_reset_took_away_can_be_brought_back() {
    let world = used();
    delete_the_three(&world);
    assert_eq!(count(&world.run("list --json").ok()), json!(0));
    world.run("restore").ok();
    assert_eq!(count(&world.run("list --json").ok()), json!(3));
}

#[test]
fn a_stale_save_after_codex_went_on_brings_no_spent_token_back() {
    let knobs = PoolKnobs { expired_access: vec![1, 2], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup::default(), &knobs);
    let stale = world.pool();
    world.run("switch 1").ok();
    let fresh = world.pool()["accounts"][0]["refreshToken"].clone();
    // Codex's own login is another account now: no second copy of the newest token is left there.
    world.run("switch 2").ok();
    foreign_save(&world, &stale);
    world.run("switch 1").ok();
    let presented = world.fake().log().iter().filter(|record| record.body.presented.is_some()).count();
    assert_eq!(presented, 2, "each token once");
    assert_eq!(world.pool()["accounts"][0]["refreshToken"], fresh, "the newest token stays");
}
