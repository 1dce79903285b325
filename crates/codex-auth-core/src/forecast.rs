//! When will a window run out, when can I work again, and how sure is that?
//!
//! Who may serve, and when a blocked account is free again, is the evaluator's answer and no other. What is owned here is
//! the time until then: how long what is left will last.
//!
//! The method, in three steps:
//!
//! 1. [`Habit`] remembers what was used of a window in steps of ten minutes (an hour, for windows of a day and more), two
//!    weeks back (eight weeks). Steps in which the window was spent are left out: nobody knows what would have been used.
//! 2. [`Outlook`] looks for moments of that past which were like this one (what was used in the last step, hour, and part
//!    of a day; the hour of day; how long ago) and takes what followed each as one story of what may follow now. Stories
//!    count by their likeness. Where few are alike, guesses around the pace since the window began stand in. The stories
//!    that use up what is left before the window starts anew give the chances.
//! 3. [`Calibration`] keeps score. What would have been said at six moments of every run is noted and looked at again when
//!    it came due. An interval that failed makes the next ones wider, nine times as much as one that held makes them
//!    narrower, so that in the long run nine in ten hold, whatever the past looks like.
//!
//! A pool lasts as long as all its accounts together ([`PoolRunOut`]): the same stories, served from what everybody has left.
//! Its intervals have a score of their own ([`PoolScore`]).
//! When somebody serves [`Again`] is the evaluator's word.
//!
//! All of it is pure, bounded, and the same on every machine.

mod advice;
mod again;
mod book;
mod diary;
mod habit;
mod outlook;
mod pool;
mod pool_score;
mod promise;
mod stories;

pub use advice::{Availability, Concern, Prospect, Recommendation, RiskLevel, Trouble};
pub use again::Again;
pub use book::{ForecastBook, Track};
pub use diary::QuotaDiary;
pub use habit::{Habit, KeptHabit, WindowReading};
pub use outlook::Outlook;
pub use pool::{Member, PoolRunOut};
pub use pool_score::PoolScore;
pub use promise::{Calibration, Promise, RunOut, SURE};
