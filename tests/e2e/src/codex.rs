//! The official client as our tests start it: quiet, pinned, and pointed straight at the fake when we are left out.

use std::env;
use std::path::{Path, PathBuf};

/// The turn most tests ask for.
pub const SAY_HI: [&str; 3] = ["exec", "--skip-git-repo-check", "say hi"];

/// What `exec` prints on standard output for it when nobody scripted anything.
pub const ANSWER: &str = "Hello from the fake.\n";

/// Where the provisioned official client is. Its absence is an error, never a reason to skip.
#[must_use]
pub fn native() -> PathBuf {
    let given = env::var_os("CODEX_AUTH_CODEX").map(PathBuf::from);
    let found = given.or_else(|| find_native(&cache())).filter(|path| path.is_file());
    found.expect("the official client is provisioned by: cargo xtask clients")
}

/// A program built with this workspace.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let dir = env::var_os("CODEX_AUTH_BIN_DIR").map_or_else(|| target_dir().join("debug"), PathBuf::from);
    let path = dir.join(name);
    assert!(path.is_file(), "{} is missing; build it with: cargo build --workspace --all-targets", path.display());
    path
}

/// `config.toml` that keeps a healthy client from talking to anybody but its base URLs.
#[must_use]
pub fn quiet_config(trusted: &Path) -> String {
    format!(
        "check_for_update_on_startup = false\n\n\
         [analytics]\nenabled = false\n\n\
         [features]\nplugins = false\napps = false\n\n\
         [projects.{:?}]\ntrust_level = \"trusted\"\n",
        trusted.display().to_string()
    )
}

/// The two keys that point a client with a ChatGPT login at `port`; two origins on purpose.
#[must_use]
pub fn login_keys(port: u16) -> Vec<String> {
    keys(port, &format!("http://127.0.0.1:{port}/backend-api/codex"))
}

/// The keys for a client without a login, which authenticates by `CODEX_API_KEY`.
#[must_use]
pub fn api_key_keys(port: u16) -> Vec<String> {
    keys(port, &format!("http://127.0.0.1:{port}/v1"))
}

fn keys(port: u16, model_base: &str) -> Vec<String> {
    let chatgpt = format!("chatgpt_base_url=\"http://localhost:{port}/backend-api\"");
    ["-c".to_owned(), chatgpt, "-c".to_owned(), format!("openai_base_url={model_base:?}")].to_vec()
}

/// What keeps the refused WebSocket upgrade out of standard error.
pub const QUIET_UPGRADE: (&str, &str) = ("RUST_LOG", "error,codex_api::endpoint::responses_websocket=off");

fn cache() -> PathBuf {
    env::var_os("CODEX_AUTH_CACHE").map_or_else(|| target_dir().join("cache"), PathBuf::from)
}

/// The build output this test program stands in: `target/debug/deps/<test>`.
fn target_dir() -> PathBuf {
    let here = env::current_exe().expect("a running program has a path");
    here.ancestors().nth(3).expect("test programs stand in target/<profile>/deps").to_path_buf()
}

/// The native program inside the one platform package that npm unpacked.
fn find_native(cache: &Path) -> Option<PathBuf> {
    let packages = cache.join("clients/node_modules/@openai");
    let vendors = packages.read_dir().ok()?.flatten().map(|package| package.path().join("vendor"));
    vendors
        .filter_map(|vendor| vendor.read_dir().ok())
        .flat_map(|triples| triples.flatten().map(|triple| triple.path().join("bin/codex")))
        .find(|native| native.is_file())
}
