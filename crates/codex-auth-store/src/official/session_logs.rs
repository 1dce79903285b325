//! Reading the official client's session logs: `CODEX_HOME/sessions` and `archived_sessions`, one JSON line after the
//! other. Only lines about tokens are taken apart; nothing of what was said is looked at.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{SessionEvent, SessionFile, StoreError, Timestamp, TokenUse};
use serde_json::Value;

use crate::{
    fs::{Fs, io_error, os, read_optional},
    json::{self, Object},
};

const ROOMS: [&str; 2] = ["sessions", "archived_sessions"];
/// Year, month, day.
const DEEPEST: usize = 4;
/// How every line begins.
const BEGINS: &str = "{\"timestamp\":\"";
/// What a line that matters has in it.
const MARKS: [&str; 4] = ["\"session_meta\"", "\"turn_context\"", "\"token_usage_record\"", "\"token_count\""];

/// The logs of one home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionLogs {
    /// What each file says of tokens.
    pub files: Vec<SessionFile>,
    /// Files that name no thread, or that this program cannot read, such as packed ones.
    pub unreadable: Vec<Utf8PathBuf>,
    /// Torn lines that may have told of tokens.
    pub torn: usize,
}

impl SessionLogs {
    /// The logs below this home.
    pub fn of(codex_home: &Utf8Path, fs: &dyn Fs) -> Result<Self, StoreError> {
        let mut logs = Self::default();
        for room in ROOMS {
            logs.look(&codex_home.join(room), fs, 0)?;
        }
        Ok(logs)
    }

    fn look(&mut self, dir: &Utf8Path, fs: &dyn Fs, depth: usize) -> Result<(), StoreError> {
        let mut names = os::names_in(dir).map_err(|error| io_error("list", dir, &error))?;
        names.sort_unstable();
        for name in names {
            let path = dir.join(&name);
            if path.symlink_metadata().is_ok_and(|seen| seen.is_dir()) {
                if depth < DEEPEST {
                    self.look(&path, fs, depth + 1)?;
                }
            } else if name.starts_with("rollout-") {
                self.take(path, fs)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, path: Utf8PathBuf, fs: &dyn Fs) -> Result<(), StoreError> {
        if path.extension() != Some("jsonl") {
            self.unreadable.push(path);
            return Ok(());
        }
        let Some(bytes) = read_optional(fs, &path)? else { return Ok(()) };
        let (file, torn) = parse(&bytes);
        self.torn += torn;
        match file {
            Some(file) => self.files.push(file),
            None => self.unreadable.push(path),
        }
        Ok(())
    }
}

/// One file; `None` when it names no thread. And how many torn lines may have told of tokens.
pub(crate) fn parse(bytes: &[u8]) -> (Option<SessionFile>, usize) {
    let mut reading = Reading::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        reading.take(&String::from_utf8_lossy(line));
    }
    (reading.file, reading.torn)
}

#[derive(Debug, Default)]
struct Reading {
    file: Option<SessionFile>,
    model: Option<String>,
    torn: usize,
}

impl Reading {
    fn take(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        // A client that was killed in a line goes on behind it, in the same one.
        let again = line.get(1..).and_then(|rest| rest.rfind(BEGINS)).map(|at| at + 1);
        if !line.ends_with('}') || again.is_some() && !is_whole(line) {
            let (piece, rest) = line.split_at(again.filter(|at| is_whole(&line[*at..])).unwrap_or(line.len()));
            self.torn(piece);
            return self.take(rest);
        }
        // The head of a line says what it is; what is quoted further on may say anything.
        let head = line.get(..160).unwrap_or(line);
        if MARKS.iter().any(|mark| head.contains(mark)) || head.contains("\"event_msg\"") && line.contains(MARKS[3]) {
            self.line(line);
        }
    }

    fn torn(&mut self, piece: &str) {
        if !may_tell(piece) {
            return;
        }
        self.torn += 1;
        if let Some(file) = &mut self.file {
            file.events.push(SessionEvent::Torn { is_answer: kinds(piece).next() == Some("token_usage_record") });
        }
    }

