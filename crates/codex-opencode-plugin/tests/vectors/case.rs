//! Owns one case of a vector file: what goes in, and what has to come out.

use serde_json::{Map, Value};

/// What a group makes of an input. `Err` is the runner's own trouble: a field that is missing, a disk that fails.
pub(crate) type Found = Result<Outcome, String>;

/// What the product did.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It answered.
    Output(Value),
    /// It refused, with this message.
    Throws(String),
}

/// One case.
pub(crate) struct Case {
    pub(crate) group: String,
    pub(crate) input: Value,
    pub(crate) expect: Expect,
}

/// What has to come out.
pub(crate) enum Expect {
    /// This value.
    Output(Value),
    /// An error with these members.
    Throws(Value),
    /// What a sentence says: the group's own judge knows, and fails the case when it does not hold.
    Note,
}

/// Members this runner knows the meaning of.
const KNOWN: [&str; 9] =
    ["group", "name", "input", "output", "throws", "defect", "mended", "mended_note", "defect_note"];

impl Case {
    /// Reads a case; `mended` wins over what the predecessor did.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let case = value.as_object().ok_or("a case is no object")?;
        if let Some(unknown) = case.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(format!("member `{unknown}` has no rule in this runner"));
        }
        let text = |key: &str| Ok::<_, String>(field(value, key)?.as_str().ok_or("no text")?.to_owned());
        let expect = if case.contains_key("mended_note") {
            Expect::Note
        } else if case.contains_key("defect") {
            Expect::Output(field(value, "mended")?.clone())
        } else if let Some(throws) = case.get("throws") {
            Expect::Throws(throws.clone())
        } else {
            Expect::Output(field(value, "output")?.clone())
        };
        text("name")?;
        Ok(Self { group: text("group")?, input: field(value, "input")?.clone(), expect })
    }

    /// What has to come out, whichever way.
    pub(crate) fn expected(&self) -> &Value {
        match &self.expect {
            Expect::Output(expected) | Expect::Throws(expected) => expected,
            Expect::Note => &Value::Null,
        }
    }

    /// A member of what has to come out.
    pub(crate) fn expect_member(&self, key: &str) -> Option<&Value> {
        self.expected().get(key)
    }

    /// The members the expected output shows; none when it is no object.
    pub(crate) fn shown(&self) -> Vec<&str> {
        let shown = match &self.expect {
            Expect::Output(output) => output.as_object(),
            Expect::Throws(_) | Expect::Note => None,
        };
        shown.into_iter().flat_map(Map::keys).map(String::as_str).collect()
    }
}

/// A member that has to be there; `null` counts as being there.
pub(crate) fn field<'v>(value: &'v Value, key: &str) -> Result<&'v Value, String> {
    value.get(key).ok_or_else(|| format!("field `{key}` is missing"))
}

/// A member that has to be text.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, String> {
    field(value, key)?.as_str().ok_or_else(|| format!("field `{key}` is no text"))
}

/// A member that has to be an object.
pub(crate) fn object<'v>(value: &'v Value, key: &str) -> Result<&'v Map<String, Value>, String> {
    field(value, key)?.as_object().ok_or_else(|| format!("field `{key}` is no object"))
}

/// A member that has to be a list of objects.
pub(crate) fn objects(value: &Value, key: &str) -> Result<Vec<Map<String, Value>>, String> {
    let list = field(value, key)?.as_array().ok_or_else(|| format!("field `{key}` is no list"))?;
    list.iter().map(|one| one.as_object().cloned().ok_or_else(|| format!("`{key}` holds no objects"))).collect()
}
