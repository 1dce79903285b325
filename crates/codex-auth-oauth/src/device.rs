//! One sign-in by device code: a code is shown here, typed on any other device, and asked after until somebody used it
//! (protocol 3, domain 3.6, plugin contract 5.7).
//!
//! `answer` reads what the issuer says, `polling` decides what follows from it; here it is done.

mod answer;
mod polling;

use std::{fmt::Debug, time::Duration};

use http::Response;
use serde_json::json;
use tokio::time::{Instant, sleep};

use codex_auth_core::{Clock, Entropy};

use crate::{
    authorize::Wishes,
    endpoints::Endpoints,
    error::{DeviceError, LoginError},
    exchange::{Exchange, SignedIn},
    grant::{error_code, post_json},
    http::{HttpClient, HttpError},
};

pub(crate) use answer::{DeviceCode, DeviceGrant, read_code};
pub use polling::DeviceRhythm;
pub(crate) use polling::{Polling, Step};

/// How often the time that is left is told.
const TICK: Duration = Duration::from_secs(1);

/// What a sign-in by device code tells the person.
pub trait DeviceUi: Debug + Send + Sync {
    /// Called before anything else: a workspace may not allow this, and the page in the browser does not say so well.
    fn may_be_disabled(&self);

    /// Shows the page to open, the code to type there, and how long it is good for.
    fn show_code(&self, page: &str, code: &str, lifetime: Duration);

    /// The sign-in waits, for this long at most; called every second.
    fn waiting(&self, left: Duration);
}

/// What a sign-in by device code needs of the outside.
#[derive(Debug, Clone, Copy)]
pub struct DevicePorts<'a> {
    /// Asks the issuer; bounds every call.
    pub http: &'a dyn HttpClient,
    /// Varies the pauses after a fault, so that not everybody comes back at once.
    pub entropy: &'a dyn Entropy,
    /// Dates code and tokens.
    pub clock: &'a dyn Clock,
    /// Talks to the person.
    pub ui: &'a dyn DeviceUi,
}

/// Where and how somebody is to sign in by device code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLogin {
    /// The issuer.
    pub endpoints: Endpoints,
    /// Workspaces that are let in. Whether a fresh sign-in is wanted, the page cannot be told.
    pub wishes: Wishes,
    /// How often is asked, and how long.
    pub rhythm: DeviceRhythm,
}

impl DeviceLogin {
    /// A sign-in at `endpoints` in the rhythm of the command line's product.
    pub fn at(endpoints: Endpoints) -> Self {
        Self { endpoints, wishes: Wishes::default(), rhythm: DeviceRhythm::CODEX }
    }
}

/// Signs somebody in by device code. Dropping the future ends the attempt; the code then expires unused.
pub async fn sign_in_by_device(login: &DeviceLogin, ports: DevicePorts<'_>) -> Result<SignedIn, LoginError> {
    let grant = used(login, ports).await?;
    let exchange =
        Exchange { endpoints: &login.endpoints, wishes: &login.wishes, http: ports.http, clock: ports.clock };
    exchange.redeem(&grant.code, &login.endpoints.device_redirect_uri(), grant.verifier.expose()).await
}

/// Shows a code and asks until somebody used it.
pub(crate) async fn used(login: &DeviceLogin, ports: DevicePorts<'_>) -> Result<DeviceGrant, DeviceError> {
    let DevicePorts { http, clock, ui, .. } = ports;
    ui.may_be_disabled();
    let code = ask_for_code(login, ports).await?;
    // The clock on the wall may be set meanwhile; how long was waited, another one says.
    let (begun, started) = (clock.now(), Instant::now());
    let mut polling = Polling::new(login.rhythm, &code, begun);
    ui.show_code(&login.endpoints.device_page_url(), &code.user_code, polling.deadline().since(begun));

    let question = json!({ "device_auth_id": code.id, "user_code": code.user_code });
    loop {
        let answer = http.send(post_json(login.endpoints.device_token_url(), &question)).await;
        let now = begun.after(started.elapsed());
        match polling.step(&answer, now, fraction(ports.entropy)) {
            Step::Granted(grant) => return Ok(grant),
            Step::Wait(pause) => wait(pause, polling.deadline().since(now), ui).await,
            Step::Over(error) => return Err(error),
        }
    }
}

async fn ask_for_code(login: &DeviceLogin, ports: DevicePorts<'_>) -> Result<DeviceCode, DeviceError> {
    let question = json!({ "client_id": login.endpoints.client_id() });
    let answer = ports.http.send(post_json(login.endpoints.device_code_url(), &question)).await;
    let answer: Response<Vec<u8>> = answer.map_err(|error| match error {
        HttpError::Unsent { why } | HttpError::BrokeOff { why } => DeviceError::Unanswered { why },
    })?;
    match answer.status().as_u16() {
        200..=299 => read_code(answer.body(), ports.clock.now()).ok_or(DeviceError::CodeUnusable),
        404 => Err(DeviceError::Disabled),
        status => Err(DeviceError::CodeRefused { status, code: error_code(answer.body()) }),
    }
}

/// Waits for `pause`, and says every second how much of `left` there is.
async fn wait(pause: Duration, left: Duration, ui: &dyn DeviceUi) {
    let mut waited = Duration::ZERO;
    while waited < pause {
        ui.waiting(left.saturating_sub(waited));
        let step = TICK.min(pause.saturating_sub(waited));
        sleep(step).await;
        waited += step;
    }
}

/// A number from 0 up to 1.
fn fraction(entropy: &dyn Entropy) -> f64 {
    let mut byte = [0];
    entropy.fill(&mut byte);
    f64::from(byte[0]) / 256.0
}