    fn line(&mut self, line: &str) {
        let Ok(told) = serde_json::from_str::<Value>(line) else { return self.torn(line) };
        let Some(told) = told.as_object() else { return };
        let (Some(kind), Some(payload)) = (json::text(told, "type"), json::object(told, "payload")) else { return };
        let at = instant(told).unwrap_or_default();
        match kind {
            "session_meta" => self.meta(payload, at),
            "turn_context" => self.model = json::text(payload, "model").map(str::to_owned).or(self.model.take()),
            "token_usage_record" => self.answer(payload, at),
            "event_msg" if json::text(payload, "type") == Some("token_count") => self.running(payload, at),
            _ => {}
        }
    }

    /// The first one is the file's own; those that follow were copied with a history.
    fn meta(&mut self, payload: &Object, at: Timestamp) {
        let Some(thread) = json::text(payload, "id").filter(|_| self.file.is_none()) else { return };
        let spawned = json::object(payload, "source")
            .and_then(|source| json::object(source, "subagent"))
            .and_then(|subagent| json::object(subagent, "thread_spawn"))
            .and_then(|spawn| json::text(spawn, "parent_thread_id"));
        let parent = json::text(payload, "forked_from_id").or(json::text(payload, "parent_thread_id")).or(spawned);
        self.file = Some(SessionFile {
            thread: thread.to_owned(),
            parent: parent.filter(|parent| *parent != thread).map(str::to_owned),
            created_at: instant(payload).unwrap_or(at),
            events: Vec::new(),
        });
    }

    fn answer(&mut self, payload: &Object, at: Timestamp) {
        let (Some(file), Some(tokens)) = (&mut self.file, json::object(payload, "usage").and_then(tokens)) else {
            return;
        };
        let (Some(thread), Some(response)) = (json::text(payload, "thread_id"), json::text(payload, "response_id"))
        else {
            return;
        };
        file.events.push(SessionEvent::Answer {
            at,
            thread: thread.to_owned(),
            response: response.to_owned(),
            model: self.model.clone(),
            tokens,
        });
    }

