//! What the official client's session logs say was used, each answer counted once.
//!
//! A log is no list of answers. Newer clients write a record for each answer, with its id; older ones only running totals
//! of the thread. A fork or a subagent begins with its parent's history: a copy of it, or totals that go on from there. A
//! thread that is resumed may go on in a second file. A line may be torn; a later total or a copy may still tell what it
//! said. Whatever cannot be told is named, never guessed.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::{Timestamp, TokenUse};

mod steps;

use steps::{Copied, Means, Step, copied, covers, less, steps, takes_along};

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
    /// A torn line that may have told either.
    Torn {
        /// Whether what is left of it says that it told an answer by its id.
        is_answer: bool,
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
    /// Threads with a torn line that may have told an answer nothing else tells: what is counted of them is too little,
    /// or right.
    pub incomplete: Vec<String>,
}

/// Counts the answers of these files, each once.
pub fn count_sessions(files: &[SessionFile]) -> CountedSessions {
    let mut ordered: Vec<&SessionFile> = files.iter().collect();
    ordered.sort_by(|one, other| (one.created_at, &one.thread).cmp(&(other.created_at, &other.thread)));
    let mut counting = Counting::default();
    for file in ordered {
        counting.file(file);
    }
    counting.done()
}

#[derive(Debug, Default)]
struct Counting<'f> {
    found: CountedSessions,
    answers: HashSet<&'f str>,
    /// Answers without an id that totals alone told, by thread: places in what was found.
    nameless: HashMap<&'f str, Vec<usize>>,
    /// Whose steps, so far.
    logs: Vec<(&'f str, Vec<Step>)>,
    /// The latest log of each thread so far.
    latest: HashMap<&'f str, usize>,
    /// The logs that began with a thread's history so far.
    heirs: HashMap<&'f str, Vec<usize>>,
}

impl<'f> Counting<'f> {
    fn file(&mut self, file: &'f SessionFile) {
        let (mut steps, place) = (steps(file), self.logs.len());
        // A second file of one thread goes on from the first.
        let before = self.latest.insert(&file.thread, place);
        let parent = before.or_else(|| self.latest.get(file.parent.as_deref()?).copied());
        let mut state = Thread { is_root: file.parent.is_none(), ..Thread::default() };
        if let Some(parent) = parent {
            state.copies = self.copies(parent, file, &mut steps);
        }
        if let Some(parent) = file.parent.as_deref() {
            self.heirs.entry(parent).or_default().push(place);
        }
        self.logs.push((&file.thread, steps));
        let is_orphan = file.parent.is_some() && parent.is_none();
        for event in &file.events {
            match event {
                SessionEvent::Answer { at, thread, response, model, tokens } => {
                    state.explained = sum(state.explained, *tokens);
                    if self.answers.insert(response) && !self.named(thread, response, *tokens) {
                        let (thread, response) = (thread.clone(), Some(response.clone()));
                        self.found.answers.push(Counted {
                            thread,
                            response,
                            at: *at,
                            model: model.clone(),
                            tokens: *tokens,
                        });
                    }
                }
                SessionEvent::Running { at, model, total, last } => {
                    let Told { healed, own } = state.told(*total, *last);
                    let parent = parent.map_or(file.thread.as_str(), |parent| self.logs[parent].0);
                    for (owner, tokens) in [(parent, healed), (&file.thread, own)] {
                        if tokens.total() == 0 {
                        } else if is_orphan {
                            self.found.unclear.push(file.thread.clone());
                        } else {
                            self.nameless.entry(owner).or_default().push(self.found.answers.len());
                            let (thread, model) = (owner.to_owned(), model.clone());
                            self.found.answers.push(Counted { thread, response: None, at: *at, model, tokens });
                        }
                    }
                }
                SessionEvent::Torn { is_answer } => {
                    state.is_torn |= takes_along(*is_answer, state.explained != TokenUse::default());
                }
            }
        }
    }

