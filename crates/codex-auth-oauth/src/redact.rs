//! What of a log's details may be written down: secrets are blanked by the name they stand under, in members, in
//! `name=value`, in quoted members inside a text, and in the query of an address (plugin 5.9).

use serde_json::Value;

/// What stands where a secret stood.
const BLANK: &str = "[redacted]";
/// A member whose name contains one of these is a secret.
const SECRET_NAMES: [&str; 12] = [
    "token",
    "secret",
    "password",
    "authorization",
    "cookie",
    "id_token",
    "refresh_token",
    "access_token",
    "authorization_code",
    "auth_code",
    "verifier",
    "pkce",
];
/// Names of secrets inside a text.
const IN_TEXT: [&str; 7] =
    ["access_token", "refresh_token", "id_token", "authorization_code", "auth_code", "code_verifier", "pkce_verifier"];
/// Further names in the query of an address.
const IN_QUERY: [&str; 2] = ["code", "state"];

/// The details without secrets.
pub(crate) fn redacted(meta: Value) -> Value {
    match meta {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let is_secret = is_secret_name(&name) && !value.is_null();
                    let value = if is_secret { Value::from(BLANK) } else { redacted(value) };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        Value::String(text) => Value::String(redacted_text(&text)),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

/// A text without the values that stand under the name of a secret.
fn redacted_text(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(letter) = rest.chars().next() {
        let starts_a_name = !before.is_some_and(is_name_letter) && is_name_letter(letter);
        if starts_a_name {
            let name = &rest[..rest.find(|letter| !is_name_letter(letter)).unwrap_or(rest.len())];
            let after = &rest[name.len()..];
            let secret = secret_after(name, before, after);
            clean.push_str(name);
            rest = after;
            if let Some((kept, secret)) = secret {
                clean.push_str(&after[..kept]);
                clean.push_str(BLANK);
                rest = &after[kept + secret..];
            }
            before = clean.chars().next_back();
        } else {
            clean.push(letter);
            rest = &rest[letter.len_utf8()..];
            before = Some(letter);
        }
    }
    clean
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '-'
}

/// Where the secret under `name` begins and how long it is, if there is one: both counted in `after`.
fn secret_after(name: &str, before: Option<char>, after: &str) -> Option<(usize, usize)> {
    let name = name.to_ascii_lowercase();
    let is_secret = IN_TEXT.contains(&name.as_str());
    let in_query = matches!(before, Some('?' | '&' | '#')) && IN_QUERY.contains(&name.as_str());
    if let Some(value) = after.strip_prefix('=').filter(|_| is_secret || in_query) {
        let ends = |letter: char| letter.is_whitespace() || "&\"'<>#,;)}".contains(letter);
        return Some((1, value.find(ends).unwrap_or(value.len())));
    }
    // A quoted member, also where the quotes are escaped because the text itself was quoted.
    let quoted = after.trim_start_matches('\\').strip_prefix('"').filter(|_| is_secret)?;
    let value = quoted.trim_start().strip_prefix(':')?.trim_start().trim_start_matches('\\').strip_prefix('"')?;
    Some((after.len() - value.len(), value.find(['"', '\\']).unwrap_or(value.len())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_blanked_by_their_name() {
        let meta = json!({
            "accessToken": "CANARY", "Authorization": "CANARY", "set-cookie": ["CANARY"], "client_secret": 5,
            "deep": [{ "pkceVerifier": { "x": "CANARY" } }], "port": 1455, "missing_token": null, "stateTail": "abcdef",
        });
        let expect = json!({
            "accessToken": BLANK, "Authorization": BLANK, "set-cookie": BLANK, "client_secret": BLANK,
            "deep": [{ "pkceVerifier": BLANK }], "port": 1455, "missing_token": null, "stateTail": "abcdef",
        });
        assert_eq!(redacted(meta), expect);
    }

    #[track_caller]
    fn text(from: &str, expect: &str) {
        assert_eq!(redacted(json!(from)), json!(expect));
    }

    #[test]
    fn texts_are_blanked_by_what_stands_before() {
        text(
            "GET /auth/callback?code=C&x=1&state=S#end",
            "GET /auth/callback?code=[redacted]&x=1&state=[redacted]#end",
        );
        text("a refresh_token=R; id_token=I, rest", "a refresh_token=[redacted]; id_token=[redacted], rest");
        text(r#"{"access_token": "A","code":"kept"}"#, r#"{"access_token": "[redacted]","code":"kept"}"#);
        text(r#"said \"id_token\":\"I\" twice"#, r#"said \"id_token\":\"[redacted]\" twice"#);
        text("REFRESH_TOKEN=R&y", "REFRESH_TOKEN=[redacted]&y");
        text("code=plain state=plain", "code=plain state=plain");
        text("my_access_tokens=5 and id_token alone", "my_access_tokens=5 and id_token alone");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_no_secret_survives(before in "\\PC{0,20}", name in 0_usize..IN_TEXT.len(), secret in "[A-Za-z0-9._~+/-]{8,40}") {
            let clean = redacted_text(&format!("{before} {}={secret}", IN_TEXT[name]));
            let blanked = format!(" {}={BLANK}", IN_TEXT[name]);
            prop_assert!(clean.ends_with(&blanked), "{clean}");
        }
    }
}
