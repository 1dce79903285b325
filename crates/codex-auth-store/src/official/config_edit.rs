//! Owns changing one key of the official client's `config.toml`: every other byte stays, and the change can be taken
//! back.
//!
//! A TOML parser says where things stand; the text is cut there. Nothing is printed anew, so line ends, comments and
//! quotes of others survive.

use std::ops::Range;

use toml_edit::{Document, Item, Table};

/// The key that says where the client keeps its login.
pub(super) const KEY: &str = "cli_auth_credentials_store";
const LINE: &str = "cli_auth_credentials_store = \"file\"";
const VALUE: &str = "\"file\"";

/// What stood there before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// No file.
    NoFile,
    /// A file without the key.
    Absent,
    /// The key with this value, as the file spells it.
    Value(String),
}

/// A changed text, and what taking it back needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) text: String,
    pub(super) before: Before,
    /// The text put in: the value, or the whole line with the blank lines that came with it.
    pub(super) after: String,
}

/// Why a text was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotEdited {
    #[error("it is not TOML; mend it first")]
    NotToml,
    #[error("cli_auth_credentials_store is a table there; mend it first")]
    NotAValue,
}

/// What the key says at the top level; `None` when it is not there.
pub(super) fn told(text: &str) -> Result<Option<Item>, NotEdited> {
    Ok(parsed(text)?.get(KEY).cloned())
}

/// Makes the top-level key say `file`; `None` when it does already.
pub(super) fn keep_in_file(text: &str) -> Result<Option<Edited>, NotEdited> {
    let document = parsed(text)?;
    let edited = match document.get(KEY) {
        Some(item) if item.as_str() == Some("file") => return Ok(None),
        Some(item) => {
            let place = item.as_value().and_then(toml_edit::Value::span).ok_or(NotEdited::NotAValue)?;
            let before = Before::Value(text[place.clone()].to_owned());
            Edited { text: spliced(text, place, VALUE), before, after: VALUE.to_owned() }
        }
        None => {
            let (at, after) = addition(text, document.as_table());
            Edited { text: spliced(text, at..at, &after), before: Before::Absent, after }
        }
    };
    // Whatever the cut was, the client must now read what we meant.
    let is_meant = told(&edited.text)?.is_some_and(|item| item.as_str() == Some("file"));
    if is_meant { Ok(Some(edited)) } else { Err(NotEdited::NotAValue) }
}

/// Takes a change back; `None` when the key says something else by now.
pub(super) fn undone(text: &str, before: &Before, after: &str) -> Result<Option<String>, NotEdited> {
    let document = parsed(text)?;
    let Some((key, item)) = document.as_table().get_key_value(KEY) else { return Ok(None) };
    let (Some(key), Some(value)) = (key.span(), item.as_value().and_then(toml_edit::Value::span)) else {
        return Ok(None);
    };
    if &text[value.clone()] != VALUE {
        return Ok(None);
    }
    Ok(Some(match before {
        Before::Value(before) => spliced(text, value, before),
        Before::NoFile | Before::Absent => without(text, key.start, after),
    }))
}

/// The text without what was added; without the key's line alone, when its surroundings were changed since.
fn without(text: &str, key: usize, added: &str) -> String {
    let place = added.find(KEY).and_then(|lead| key.checked_sub(lead)).map(|start| start..start + added.len());
    let Some(place) = place.filter(|place| text.get(place.clone()) == Some(added)) else {
        let start = line_start(text, key);
        let end = text[key..].find('\n').map_or(text.len(), |length| key + length + 1);
        return spliced(text, start..end, "");
    };
    let is_joined = place.end < text.len() && place.start > 0 && !text[..place.start].ends_with('\n');
    // The line before had no end of its own; what somebody wrote below must not be glued to it.
    let kept = if is_joined && added.starts_with(['\r', '\n']) { line_end(text) } else { "" };
    spliced(text, place, kept)
}

/// Where the line goes and how it reads there: above the first header, else at the end.
fn addition(text: &str, root: &Table) -> (usize, String) {
    let end = line_end(text);
    let Some(header) = first_header(root) else {
        let lead = match text {
            _ if text.trim_start_matches('\u{feff}').trim().is_empty() => String::new(),
            _ if text.ends_with('\n') => end.to_owned(),
            _ => end.repeat(2),
        };
        return (text.len(), format!("{lead}{LINE}{end}"));
    };
    (above_comments(text, header, last_value(root)), format!("{LINE}{end}{end}"))
}

/// The start of the line of a header, or of the comments that stand right above it.
fn above_comments(text: &str, header: usize, last_value: usize) -> usize {
    let mut at = line_start(text, header);
    while text[..at].ends_with('\n') {
        let above = line_start(text, at - 1);
        if above < last_value || !text[above..at].trim_start().starts_with('#') {
            break;
        }
        at = above;
    }
    at
}

/// Where the first `[header]` begins.
fn first_header(table: &Table) -> Option<usize> {
    let starts = table.iter().filter_map(|(_, item)| match item {
        Item::Table(table) if table.is_dotted() => None,
        Item::Table(table) => {
            let own = table.span().filter(|_| !table.is_implicit()).map(|span| span.start);
            own.into_iter().chain(first_header(table)).min()
        }
        Item::ArrayOfTables(tables) => tables.iter().filter_map(|table| Some(table.span()?.start)).min(),
        Item::None | Item::Value(_) => None,
    });
    starts.min()
}

