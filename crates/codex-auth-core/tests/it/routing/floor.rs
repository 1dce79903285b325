//! Owns the floor: how many uncached tokens no policy can save, however many accounts it has and however large they are.
//!
//! A token that nobody asked for in the last five minutes is in no cache, and is in none until somebody's answer begins.
//! One that is asked for all the time is written anew once an hour: one writing serves an hour at most, so writing as
//! late as possible writes least. What a policy costs beyond that, such as a prompt read on two accounts, is its own.

use std::collections::HashMap;

use super::{
    backend::{BLOCK, LATEST, SLIDING},
    run::BEGINS,
    traffic::{Part, Request},
};

/// A stretch of a part, as the luckiest of all caches has it.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    end: u64,
    written: i64,
    used: i64,
}

/// The floor of some of the requests. The others, which not every policy served, write for nothing.
pub(super) fn floor(requests: &[Request], counts: &[bool]) -> u64 {
    let mut cache: HashMap<Part, Vec<Stretch>> = HashMap::new();
    let mut sum = 0;
    for (request, counts) in requests.iter().zip(counts) {
        let mut found = 0;
        for (part, tokens) in &request.prompt {
            found += asked(cache.entry(*part).or_default(), *tokens, *counts, request.at);
        }
        // What is short of a block at the end is never found.
        let tokens = request.tokens();
        if *counts {
            sum += tokens - found.min(tokens / BLOCK * BLOCK);
        }
    }
    sum
}

/// A part is asked for; how much of it some cache may hold.
fn asked(stretches: &mut Vec<Stretch>, tokens: u64, counts: bool, now: i64) -> u64 {
    // A stretch that this request ends in is two from here on.
    if let Some(place) = stretches.iter().position(|stretch| stretch.end > tokens) {
        let begin = place.checked_sub(1).map_or(0, |before| stretches[before].end);
        if begin < tokens {
            stretches.insert(place, Stretch { end: tokens, ..stretches[place] });
        }
    }
    let (mut begin, mut found) = (0, 0);
    for stretch in stretches.iter_mut().take_while(|stretch| stretch.end <= tokens) {
        found += stretch.is_found(counts, now) * (stretch.end - begin);
        begin = stretch.end;
    }
    if begin < tokens {
        stretches.push(Stretch { end: tokens, written: now + BEGINS, used: now + BEGINS });
    }
    found
}

impl Stretch {
    /// It is asked for: 1 when some cache may hold it, else 0; then it is written.
    fn is_found(&mut self, counts: bool, now: i64) -> u64 {
        let is_gone = now - self.used > SLIDING;
        let is_over = now - self.written > LATEST + BEGINS;
        let is_found = !is_gone && !is_over && self.written <= now;
        if is_gone {
            self.written = now + BEGINS;
        } else if is_over || (is_found && !counts) {
            // Another account may have begun to keep it while it was here still, so nobody waits for it.
            self.written = now;
        }
        self.used = now + BEGINS;
        u64::from(is_found)
    }
}
