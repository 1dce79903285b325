//! `docs/policy.md`: every transcript in it is made again and compared.
//!
//! `CODEX_AUTH_BLESS=1` writes the transcripts into the document.

use crate::{rules::Shop, sign_in_document::compare};

/// These commands in a project, one after the other, and what they print.
fn typed(shop: &Shop, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let said = shop.run(line.trim_start_matches("codex-multi-auth "));
        for part in ["$ ", line, "\n", &said.out, &said.err] {
            text.push_str(part);
        }
    }
    text.replace(shop.world.home().as_str(), "~").replace("[HOME]", "~")
}

/// Every transcript under its name.
fn transcripts() -> Vec<(&'static str, String)> {
    let shop = Shop::new();
    let accounts = typed(
        &shop,
        &[
            "codex-multi-auth account tag 1 team",
            "codex-multi-auth account weight 2 0",
            "codex-multi-auth account reserve 1 20",
            "codex-multi-auth account pause 3",
            "codex-multi-auth account policy list",
        ],
    );
    let profile = typed(
        &shop,
        &[
            "codex-multi-auth profile prefer team",
            "codex-multi-auth profile budget team",
            "codex-multi-auth budget limit team --window day --requests 200",
            "codex-multi-auth profile show",
        ],
    );
    let bound = typed(&shop, &["codex-multi-auth profile bind 1", "codex-multi-auth profile unbind"]);
    let budget = typed(
        &shop,
        &[
            "codex-multi-auth budget limit global --window month --tokens 50000000 --cost 200",
            "codex-multi-auth budget list",
        ],
    );
    vec![("accounts", accounts), ("profile", profile), ("bound", bound), ("budget", budget)]
}

#[test]
fn every_transcript_is_what_the_program_prints() {
    compare(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md"), transcripts());
}