/// Where the last value of the top level ends.
fn last_value(table: &Table) -> usize {
    let ends = table.iter().map(|(_, item)| match item {
        Item::Table(table) if table.is_dotted() => last_value(table),
        Item::Value(value) => value.span().map_or(0, |span| span.end),
        Item::Table(_) | Item::ArrayOfTables(_) | Item::None => 0,
    });
    ends.max().unwrap_or(0)
}

fn parsed(text: &str) -> Result<Document<&str>, NotEdited> {
    Document::parse(text).map_err(|_| NotEdited::NotToml)
}

fn line_start(text: &str, at: usize) -> usize {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    if start == 0 && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8().min(at) } else { start }
}

fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn spliced(text: &str, place: Range<usize>, put: &str) -> String {
    format!("{}{put}{}", &text[..place.start], &text[place.end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edit, and that taking it back gives every byte again.
    #[track_caller]
    fn check(text: &str, expect: &str) {
        let edited = keep_in_file(text).expect("TOML").expect("it changes");
        assert_eq!(edited.text, expect);
        assert_eq!(undone(&edited.text, &edited.before, &edited.after), Ok(Some(text.to_owned())));
        assert_eq!(keep_in_file(expect), Ok(None), "twice is once");
    }

    #[track_caller]
    fn check_undo(text: &str, meanwhile: impl Fn(String) -> String, expect: Option<&str>) {
        let edited = keep_in_file(text).expect("TOML").expect("it changes");
        let now = meanwhile(edited.text);
        assert_eq!(undone(&now, &edited.before, &edited.after), Ok(expect.map(str::to_owned)));
    }

    #[test]
    fn the_predecessors_cases() {
        check("", "cli_auth_credentials_store = \"file\"\n");
        check("model = \"x\"\n[a]\nb=1\n", "model = \"x\"\ncli_auth_credentials_store = \"file\"\n\n[a]\nb=1\n");
        check("cli_auth_credentials_store = \"keychain\"\n[p]\n", "cli_auth_credentials_store = \"file\"\n[p]\n");
        check(
            "[profiles.x]\ncli_auth_credentials_store = \"keychain\"\n",
            "cli_auth_credentials_store = \"file\"\n\n[profiles.x]\ncli_auth_credentials_store = \"keychain\"\n",
        );
        assert_eq!(keep_in_file("cli_auth_credentials_store = 'file'\n"), Ok(None));
    }

    #[test]
    fn line_ends_of_others_stay_even_when_mixed() {
        check("x=[\n [1,2],\n]\r\n", "x=[\n [1,2],\n]\r\n\r\ncli_auth_credentials_store = \"file\"\r\n");
        check("a = 1\r\n[t]\r\n", "a = 1\r\ncli_auth_credentials_store = \"file\"\r\n\r\n[t]\r\n");
        check("a = 1", "a = 1\n\ncli_auth_credentials_store = \"file\"\n");
    }

    #[test]
    fn f29_what_a_line_scanner_trips_over() {
        check(
            "note = \"\"\"\n[not a header]\ncli_auth_credentials_store = \"keyring\"\n\"\"\"\n",
            "note = \"\"\"\n[not a header]\ncli_auth_credentials_store = \"keyring\"\n\"\"\"\n\
             \ncli_auth_credentials_store = \"file\"\n",
        );
        check(
            "\"cli_auth_credentials_store\"   =  'keyring'   # mine\nt = { a = 1, b = [2] }\n",
            "\"cli_auth_credentials_store\"   =  \"file\"   # mine\nt = { a = 1, b = [2] }\n",
        );
        check(
            "a.b = 1 # dotted\n\n# about t\n# more\n[[t]]\n",
            "a.b = 1 # dotted\n\ncli_auth_credentials_store = \"file\"\n\n# about t\n# more\n[[t]]\n",
        );
        check("s = '''\n# not a comment'''\n[t]\n", {
            "s = '''\n# not a comment'''\ncli_auth_credentials_store = \"file\"\n\n[t]\n"
        });
        check("[z.y]\n[b]\nc = 1\n[z]\n", "cli_auth_credentials_store = \"file\"\n\n[z.y]\n[b]\nc = 1\n[z]\n");
        check("\u{feff}a = 1\n[t]\n", "\u{feff}a = 1\ncli_auth_credentials_store = \"file\"\n\n[t]\n");
        check("cli_auth_credentials_store = 5\n", "cli_auth_credentials_store = \"file\"\n");
    }

    #[test]
    fn what_cannot_be_edited_is_left() {
        assert_eq!(keep_in_file("x = ["), Err(NotEdited::NotToml));
        assert_eq!(keep_in_file("[cli_auth_credentials_store]\n"), Err(NotEdited::NotAValue));
    }

    #[test]
    fn an_undo_keeps_what_others_wrote_meanwhile() {
        let model = |text: String| text.replace("\"x\"", "\"y\"");
        check_undo("model = \"x\"\n[a]\n", model, Some("model = \"y\"\n[a]\n"));
        check_undo("a = 1", |text| format!("{text}b = 2\n"), Some("a = 1\nb = 2\n"));
        let spaced = |text: String| text.replace("\"file\"\n\n", "\"file\" # kept\nb = 2\n");
        check_undo("a = 1\n[t]\n", spaced, Some("a = 1\nb = 2\n[t]\n"));
    }

    #[test]
    fn an_undo_lets_alone_what_somebody_else_set() {
        check_undo("", |text| text.replace("\"file\"", "\"auto\""), None);
        check_undo("", |_| String::new(), None);
        check_undo("cli_auth_credentials_store = \"keyring\"\n", |text| text.replace("file", "auto"), None);
    }
}
