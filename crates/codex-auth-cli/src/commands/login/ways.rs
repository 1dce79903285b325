//! Each way to sign in, from where somebody is to the tokens that come of it.

use codex_auth_core::{Credential, Held, Kind, Owner, WorkspaceId};
use codex_auth_oauth::{
    BrowserLogin, DeviceLogin, DevicePorts, DeviceRhythm, Endpoints, LoginError, LoginPorts, ObservedHttp, ObservedUi,
    SignedIn, Wishes, sign_in as sign_in_on_page, sign_in_by_device, tell_end,
};
use codex_auth_store::import::from_sign_in;

use super::{
    choice::{Choice, Facts, Way, choose},
    debugging,
    device::DeviceScreen,
    page::PageScreen,
    person::{Person, interrupted},
    port_holder,
};
use crate::{assemble::Product, error::CliError};

/// How somebody is to sign in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) way: Way,
    /// The workspace that was asked for.
    pub(super) org: Option<&'a str>,
    /// Ask for name and password even where the browser remembers a sign-in.
    pub(super) fresh: bool,
}

/// The way for this place, its reason said aloud.
pub(super) fn without_a_flag(product: &Product) -> Result<Way, CliError> {
    match choose(Facts::here(&product.environment, product.ui)) {
        Choice::Plain(way) => Ok(way),
        Choice::Because(way, why) => {
            product.ui.say(&format!(
                "No browser can be opened here ({why}); signing in by device code. `codex-multi-auth login --no-browser` \
                 prints an address instead, and `BROWSER` may name a browser that works."
            ));
            Ok(way)
        }
        Choice::Refuse => Err(CliError::new(
            Kind::Usage,
            "not_interactive",
            "Signing in needs a person, and this is no terminal.",
        )
        .hint(
            "Run `codex-multi-auth login --device-auth` to type a code on another device, `codex-multi-auth login \
                 --no-browser` to print the address and wait five minutes for the browser, or `codex-multi-auth login` \
                 in a terminal.",
        )),
    }
}

/// Signs somebody in; `None` when they ended it themselves.
pub(super) fn sign_in(product: &Product, person: &Person, wanted: &Wanted<'_>) -> Result<Option<Held>, CliError> {
    product.say_overrides();
    let endpoints = product.endpoints()?;
    let wishes = Wishes { fresh: wanted.fresh, workspaces: workspaces(product, wanted.org)? };
    product.check_network("login")?;
    let timing = debugging::timing(product);
    let events = debugging::events(product);
    let http = product.http();
    let http = ObservedHttp { http: &http, events: events.as_ref(), within: timing.http };
    let (entropy, clock) = (product.entropy.as_ref(), product.clock.as_ref());
    let result = match wanted.way {
        Way::Device => {
            let rhythm = DeviceRhythm { limit: timing.device, ..DeviceRhythm::CODEX };
            let login = DeviceLogin { wishes, rhythm, ..DeviceLogin::at(endpoints) };
            let screen = DeviceScreen::new(product.ui, person.can_type());
            let ports = DevicePorts { http: &http, entropy, clock, ui: &screen };
            let result = Product::runtime()?.block_on(async {
                // The way out stands before the first word is shown.
                tokio::select! {
                    biased;
                    () = person.cancels() => Err(LoginError::Cancelled),
                    result = sign_in_by_device(&login, ports) => result,
                }
            });
            screen.end();
            tell_end(events.as_ref(), &result);
            result.map_err(|error| (error, None))
        }
        Way::Browser | Way::Address | Way::Paste => {
            let login = BrowserLogin { wishes, patience: timing.callback, ..BrowserLogin::at(endpoints) };
            let callback_ports = if is_on_this_machine(&login.endpoints) { vec![0] } else { login.callback_ports };
            let in_wsl = Facts::here(&product.environment, product.ui).wsl;
            let screen = PageScreen::new(person, wanted.way, &callback_ports, in_wsl);
            let watched = ObservedUi { ui: &screen, events: events.as_ref() };
            let ports = LoginPorts { http: &http, entropy, clock, ui: &watched };
            let login =
                BrowserLogin { callback_ports: callback_ports.clone(), comes_back: screen.comes_back(), ..login };
            let result = Product::runtime()?.block_on(async {
                tokio::select! {
                    biased;
                    () = interrupted() => Err(LoginError::Cancelled),
                    result = sign_in_on_page(&login, ports) => result,
                }
            });
            screen.end();
            tell_end(events.as_ref(), &result);
            result.map_err(|error| {
                let cause = screen.cause(error);
                let guidance = port_holder::guidance(&cause, &callback_ports, in_wsl);
                (cause, Some(guidance).filter(|lines| !lines.is_empty()))
            })
        }
    };
    match result {
        Ok(signed_in) => Ok(Some(held_of(signed_in, product))),
        Err((LoginError::Cancelled, _)) => Ok(None),
        Err((error, guidance)) => Err(explained(error, guidance)),
    }
}

/// Whether one more account is to be added.
pub(super) fn wants_another(person: &Person, added: usize) -> Result<bool, CliError> {
    person.ui.say(super::TIP);
    let question = format!("Add another account? ({added} added) (y/n): ");
    let answer = Product::runtime()?.block_on(async {
        tokio::select! {
            biased;
            () = interrupted() => String::new(),
            answer = person.answer(&question) => answer,
        }
    });
    Ok(matches!(answer.as_str(), "y" | "yes"))
}

/// An error with what is known about the port, where it is about one.
fn explained(error: LoginError, guidance: Option<Vec<String>>) -> CliError {
    let error = CliError::from(error);
    let Some(mut lines) = guidance else { return error };
    let rest = lines.split_off(lines.len().saturating_sub(2));
    let (what, next) = match rest.as_slice() {
        [what, next] if lines.is_empty() => (what.clone(), next.clone()),
        _ => (lines.join("\n"), rest.join(" ")),
    };
    CliError { message: format!("Login failed: {what}"), hint: Some(next), ..error }
}

/// The workspaces that may be signed in to; empty = any.
fn workspaces(product: &Product, org: Option<&str>) -> Result<Vec<WorkspaceId>, CliError> {
    let Some(id) = org.or_else(|| product.environment.text("CODEX_AUTH_ACCOUNT_ID")) else { return Ok(Vec::new()) };
    let workspace = WorkspaceId::parse(id).filter(|id| !id.is_platform_organisation());
    let workspace = workspace.ok_or_else(|| {
        CliError::usage(format!("{id} is no workspace id: ids that begin with org- are platform organisations."))
            .hint("Take the account id that `codex-multi-auth list --json` shows.")
    })?;
    product.ui.say(&format!("Binding this login to workspace org id: {workspace}"));
    Ok(vec![workspace])
}

/// An issuer on this machine accepts any port of a callback; the vendor's accepts the registered ones only.
fn is_on_this_machine(endpoints: &Endpoints) -> bool {
    endpoints.issuer().starts_with("http://")
}

fn held_of(signed_in: SignedIn, product: &Product) -> Held {
    let SignedIn { credential, claims, issuer } = signed_in;
    let owner = Owner { user: claims.user, workspace: claims.workspace, email: claims.email, plan: claims.plan };
    let credential = Credential { expires_at: credential.expires_at.or(claims.expires_at), ..credential };
    from_sign_in(owner, credential, Some(issuer), product.clock.now())
}
