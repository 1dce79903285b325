//! Owns what a model's tokens are estimated to cost. Subscriptions are not billed by the token: it is an estimate, by a
//! table whose rows have a date, and which the user may override.

use std::collections::BTreeMap;

use crate::{Day, Timestamp, TokenUse};

/// Dollars per million tokens, times 1000, so that they are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Of input that came from no cache.
    pub input: u64,
    /// Of input from a cache.
    pub cached_input: u64,
    /// Of output, reasoning included.
    pub output: u64,
}

/// The prices of our own table, as the predecessor's 2.8.7 has them.
const PRICES: [(&str, Price); 9] = [
    ("gpt-5-codex", price(1250, 125, 10_000)),
    ("gpt-5.1-codex", price(1250, 125, 10_000)),
    ("gpt-5.2", price(1250, 125, 10_000)),
    ("gpt-5.3-codex", price(1250, 125, 10_000)),
    ("gpt-5.4", price(2000, 200, 12_000)),
    ("gpt-5.5", price(2000, 200, 12_000)),
    ("gpt-5.6-sol", price(5000, 500, 30_000)),
    ("gpt-5.6-terra", price(2500, 250, 15_000)),
    ("gpt-5.6-luna", price(1000, 100, 6000)),
];
/// Other names of priced models.
const ALIASES: [(&str, &str); 9] = [
    ("gpt_5_codex", "gpt-5-codex"),
    ("gpt-5.2-codex", "gpt-5.3-codex"),
    ("gpt-5.3-codex-spark", "gpt-5.3-codex"),
    ("gpt-5.1-codex-max", "gpt-5.3-codex"),
    ("codex-max", "gpt-5.3-codex"),
    ("gpt-5", "gpt-5.5"),
    ("gpt-5-chat-latest", "gpt-5.5"),
    ("gpt-5.6", "gpt-5.6-sol"),
    ("codex-mini-latest", "gpt-5.3-codex"),
];
const EFFORTS: [&str; 8] = ["-none", "-minimal", "-low", "-medium", "-high", "-xhigh", "-max", "-ultra"];

const fn price(input: u64, cached_input: u64, output: u64) -> Price {
    Price { input, cached_input, output }
}

/// Prices by model, each from a day on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable {
    own: BTreeMap<String, BTreeMap<Day, Price>>,
}

/// A price that applies, and where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// The price.
    pub price: Price,
    /// The day from which the user set it; `None` for a row of our own table.
    pub from: Option<Day>,
}

impl PriceTable {
    /// The day our own table was last compared with the predecessor's.
    pub const AS_OF: &'static str = "2026-11-27";

    /// Sets a price of the user's from a day on. It stands above our own table.
    pub fn set(&mut self, model: &str, from: Day, price: Price) {
        self.own.entry(model.trim().to_lowercase()).or_default().insert(from, price);
    }

    /// The prices the user set.
    pub fn own(&self) -> impl Iterator<Item = (&str, Day, Price)> {
        self.own.iter().flat_map(|(model, days)| days.iter().map(|(day, price)| (model.as_str(), *day, *price)))
    }

    /// The price of a model on the day of `at`.
    pub fn of(&self, model: &str, at: Timestamp) -> Option<Priced> {
        let day = Day::of(at);
        let own = |name: &str| {
            let (from, price) = self.own.get(name)?.range(..=day).next_back()?;
            Some(Priced { price: *price, from: Some(*from) })
        };
        let lower = model.trim().to_lowercase();
        let forms = forms(&lower);
        forms.iter().find_map(|form| own(form)).or_else(|| own(&priced_name(model))).or_else(|| {
            let name = priced_name(model);
            let (_, price) = PRICES.into_iter().find(|(known, _)| *known == name)?;
            Some(Priced { price, from: None })
        })
    }

    /// The estimate in 10⁻⁸ dollars; `None` for a model without a price. Reasoning tokens are output tokens already, and
    /// cached ones are input tokens.
    pub fn cost_e8(&self, model: &str, tokens: TokenUse, at: Timestamp) -> Option<u64> {
        let Price { input, cached_input, output } = self.of(model, at)?.price;
        let cached = tokens.cached_input.min(tokens.input);
        let nanos = [(tokens.input - cached, input), (tokens.output, output), (cached, cached_input)];
        let nanos =
            nanos.into_iter().fold(0_u64, |sum, (count, price)| sum.saturating_add(count.saturating_mul(price)));
        Some(nanos.saturating_add(5) / 10)
    }
}

