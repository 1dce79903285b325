//! Owns how a workspace that is no account yet is named, with the command that makes it one.

use serde::Serialize;

use crate::words::plain;

/// Another workspace of somebody who signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherWorkspace {
    id: String,
    name: Option<String>,
    plan: Option<String>,
    command: String,
}

impl OtherWorkspace {
    /// The workspace `id` as the backend names it.
    pub fn new(id: &str, name: Option<&str>, plan: Option<&str>) -> Self {
        let text = |text: Option<&str>| text.map(plain).filter(|text| !text.is_empty());
        let command = format!("codex-multi-auth login --org {id}");
        Self { id: id.to_owned(), name: text(name), plan: text(plan), command }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `Acme (team): codex-multi-auth login --org …`
    pub(crate) fn line(&self) -> String {
        let name = self.name.as_deref().unwrap_or("a workspace without a name");
        let plan = self.plan.as_ref().map(|plan| format!(" ({plan})")).unwrap_or_default();
        format!("  {name}{plan}: {}", self.command)
    }
}
