//! The official client's version, asked once per binary: starting it costs more than everything else we do.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
};

use codex_auth_core::{Kind, StateDir};
use serde_json::{Value, json};

use crate::{assemble::Product, client_version::ClientVersion, error::CliError};

const NAME: &str = "official-client.json";

/// The version of this client, from the cache when it is the same file as last time.
pub(crate) fn of_client(product: &Product, binary: &Path) -> Result<ClientVersion, CliError> {
    let unknown = |why: String| {
        CliError::new(
            Kind::Usage,
            "client_version_unknown",
            format!("{} does not tell its version: {why}", binary.display()),
        )
        .hint("A client of unknown version is not routed, because a wrong shape would ask the vendor directly.")
    };
    let found = std::fs::metadata(binary).map_err(|error| unknown(error.to_string()))?;
    let stamp = json!([binary.to_string_lossy(), found.dev(), found.ino(), found.mtime(), found.mtime_nsec()]);
    let cached: Option<Value> = product.agent_dir.read(NAME)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(cached) = cached.filter(|cached| cached["file"] == stamp)
        && let Some(version) = cached["version"].as_str().and_then(|text| text.parse().ok())
    {
        return Ok(version);
    }
    let printed = Command::new(binary).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let printed = printed.map_err(|error| unknown(error.to_string()))?;
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    let version: ClientVersion = text.trim().parse().map_err(|_| unknown(format!("it printed {:?}", text.trim())))?;
    let cache = json!({ "file": stamp, "version": version.to_string() });
    product.agent_dir.replace(NAME, format!("{cache}\n").as_bytes())?;
    Ok(version)
}
