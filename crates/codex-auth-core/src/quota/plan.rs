//! How much a plan gives, as a multiple of the smallest paid one.

/// Plans by the backend's names, with their sizes. The vendor publishes ranges, not numbers; these are their middles, and
/// they only weigh what is about to expire.
const SIZES: [(&str, f64); 14] = [
    ("free", 0.2),
    ("free_workspace", 0.2),
    ("guest", 0.2),
    ("go", 0.5),
    ("prolite", 5.0),
    ("self_serve_business_prolite", 5.0),
    ("edu_pro", 5.0),
    ("pro", 10.0),
    ("ent26", 10.0),
    ("enterprise", 10.0),
    ("hc", 10.0),
    ("enterprise_cbp_automation", 10.0),
    ("enterprise_cbp_usage_based", 10.0),
    ("promax", 20.0),
];

/// The size of a plan by the backend's name for it (protocol notes, 5.2); an unknown one counts as the smallest paid.
pub fn plan_size(plan: Option<&str>) -> f64 {
    let named = plan.and_then(|plan| SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(plan)));
    named.map_or(1.0, |(_, size)| *size)
}
