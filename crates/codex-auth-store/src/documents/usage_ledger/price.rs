//! Owns what a model's tokens are estimated to cost. Subscriptions are not billed by the token: it is an estimate.

use super::row::Tokens;

/// Dollars per million tokens, times 1000, so that they are whole: input, output, cached input.
const PRICES: [(&str, [u64; 3]); 9] = [
    ("gpt-5-codex", [1250, 10_000, 125]),
    ("gpt-5.1-codex", [1250, 10_000, 125]),
    ("gpt-5.2", [1250, 10_000, 125]),
    ("gpt-5.3-codex", [1250, 10_000, 125]),
    ("gpt-5.4", [2000, 12_000, 200]),
    ("gpt-5.5", [2000, 12_000, 200]),
    ("gpt-5.6-sol", [5000, 30_000, 500]),
    ("gpt-5.6-terra", [2500, 15_000, 250]),
    ("gpt-5.6-luna", [1000, 6000, 100]),
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

/// The estimate in 10⁻⁸ dollars; `None` for a model without a price. Reasoning tokens are output tokens already.
pub fn cost_e8(model: &str, tokens: &Tokens) -> Option<u64> {
    let name = priced_name(model);
    let (_, [input, output, cached]) = PRICES.into_iter().find(|(known, _)| *known == name)?;
    let cached_tokens = tokens.cached_input.min(tokens.input);
    let nanos = [(tokens.input - cached_tokens, input), (tokens.output, output), (cached_tokens, cached)];
    let nanos = nanos.into_iter().fold(0_u64, |sum, (count, price)| sum.saturating_add(count.saturating_mul(price)));
    Some(nanos.saturating_add(5) / 10)
}

/// The name a model is priced under: without provider, case, effort, date or alias.
pub fn priced_name(model: &str) -> String {
    let lower = model.trim().to_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    let is_known = |name: &str| PRICES.iter().any(|(known, _)| *known == name);
    let alias = |name: &str| ALIASES.into_iter().find(|(from, _)| *from == name).map(|(_, to)| to.to_owned());
    let bare = EFFORTS.into_iter().find_map(|effort| name.strip_suffix(effort));
    let forms = [Some(name), bare].into_iter().flatten().flat_map(|form| [form, without_date(form)]);
    for form in forms {
        if is_known(form) {
            return form.to_owned();
        }
        if let Some(to) = alias(form) {
            return to;
        }
    }
    name.to_owned()
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
            ("o9-mini", "o9-mini"),
        ] {
            assert_eq!(priced_name(model), expect, "{model}");
        }
    }

    #[test]
    fn f21_reasoning_is_charged_once() {
        let tokens = Tokens { input: 1000, output: 200, cached_input: 400, reasoning: 50, total: 1200 };
        assert_eq!(cost_e8("gpt-5.5", &tokens), Some(368_000), "600 at 2, 400 at 0.2, 200 at 12");
        assert_eq!(cost_e8("unheard-of", &tokens), None);
    }
}
