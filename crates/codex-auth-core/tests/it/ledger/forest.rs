//! Makes session logs whose truth is known: threads, forks and subagents of them, in the ways in which clients of
//! different ages write them down, with everything that happens to logs.

use codex_auth_core::{SessionEvent, SessionFile, Timestamp, TokenUse};

/// Chance of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One time in `often`.
    pub(crate) fn once_in(&mut self, often: u64) -> bool {
        self.below(often) == 0
    }
}

/// How a client writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// Running totals only; whoever forks or resumes may copy the history.
    Totals,
    /// Answers with ids and totals; a fork copies the history.
    AnswersCopied,
    /// Answers with ids and totals; a fork points to the history.
    AnswersPointed,
}

/// One answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct True {
    pub(crate) thread: String,
    pub(crate) response: String,
    pub(crate) at: Timestamp,
    pub(crate) tokens: TokenUse,
}

/// Logs and the truth about them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forest {
    pub(crate) files: Vec<SessionFile>,
    pub(crate) truth: Vec<True>,
    /// Threads whose own part nobody can tell: they copied, without ids, from a log that is gone.
    pub(crate) unclear: Vec<String>,
    /// Threads that lost a line, whatever it said and wherever else it still stands.
    pub(crate) torn: Vec<String>,
}

/// A thread while it is being made.
#[derive(Debug, Clone)]
struct Growing {
    file: SessionFile,
    writes: Writes,
    total: TokenUse,
    model: String,
    /// Whether its client wrote ids for its own answers.
    own: u64,
    is_orphan: bool,
}

pub(crate) fn plus(one: TokenUse, other: TokenUse) -> TokenUse {
    TokenUse {
        input: one.input + other.input,
        cached_input: one.cached_input + other.cached_input,
        output: one.output + other.output,
        reasoning: one.reasoning + other.reasoning,
    }
}

/// A forest of so many roots.
pub(crate) fn forest(seed: u64, roots: u64) -> Forest {
    let mut chance = Chance::of(seed);
    let mut made = Forest::default();
    let mut now = 1_790_000_000_000;
    let mut number = 0;
    for root in 0..roots {
        let writes = match chance.below(3) {
            0 => Writes::Totals,
            1 => Writes::AnswersCopied,
            _ => Writes::AnswersPointed,
        };
        let model = format!("model-{}", chance.below(3));
        let mut family = vec![begun(format!("thread-{root}"), None, now, writes, model)];
        for _ in 0..2 + chance.below(10) {
            let at = usize::try_from(chance.below(family.len() as u64)).unwrap();
            if chance.once_in(4) {
                now += 1000;
                number += 1;
                let child = forked(&family[at], format!("thread-{root}-{number}"), now, &mut chance);
                family.push(child);
            } else if chance.once_in(8) && family[at].writes == Writes::Totals {
                // Resumed by a client that begins another file and copies the history.
                now += 1000;
                let first = family[at].clone();
                family[at].file = copy_of(&first, first.file.thread.clone(), now);
                family[at].total = readable(&first.file);
                made.files.push(first.file);
            } else if chance.once_in(100) {
                // The disk was full, and the client lives on; or it died there, and goes on from what it can read.
                let is_restarted = chance.once_in(2);
                tear(&mut family[at], &mut chance, &mut made.torn);
                if is_restarted {
                    family[at].total = readable(&family[at].file);
                }
            } else {
                turn(&mut family[at], &mut now, &mut chance, &mut made.truth);
            }
        }
        fell(&mut family, &mut chance, &mut made);
    }
    // In which order a directory is read is nobody's business.
    for at in (1..made.files.len()).rev() {
        let other = usize::try_from(chance.below(at as u64 + 1)).unwrap();
        made.files.swap(at, other);
    }
    made
}

fn begun(thread: String, parent: Option<String>, now: i64, writes: Writes, model: String) -> Growing {
    let file = SessionFile { thread, parent, created_at: Timestamp::from_millis(now), events: Vec::new() };
    Growing { file, writes, total: TokenUse::default(), model, own: 0, is_orphan: false }
}

/// A fork or a subagent; some of the latter begin without a history.
fn forked(parent: &Growing, thread: String, now: i64, chance: &mut Chance) -> Growing {
    if chance.once_in(3) {
        return begun(thread, Some(parent.file.thread.clone()), now, parent.writes, parent.model.clone());
    }
    // A newer client forks what an older one wrote.
    let writes = if chance.once_in(5) { Writes::AnswersPointed } else { parent.writes };
    let file = match writes {
        Writes::Totals | Writes::AnswersCopied => copy_of(parent, thread, now),
        Writes::AnswersPointed => {
            SessionFile { thread, parent: None, created_at: Timestamp::from_millis(now), events: Vec::new() }
        }
    };
    let file = SessionFile { parent: Some(parent.file.thread.clone()), ..file };
    Growing { file, writes, own: 0, is_orphan: false, total: readable(&parent.file), ..parent.clone() }
}

