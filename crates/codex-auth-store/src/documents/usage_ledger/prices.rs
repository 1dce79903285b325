//! `usage-prices.json`: prices of the user's own, above the built-in table. A person writes it:
//! `{"version": 1, "prices": {"gpt-5.5": [{"from": "2026-09-01", "input": 2, "cachedInput": 0.2, "output": 12}]}}`, in
//! dollars per million tokens. Without `from` a price holds for all times; rows that were written keep their cost.

use codex_auth_core::{Day, Price, PriceTable};
use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema, no_object},
};

const PRICES: &str = "prices";
/// Dollars per million tokens, in the whole numbers of the table.
const MILLI: f64 = 1000.0;

/// The user's prices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsagePrices {
    /// The built-in table with them above it.
    pub table: PriceTable,
}

impl Document for UsagePrices {
    const NAME: &'static str = "usage-prices.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        let mut table = PriceTable::default();
        for (model, told) in json::object(object, PRICES).into_iter().flatten() {
            for (from, price) in rows(told).filter_map(row) {
                table.set(model, from, price);
            }
        }
        Self { table }
    }

    fn encode(&self, object: &mut Object) {
        let mut prices = Object::new();
        for (model, from, price) in self.table.own() {
            let rows = prices.entry(model.to_owned()).or_insert_with(|| json!([]));
            if let Value::Array(rows) = rows {
                rows.push(written(from, price));
            }
        }
        json::set(object, PRICES, Some(Value::Object(prices)));
    }

    /// A price nobody can read is none that was meant: it is said, not passed over.
    fn flaw(object: &Object) -> Option<String> {
        no_object(object, PRICES).or_else(|| {
            let bad = |(model, told): (&String, &Value)| {
                let is_fine = rows(told).count() > 0 && rows(told).all(|told| row(told).is_some());
                (!is_fine).then(|| {
                    format!("the price of {model} needs `input` and `output` in dollars per million tokens, and `from` as a date")
                })
            };
            json::object(object, PRICES).into_iter().flatten().find_map(bad)
        })
    }
}

/// One price, or several of different days.
fn rows(told: &Value) -> impl Iterator<Item = &Value> {
    let many = told.as_array().into_iter().flatten();
    many.chain(Some(told).filter(|told| told.is_object()))
}

fn row(told: &Value) -> Option<(Day, Price)> {
    let told = told.as_object()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; a cast saturates")]
    let number =
        |key: &str| json::number(told, key).filter(|dollars| *dollars >= 0.0).map(|d| (d * MILLI).round() as u64);
    let from = match told.get("from") {
        Some(day) => Day::parse(day.as_str()?)?,
        None => Day::default(),
    };
    let input = number("input")?;
    // A cache that nobody gave a price for is none that saves anything.
    let cached_input = if told.contains_key("cachedInput") { number("cachedInput")? } else { input };
    Some((from, Price { input, cached_input, output: number("output")? }))
}

fn written(from: Day, price: Price) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "prices are small")]
    let dollars = |milli: u64| milli as f64 / MILLI;
    json!({
        "from": from.to_string(), "input": dollars(price.input), "cachedInput": dollars(price.cached_input),
        "output": dollars(price.output),
    })
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{Timestamp, TokenUse};

    use super::*;

    fn object(told: &Value) -> Object {
        json!({ "version": 1, PRICES: told }).as_object().cloned().expect("an object")
    }

    #[track_caller]
    fn flawed(told: &Value) {
        assert!(UsagePrices::flaw(&object(told)).is_some(), "{told}");
    }

    #[test]
    fn a_price_of_the_users_stands_above_ours() {
        let told =
            json!({ "gpt-5.5": [{ "input": 4, "output": 1.5 }, { "from": "2026-09-01", "input": 0, "output": 0 }] });
        assert_eq!(UsagePrices::flaw(&object(&told)), None);
        let table = UsagePrices::decode(&object(&told)).table;
        let took = TokenUse { input: 1000, cached_input: 400, output: 200, reasoning: 0 };
        let day = |text: &str| Day::parse(text).map(Day::begins).unwrap_or_default();
        assert_eq!(table.cost_e8("gpt-5.5", took, day("2026-08-31")), Some(430_000));
        assert_eq!(table.cost_e8("gpt-5.5", took, day("2026-09-01")), Some(0));
        assert_eq!(table.cost_e8("gpt-5.4", took, Timestamp::default()), Some(368_000), "ours, as before");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        flawed(&json!({ "gpt-5.5": { "input": 1 } }));
        flawed(&json!({ "gpt-5.5": { "input": -1, "output": 1 } }));
        flawed(&json!({ "gpt-5.5": { "input": "1", "output": 1 } }));
        flawed(&json!({ "gpt-5.5": { "from": "yesterday", "input": 1, "output": 1 } }));
        flawed(&json!({ "gpt-5.5": { "input": 1, "output": 1, "cachedInput": null } }));
        flawed(&json!({ "gpt-5.5": [] }));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut prices = UsagePrices::default();
        prices.table.set("a", Day::default(), Price { input: 1250, cached_input: 125, output: 10_000 });
        let mut object = Object::new();
        prices.encode(&mut object);
        assert_eq!(UsagePrices::decode(&object), prices);
    }
}
