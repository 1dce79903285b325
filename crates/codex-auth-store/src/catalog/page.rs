//! Owns how the list becomes `docs/reference/storage-paths.md`.

use std::fmt::Write as _;

use super::{FILES, KnownFile, Place};

/// The page, made of the table alone.
pub fn page() -> String {
    let mut text = String::from(HEAD);
    for place in Place::ALL {
        let files: Vec<&KnownFile> = FILES.iter().filter(|file| file.place == place).collect();
        let _ = write!(text, "\n## {}\n\n{}\n\n", title(place), about(place));
        text.push_str("| File | Owner | Holds | Schema | Lock | When broken | Test |\n|---|---|---|---|---|---|---|\n");
        for file in files {
            let KnownFile { pattern, owner, holds, schema, lock, recovery, proof, .. } = file;
            let proof = if proof.is_empty() { "–".to_owned() } else { format!("`{proof}`") };
            let owner = owner.as_str();
            let _ = writeln!(text, "| `{pattern}` | {owner} | {holds} | {schema} | {lock} | {recovery} | {proof} |");
        }
    }
    text
}

fn title(place: Place) -> &'static str {
    match place {
        Place::Root => "Under the root",
        Place::CodexHome => "Under the official client's home",
        Place::OpenCode => "Under OpenCode's configuration directory",
        Place::State => "Under the user's state directory",
        Place::Project => "In a project",
    }
}

fn about(place: Place) -> &'static str {
    match place {
        Place::Root => {
            "`$CODEX_MULTI_AUTH_DIR`, else `multi-auth` in the official client's home unless an older place holds \
             accounts. What is shared by all pools of a user stands here, too."
        }
        Place::CodexHome => "`$CODEX_HOME`, else `~/.codex`.",
        Place::OpenCode => "`$XDG_CONFIG_HOME/opencode`, else `~/.config/opencode`.",
        Place::State => "`$XDG_STATE_HOME`, else `~/.local/state`; one for all products of this user.",
        Place::Project => "Only read, to move it.",
    }
}

const HEAD: &str = "# Storage paths

Every file this product reads or writes. The page is made from the table in `crates/codex-auth-store/src/catalog`; with
`CODEX_AUTH_BLESS=1` its test (`storage_paths`) writes it anew. `codex-multi-auth files` shows which of them are there,
and how they are.

Files are 0600 and directories 0700 from creation. A change is one temporary file, made durable, renamed into place, and
the directory made durable. Locks: *root* is `.lock`, held for each read-modify-write and never over the network; *none*
means that the file is made or replaced whole by one process.

When a file is broken: *refuse* means that nothing is decided by it and nothing is written over it, and the error names
the command that helps; *rebuild* means that its bytes go to `quarantine/<name>.<milliseconds>.quarantine.json` (the
newest five stay) and it begins empty; *copy* means that the `.bak` beside it is read, and that this is said. A version
this program does not know is kept and refused under every rule.
";
