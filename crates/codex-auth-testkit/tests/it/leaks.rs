//! Secrets: found where they are planted, absent from everything the fake writes down.

use camino::Utf8Path;
use codex_auth_testkit::{CLIENT_ID, LoginKnobs, PoolKnobs, Setup, Who, record_id};
use serde_json::json;

use crate::client::{access, form, get, refresh, refresh_of, start, turn};

#[test]
fn neither_log_nor_state_nor_log_file_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let log_file = dir.join("log.jsonl");
    let fake = start(&Setup { log_file: Some(log_file.clone()), ..Setup::default() });
    let (token, old) = (access(&fake, Who::Account(1)), refresh_of(&fake, Who::Account(1)));
    turn().bearer(&token).with("session-id", &token).with("x-odd", &old).send(&fake);
    refresh(&fake, &old);
    refresh(&fake, &old);
    get(format!("/{old}?{old}={old}")).bearer(&fake.api_key(Who::Outsider)).send(&fake);
    form("/oauth/token", &[("client_id", CLIENT_ID), ("grant_type", &old), ("code", &token)]).send(&fake);
    form("/oauth/revoke", &[("token", &token)]).send(&fake);

    let canaries = fake.canaries();
    let seen = [
        serde_json::to_string(&fake.log()).unwrap(),
        format!("{:?} {:?} {:?}", fake.log(), fake.state(), canaries),
        get("/__control/log").send(&fake).text(),
        get("/__control/state").send(&fake).text(),
    ];
    for text in seen {
        assert_eq!(canaries.hits(text.as_bytes()), []);
    }
    let findings = canaries.scan(&[dir], &[]).unwrap();
    assert_eq!(findings, []);
    let lines = std::fs::read_to_string(log_file).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains(r#""event":"request""#)).count(), 6);
    assert_eq!(lines.lines().filter(|line| line.contains(r#""event":"answer""#)).count(), 6);
}

#[test]
fn a_planted_file_is_found_by_place_and_kind() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let fake = start(&Setup { accounts: 1, ..Setup::default() });
    let pool = fake.write_pool(&dir.join("pool"), &PoolKnobs::default()).unwrap();
    fake.write_login(&dir.join("home"), Who::Outsider, &LoginKnobs::default()).unwrap();
    let canaries = fake.canaries();
    assert!(!canaries.is_empty());
    let scanned = canaries.scan(&[dir], &[&dir.join("home")]).unwrap();
    let found: Vec<(&Utf8Path, &str)> =
        scanned.iter().map(|finding| (finding.file.as_path(), finding.hit.what.as_str())).collect();
    let expect = ["refresh token of account 1", "access token of account 1 (payload)", "access token of account 1"];
    assert_eq!(found, expect.map(|what| (pool.as_path(), what)));
    assert_eq!(canaries.scan(&[dir], &[dir]).unwrap(), []);
}

#[test]
fn written_files_are_private_and_complete() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap().join("new/dir");
    let fake = start(&Setup::default());
    let path = fake.write_pool(&dir, &PoolKnobs::default()).unwrap();
    let mode = |path: &Utf8Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&path)), (0o700, 0o600));
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((&document["version"], document["accounts"].as_array().unwrap().len()), (&json!(3), 3));
    let row = &document["accounts"][1];
    let text = |key: &str| row[key].as_str().unwrap();
    let derived = record_id(row["addedAt"].as_i64().unwrap(), text("accountId"), text("email"), text("refreshToken"));
    assert_eq!(text("recordId"), derived);
    assert_eq!(refresh(&fake, text("refreshToken")).status, 200);
}

#[test]
fn pools_can_be_written_with_defects() {
    let fake = start(&Setup { accounts: 5, ..Setup::default() });
    let knobs = PoolKnobs {
        expired_access: vec![1],
        revoked: vec![2],
        needs_login: vec![3],
        disabled: vec![4],
        without_access: vec![5],
        only: None,
    };
    let pool = fake.pool_document(&knobs);
    let row = |number: usize| &pool["accounts"][number - 1];
    let turn_of = |number: usize| turn().bearer(row(number)["accessToken"].as_str().unwrap()).send(&fake).status;
    let refresh_of = |number: usize| refresh(&fake, row(number)["refreshToken"].as_str().unwrap()).status;
    assert_eq!((turn_of(1), refresh_of(1)), (401, 200));
    assert_eq!((turn_of(2), refresh_of(2)), (401, 401));
    assert_eq!(row(3)["authInvalidationErrorCode"], "token_invalidated");
    assert_eq!((&row(4)["enabled"], turn_of(4)), (&json!(false), 200));
    assert_eq!((row(5).get("accessToken"), refresh_of(5)), (None, 200));
}

#[test]
fn logins_can_be_written_with_defects() {
    let fake = start(&Setup::default());
    let knobs = LoginKnobs {
        missing: vec!["account_id".to_owned()],
        own_sign_in: true,
        provenance: true,
        ..LoginKnobs::default()
    };
    let before = refresh_of(&fake, Who::Account(1));
    let login = fake.login_document(Who::Account(1), &knobs);
    assert_eq!(login["tokens"].get("account_id"), None);
    assert_eq!(login["tokens"]["oauth_provenance"]["issuer"], fake.url());
    assert_ne!(login["tokens"]["refresh_token"], before.as_str());
    assert_eq!(refresh(&fake, &before).status, 200, "the older sign-in lives on");
}
