//! Owns `otherwise.txt`: what of the recorded cases the product does another way on purpose, each with its reason.

use serde_json::Value;

/// The exceptions, and which of them were needed.
#[derive(Debug, Default)]
pub(crate) struct Otherwise {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    text: String,
    /// File, group and name of the case; `*` is any.
    of: [String; 3],
    /// The path of a member, or `-` for the whole case.
    member: String,
    is_needed: bool,
}

/// What a case is judged without.
#[derive(Debug, Default)]
pub(crate) struct But {
    pub(crate) is_whole: bool,
    pub(crate) members: Vec<String>,
}

impl Otherwise {
    /// Reads lines of `<file> | <group> | <name> | <member> | <reason>`; a line without a reason is none.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let line = |line: &str| {
            let mut parts: Vec<String> = line.split(" | ").map(|part| part.trim().to_owned()).collect();
            let reason = parts.pop().filter(|reason| reason.split_whitespace().count() > 2);
            match (parts.as_slice(), reason) {
                ([file, group, name, member], Some(_)) => Ok(Line {
                    text: line.to_owned(),
                    of: [file.clone(), group.clone(), name.clone()],
                    member: member.clone(),
                    is_needed: false,
                }),
                _ => Err(format!("otherwise.txt: `{line}` does not say which case, which member, and why")),
            }
        };
        Ok(Self { lines: lines.map(line).collect::<Result<_, _>>()? })
    }

    /// What a case that fails as it stands is judged without.
    pub(crate) fn of(&mut self, (file, group, name): (&str, &str, &str)) -> But {
        let mut but = But::default();
        let is_it =
            |line: &&mut Line| line.of.iter().zip([file, group, name]).all(|(known, is)| known == "*" || known == is);
        for line in self.lines.iter_mut().filter(is_it) {
            line.is_needed = true;
            if line.member == "-" {
                but.is_whole = true;
            } else {
                but.members.push(line.member.clone());
            }
        }
        but
    }

    /// The lines that no case needed.
    pub(crate) fn not_needed(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| !line.is_needed).map(|line| line.text.as_str()).collect()
    }
}

/// A value without the member at this path; `*` is every item of a list.
pub(crate) fn without(mut value: Value, path: &str) -> Value {
    remove(&mut value, path);
    value
}

fn remove(value: &mut Value, path: &str) {
    match (path.split_once('/'), value) {
        (None, Value::Object(object)) => drop(object.remove(path)),
        (Some(("*", rest)), Value::Array(items)) => items.iter_mut().for_each(|item| remove(item, rest)),
        (Some((key, rest)), Value::Object(object)) => {
            if let Some(member) = object.get_mut(key) {
                remove(member, rest);
            }
        }
        _ => {}
    }
}
