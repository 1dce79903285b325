//! Owns the map of paths: which part of the fake a request is for.

use http::Method;
use serde::{Deserialize, Serialize};

/// What a request asks for. In JSON in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `GET /oauth/authorize`
    Authorize,
    /// `POST /oauth/token`
    Token,
    /// `POST /oauth/revoke`
    Revoke,
    /// `POST /api/accounts/deviceauth/usercode`
    DeviceCode,
    /// `POST /api/accounts/deviceauth/token`
    DeviceToken,
    /// `GET /codex/device`, where a person types the code.
    DevicePage,
    /// `POST …/responses`
    Responses,
    /// `GET …/responses`, a WebSocket upgrade.
    WebSocket,
    /// `GET …/models`
    Models,
    /// `GET …/accounts/check`
    AccountsCheck,
    /// `GET …/settings/user`
    SettingsUser,
    /// `GET …/usage`
    Usage,
    /// `GET …/config/bundle`
    ConfigBundle,
    /// `GET …/rate-limit-reset-credits`
    ResetCredits,
    /// `POST …/rate-limit-reset-credits/consume`
    ConsumeResetCredit,
    /// `POST /backend-api/ps/mcp`
    PsMcp,
    /// `POST …/analytics-events/events`
    Analytics,
    /// The control API.
    Control,
    /// Anything else: 404.
    Other,
}

impl Route {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        if path.starts_with("/__control") {
            return Self::Control;
        }
        let post = method == Method::POST;
        let get = method == Method::GET;
        if let Some(rest) = model_path(path) {
            return match rest {
                "responses" if post => Self::Responses,
                "responses" if get => Self::WebSocket,
                "models" if get => Self::Models,
                "analytics-events/events" if post => Self::Analytics,
                _ => Self::Other,
            };
        }
        if let Some(rest) = account_path(path) {
            return match rest {
                "accounts/check" if get => Self::AccountsCheck,
                "settings/user" if get => Self::SettingsUser,
                "usage" if get => Self::Usage,
                "config/bundle" if get => Self::ConfigBundle,
                "rate-limit-reset-credits" if get => Self::ResetCredits,
                "rate-limit-reset-credits/consume" if post => Self::ConsumeResetCredit,
                _ => Self::Other,
            };
        }
        match path {
            "/oauth/authorize" if get => Self::Authorize,
            "/oauth/token" if post => Self::Token,
            "/oauth/revoke" if post => Self::Revoke,
            "/api/accounts/deviceauth/usercode" if post => Self::DeviceCode,
            "/api/accounts/deviceauth/token" if post => Self::DeviceToken,
            "/codex/device" if get => Self::DevicePage,
            "/backend-api/ps/mcp" if post => Self::PsMcp,
            _ => Self::Other,
        }
    }

    /// Whether the backend checks the bearer of this route.
    pub(crate) fn needs_bearer(self) -> bool {
        match self {
            Self::Responses
            | Self::Models
            | Self::AccountsCheck
            | Self::SettingsUser
            | Self::Usage
            | Self::ConfigBundle
            | Self::ResetCredits
            | Self::ConsumeResetCredit => true,
            Self::Authorize
            | Self::Token
            | Self::Revoke
            | Self::DeviceCode
            | Self::DeviceToken
            | Self::DevicePage
            | Self::WebSocket
            | Self::PsMcp
            | Self::Analytics
            | Self::Control
            | Self::Other => false,
        }
    }
}

/// The path below a model base URL: the ChatGPT backend's, or the platform's.
fn model_path(path: &str) -> Option<&str> {
    path.strip_prefix("/backend-api/codex/").or_else(|| path.strip_prefix("/v1/"))
}

/// The path below the account API; a base URL without `/backend-api` makes the client use the second spelling.
fn account_path(path: &str) -> Option<&str> {
    path.strip_prefix("/backend-api/wham/").or_else(|| path.strip_prefix("/api/codex/"))
}

/// Whether this is the platform API, which takes API keys.
pub(crate) fn is_platform(path: &str) -> bool {
    path.starts_with("/v1/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, expect: Route) {
        assert_eq!(Route::of(method, path), expect, "{method} {path}");
    }

    #[test]
    fn paths_of_both_shapes() {
        check(&Method::POST, "/backend-api/codex/responses", Route::Responses);
        check(&Method::POST, "/v1/responses", Route::Responses);
        check(&Method::GET, "/v1/responses", Route::WebSocket);
        check(&Method::GET, "/backend-api/wham/accounts/check", Route::AccountsCheck);
        check(&Method::GET, "/api/codex/accounts/check", Route::AccountsCheck);
        check(&Method::GET, "/backend-api/wham/workspace-messages", Route::Other);
        check(&Method::GET, "/backend-api/ps/plugins/installed", Route::Other);
        check(&Method::POST, "/__control/fault", Route::Control);
    }
}
