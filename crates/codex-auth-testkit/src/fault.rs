//! Owns what can go wrong on demand: the faults, the requests they are meant for, and how often they strike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::people::Who;
use crate::route::Route;

/// A fault and the requests it strikes. The first queued fault that fits a request is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only this route; without it any route outside the control API.
    #[serde(default)]
    pub route: Option<Route>,
    /// Only this account: of the bearer, at the token endpoint of the presented refresh token.
    #[serde(default)]
    pub account: Option<Who>,
    /// How many fitting requests pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many requests it strikes; 0 = until faults are cleared.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub act: Act,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Strikes the next request of a route.
    pub fn once(route: Route, act: Act) -> Self {
        Self { route: Some(route), account: None, skip: 0, times: 1, act }
    }

    /// Strikes every request of a route until faults are cleared.
    pub fn always(route: Route, act: Act) -> Self {
        Self { times: 0, ..Self::once(route, act) }
    }

    /// The same for one account only.
    #[must_use]
    pub fn of(self, who: Who) -> Self {
        Self { account: Some(who), ..self }
    }

    /// The same, after letting `skip` fitting requests pass.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

/// What happens to a request. In JSON `"reset"`, or `{"cut_after": {"bytes": 12}}`.
///
/// *Before* the fake's own work (no token is spent, no turn is counted): `answer`, `unauthorized`,
/// `drop_before_headers`, `reset`. All others strike the answer, when the work is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// This answer instead.
    Answer {
        /// HTTP status.
        status: u16,
        /// Header lines.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// A text is sent as it is, anything else as JSON.
        #[serde(default)]
        body: Value,
    },
    /// 401 of the kind the vendor sends.
    Unauthorized(Denial),
    /// Closes the connection without an answer.
    DropBeforeHeaders,
    /// Resets the connection without an answer.
    Reset,
    /// Does everything, spends the refresh token, then closes the connection without an answer.
    LoseAnswer,
    /// Answers after a delay.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Never answers.
    Hang,
    /// Answers when released.
    HoldBeforeHeaders,
    /// Sends the first events of a stream, and the rest when released.
    Hold {
        /// How many events go out first.
        after_events: usize,
    },
    /// Sends the first bytes of the body, then nothing more.
    StallAfter {
        /// Bytes of body.
        bytes: usize,
    },
    /// Sends the first bytes of the body, then closes the connection.
    CutAfter {
        /// Bytes of body.
        bytes: usize,
    },
    /// Sends the first bytes of the body, then resets the connection.
    ResetAfter {
        /// Bytes of body.
        bytes: usize,
    },
    /// Sends the first events of a stream, then this event, then ends.
    EndWith {
        /// How many events go out first.
        after_events: usize,
        /// The last event, e.g. `response.failed`.
        event: Value,
    },
    /// Streams text of a given size in a given number of paced events.
    Pace {
        /// Number of text events.
        events: usize,
        /// Pause between any two events of the stream, in milliseconds.
        gap_ms: u64,
        /// Size of all text together, in bytes.
        total_bytes: usize,
    },
    /// Spends the refresh token and answers something useless with 200.
    MalformedTokens(Malformed),
}

/// Kinds of 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// Without a code.
    Plain,
    /// `token_invalidated`.
    TokenInvalidated,
    /// `token_expired`.
    TokenExpired,
}

/// Useless answers of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// HTML.
    Html,
    /// Nothing at all.
    Empty,
    /// JSON that ends in the middle.
    CutJson,
    /// Without `access_token`.
    NoAccessToken,
    /// Without `refresh_token`.
    NoRefreshToken,
    /// Without `id_token`.
    NoIdToken,
    /// Tokens of somebody else.
    WrongAccount,
}

impl Act {
    /// Whether it strikes instead of the fake's own work.
    pub(crate) fn comes_first(&self) -> bool {
        match self {
            Self::Answer { .. } | Self::Unauthorized(_) | Self::DropBeforeHeaders | Self::Reset => true,
            Self::LoseAnswer
            | Self::Delay { .. }
            | Self::Hang
            | Self::HoldBeforeHeaders
            | Self::Hold { .. }
            | Self::StallAfter { .. }
            | Self::CutAfter { .. }
            | Self::ResetAfter { .. }
            | Self::EndWith { .. }
            | Self::Pace { .. }
            | Self::MalformedTokens(_) => false,
        }
    }
}

/// Faults that still wait for their request.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.len()
    }

    /// The fault that strikes this request, if one does.
    pub(crate) fn strike(&mut self, route: Route, who: Option<Who>) -> Option<Act> {
        let fits = |fault: &Fault| {
            fault.route.is_none_or(|of| of == route) && (fault.account.is_none() || fault.account == who)
        };
        let at = self.0.iter().position(fits)?;
        let fault = &mut self.0[at];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let act = fault.act.clone();
        match fault.times {
            0 => {}
            1 => drop(self.0.remove(at)),
            more => fault.times = more - 1,
        }
        Some(act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(fault: Fault, requests: &[(Route, Option<Who>)]) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.add(fault);
        requests.iter().map(|(route, who)| faults.strike(*route, *who).is_some()).collect()
    }

    const ONE: Option<Who> = Some(Who::Account(1));
    const TWO: Option<Who> = Some(Who::Account(2));

    #[test]
    fn once_strikes_once() {
        let asked = [(Route::Models, None), (Route::Responses, ONE), (Route::Responses, ONE)];
        assert_eq!(strikes(Fault::once(Route::Responses, Act::Reset), &asked), [false, true, false]);
    }

    #[test]
    fn always_never_tires() {
        let asked = [(Route::Token, ONE); 3];
        assert_eq!(strikes(Fault::always(Route::Token, Act::Hang), &asked), [true; 3]);
    }

    #[test]
    fn an_accounts_fault_spares_the_others() {
        let asked = [(Route::Responses, TWO), (Route::Responses, None), (Route::Responses, ONE)];
        assert_eq!(
            strikes(Fault::once(Route::Responses, Act::Reset).of(Who::Account(1)), &asked),
            [false, false, true]
        );
    }

    #[test]
    fn skipped_requests_pass() {
        let asked = [(Route::Responses, ONE); 3];
        assert_eq!(strikes(Fault::once(Route::Responses, Act::Reset).after(1), &asked), [false, true, false]);
    }

    #[test]
    fn json_names_an_act_by_its_word() {
        let read = |text: &str| serde_json::from_str::<Fault>(text).map(|fault| fault.act).map_err(|e| e.to_string());
        assert_eq!(read(r#"{"act":"reset"}"#), Ok(Act::Reset));
        assert_eq!(read(r#"{"route":"token","act":{"cut_after":{"bytes":12}}}"#), Ok(Act::CutAfter { bytes: 12 }));
        assert_eq!(read(r#"{"account":1,"act":{"unauthorized":"plain"}}"#), Ok(Act::Unauthorized(Denial::Plain)));
        assert!(read(r#"{"act":"explode"}"#).is_err());
    }
}