    /// The totals this file begins with that are its parent's, or another heir's: what nothing in the parent's log tells
    /// any more may live on in a copy. Where one of both is torn, the other one heals it.
    fn copies(&mut self, parent: usize, file: &SessionFile, steps: &mut [Step]) -> VecDeque<Copied> {
        let of = |place: usize| copied(&self.logs[place].1, steps, file.created_at);
        let (own, heirs) = (of(parent), file.parent.as_deref().and_then(|parent| self.heirs.get(parent)));
        let is_whole = |copy: &Copied| copy.means == Means::Nothing;
        let of_heir = |heir: &usize| of(*heir).into_iter().take_while(is_whole).collect::<Vec<_>>();
        let longest = heirs.into_iter().flatten().map(of_heir).max_by_key(Vec::len);
        for Copied { total, means } in &own {
            let torn = match means {
                Means::Nothing => None,
                Means::Heals(place) => self.logs[parent].1.get_mut(*place),
                Means::IsHealed(place) => steps.get_mut(*place),
            };
            if let Some(step) = torn {
                *step = Step::Total { at: step.at(), total: *total, is_told: false };
            }
        }
        longest.filter(|copy| copy.len() > own.len()).unwrap_or(own).into()
    }

    /// An answer that its thread's totals told already gets its name from a copy; whether it was there.
    fn named(&mut self, thread: &str, response: &str, tokens: TokenUse) -> bool {
        let Some(places) = self.nameless.get_mut(thread) else { return false };
        let answers = &mut self.found.answers;
        let Some(at) = places.iter().position(|place| answers[*place].tokens == tokens) else { return false };
        answers[places.swap_remove(at)].response = Some(response.to_owned());
        true
    }

    fn done(self) -> CountedSessions {
        let mut found = self.found;
        let is_lost = |step: &Step| matches!(step, Step::Lost { .. });
        let torn = self.logs.into_iter().filter(|(_, steps)| steps.iter().any(is_lost));
        found.incomplete = torn.map(|(thread, _)| thread.to_owned()).collect();
        found.answers.sort_by(|one, other| (one.at, &one.thread).cmp(&(other.at, &other.thread)));
        for names in [&mut found.unclear, &mut found.incomplete] {
            names.sort_unstable();
            names.dedup();
        }
        found
    }
}

/// How far the running totals of one file have been followed.
#[derive(Debug, Default)]
struct Thread {
    is_root: bool,
    /// Totals that are copies of the parent's.
    copies: VecDeque<Copied>,
    so_far: Option<TokenUse>,
    /// What answers with an id account for since the last total.
    explained: TokenUse,
    /// A line before the next total is torn.
    is_torn: bool,
}

/// What a total tells that no answer told.
#[derive(Debug, Default)]
struct Told {
    /// Answers of the parent's whose lines are torn there.
    healed: TokenUse,
    /// The thread's own.
    own: TokenUse,
}

impl Thread {
    fn told(&mut self, total: TokenUse, last: TokenUse) -> Told {
        let (mut told, mut explained) = (Told::default(), std::mem::take(&mut self.explained));
        if self.so_far == Some(total) {
            return told;
        }
        let begins = less(total, last);
        // A thread whose totals begin higher than its first answer goes on from a history that is not in the file.
        let is_torn = std::mem::take(&mut self.is_torn) && self.is_root;
        let mut before = self.so_far.unwrap_or(if is_torn { TokenUse::default() } else { begins });
        while let Some(copy) = self.copies.pop_front() {
            let is_it = copy.total == total;
            // A line that is torn here was copied, and the totals go on from it or from before it.
            if !is_it && (self.so_far == Some(begins) || !covers(begins, copy.total)) {
                continue;
            }
            if let Means::Heals(_) = copy.means {
                let new = less(copy.total, before);
                told.healed = sum(told.healed, less(new, explained));
                explained = less(explained, new);
            }
            before = copy.total;
            if is_it {
                break;
            }
        }
        self.so_far = Some(total);
        // Totals that fall, or are those of the last answer, began anew; then it alone is new.
        let is_anew = !covers(total, before) || total == last && total != before;
        told.own = less(if is_anew { last } else { less(total, before) }, explained);
        told
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
