//! The one wait that comes as prose only: "Please try again in 1.5s."

use std::time::Duration;

/// Reads "try again in …" or "retry in …" with a number and a unit, in any case.
pub fn wait_in_words(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    let after = ["try again in ", "retry in ", "retry again in ", "again in "];
    let rest = after.iter().find_map(|words| message.split_once(words))?.1.trim_start();
    let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.').len();
    let number = rest[..digits].trim_end_matches('.').parse::<f64>().ok().filter(|number| *number > 0.0)?;
    let unit = rest[digits..].trim_start();
    let unit = &unit[..unit.len() - unit.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()).len()];
    let seconds = match unit {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}
