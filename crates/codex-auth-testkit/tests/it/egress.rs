//! The refusing proxy: nothing passes, every attempt is written down.

use codex_auth_testkit::Egress;

use crate::client::get;

#[test]
fn attempts_are_refused_and_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let file = camino::Utf8Path::from_path(dir.path()).unwrap().join("egress.jsonl");
    let egress = Egress::start(0, Some(&file)).unwrap();
    assert!(egress.attempts().is_empty());
    assert_eq!(get("http://example.test/path?token=secret").send_to(egress.port()).status, 403);
    assert_eq!(get("chatgpt.com:443").send_to(egress.port()).status, 403);
    let seen: Vec<String> = egress.attempts().into_iter().map(|attempt| attempt.target).collect();
    assert_eq!(seen, ["example.test:80", "unknown"]);
    let written = std::fs::read_to_string(file).unwrap();
    assert_eq!(written.lines().count(), 2);
    assert!(!written.contains("secret"));
}
