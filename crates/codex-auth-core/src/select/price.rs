//! What a move costs and what it saves, both in prompt tokens that no cache holds.

use serde::{Deserialize, Serialize};

use crate::{Headroom, Terms, Timestamp};

/// The price of moving a session, or of having left it where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovePrice {
    /// Cached tokens the move gives up with this request.
    pub lost_tokens: u64,
    /// Cached tokens it is expected to save later: those that go when the account runs dry in the middle.
    pub gained_tokens: u64,
}

impl MovePrice {
    /// Whether to move. A gain within the noise of an estimate is none.
    pub fn pays(self) -> bool {
        self.gained_tokens > self.lost_tokens.saturating_add(NOISE)
    }
}

/// The request, as far as its price is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prompt {
    /// Its tokens, estimated; 0 when nothing is known.
    pub tokens: u64,
    /// How long the conversation's prompts are expected to be when its account runs dry.
    pub later_tokens: u64,
}

const NOISE: u64 = 512;
/// With so much left, in percent of the smallest paid plan's tightest window, one session in two ends before the
/// account does.
const HALF: f64 = 4.0;
/// A window that starts anew within this time runs dry half as often.
const SOON_MINUTES: f64 = 30.0;

/// What an account can still give, in percent of the smallest paid plan. A weight counts as that much more or less.
pub(crate) fn room(headroom: Headroom, terms: Terms) -> f64 {
    let weight = if terms.weight > 0.0 { terms.weight } else { 1.0 };
    headroom.left_percent.max(0.0) * headroom.plan_size * weight
}

/// How many cached tokens a session on this account has to expect to lose later, because the account runs dry before
/// the session ends.
pub(crate) fn at_risk(headroom: Headroom, terms: Terms, prompt: Prompt, now: Timestamp) -> u64 {
    let at_stake = prompt.later_tokens.max(prompt.tokens);
    let halvings = room(headroom, terms) / HALF;
    // So often halved, less than one token is left of them.
    if halvings >= f64::from(u64::BITS - at_stake.leading_zeros()) {
        return 0;
    }
    let runs_dry = (-halvings).exp2();
    let renews_late = match headroom.expiring {
        Some(window) if window.left_percent <= headroom.left_percent => {
            1.0 - (-minutes(window.at, now) / SOON_MINUTES).exp2()
        }
        Some(_) | None => 1.0,
    };
    tokens(runs_dry * renews_late * share(at_stake))
}

/// What a request is worth on an account, in tokens: those it finds there, less those it puts at risk.
pub(crate) fn worth(cached_tokens: u64, at_risk: u64) -> i64 {
    signed(cached_tokens).saturating_sub(signed(at_risk))
}

/// The price of going from `home` to `there`, each given by the tokens it has cached and those it puts at risk. What is
/// cached over there only is gained at once, and what is at risk over there only is lost.
pub(crate) fn price(home: (u64, u64), there: (u64, u64)) -> MovePrice {
    let cached = signed(home.0) - signed(there.0);
    let safer = signed(home.1) - signed(there.1);
    let part = |amount: i64| u64::try_from(amount).unwrap_or(0);
    MovePrice { lost_tokens: part(cached) + part(-safer), gained_tokens: part(-cached) + part(safer) }
}

fn signed(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX / 2).min(i64::MAX / 2)
}

#[allow(clippy::cast_precision_loss, reason = "a prompt is small")]
fn share(tokens: u64) -> f64 {
    tokens as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a prompt is small, and none below nought")]
fn tokens(amount: f64) -> u64 {
    amount as u64
}

#[allow(clippy::cast_precision_loss, reason = "at most weeks")]
pub(crate) fn minutes(at: Timestamp, now: Timestamp) -> f64 {
    at.since(now).as_millis() as f64 / 60_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expiring;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const LONG: Prompt = Prompt { tokens: 60_000, later_tokens: 60_000 };

    fn left(left_percent: f64) -> Headroom {
        Headroom { left_percent, ..Headroom::UNKNOWN }
    }

    fn risky(left_percent: f64, prompt: Prompt) -> u64 {
        at_risk(left(left_percent), Terms::default(), prompt, NOW)
    }

    #[test]
    fn staying_is_cheaper_while_the_cache_is_warm_and_enough_is_left() {
        let price = price((60_000, risky(40.0, LONG)), (11_000, risky(100.0, LONG)));
        assert!(price.lost_tokens == 49_000 && !price.pays(), "{price:?}");
    }

    #[test]
    fn an_account_about_to_run_dry_is_left_in_mid_thought() {
        let price = price((60_000, risky(0.5, LONG)), (11_000, risky(80.0, LONG)));
        assert!(price.pays(), "{price:?}");
    }

    #[test]
    fn a_cold_session_goes_where_its_beginning_is_cached() {
        let price = price((0, risky(80.0, LONG)), (11_008, risky(80.0, LONG)));
        assert_eq!(price, MovePrice { lost_tokens: 0, gained_tokens: 11_008 });
    }

    #[test]
    fn nothing_known_is_no_reason_to_move() {
        let nothing = Prompt::default();
        assert!(!price((0, risky(1.0, nothing)), (0, risky(100.0, nothing))).pays());
    }

    #[test]
    fn a_large_plan_and_a_near_reset_are_less_risky() {
        let small = risky(10.0, LONG);
        let large = at_risk(Headroom { plan_size: 10.0, ..left(10.0) }, Terms::default(), LONG, NOW);
        let soon = Expiring { left_percent: 10.0, at: Timestamp::from_secs(1_000_300) };
        let near = at_risk(Headroom { expiring: Some(soon), ..left(10.0) }, Terms::default(), LONG, NOW);
        assert!(large < small / 10 && near < small / 5, "{small} {large} {near}");
    }
}
