//! Owns the requests of a family under one seed. They are the same for every policy: what is asked, and when, does not
//! hang on who answers.

use super::family::{Dice, Family};

/// Prompts that agree in a part agree in its name; parts only grow at their ends.
pub(crate) type Part = u32;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: i64,
    /// How long the answer takes, in milliseconds.
    pub(crate) lasts: i64,
    pub(crate) session: usize,
    /// The session that sent this one out.
    pub(crate) parent: Option<usize>,
    /// Parts from the beginning, each with its tokens.
    pub(crate) prompt: Vec<(Part, u64)>,
    pub(crate) output: u64,
}

impl Request {
    pub(crate) fn tokens(&self) -> u64 {
        self.prompt.iter().map(|(_, tokens)| tokens).sum()
    }
}

/// As much as a model's context holds before it is summed up.
const CONTEXT: f64 = 210_000.0;
const SUMMARY: f64 = 7000.0;
const HOUR: f64 = 3_600_000.0;

/// All requests in order of time.
pub(crate) fn of(family: &Family, seed: u64) -> Vec<Request> {
    let mut made = Making { family, dice: Dice::new(seed), requests: Vec::new(), sessions: 0, parts: 1000 };
    let end = family.number("hours") * HOUR;
    for _ in 0..whole(family.number("lasting")) {
        let start = made.dice.about(0.05 * HOUR);
        made.session(start, end, None, f64::INFINITY);
    }
    let mut at = 0.0;
    while family.number("begin") > 0.0 {
        at += made.dice.about(HOUR / family.number("begin"));
        if at >= end {
            break;
        }
        if (at / HOUR) % 24.0 >= family.number("day") {
            continue;
        }
        for _ in 0..whole(family.number("burst")) {
            let start = at + made.dice.about(8000.0);
            made.session(start, end + HOUR, None, family.number("turns"));
        }
    }
    made.requests.sort_by_key(|request| (request.at, request.session));
    made.requests
}

struct Making<'a> {
    family: &'a Family,
    dice: Dice,
    requests: Vec<Request>,
    sessions: usize,
    parts: Part,
}

/// A conversation under way.
struct Talk {
    session: usize,
    parent: Option<usize>,
    before: Vec<(Part, u64)>,
    own: Part,
    tokens: f64,
    now: f64,
}

impl Making<'_> {
    fn session(&mut self, start: f64, end: f64, parent: Option<(&Talk, bool)>, turns: f64) -> f64 {
        let project = self.dice.fraction() * self.family.number("projects");
        let before = match parent {
            Some((talk, true)) => [&talk.before[..], &[(talk.own, whole(talk.tokens))]].concat(),
            Some((talk, false)) => talk.before[..2].to_vec(),
            None => vec![
                (0, whole(self.family.number("base"))),
                (1 + Part::try_from(whole(project)).expect("few"), whole(self.family.number("project"))),
            ],
        };
        let parent_session = parent.map(|(talk, _)| talk.session);
        let own = self.part();
        let mut talk = Talk { session: self.sessions, parent: parent_session, before, own, tokens: 0.0, now: start };
        self.sessions += 1;
        if parent.is_some() {
            self.turn(&mut talk, self.family.number("child"));
            return talk.now;
        }
        let turns = if turns.is_finite() { self.dice.count(turns) } else { usize::MAX };
        for _ in 0..turns {
            if talk.now >= end {
                break;
            }
            self.turn(&mut talk, self.family.number("steps"));
            if self.family.number("children") > 0.0 && self.dice.happens(1.0 / 3.0) {
                self.sends_out(&mut talk, end);
            }
            let pause = self.family.number("thinks") * if self.dice.happens(0.25) { 6000.0 } else { 1000.0 };
            talk.now += self.dice.about(pause);
        }
        talk.now
    }

    fn turn(&mut self, talk: &mut Talk, steps: f64) {
        talk.tokens += 40.0 + self.dice.about(400.0);
        for _ in 0..self.dice.count(steps) {
            self.step(talk);
        }
    }

    fn step(&mut self, talk: &mut Talk) {
        let lasts = 3000.0 + self.dice.about(9000.0);
        let output = 60.0 + self.dice.about(500.0);
        let mut prompt = talk.before.clone();
        prompt.push((talk.own, whole(talk.tokens)));
        self.requests.push(Request {
            at: millis(talk.now),
            lasts: millis(lasts),
            session: talk.session,
            parent: talk.parent,
            prompt,
            output: whole(output),
        });
        talk.now += lasts + self.dice.about(3000.0);
        talk.tokens += output + self.dice.about(self.family.number("grows"));
        if talk.tokens > CONTEXT {
            talk.own = self.part();
            talk.before.truncate(2);
            talk.tokens = SUMMARY;
        }
    }

    /// Subagents work side by side, and their parent waits for the last.
    fn sends_out(&mut self, talk: &mut Talk, end: f64) {
        let mut last = talk.now;
        for _ in 0..self.dice.count(self.family.number("children")) {
            let start = talk.now + self.dice.about(1500.0);
            let forks = self.dice.happens(self.family.number("forks") / 100.0);
            last = f64::max(last, self.session(start, end, Some((talk, forks)), 1.0));
            talk.tokens += 200.0 + self.dice.about(700.0);
        }
        talk.now = last;
    }

    fn part(&mut self) -> Part {
        self.parts += 1;
        self.parts
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not below nought")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[allow(clippy::cast_possible_truncation, reason = "days, in milliseconds")]
fn millis(number: f64) -> i64 {
    number as i64
}
