//! What can be the matter while a command runs: answers that repeat every secret, broken files, a proxy that refuses.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use codex_auth_e2e::{Who, World};
use codex_auth_testkit::{Act, Fault, LoginKnobs, Malformed, PoolKnobs, Route};
use serde_json::{Value, json};

/// One thing that is the matter.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) name: &'static str,
    /// Done before each command.
    pub(crate) comes: fn(&World),
    /// Further variables of the command.
    pub(crate) variables: fn(&mut Command),
}

const fn weather(name: &'static str, comes: fn(&World)) -> Weather {
    Weather { name, comes, variables: |_| {} }
}

impl Weather {
    /// Whether a command that asks somebody waits for nothing here.
    pub(crate) fn is_a_wait(&self) -> bool {
        LONG.iter().any(|wait| wait.name == self.name)
    }
}

/// Nothing is the matter.
pub(crate) const FINE: Weather = weather("fine", |_| {});

/// Answers that repeat what was shown to them.
pub(crate) const ECHOES: &[Weather] = &[
    weather("everything is refused and repeated", |world| everywhere(world, &echo(world, 400))),
    weather("every token is refused and repeated", |world| everywhere(world, &echo(world, 401))),
    weather("forbidden, and repeated", |world| everywhere(world, &echo(world, 403))),
    weather("the servers fail and repeat", |world| everywhere(world, &echo(world, 503))),
    weather("a proxy asks for a password and repeats", |world| everywhere(world, &echo(world, 407))),
    weather("tokens come in the wrong places", |world| everywhere(world, &echo(world, 200))),
];

/// Answers of no use.
pub(crate) const SILENCES: &[Weather] = &[
    weather("answers break off", |world| everywhere(world, &Act::CutAfter { bytes: 40 })),
    weather("connections are reset", |world| everywhere(world, &Act::Reset)),
    weather("the access token is missing", |world| malformed(world, Malformed::NoAccessToken)),
    weather("the answer is no JSON", |world| malformed(world, Malformed::Html)),
    weather("the JSON ends in the middle", |world| malformed(world, Malformed::CutJson)),
    weather("somebody else's tokens come", |world| malformed(world, Malformed::WrongAccount)),
    Weather { name: "the proxy refuses", comes: |_| {}, variables: through_the_proxy },
];

/// Files that cannot be used, with tokens where an error's text could take them from.
pub(crate) const BROKEN_FILES: &[Weather] = &[
    weather("the pool is torn in a token", |world| spoil(world, torn)),
    weather("a token stands for the version", |world| spoil(world, mixed_up)),
    weather("a token stands for a list", |world| spoil(world, token_for_accounts)),
    weather("codex's login is torn in a token", |world| {
        let whole = world.fake().login(Who::Outsider, &LoginKnobs::default()).to_string();
        world.write_private(&world.login_file(), &torn(&whole));
    }),
];

/// Waits that only the long run has time for.
pub(crate) const LONG: &[Weather] = &[
    weather("nobody answers", |world| everywhere(world, &Act::Hang)),
    weather("answers stop in the middle", |world| everywhere(world, &Act::StallAfter { bytes: 40 })),
];

fn spoil(world: &World, how: fn(&str) -> String) {
    let whole = world.pool().to_string();
    world.write_private(&world.pool_file(), &how(&whole));
}

/// Cut behind the first 30 characters of the last refresh token.
pub(crate) fn torn(whole: &str) -> String {
    let at = whole.rfind("rt_fake.").map_or(whole.len() / 2, |at| at + 30);
    whole.chars().take(at).collect()
}

/// A token where the version belongs, another where a number of an account belongs.
pub(crate) fn mixed_up(whole: &str) -> String {
    let mut pool: Value = serde_json::from_str(whole).unwrap_or_default();
    let token = pool["accounts"][0]["refreshToken"].clone();
    pool["accounts"][0]["addedAt"] = token.clone();
    pool["accounts"][0]["expiresAt"] = pool["accounts"][0]["accessToken"].clone();
    pool["activeIndex"] = token.clone();
    pool["version"] = token;
    pool.to_string()
}

fn token_for_accounts(whole: &str) -> String {
    let pool: Value = serde_json::from_str(whole).unwrap_or_default();
    json!({ "version": 3, "accounts": pool["accounts"][0]["accessToken"], "activeIndex": 0 }).to_string()
}

fn malformed(world: &World, how: Malformed) {
    world.fake().fault(&Fault::always(Route::Token, Act::MalformedTokens(how)));
}

fn everywhere(world: &World, act: &Act) {
    for route in [
        Route::Token,
        Route::Revoke,
        Route::DeviceCode,
        Route::DeviceToken,
        Route::Usage,
        Route::Models,
        Route::Responses,
        Route::AccountsCheck,
    ] {
        world.fake().fault(&Fault::always(route, act.clone()));
    }
}

/// The person has not decided yet at the first look, and says no at the second.
pub(crate) fn deny(world: &World) {
    let body = json!({ "error": "access_denied", "error_description": "the person said no" });
    let act = Act::Answer { status: 400, headers: BTreeMap::new(), body };
    world.fake().fault(&Fault { skip: 1, ..Fault::once(Route::DeviceToken, act) });
}

/// An answer that names every live secret wherever an error has room for words.
fn echo(world: &World, status: u16) -> Act {
    let pool = world.fake().pool(&PoolKnobs::default());
    let login = fs::read_to_string(world.login_file()).unwrap_or_default();
    let (refresh, access) = (&pool["accounts"][0]["refreshToken"], &pool["accounts"][0]["accessToken"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sentence = format!(
        "GET /backend-api/wham/usage?access_token={} with authorization: Bearer {} and {login} failed; pool {pool}",
        text(access),
        text(access)
    );
    let body = json!({
        "error": { "code": refresh, "type": refresh, "param": access, "message": sentence },
        "error_description": refresh, "detail": sentence, "message": sentence, "code": access,
        "access_token": { "value": access }, "refresh_token": [refresh], "id_token": 5, "plan_type": access,
    });
    let headers = [
        ("www-authenticate", format!("Bearer error=\"{}\"", text(access))),
        ("proxy-authenticate", format!("Basic realm=\"{}\"", text(refresh))),
        ("x-request-id", text(access)),
        ("retry-after", text(refresh)),
        ("location", format!("http://127.0.0.1:1/?token={}", text(access))),
    ];
    let headers: BTreeMap<String, String> = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Act::Answer { status, headers, body }
}

/// An issuer and a backend that can only be reached through the proxy, whose log names them.
fn through_the_proxy(command: &mut Command) {
    command.env("CODEX_MULTI_AUTH_ISSUER_URL", "https://issuer.example.test");
    command.env("CODEX_MULTI_AUTH_BACKEND_URL", "https://backend.example.test/backend-api");
}

/// Files an import is given.
pub(crate) fn leave_exports(world: &World) {
    let dir = world.work().join("exports");
    fs::create_dir_all(&dir).unwrap();
    let whole = world.fake().pool(&PoolKnobs { only: Some(vec![1, 2]), ..PoolKnobs::default() }).to_string();
    world.write_private(&dir.join("torn.json"), &torn(&whole));
    world.write_private(&dir.join("mixed-up.json"), &mixed_up(&whole));
}

/// The pool and codex's login as they are before each command: account 1 is due for a renewal.
pub(crate) fn clear_up(world: &World) {
    world.fake().clear_faults();
    world.write_pool(&PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    world.log_in(Who::Outsider, &LoginKnobs::default());
}