/// The last line is torn; what is left of it says what it was, or does not.
fn tear(thread: &mut Growing, chance: &mut Chance, torn: &mut Vec<String>) {
    if let Some(line) = thread.file.events.pop() {
        let is_answer = matches!(line, SessionEvent::Answer { .. }) && chance.once_in(2);
        thread.file.events.push(SessionEvent::Torn { is_answer });
        torn.push(thread.file.thread.clone());
    }
}

/// The total from which whoever reads this log goes on.
fn readable(file: &SessionFile) -> TokenUse {
    let total = file.events.iter().rev().find_map(|event| match event {
        SessionEvent::Running { total, .. } => Some(*total),
        SessionEvent::Answer { .. } | SessionEvent::Torn { .. } => None,
    });
    total.unwrap_or_default()
}

/// The same lines, written anew at once: their time is that of the copy. Torn ones are not copied.
fn copy_of(original: &Growing, thread: String, now: i64) -> SessionFile {
    let later = Timestamp::from_millis(now + 3);
    let copied = original.file.events.iter().cloned().filter_map(|event| match event {
        SessionEvent::Answer { thread, response, model, tokens, .. } => {
            Some(SessionEvent::Answer { at: later, thread, response, model, tokens })
        }
        SessionEvent::Running { model, total, last, .. } => {
            Some(SessionEvent::Running { at: later, model, total, last })
        }
        SessionEvent::Torn { .. } => None,
    });
    let parent = original.file.parent.clone();
    SessionFile { thread, parent, created_at: Timestamp::from_millis(now), events: copied.collect() }
}

fn turn(thread: &mut Growing, now: &mut i64, chance: &mut Chance, truth: &mut Vec<True>) {
    for _ in 0..=chance.below(6) {
        // No answer comes sooner than a copy is written.
        *now += 300 + i64::try_from(chance.below(60_000)).unwrap();
        let at = Timestamp::from_millis(*now);
        // Retried, cancelled: nothing is logged, since there was no terminal event.
        if chance.once_in(6) {
            continue;
        }
        let input = 500 + chance.below(200_000);
        let output = chance.below(4000);
        let tokens = TokenUse {
            input,
            cached_input: if chance.once_in(3) { 0 } else { chance.below(input) },
            output,
            reasoning: if output == 0 || chance.once_in(2) { 0 } else { chance.below(output) },
        };
        // An older client begins its totals anew now and then, as after a history that was made shorter.
        let begins_anew = thread.writes == Writes::Totals && chance.once_in(200);
        thread.total = if begins_anew { tokens } else { plus(thread.total, tokens) };
        thread.own += 1;
        let response = format!("resp-{}-{}", thread.file.thread, at.as_millis());
        let (model, owner) = (Some(thread.model.clone()), thread.file.thread.clone());
        truth.push(True { thread: owner.clone(), response: response.clone(), at, tokens });
        if thread.writes != Writes::Totals {
            let answer = SessionEvent::Answer { at, thread: owner, response, model: model.clone(), tokens };
            thread.file.events.push(answer);
        }
        let running = SessionEvent::Running { at, model, total: thread.total, last: tokens };
        // The same totals are told again when only a quota has changed.
        let times = if chance.once_in(5) { 3 } else { 1 };
        thread.file.events.extend(std::iter::repeat_n(running, times));
    }
}

/// What becomes of logs: a last line that is torn, a log that is gone.
fn fell(family: &mut Vec<Growing>, chance: &mut Chance, made: &mut Forest) {
    let is_gone = family.len() > 1 && chance.once_in(10);
    for thread in family.iter_mut() {
        if chance.once_in(100) {
            // Of a newer client either of the two lines of its last answer.
            if thread.writes != Writes::Totals && chance.once_in(2) {
                thread.file.events.pop();
            }
            tear(thread, chance, &mut made.torn);
        }
    }
    if is_gone {
        let gone = family.remove(0);
        let name = gone.file.thread;
        made.truth.retain(|answer| answer.thread != name || family.iter().any(|child| copied_by(child, answer)));
        made.files.retain(|file| file.thread != name);
        for thread in family.iter_mut().filter(|thread| thread.file.parent.as_deref() == Some(&name)) {
            thread.is_orphan = true;
        }
    }
    let unclear = |thread: &&Growing| {
        // Of a thread that goes on in a second file only the first one can begin with what is not its own.
        let earlier = made.files.iter().filter(|file| file.thread == thread.file.thread);
        let first = earlier.min_by_key(|file| file.created_at).unwrap_or(&thread.file);
        let has_totals = first.events.iter().any(|event| matches!(event, SessionEvent::Running { .. }));
        thread.is_orphan && thread.writes == Writes::Totals && has_totals
    };
    let unclear: Vec<String> = family.iter().filter(unclear).map(|thread| thread.file.thread.clone()).collect();
    made.unclear.extend(unclear);
    made.files.extend(family.drain(..).map(|thread| thread.file));
}

/// Whether a child's copy still tells this answer of a log that is gone.
fn copied_by(child: &Growing, answer: &True) -> bool {
    let is_it =
        |event: &SessionEvent| matches!(event, SessionEvent::Answer { response, .. } if *response == answer.response);
    child.file.events.iter().any(is_it)
}