/// The name a model is priced under: without provider, case, effort, date or alias.
fn priced_name(model: &str) -> String {
    let lower = model.trim().to_lowercase();
    let is_known = |name: &str| PRICES.iter().any(|(known, _)| *known == name);
    let alias = |name: &str| ALIASES.into_iter().find(|(from, _)| *from == name).map(|(_, to)| to.to_owned());
    let forms = forms(&lower);
    let found = forms.iter().find_map(|form| is_known(form).then(|| (*form).to_owned()).or_else(|| alias(form)));
    found.unwrap_or_else(|| forms.first().copied().unwrap_or_default().to_owned())
}

/// What a name may stand for, the name itself first: `openai/gpt-5.5-high` is `gpt-5.5-high`, and `gpt-5.5`.
fn forms(lower: &str) -> Vec<&str> {
    let name = lower.rsplit('/').next().unwrap_or_default();
    let bare = EFFORTS.into_iter().find_map(|effort| name.strip_suffix(effort));
    [Some(name), bare].into_iter().flatten().flat_map(|form| [form, without_date(form)]).collect()
}

/// `gpt-5.5` of `gpt-5.5-2026-04-23` and `gpt-5.5-20260423`.
fn without_date(name: &str) -> &str {
    let is_date = |tail: &str| {
        let digits = tail.chars().filter(char::is_ascii_digit).count();
        digits == 8 && tail.chars().all(|letter| letter.is_ascii_digit() || letter == '-')
    };
    for length in [10, 8] {
        let cut = name.len().checked_sub(length + 1).and_then(|at| name.split_at_checked(at));
        if let Some((head, tail)) = cut
            && tail.starts_with('-')
            && is_date(&tail[1..])
        {
            return head;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_790_000_000);
    const TOOK: TokenUse = TokenUse { input: 1000, cached_input: 400, output: 200, reasoning: 50 };

    #[test]
    fn names_lead_to_prices() {
        for (model, expect) in [
            ("OpenAI/GPT-5.5", "gpt-5.5"),
            ("gpt-5.5-high", "gpt-5.5"),
            ("gpt-5.5-2026-04-23", "gpt-5.5"),
            ("gpt-5.5-20260423-low", "gpt-5.5"),
            ("gpt-5.2-codex-xhigh", "gpt-5.3-codex"),
            ("gpt-5.6", "gpt-5.6-sol"),
            ("gpt-5.6-luna-max", "gpt-5.6-luna"),
            ("gpt-5.1-codex-max", "gpt-5.3-codex"),
            ("o9-mini", "o9-mini"),
        ] {
            assert_eq!(priced_name(model), expect, "{model}");
        }
    }

    #[test]
    fn f21_reasoning_is_charged_once() {
        let table = PriceTable::default();
        assert_eq!(table.cost_e8("gpt-5.5", TOOK, AT), Some(368_000), "600 at 2, 400 at 0.2, 200 at 12");
        assert_eq!(table.cost_e8("unheard-of", TOOK, AT), None);
        let twisted = TokenUse { cached_input: 5000, ..TOOK };
        assert_eq!(table.cost_e8("gpt-5.5", twisted, AT), Some(260_000), "no more is cached than was read");
    }

    #[test]
    fn the_users_price_counts_from_its_day_on() {
        let mut table = PriceTable::default();
        let from = Day::parse("2026-09-22").expect("a date");
        table.set("GPT-5.5", from, price(1000, 0, 0));
        table.set("gpt-5.5-high", Day::default(), price(7000, 0, 0));
        let before = Timestamp::from_millis(from.begins().as_millis() - 1);
        assert_eq!(table.cost_e8("gpt-5.5", TOOK, before), Some(368_000), "the day before");
        assert_eq!(table.cost_e8("openai/gpt-5.5-low", TOOK, from.begins()), Some(60_000));
        assert_eq!(table.cost_e8("gpt-5.5-high", TOOK, before), Some(420_000), "the exact name comes first");
        table.set("my-own", Day::default(), price(1, 1, 1));
        assert_eq!(table.cost_e8("my-own", TOOK, AT), Some(120), "a model of which we know no price");
    }
}
