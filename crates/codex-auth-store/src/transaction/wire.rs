//! Owns the bytes of a written-down change: one line that lists the steps, then the new contents one after another.

use serde_json::{Value, json};

use super::{Act, Step};
use crate::{
    hash::sha256_hex,
    json::{self, Object},
};

/// The steps as bytes.
pub(crate) fn encode(steps: &[Step]) -> Vec<u8> {
    let mut contents = Vec::new();
    let listed: Vec<Value> = steps
        .iter()
        .map(|step| {
            let (act, at, bytes): (_, Option<u64>, &[u8]) = match &step.act {
                Act::Replace(bytes) => ("replace", None, bytes),
                Act::Remove => ("remove", None, &[]),
                Act::Append { at, bytes } => ("append", Some(*at), bytes),
            };
            contents.extend_from_slice(bytes);
            json!({
                "path": step.path, "act": act, "at": at, "before": step.before, "length": bytes.len(),
                "locks": step.locks,
            })
        })
        .collect();
    let head = json!({ "version": 1, "steps": listed, "sha256": sha256_hex(&contents) });
    let mut bytes = format!("{head}\n").into_bytes();
    bytes.append(&mut contents);
    bytes
}

/// The steps in these bytes; `None` when they are not whole.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Step>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, contents) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let head: Value = serde_json::from_slice(head).ok()?;
    let head = head.as_object()?;
    let is_whole = json::text(head, "sha256")? == sha256_hex(contents);
    if !is_whole || head.get("version").and_then(json::integer) != Some(1) {
        return None;
    }
    let mut from = 0;
    head.get("steps")?.as_array()?.iter().map(|listed| step(listed.as_object()?, contents, &mut from)).collect()
}

fn step(listed: &Object, contents: &[u8], from: &mut usize) -> Option<Step> {
    let number = |key: &str| listed.get(key).and_then(json::integer).and_then(|number| u64::try_from(number).ok());
    let end = from.checked_add(usize::try_from(number("length")?).ok()?)?;
    let bytes = contents.get(*from..end)?.to_vec();
    *from = end;
    let act = match json::text(listed, "act")? {
        "replace" => Act::Replace(bytes),
        "remove" => Act::Remove,
        "append" => Act::Append { at: number("at")?, bytes },
        _ => return None,
    };
    let locks = listed.get("locks").and_then(Value::as_array).into_iter().flatten();
    Some(Step {
        path: json::text(listed, "path")?.into(),
        before: json::text(listed, "before").map(str::to_owned),
        act,
        locks: locks.filter_map(Value::as_str).map(Into::into).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_read_as_they_were_written_and_half_of_them_as_none() {
        let steps = vec![
            Step::replace("/r/a".into(), Some(b"x"), b"{\"a\":\n1}".to_vec()),
            Step::remove("/r/b".into(), b"y"),
            Step::append("/r/c".into(), 7, b"z\n".to_vec()).under(vec!["/r/c.lock".into()]),
        ];
        let bytes = encode(&steps);
        assert_eq!(decode(&bytes), Some(steps));
        assert!((0..bytes.len()).all(|cut| decode(&bytes[..cut]).is_none()));
    }
}
