//! What must hold of the token endpoint's answers, and of the tokens in them.

use codex_auth_core::{
    AccessToken, IdToken,
    testing::{CANARY, planted},
};

use super::{NOW, is_code_word};
use crate::{
    grant::{error_code, exchange_detail, granted},
    jwt::unverified_claims,
};

/// An answer, read as good and as bad.
pub(super) fn answer(bytes: &[u8]) {
    for planted in planted(bytes) {
        check_refusal(&planted);
        check_granted(&planted);
    }
    check_refusal(bytes);
    check_granted(bytes);
}

/// Of a refusal a code is kept, and of prose only what cannot be a secret.
fn check_refusal(bytes: &[u8]) {
    let code = error_code(bytes);
    assert!(code.as_deref().is_none_or(is_code_word), "{code:?}");
    let detail = exchange_detail(bytes);
    let is_plain = |word: &str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    assert!(detail == code || detail.as_deref().is_none_or(is_plain), "{detail:?}");
}

fn check_granted(bytes: &[u8]) {
    let Some(granted) = granted(bytes, NOW) else { return };
    let filled = |token: Option<bool>| token.is_none_or(|is_blank| !is_blank);
    assert!(granted.access.is_some() || granted.refresh.is_some(), "tokens without any");
    assert!(filled(granted.access.as_ref().map(AccessToken::is_blank)));
    assert!(filled(granted.refresh.as_ref().map(codex_auth_core::RefreshToken::is_blank)));
    assert!(filled(granted.id.as_ref().map(IdToken::is_blank)));
    assert!(granted.expires_at.is_none() || granted.access.is_some(), "nothing ends where there is nothing");
    let shown = format!("{:?} {:?} {:?}", granted.access, granted.refresh, granted.id);
    assert!(!shown.to_uppercase().contains(CANARY), "{shown}");
}

/// A token's claims: labels for us, and nothing where there is no token.
pub(super) fn claims(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (access, id) = (AccessToken::new(text), IdToken::new(text));
    let claims = unverified_claims(Some(&id), Some(&access));
    let is_token = text.split('.').count() == 3;
    let nothing = codex_auth_core::Claims::default();
    assert!(is_token || claims == nothing, "only three parts make a token");
    let alone = unverified_claims(None, Some(&access));
    assert_eq!((&claims.user, claims.expires_at), (&alone.user, alone.expires_at), "one token says one thing");
    let workspaces = [&claims.workspace, &alone.workspace];
    assert!(workspaces.iter().all(|id| id.as_ref().is_none_or(|id| !id.is_platform_organisation())));
    let email = claims.email.unwrap_or_else(|| "a@b".to_owned());
    assert!(email.contains('@') && email == email.trim().to_lowercase(), "{email}");
    let ends = unverified_claims(Some(&id), None).expires_at;
    assert_eq!(ends, None, "an id token's end is not the access token's");
}
