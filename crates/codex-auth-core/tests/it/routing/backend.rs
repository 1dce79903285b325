//! Owns the backend as the judge knows it: per account a prefix cache and two quota windows.
//!
//! A prompt's beginning is cached in blocks of 128 tokens, from 1,024 tokens on; a block lives five minutes after its
//! last use, and at the latest sixty after it was written. Sessions of one account share what their prompts have in
//! common. A token that was cached costs a tenth of the quota of one that was not, one of the answer eight times as much,
//! as the vendor's prices have it.

use std::collections::HashMap;

use super::{
    family::Start,
    traffic::{Part, Request},
};

pub(super) const BLOCK: u64 = 128;
const LEAST: u64 = 1024;
pub(super) const SLIDING: i64 = 5 * 60_000;
pub(super) const LATEST: i64 = 60 * 60_000;
const HOUR: f64 = 3_600_000.0;
/// What the smallest plan gives in five hours, and in a week.
const SHORT: f64 = 6.0e6;
const LONG: f64 = 3.0e7;
const SHORT_HOURS: f64 = 5.0;
const LONG_HOURS: f64 = 168.0;

/// One account at the backend.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) short: Window,
    pub(crate) long: Window,
    cache: HashMap<Part, Vec<Chunk>>,
}

/// A share that starts anew with the first request after its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    gives: f64,
    used: f64,
    ends: i64,
    hours: f64,
}

/// A stretch of a part that was written at one time.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    end: u64,
    written: i64,
    used: i64,
}

impl Chunk {
    fn lives(&self, now: i64) -> bool {
        now - self.used <= SLIDING && now - self.written <= LATEST
    }
}

impl Account {
    pub(crate) fn new(start: Start) -> Self {
        let window = |gives: f64, hours: f64, (used, left): (f64, f64)| Window {
            gives: gives * start.size,
            used: gives * start.size * used / 100.0,
            ends: millis(left * HOUR),
            hours,
        };
        Self {
            short: window(SHORT, SHORT_HOURS, start.short),
            long: window(LONG, LONG_HOURS, start.long),
            cache: HashMap::new(),
        }
    }

    /// Until when it serves nobody, if it is spent.
    pub(crate) fn spent_until(&self, now: i64) -> Option<i64> {
        [self.short, self.long]
            .iter()
            .filter(|window| now < window.ends && window.used >= window.gives)
            .map(|window| window.ends)
            .max()
    }

    /// How many tokens of a prompt it finds in its cache.
    pub(crate) fn cached(&self, request: &Request, now: i64) -> u64 {
        let mut found = 0;
        for (part, tokens) in &request.prompt {
            let chunks = self.cache.get(part).map_or(&[][..], Vec::as_slice);
            let alive = chunks.iter().take_while(|chunk| chunk.lives(now)).last().map_or(0, |chunk| chunk.end);
            found += alive.min(*tokens);
            if alive < *tokens {
                break;
            }
        }
        let blocks = found / BLOCK * BLOCK;
        if blocks < LEAST { 0 } else { blocks }
    }

    /// Keeps a prompt it has read.
    pub(crate) fn keep(&mut self, request: &Request, now: i64) {
        for (part, tokens) in &request.prompt {
            let chunks = self.cache.entry(*part).or_default();
            // What lies behind the end of this prompt is another's, and stays as old as it is.
            if let Some(place) = chunks.iter().position(|chunk| chunk.end > *tokens) {
                let begin = place.checked_sub(1).map_or(0, |before| chunks[before].end);
                if begin < *tokens {
                    chunks.insert(place, Chunk { end: *tokens, ..chunks[place] });
                }
            }
            for chunk in chunks.iter_mut().filter(|chunk| chunk.end <= *tokens) {
                // What it found there when it was asked is not written again, though its hour ends meanwhile.
                if !chunk.lives(request.at) {
                    chunk.written = now;
                }
                chunk.used = now;
            }
            if chunks.last().is_none_or(|last| last.end < *tokens) {
                chunks.push(Chunk { end: *tokens, written: now, used: now });
            }
        }
    }

    /// Takes an answer off its quota.
    pub(crate) fn charge(&mut self, answer: (u64, u64, u64), now: i64) {
        let cost = cost(answer);
        for window in [&mut self.short, &mut self.long] {
            if now >= window.ends {
                window.used = 0.0;
                window.ends = now + millis(window.hours * HOUR);
            }
            window.used += cost;
        }
    }
}

/// What an answer costs of a quota: its prompt's tokens, those of them that were cached, and its own.
#[allow(clippy::cast_precision_loss, reason = "tokens of one request")]
pub(crate) fn cost((tokens, cached, output): (u64, u64, u64)) -> f64 {
    (tokens - cached) as f64 + cached as f64 / 10.0 + output as f64 * 8.0
}

impl Window {
    /// Whole percent used and the end, as headers tell them.
    pub(crate) fn told(&self, now: i64) -> (f64, i64) {
        let used = if now < self.ends { (self.used / self.gives * 100.0).floor() } else { 0.0 };
        (used, if now < self.ends { self.ends } else { now + millis(self.hours * HOUR) })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "weeks, in milliseconds")]
fn millis(number: f64) -> i64 {
    number as i64
}
