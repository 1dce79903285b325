//! How a view becomes text or one flat JSON document.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Version of the documents; grows when a key changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;

/// A view of one command.
pub trait Screen: Serialize {
    /// The command's name in documents, such as `why-selected`.
    fn command(&self) -> &'static str;

    /// What a person reads, each line ended, none wider than `width` columns where its words allow.
    fn text(&self, width: usize) -> String;
}

/// The view as one document: `schemaVersion` and `command` beside the view's own keys, two spaces deep, line ended.
pub fn document(screen: &impl Screen) -> String {
    let mut keys = Map::new();
    keys.insert("schemaVersion".to_owned(), json!(SCHEMA_VERSION));
    keys.insert("command".to_owned(), json!(screen.command()));
    let body = serde_json::to_value(screen).expect("views have plain fields under text keys");
    let Value::Object(body) = body else { unreachable!("views are structs") };
    keys.extend(body);
    format!("{:#}\n", Value::Object(keys))
}
