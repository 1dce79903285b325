//! What reached the fake OpenAI, read from its log: the judge of which account served, and how often.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use codex_auth_testkit::Who;
use serde_json::Value;

/// One request as the fake saw it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Position in the life of the fake, from 1.
    pub serial: u64,
    /// Arrival, milliseconds since the epoch.
    pub at_ms: i64,
    /// HTTP method.
    pub method: String,
    /// Path without its query.
    pub path: String,
    /// What the path means, in the fake's words: `responses`, `models`, `token`, …
    pub route: String,
    /// Whose bearer it carried.
    pub account: Option<Who>,
    /// What the bearer was: `live`, `expired`, `unknown`, `absent`, …
    pub bearer: String,
    /// Values of headers that never carry a secret.
    pub headers: BTreeMap<String, String>,
    /// What its body said.
    pub body: Value,
    /// Status of the answer; `None` while it is under way, or when none was sent.
    pub status: Option<u16>,
    /// How the answer ended: `complete`, `cut`, `client_left`, …
    pub ending: Option<String>,
}

impl Exchange {
    /// Whether it is a turn of a model.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        self.route == "responses"
    }

    /// Whether a refresh token was presented, and what the issuer thought of it.
    #[must_use]
    pub fn refresh_verdict(&self) -> Option<&str> {
        let presented = &self.body["presented"];
        (presented["grant_type"] == "refresh_token").then(|| presented["verdict"].as_str()).flatten()
    }

    fn from_line(line: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let headers = line["headers"].as_object()?.iter();
        Some(Self {
            serial: line["serial"].as_u64()?,
            at_ms: line["at_ms"].as_i64()?,
            method: text(&line["method"])?,
            path: text(&line["path"])?,
            route: text(&line["route"])?,
            account: serde_json::from_value(line["account"].clone()).ok(),
            bearer: text(&line["bearer"])?,
            headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned())).collect(),
            body: line["body"].clone(),
            status: None,
            ending: None,
        })
    }
}

/// Requests in order of arrival.
#[derive(Debug, Clone, Default)]
pub struct Upstream(Vec<Exchange>);

impl Upstream {
    /// Reads the log file; a last line still being written is left for the next reading.
    #[must_use]
    pub fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut exchanges: Vec<Exchange> = Vec::new();
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            match line["event"].as_str() {
                Some("request") => exchanges.extend(Exchange::from_line(&line)),
                Some("answer") => {
                    if let Some(asked) = exchanges.iter_mut().find(|asked| line["serial"] == asked.serial) {
                        asked.status = line["answer"]["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                        asked.ending = line["answer"]["ending"].as_str().map(str::to_owned);
                    }
                }
                Some(_) | None => {}
            }
        }
        exchanges.retain(|exchange| exchange.route != "control");
        Self(exchanges)
    }

    /// Requests after the one with this serial.
    #[must_use]
    pub fn since(&self, serial: u64) -> Self {
        self.only(|exchange| exchange.serial > serial)
    }

    /// The serial of the last request; 0 before the first.
    #[must_use]
    pub fn last_serial(&self) -> u64 {
        self.0.iter().map(|exchange| exchange.serial).max().unwrap_or(0)
    }

    /// Turns of a model.
    #[must_use]
    pub fn turns(&self) -> Self {
        self.only(Exchange::is_turn)
    }

    /// Requests with one account's bearer.
    #[must_use]
    pub fn by(&self, who: Who) -> Self {
        self.only(|exchange| exchange.account == Some(who))
    }

    /// Requests of one route, in the fake's words.
    #[must_use]
    pub fn of(&self, route: &str) -> Self {
        self.only(|exchange| exchange.route == route)
    }

    /// Presented refresh tokens.
    #[must_use]
    pub fn refreshes(&self) -> Self {
        self.only(|exchange| exchange.refresh_verdict().is_some())
    }

    /// Requests that pass `keep`.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Exchange) -> bool) -> Self {
        Self(self.0.iter().filter(|exchange| keep(exchange)).cloned().collect())
    }

    /// Who asked, in order.
    #[must_use]
    pub fn accounts(&self) -> Vec<Option<Who>> {
        self.0.iter().map(|exchange| exchange.account).collect()
    }

    /// The statuses answered, in order.
    #[must_use]
    pub fn statuses(&self) -> Vec<Option<u16>> {
        self.0.iter().map(|exchange| exchange.status).collect()
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Each one.
    pub fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.0.iter()
    }

    /// One line for each request, for failure messages.
    #[must_use]
    pub fn story(&self) -> String {
        let line = |exchange: &Exchange| {
            let who =
                exchange.account.map_or_else(|| exchange.bearer.clone(), |who| format!("{who}, {}", exchange.bearer));
            let end = exchange.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            format!("{:>4} {} {} ({who}) {end}\n", exchange.serial, exchange.method, exchange.path)
        };
        self.0.iter().map(line).collect::<Vec<_>>().concat()
    }
}
