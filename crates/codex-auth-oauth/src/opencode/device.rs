//! A sign-in by device code that ends at the plugin's token endpoint (plugin 5.7).

use codex_auth_core::Granted;

use super::{error::HostLoginError, token_endpoint::TokenEndpoint};
use crate::device::{DeviceLogin, DevicePorts, used};

/// Shows a code, asks until somebody used it, and buys the tokens.
pub async fn device_tokens(
    login: &DeviceLogin,
    ports: DevicePorts<'_>,
    endpoint: &TokenEndpoint,
) -> Result<Granted, HostLoginError> {
    let grant = used(login, ports).await?;
    let redirect = login.endpoints.device_redirect_uri();
    Ok(endpoint.exchange(grant.code.expose(), &redirect, grant.verifier.expose()).await?)
}