    fn running(&mut self, payload: &Object, at: Timestamp) {
        let (Some(file), Some(info)) = (&mut self.file, json::object(payload, "info")) else { return };
        let part = |key: &str| json::object(info, key).and_then(tokens);
        let (Some(total), Some(last)) = (part("total_token_usage"), part("last_token_usage")) else { return };
        file.events.push(SessionEvent::Running { at, model: self.model.clone(), total, last });
    }
}

fn is_whole(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok()
}

/// What the piece of a line says that it is: the line's kind, then the payload's.
fn kinds(piece: &str) -> impl Iterator<Item = &str> {
    piece.split("\"type\":\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(kind, _)| kind)
}

/// Whether a torn line may have told of tokens, as far as what is left of it says.
fn may_tell(piece: &str) -> bool {
    let mut kinds = kinds(piece);
    match kinds.next() {
        None | Some("token_usage_record") => true,
        Some("event_msg") => kinds.next().is_none_or(|kind| kind == "token_count"),
        Some(_) => false,
    }
}

fn instant(object: &Object) -> Option<Timestamp> {
    let at: jiff::Timestamp = json::text(object, "timestamp")?.parse().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

fn tokens(told: &Object) -> Option<TokenUse> {
    let count = |key: &str| json::count(told, key);
    Some(TokenUse {
        input: count("input_tokens")?,
        cached_input: count("cached_input_tokens").unwrap_or_default(),
        output: count("output_tokens")?,
        reasoning: count("reasoning_output_tokens").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = r#"{"timestamp":"2026-11-27T19:06:52.537Z","ordinal":0,"type":"session_meta","payload":{"id":"child","forked_from_id":"parent","timestamp":"2026-11-27T19:06:52.521Z","cwd":"/w","source":"exec"}}"#;
    const TURN: &str =
        r#"{"timestamp":"2026-11-27T19:06:52.696Z","type":"turn_context","payload":{"turn_id":"t","model":"gpt-5.5"}}"#;
    const ANSWER: &str = r#"{"timestamp":"2026-11-27T19:06:52.869Z","type":"token_usage_record","payload":{"thread_id":"child","response_id":"resp_3","usage":{"input_tokens":17047,"cached_input_tokens":7,"output_tokens":5,"reasoning_output_tokens":2,"total_tokens":17052}}}"#;
    const RUNNING: &str = r#"{"timestamp":"2026-11-27T19:06:52.873Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":50655,"cached_input_tokens":16723,"output_tokens":15,"reasoning_output_tokens":0,"total_tokens":50670},"last_token_usage":{"input_tokens":17047,"output_tokens":5}},"rate_limits":null}}"#;
    const SAID: &str = r#"{"timestamp":"2026-11-27T19:06:52.873Z","type":"response_item","payload":{"type":"message","content":"\"token_count\" \"session_meta\""}}"#;
    const EMPTY: &str =
        r#"{"timestamp":"2026-11-27T19:06:52.873Z","type":"event_msg","payload":{"type":"token_count","info":null}}"#;

    #[test]
    fn a_log_of_the_client_is_read() {
        let text =
            [META, TURN, SAID, ANSWER, EMPTY, RUNNING, &META.replace("child", "other"), &RUNNING[..90]].join("\n");
        let (file, torn) = parse(text.as_bytes());
        let file = file.expect("it names its thread");
        assert_eq!((file.thread.as_str(), file.parent.as_deref(), torn), ("child", Some("parent"), 1));
        assert_eq!(file.created_at.as_millis(), 1_795_806_412_521);
        let took = TokenUse { input: 17_047, cached_input: 7, output: 5, reasoning: 2 };
        let [
            SessionEvent::Answer { response, model, tokens, .. },
            SessionEvent::Running { total, .. },
            SessionEvent::Torn { .. },
        ] = &file.events[..]
        else {
            panic!("{:?}", file.events)
        };
        assert_eq!((response.as_str(), model.as_deref(), *tokens), ("resp_3", Some("gpt-5.5"), took));
        assert_eq!((total.input, total.output), (50_655, 15));
    }

    /// How many answers, totals and torn lines are read from a log that goes on like this.
    #[track_caller]
    fn check(rest: &[&str], expect: (usize, usize, usize)) {
        let (file, torn) = parse([&[META], rest].concat().join("\n").as_bytes());
        let events = file.expect("it names its thread").events;
        let count = |is: fn(&SessionEvent) -> bool| events.iter().filter(|event| is(event)).count();
        let seen = (
            count(|event| matches!(event, SessionEvent::Answer { .. })),
            count(|event| matches!(event, SessionEvent::Running { .. })),
            count(|event| matches!(event, SessionEvent::Torn { .. })),
        );
        assert_eq!((seen, torn), (expect, expect.2), "{rest:?}");
    }

    #[test]
    fn a_torn_line_spoils_no_other_and_is_named_where_it_may_matter() {
        check(&[ANSWER, RUNNING, &ANSWER[..40]], (1, 1, 1));
        check(&[ANSWER, &RUNNING[..120], ANSWER], (2, 0, 1));
        check(&[ANSWER, &SAID[..90]], (1, 0, 0));
        check(&[&EMPTY[..70]], (0, 0, 1));
        check(&[&EMPTY.replace("token_count", "agent_message")[..100]], (0, 0, 0));
        // The client went on in the torn line.
        check(&[&[&SAID[..90], ANSWER].concat(), RUNNING], (1, 1, 0));
        check(&[&[&ANSWER[..90], ANSWER].concat(), RUNNING], (1, 1, 1));
        check(&[&[&ANSWER[..30], &RUNNING[..60]].concat(), RUNNING], (0, 1, 1));
        let left = |piece: &str| match &parse([META, piece].join("\n").as_bytes()).0.expect("a thread").events[..] {
            [SessionEvent::Torn { is_answer }] => *is_answer,
            events => panic!("{events:?}"),
        };
        assert!(left(&ANSWER[..90]) && !left(&RUNNING[..120]) && !left(&ANSWER[..30]));
    }

    #[test]
    fn a_subagent_names_its_parent_in_its_source() {
        let spawned = r#""source":{"subagent":{"thread_spawn":{"parent_thread_id":"root","depth":1}}}"#;
        let meta = META.replace(r#""forked_from_id":"parent","#, "").replace(r#""source":"exec""#, spawned);
        let (file, _) = parse(meta.as_bytes());
        assert_eq!(file.and_then(|file| file.parent).as_deref(), Some("root"));
        assert_eq!(parse(b"{\"type\":\"other\"}\n"), (None, 0));
    }
}
