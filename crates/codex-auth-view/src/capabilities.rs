//! `token`: a capability to the agent, all of them, and an account's own access token.

use codex_auth_core::Timestamp;
use serde::Serialize;

use crate::{
    screen::Screen,
    wait::{age, left},
    words::{Lines, plain},
};

/// A capability as it is shown: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityRow {
    /// Its short id, for `token revoke`.
    pub id: String,
    /// What the user calls it.
    pub name: Option<String>,
    /// Number of the only account that serves it, while the pool has it.
    pub account: Option<usize>,
    /// Whether one account only serves it.
    pub bound: bool,
    /// The models it is for; every one when there are none.
    pub models: Vec<String>,
    /// How many requests it is good for.
    pub requests: Option<u64>,
    /// How many it let in.
    pub used: u64,
    /// When it ends, in milliseconds since the epoch.
    pub expires_at: i64,
    /// When it was last used, the same way.
    pub last_used_at: Option<i64>,
}

impl CapabilityRow {
    fn text(&self, now: Timestamp) -> String {
        let name = self.name.as_deref().map_or_else(String::new, |name| format!(" {}", plain(name)));
        let account = match (self.bound, self.account) {
            (false, _) => "all accounts".to_owned(),
            (true, Some(number)) => format!("account {number}"),
            (true, None) => "an account that is gone".to_owned(),
        };
        let models = if self.models.is_empty() { "all models".to_owned() } else { plain(&self.models.join(", ")) };
        let used = match self.requests {
            Some(limit) => format!("{} of {limit} requests", self.used),
            None if self.used == 1 => "1 request".to_owned(),
            None => format!("{} requests", self.used),
        };
        let ends = left(Timestamp::from_millis(self.expires_at), now);
        let last = self
            .last_used_at
            .map_or_else(|| "never used".to_owned(), |at| format!("used {} ago", age(Timestamp::from_millis(at), now)));
        format!("{}{name}: {account}, {models}, {used}, ends in {ends}, {last}", self.id)
    }
}

/// `token list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    capabilities: Vec<CapabilityRow>,
    #[serde(skip)]
    now: Timestamp,
}

impl Capabilities {
    /// The list at `now`.
    pub fn new(capabilities: Vec<CapabilityRow>, now: Timestamp) -> Self {
        Self { capabilities, now }
    }
}

impl Screen for Capabilities {
    fn command(&self) -> &'static str {
        "token list"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.capabilities.is_empty() {
            lines.line("No capability is valid. `codex-multi-auth token` makes one.");
            return lines.finish();
        }
        for row in &self.capabilities {
            lines.hang(4, &row.text(self.now));
        }
        lines.gap().line("`codex-multi-auth token revoke <id>` ends one at once; `--all` ends them all.");
        lines.finish()
    }
}

/// A capability just made: the one view with a secret, which is all of its text.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityMade {
    token: String,
    base_url: String,
    #[serde(flatten)]
    row: CapabilityRow,
}

impl std::fmt::Debug for CapabilityMade {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("CapabilityMade").field("row", &self.row).finish_non_exhaustive()
    }
}

impl CapabilityMade {
    /// The secret, where it is to be shown, and what it is good for.
    pub fn new(token: &str, base_url: String, row: CapabilityRow) -> Self {
        Self { token: token.to_owned(), base_url, row }
    }

    /// One line for the person beside it.
    pub fn note(&self, now: Timestamp) -> String {
        format!("codex-multi-auth: capability {}; base URL {}", self.row.text(now), self.base_url)
    }
}

impl Screen for CapabilityMade {
    fn command(&self) -> &'static str {
        "token"
    }

    fn text(&self, _width: usize) -> String {
        format!("{}\n", self.token)
    }
}

/// Capabilities that were ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    ok: bool,
    revoked: Vec<String>,
}

impl Revoked {
    /// These ids.
    pub fn new(revoked: Vec<String>) -> Self {
        Self { ok: true, revoked }
    }
}

impl Screen for Revoked {
    fn command(&self) -> &'static str {
        "token revoke"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        match self.revoked.as_slice() {
            [] => lines.line("There was no capability to revoke."),
            [id] => lines.line(&format!("Revoked {id}. Nobody comes in with it any more.")),
            ids => lines.line(&format!("Revoked {}. Nobody comes in with them any more.", ids.join(", "))),
        };
        lines.finish()
    }
}

