//! What was said of a window, what came of it, and what that teaches about the next thing that is said.

use super::{habit::WindowReading, outlook::Outlook};
use crate::Timestamp;

/// Nine in ten hold.
pub const SURE: f64 = 0.9;
/// How far one promise that came due moves the width of the next.
const LEARNS: f64 = 0.06;
/// Where the score begins. Six weeks bring a weekly window some thirty promises, which hardly move it: there this decides.
const FIRST: f64 = 1.15;
/// The width stays within these shares of what the past alone says.
const NARROWEST: f64 = 3.0;
const WIDEST: f64 = 0.1;

/// When a window runs out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RunOut {
    /// It is spent.
    Spent,
    /// It most likely starts anew before.
    Lasts {
        /// How sure that is, from 0 to 1.
        surely: f64,
    },
    /// It may.
    Between {
        /// With nine chances in ten not before this, and not after `to`.
        from: Timestamp,
        /// As likely before as after; `None` where it rather lasts.
        likely: Option<Timestamp>,
        /// `None` where it may also last until it starts anew.
        to: Option<Timestamp>,
    },
}

/// Something that was said of one run of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promise {
    /// When it was said.
    pub said_at: Timestamp,
    /// When that run of the window ends, and with it the waiting.
    pub resets_at: Timestamp,
    /// What was said.
    pub says: RunOut,
}

/// What came of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing yet.
    Open,
    /// The window was spent.
    RanOut(Timestamp),
    /// It started anew before that.
    Lasted,
}

/// How often what was said of windows of one length held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// How much chance each interval leaves outside, as a share of what it should by the past alone.
    pub outside: f64,
    /// Intervals that came due.
    pub said: u32,
    /// Of those, the ones that held.
    pub held: u32,
    /// Windows that were said to last, and came due.
    pub lasting: u32,
    /// Of those, the ones that lasted.
    pub lasted: u32,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { outside: FIRST, said: 0, held: 0, lasting: 0, lasted: 0 }
    }
}

impl Calibration {
    /// What an outlook says, as wide as experience asks for.
    pub fn runs_out(&self, outlook: &Outlook) -> RunOut {
        if outlook.left() <= 0.0 {
            return RunOut::Spent;
        }
        self.within(&outlook.run_outs(), outlook.resets_at())
    }

    /// What is said of run-outs by their weights, in order of time, up to the instant that everything else outlasts.
    pub(super) fn within(&self, ends: &[(Timestamp, f64)], lasting_to: Timestamp) -> RunOut {
        let all: f64 = ends.iter().map(|(_, weight)| weight).sum();
        let outside = self.outside * (1.0 - SURE);
        if all <= outside {
            return RunOut::Lasts { surely: 1.0 - all };
        }
        let moment = |share: f64| {
            let mut sum = 0.0;
            let found = ends.iter().find(|(_, weight)| {
                sum += weight;
                sum >= share
            });
            found.map(|(at, _)| *at)
        };
        let (likely, to) = (moment(0.5), moment(1.0 - outside / 2.0));
        let from = moment(if to.is_some() { outside / 2.0 } else { outside });
        RunOut::Between { from: from.unwrap_or(lasting_to), likely, to }
    }

    /// A promise came due: the window ran out then, or never.
    pub fn learn(&mut self, promise: &Promise, ran_out: Option<Timestamp>) {
        match promise.says {
            RunOut::Spent => {}
            RunOut::Lasts { .. } => {
                self.lasting += 1;
                self.lasted += u32::from(ran_out.is_none());
            }
            RunOut::Between { from, to, .. } => {
                let held = match ran_out {
                    Some(out) => from <= out && to.is_none_or(|to| out <= to),
                    None => to.is_none(),
                };
                self.said += 1;
                self.held += u32::from(held);
                // An interval that fails makes the next ones wider by nine times what one that holds makes them narrower:
                // in the long run one in ten fails, whatever the past looks like.
                let step = if held { 1.0 - SURE } else { -SURE };
                self.outside = (self.outside * (LEARNS * step).exp()).clamp(WIDEST, NARROWEST);
            }
        }
    }
}

impl Promise {
    /// What came of the promise, as far as a reading tells.
    pub(super) fn outcome(&self, reading: &WindowReading) -> Outcome {
        if self.resets_at <= reading.seen_at {
            Outcome::Lasted
        } else if reading.used_percent >= 100.0 {
            Outcome::RanOut(reading.seen_at)
        } else {
            Outcome::Open
        }
    }
}
