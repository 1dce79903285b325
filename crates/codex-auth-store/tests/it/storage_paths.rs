//! The list of every file: the page that is made of it, the tests it names, and what it sees on a disk.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_store::{
    Document as _, OsFs, StateFile,
    catalog::{self, FILES, Health, Places},
    documents::{app_bind::AppBind, quota_cache::QuotaCache},
};

use crate::world::{NOW, World};

fn in_crate(name: &str) -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_page_is_the_table() {
    let path = in_crate("../../docs/reference/storage-paths.md");
    if std::env::var("CODEX_AUTH_BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::write(&path, catalog::page()).expect("written");
    }
    let written = std::fs::read_to_string(&path).expect("run this test with CODEX_AUTH_BLESS=1 once");
    assert!(written == catalog::page(), "the page is old: run this test with CODEX_AUTH_BLESS=1");
}

/// All sources below a directory, as one text.
fn sources(dir: &Utf8Path) -> String {
    let mut text = String::new();
    for entry in dir.read_dir_utf8().expect("a directory").flatten() {
        match entry.file_type().expect("seen") {
            kind if kind.is_dir() => text.push_str(&sources(entry.path())),
            _ if entry.path().extension() == Some("rs") => {
                text.push_str(&std::fs::read_to_string(entry.path()).expect("readable"));
            }
            _ => {}
        }
    }
    text
}

#[test]
fn every_test_it_names_is_there() {
    // A file another crate owns is proven there.
    let all = sources(&in_crate(".."));
    for file in FILES.iter().filter(|file| !file.proof.is_empty()) {
        let name = file.proof.rsplit("::").next().expect("a name");
        assert!(all.contains(&format!("fn {name}()")), "{}: {}", file.pattern, file.proof);
    }
}

#[test]
fn what_is_there_is_seen_with_its_health_and_nothing_is_changed() {
    let world = World::new();
    let root = world.layout().base().to_owned();
    let put = |name: &str, text: &str| world.write(&root.join(name), text);
    put("openai-codex-accounts.json", r#"{"version":4,"accounts":[]}"#);
    put("budget-guards.json", "{\"version\":1,\"SECRET");
    put("usage/usage-ledger.jsonl", "{}\nSECRET\n{}\n{\"torn");
    put("usage/usage-ledger.20260921T141320000Z.jsonl", "{}\n");
    put("quota-cache.json.x", "not ours");
    world.write(&world.layout().codex_home().join("config.toml"), "model = ");
    StateFile::<AppBind>::under(&root)
        .edit(codex_auth_core::Timestamp::from_secs(NOW), |bind| bind.port = Some(1))
        .expect("written");
    put("quota-cache.json", r#"{"version":1}"#);
    put(&format!("quarantine/{}.5.quarantine.json", QuotaCache::NAME), "x");
    let codex_home = Some(world.layout().codex_home().to_owned());
    let found = catalog::look(&Places { root: Some(root.clone()), codex_home, opencode: None }, &OsFs);
    let told: Vec<String> = found
        .iter()
        .filter(|file| file.path.file_name() != Some(".lock"))
        .map(|file| {
            let health = match &file.health {
                Health::Sound => "sound".to_owned(),
                Health::Broken { why } => why.split(';').next().unwrap_or_default().to_owned(),
                Health::UnknownVersion { found } => format!("version {found}"),
            };
            let name = file.path.file_name().unwrap_or_default();
            format!("{name}|{}|{health}|{}", file.version.as_deref().unwrap_or("-"), file.quarantined)
        })
        .collect();
    assert_eq!(
        told,
        [
            "openai-codex-accounts.json|4|version 4|0",
            "quota-cache.json|1|sound|1",
            "usage-ledger.jsonl|-|line 2 is no JSON object and is passed over|0",
            "usage-ledger.20260921T141320000Z.jsonl|-|sound|0",
            "budget-guards.json|-|it ends in the middle (line 1, column 20)|0",
            "runtime-rotation-app-bind.json|1|sound|0",
            "quota-cache.json.5.quarantine.json|-|sound|0",
            "config.toml|-|it is not TOML|0",
        ]
    );
    assert!(!format!("{found:?}").contains("SECRET"));
}
