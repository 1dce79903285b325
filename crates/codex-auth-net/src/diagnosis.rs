//! What a failed call means, in words a person can act on. Names hosts, proxies and variables; never a URL, a header or
//! a password.

use std::{error::Error, io, iter};

use rustls::CertificateError;

use crate::{network::BundleFile, proxy::Proxy};

/// Longest text, in characters.
const LONGEST: usize = 480;
/// How a refused tunnel introduces itself; its type is not public.
const TUNNEL: &str = "tunnel error: ";

/// What is known about the call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The host asked.
    pub(crate) host: &'a str,
    /// The proxy on the way, if any.
    pub(crate) proxy: Option<&'a Proxy>,
    /// The authorities added, if any.
    pub(crate) bundle: Option<&'a BundleFile>,
    /// Whether it failed before the connection stood.
    pub(crate) is_connecting: bool,
    /// Whether its time was up.
    pub(crate) is_late: bool,
}

/// Says what failed and, where it is a matter of the network's settings, what helps.
pub(crate) fn diagnosis(error: &(dyn Error + 'static), known: Circumstances<'_>) -> String {
    let said = if let Some(certificate) = causes(error).find_map(refused_certificate) {
        of_certificate(certificate, known)
    } else {
        match known.proxy.filter(|_| known.is_connecting) {
            Some(proxy) => of_proxy(error, proxy, known),
            None => chain(error),
        }
    };
    said.chars().take(LONGEST).collect()
}

fn of_certificate(refused: &CertificateError, known: Circumstances<'_>) -> String {
    let Circumstances { host, bundle, .. } = known;
    if !matches!(refused, CertificateError::UnknownIssuer | CertificateError::Other(_)) {
        return format!("the certificate shown for {host} is not valid: {refused}");
    }
    let found = format!(
        "the certificate shown for {host} is signed by nobody we trust; a company's proxy may open encrypted connections"
    );
    match bundle {
        None => {
            format!("{found}: ask for the certificate of its authority and set CODEX_CA_CERTIFICATE to that PEM file")
        }
        Some(BundleFile { variable, file }) => {
            format!("{found}, and its authority is not in {file} ({variable}): add its certificate to that PEM file")
        }
    }
}

fn of_proxy(error: &(dyn Error + 'static), proxy: &Proxy, known: Circumstances<'_>) -> String {
    let Proxy { variable, place, .. } = proxy;
    let host = known.host;
    let tunnel = causes(error).map(ToString::to_string).find_map(|text| text.strip_prefix(TUNNEL).map(str::to_owned));
    match tunnel.as_deref() {
        Some("proxy authorization required") if proxy.has_user => {
            format!("{proxy} refuses the user and password in {variable} (407): correct them there")
        }
        Some("proxy authorization required") => format!(
            "{proxy} asks for a user and a password (407): set {variable} to http://USER:PASSWORD@{place}, special \
             characters percent-encoded"
        ),
        Some("unsuccessful") => format!(
            "{proxy} does not let us through to {host}: ask whoever runs it to allow that host, or name the host in \
             NO_PROXY where it can be reached directly"
        ),
        Some("unexpected end of file" | "proxy response headers too long" | "io error establishing tunnel") => {
            format!("{proxy} broke off before we were through to {host}: see that {variable} names an http proxy")
        }
        Some(_) | None if known.is_late => {
            format!("{proxy} did not let us through to {host} in time: see that {variable} is right")
        }
        Some(_) | None if is_tls(error) => format!("{}, through {proxy}", chain(error)),
        Some(_) | None => format!("{proxy} could not be reached ({}): correct {variable}", innermost(error)),
    }
}

/// An error and what caused it, also where one hides in an [`io::Error`].
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |&error: &&'e (dyn Error + 'static)| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(hidden) => Some(hidden),
            None => error.source(),
        }
    })
}

fn refused_certificate<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e CertificateError> {
    match error.downcast_ref()? {
        rustls::Error::InvalidCertificate(refused) => Some(refused),
        _ => None,
    }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<rustls::Error>)
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The chain of causes, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).skip(1).fold(error.to_string(), |said, cause| {
        let text = cause.to_string();
        if said.contains(&text) { said } else { format!("{said}: {text}") }
    })
}
