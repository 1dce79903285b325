//! The official client's own sign-in, in a home of its own: it finds no login there that it could revoke.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Held, Kind, LoginState, OfficialLogins, StoreError};
use codex_auth_store::{Fs, OfficialHomes, OsFs, import::from_login};

use crate::{
    assemble::Product,
    child::{self, Ended},
    error::{CliError, capitalised},
    official_binary,
};

/// A directory that is gone with this value.
struct Scratch(Utf8PathBuf);

impl Scratch {
    fn below(root: &Utf8Path) -> Result<Self, StoreError> {
        let path = root.join(format!("sign-in.{}", std::process::id()));
        let failed =
            |error: std::io::Error| StoreError::Io { verb: "create", path: path.to_string(), why: error.to_string() };
        OsFs.make_dir(&path).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: what stays is private, and its sign-in is in the pool.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the client's sign-in and takes over what it got.
pub(super) fn sign_in(product: &Product, by_code: bool, config: &[String]) -> Result<Held, CliError> {
    let binary = official_binary::find(&product.environment, &product.own_path)?;
    let scratch = Scratch::below(product.layout.root())?;
    let mut command = Command::new(&binary);
    command.arg("login").args(by_code.then_some("--device-auth")).env("CODEX_HOME", &scratch.0);
    command.args(config.iter().flat_map(|pair| ["-c", pair]));
    let ended = child::run(command).map_err(|error| {
        let message = format!("Failed to launch the official Codex CLI ({}): {error}.", binary.display());
        CliError::new(Kind::Internal, "launch_failed", message)
    })?;
    let failed = |why: &str| {
        CliError::new(Kind::NeedsLogin, "login_failed", format!("Login failed: {why} Nothing was changed."))
            .hint("Run `codex-multi-auth login` to sign in by browser.")
    };
    if ended != Ended::Exit(0) {
        return Err(failed("codex did not finish its sign-in."));
    }
    match OfficialHomes::new().login(scratch.0.as_str())? {
        LoginState::Usable(login) => Ok(from_login(*login, product.clock.now())),
        LoginState::Absent => Err(failed("codex left no login.")),
        LoginState::Unusable { why } => Err(failed(&capitalised(&why))),
    }
}
