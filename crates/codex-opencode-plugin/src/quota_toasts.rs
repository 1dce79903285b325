//! What the host's screen says when little is left of a quota (plugin 4.5). Whether anything is said is core's to say.

use codex_auth_core::Alert;

/// The sentences for thresholds that one answer crossed, in order; the last one says so when nothing is left.
pub fn quota_toasts(crossed: &[Alert]) -> Vec<String> {
    let low = |alert: &Alert| {
        format!("Heads up, you have less than {}% of your {} quota left.", alert.threshold, alert.window())
    };
    let spent: Vec<String> =
        crossed.iter().filter(|alert| alert.exhausted_code().is_some()).map(Alert::window).collect();
    let limits = if spent.len() > 1 { "limits" } else { "limit" };
    let switching = format!("Switching account due to {} quota {limits}", spent.join(" and "));
    crossed.iter().map(low).chain((!spent.is_empty()).then_some(switching)).collect()
}