/// What a plain official client needs in its `config.toml`: our agent as its provider, a capability as its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderBlock {
    base_url: String,
    config: String,
}

impl ProviderBlock {
    /// The id under which threads are kept. The client never lets a thread change its provider, so it never changes.
    pub const ID: &'static str = "codex-multi-auth";

    /// The block for this address; `program` and `arguments` print a capability.
    pub fn new(base_url: String, program: &str, arguments: &[String]) -> Self {
        let (id, program) = (Self::ID, quoted(program));
        let arguments = arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ");
        let config = format!(
            "model_provider = \"{id}\"\n\n\
             [model_providers.{id}]\n\
             name = \"{id}\"\n\
             base_url = \"{base_url}\"\n\n\
             [model_providers.{id}.auth]\n\
             command = {program}\n\
             args = [{arguments}]\n\
             timeout_ms = 9000\n"
        );
        Self { base_url, config }
    }
}

impl Screen for ProviderBlock {
    fn command(&self) -> &'static str {
        "token"
    }

    fn text(&self, _width: usize) -> String {
        self.config.clone()
    }
}

/// A basic string of TOML, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// An account's own access token, handed out.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RawToken {
    raw: bool,
    token: String,
    account: usize,
    expires_at: Option<i64>,
}

impl std::fmt::Debug for RawToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RawToken").field("account", &self.account).finish_non_exhaustive()
    }
}

impl RawToken {
    /// The token of account `number`.
    pub fn new(token: &str, number: usize, expires_at: Option<Timestamp>) -> Self {
        let expires_at = expires_at.map(Timestamp::as_millis);
        Self { raw: true, token: token.to_owned(), account: number, expires_at }
    }
}

impl Screen for RawToken {
    fn command(&self) -> &'static str {
        "token"
    }

    fn text(&self, _width: usize) -> String {
        format!("{}\n", self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn row() -> CapabilityRow {
        CapabilityRow {
            id: "0a1b2c3d4e5f".to_owned(),
            name: Some("ci".to_owned()),
            account: Some(2),
            bound: true,
            models: vec!["gpt-5.5".to_owned()],
            requests: Some(40),
            used: 3,
            expires_at: NOW.as_millis() + 3_600_000,
            last_used_at: Some(NOW.as_millis() - 28_000),
        }
    }

    fn open() -> CapabilityRow {
        CapabilityRow {
            name: None,
            account: None,
            bound: false,
            models: Vec::new(),
            requests: None,
            last_used_at: None,
            ..row()
        }
    }

    #[test]
    fn the_list_shows_limits_and_no_secret() {
        let gone = CapabilityRow { account: None, used: 1, requests: None, ..row() };
        let list = Capabilities::new(vec![row(), open(), gone], NOW);
        insta::assert_snapshot!(format!("{}{}", list.text(80), document(&list)));
        insta::assert_snapshot!("no_capabilities", Capabilities::new(Vec::new(), NOW).text(80));
    }

    #[test]
    fn one_line_is_the_secret_and_nothing_else() {
        let made = CapabilityMade::new("SECRET", "http://127.0.0.1:4000/v1".to_owned(), row());
        assert_eq!(made.text(20), "SECRET\n");
        assert!(!format!("{made:?}{}", made.note(NOW)).contains("SECRET"));
        insta::assert_snapshot!("a_capability_made", format!("{}\n{}", made.note(NOW), document(&made)));
        let raw = RawToken::new("SECRET", 2, Some(NOW));
        assert_eq!(raw.text(20), "SECRET\n");
        assert!(!format!("{raw:?}").contains("SECRET"));
    }

    #[test]
    fn a_block_is_toml_whatever_the_path() {
        let words = ["token".to_owned(), "--name".to_owned(), "a\"b\\".to_owned()];
        let block = ProviderBlock::new("http://127.0.0.1:4000/v1".to_owned(), "/opt/my tools/x", &words);
        insta::assert_snapshot!("a_provider_block", block.text(20));
    }
}
