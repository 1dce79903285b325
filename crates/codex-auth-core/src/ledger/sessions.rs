//! What the official client's session logs say was used, each answer counted once.
//!
//! A log is no list of answers. Newer clients write a record for each answer, with its id; older ones only running totals
//! of the thread. A fork or a subagent begins with its parent's history: a copy of it, or totals that go on from there. A
//! thread that is resumed may go on in a second file. Whatever cannot be told apart is named, never guessed.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{Timestamp, TokenUse};

/// One file of the logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFile {
    /// The thread it belongs to.
    pub thread: String,
    /// The thread whose history it begins with.
    pub parent: Option<String>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// What it says of tokens, in order.
    pub events: Vec<SessionEvent>,
}

/// What a line says of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// One answer, by its id.
    Answer {
        /// When it was written.
        at: Timestamp,
        /// The thread it was given to; in a copy, another one than the file's.
        thread: String,
        /// Its id.
        response: String,
        /// The model, as far as the file says.
        model: Option<String>,
        /// What it took.
        tokens: TokenUse,
    },
    /// What the thread took so far, and its last answer alone.
    Running {
        /// When it was written.
        at: Timestamp,
        /// The model, as far as the file says.
        model: Option<String>,
        /// So far, its parent's history included.
        total: TokenUse,
        /// The last answer.
        last: TokenUse,
    },
}

/// One answer of the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The thread it was given to.
    pub thread: String,
    /// Its id, where the log has it.
    pub response: Option<String>,
    /// When it was written.
    pub at: Timestamp,
    /// The model, as far as the log says.
    pub model: Option<String>,
    /// What it took.
    pub tokens: TokenUse,
}

/// All answers of a forest of logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountedSessions {
    /// Each once, oldest first.
    pub answers: Vec<Counted>,
    /// Threads whose own part cannot be told from their parent's, because the parent's log is gone.
    pub unclear: Vec<String>,
}

/// Counts the answers of these files, each once.
pub fn count_sessions(files: &[SessionFile]) -> CountedSessions {
    let mut ordered: Vec<&SessionFile> = files.iter().collect();
    ordered.sort_by(|one, other| (one.created_at, &one.thread).cmp(&(other.created_at, &other.thread)));
    let mut counting = Counting::default();
    for file in ordered {
        counting.file(file);
    }
    let mut found = counting.found;
    found.answers.sort_by(|one, other| (one.at, &one.thread).cmp(&(other.at, &other.thread)));
    found.unclear.sort_unstable();
    found.unclear.dedup();
    found
}

#[derive(Debug, Default)]
struct Counting<'f> {
    found: CountedSessions,
    answers: HashSet<&'f str>,
    /// The latest file of each thread so far.
    files: HashMap<&'f str, &'f SessionFile>,
    /// The files that began with a thread's history so far.
    heirs: HashMap<&'f str, Vec<&'f SessionFile>>,
}

impl<'f> Counting<'f> {
    fn file(&mut self, file: &'f SessionFile) {
        // A second file of one thread goes on from the first.
        let before = self.files.insert(&file.thread, file);
        let parent = before.or_else(|| self.files.get(file.parent.as_deref()?).copied());
        let is_orphan = file.parent.is_some() && parent.is_none();
        // A log that lost its last line may live on in the copy of another heir.
        let heirs = file.parent.as_deref().and_then(|parent| self.heirs.get(parent)).into_iter().flatten().copied();
        let copied = parent.into_iter().chain(heirs.filter(|_| parent.is_some())).map(|from| copied(from, file)).max();
        let copied = copied.unwrap_or_default();
        if let Some(parent) = file.parent.as_deref() {
            self.heirs.entry(parent).or_default().push(file);
        }
        let mut state = Thread { skips: copied, ..Thread::default() };
        for event in &file.events {
            match event {
                SessionEvent::Answer { at, thread, response, model, tokens } => {
                    state.explained = sum(state.explained, *tokens);
                    if self.answers.insert(response) {
                        self.found.answers.push(Counted {
                            thread: thread.clone(),
                            response: Some(response.clone()),
                            at: *at,
                            model: model.clone(),
                            tokens: *tokens,
                        });
                    }
                }
                SessionEvent::Running { at, model, total, last } => {
                    let Some(tokens) = state.own(*total, *last) else { continue };
                    if is_orphan {
                        self.found.unclear.push(file.thread.clone());
                        continue;
                    }
                    let (thread, model) = (file.thread.clone(), model.clone());
                    self.found.answers.push(Counted { thread, response: None, at: *at, model, tokens });
                }
            }
        }
    }
}

/// How far the running totals of one file have been followed.
#[derive(Debug, Default)]
struct Thread {
    /// Events that are copies of the parent's.
    skips: usize,
    so_far: Option<TokenUse>,
    /// What answers with an id account for since the last total.
    explained: TokenUse,
}

impl Thread {
    /// What is new since the last total and was not told by an answer of its own.
    fn own(&mut self, total: TokenUse, last: TokenUse) -> Option<TokenUse> {
        let explained = std::mem::take(&mut self.explained);
        if self.skips > 0 {
            self.skips -= 1;
            self.so_far = Some(total);
            return None;
        }
        // A thread whose totals begin higher than its first answer goes on from a history that is not in the file.
        let before = self.so_far.unwrap_or_else(|| less(total, last));
        self.so_far = Some(total);
        let fell = |part: fn(TokenUse) -> u64| part(total) < part(before);
        let is_less =
            fell(|of| of.input) || fell(|of| of.output) || fell(|of| of.cached_input) || fell(|of| of.reasoning);
        // Totals that fall, or are those of the last answer, began anew; then it alone is new.
        let new = if is_less || (total == last && total != before) { last } else { less(total, before) };
        let own = less(new, explained);
        (own.total() > 0).then_some(own)
    }
}

/// How many running totals of a file are copies of its parent's. What the parent wrote later was not copied.
fn copied(parent: &SessionFile, file: &SessionFile) -> usize {
    let theirs = totals(parent).filter(|(at, _)| *at <= file.created_at).map(|(_, total)| total);
    let mine = totals(file).map(|(_, total)| total);
    mine.zip(theirs).take_while(|(mine, theirs)| mine == theirs).count()
}

fn totals(file: &SessionFile) -> impl Iterator<Item = (Timestamp, TokenUse)> + '_ {
    file.events.iter().filter_map(|event| match event {
        SessionEvent::Running { at, total, .. } => Some((*at, *total)),
        SessionEvent::Answer { .. } => None,
    })
}

fn less(from: TokenUse, part: TokenUse) -> TokenUse {
    TokenUse {
        input: from.input.saturating_sub(part.input),
        cached_input: from.cached_input.saturating_sub(part.cached_input),
        output: from.output.saturating_sub(part.output),
        reasoning: from.reasoning.saturating_sub(part.reasoning),
    }
}

/// Both together.
pub(super) fn sum(one: TokenUse, other: TokenUse) -> TokenUse {
    TokenUse {
        input: one.input.saturating_add(other.input),
        cached_input: one.cached_input.saturating_add(other.cached_input),
        output: one.output.saturating_add(other.output),
        reasoning: one.reasoning.saturating_add(other.reasoning),
    }
}

impl CountedSessions {
    /// The sums of each thread.
    pub fn by_thread(&self) -> BTreeMap<&str, TokenUse> {
        let mut threads = BTreeMap::new();
        for answer in &self.answers {
            let entry = threads.entry(answer.thread.as_str()).or_default();
            *entry = sum(*entry, answer.tokens);
        }
        threads
    }
}
