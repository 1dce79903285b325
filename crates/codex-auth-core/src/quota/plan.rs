//! How much a plan gives, as a multiple of the smallest paid one.

/// The size of a plan by the backend's name for it (protocol notes, 5.2); an unknown one counts as the smallest paid.
///
/// The vendor publishes ranges, not numbers; these are their middles, and they only weigh what is about to expire.
pub fn plan_size(plan: Option<&str>) -> f64 {
    match plan.map(str::to_ascii_lowercase).as_deref() {
        Some("free" | "free_workspace" | "guest") => 0.2,
        Some("go") => 0.5,
        Some("prolite" | "self_serve_business_prolite" | "edu_pro") => 5.0,
        Some("pro" | "ent26" | "enterprise" | "hc" | "enterprise_cbp_automation" | "enterprise_cbp_usage_based") => {
            10.0
        }
        Some("promax") => 20.0,
        Some(_) | None => 1.0,
    }
}
