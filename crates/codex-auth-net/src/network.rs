//! What the environment says about the way out, and which way an address takes.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `HTTPS_PROXY`, `https_proxy`, else `ALL_PROXY`, `all_proxy` | the proxy towards other machines |
//! | `NO_PROXY`, `no_proxy` | who is asked directly: hosts with their subdomains, addresses, networks (`10.0.0.0/8`), `*` |
//! | `CODEX_CA_CERTIFICATE`, else `SSL_CERT_FILE` | authorities believed besides the platform's |
//!
//! The first of a row that is not blank counts. `HTTP_PROXY` has no part: plain http goes to this machine only, and
//! this machine is asked directly, whatever the variables say.

use std::{fmt, path::Path};

use http::{Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::pki_types::CertificateDer;
use url::Host;

use crate::{
    bundle,
    failure::{Failure, NetworkFault},
    proxy::Proxy,
    roots::Roots,
};

const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];
const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
const BUNDLES: [&str; 2] = ["CODEX_CA_CERTIFICATE", SSL_CERT_FILE];

/// The settings of the way out, as values: nothing is opened. The default is no proxy and the platform's authorities.
#[derive(Default)]
pub struct Network {
    proxy: Option<Result<Proxy, NetworkFault>>,
    exceptions: Option<Matcher>,
    bundle: Option<BundleFile>,
    is_ssl_cert_file_set: bool,
}

/// A file of authorities, and the variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BundleFile {
    pub(crate) variable: &'static str,
    pub(crate) file: String,
}

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Plain http to this machine.
    Plain,
    /// https to this machine.
    Near,
    /// https to another machine.
    Far,
    /// https to another machine, through the proxy.
    Proxied,
}

impl Network {
    /// What `lookup` says; it is asked for each variable by name.
    pub fn from_values(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = lookup(name)?.trim().to_owned();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let proxy = first(&PROXIES).map(|(variable, value)| Proxy::parse(variable, &value));
        // The matcher answers for proxied addresses only, so it needs some proxy; which one does not matter to it.
        let matcher = |(_, list): (_, String)| Matcher::builder().all("http://proxy.invalid").no(list).build();
        Self {
            proxy,
            exceptions: first(&EXCEPTIONS).map(matcher),
            bundle: first(&BUNDLES).map(|(variable, file)| BundleFile { variable, file }),
            is_ssl_cert_file_set: first(&[SSL_CERT_FILE]).is_some(),
        }
    }

    /// Whether the settings can be followed on the way to `uri`. Reads the bundle where that way needs it.
    pub fn check(&self, uri: &Uri) -> Result<(), NetworkFault> {
        if uri.host().is_some_and(is_this_machine) && uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(());
        }
        self.roots()?;
        if self.is_excepted(uri) {
            return Ok(());
        }
        self.proxy.as_ref().map_or(Ok(()), |proxy| proxy.as_ref().map(drop).map_err(Clone::clone))
    }

    pub(crate) fn way(&self, uri: &Uri) -> Result<Way, Failure> {
        let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
        match (is_secure, uri.host().is_some_and(is_this_machine)) {
            (false, true) => Ok(Way::Plain),
            (true, true) => Ok(Way::Near),
            (false, false) => Err(Failure::Unsent { why: "plain http to another machine".to_owned() }),
            (true, false) if self.is_excepted(uri) => Ok(Way::Far),
            (true, false) => match &self.proxy {
                None => Ok(Way::Far),
                Some(Ok(_)) => Ok(Way::Proxied),
                Some(Err(fault)) => Err(fault.clone().into()),
            },
        }
    }

    fn is_excepted(&self, uri: &Uri) -> bool {
        let is_here = uri.host().is_some_and(is_this_machine);
        is_here || self.exceptions.as_ref().is_some_and(|matcher| matcher.intercept(uri).is_none())
    }

    /// The proxy, where a usable one is named.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()?.as_ref().ok()
    }

    pub(crate) fn bundle(&self) -> Option<&BundleFile> {
        self.bundle.as_ref()
    }

    /// Whom to believe. Reads the bundle.
    pub(crate) fn roots(&self) -> Result<Roots, NetworkFault> {
        let extra: Vec<CertificateDer<'static>> = match &self.bundle {
            None => Vec::new(),
            Some(BundleFile { variable, file }) => bundle::read(Path::new(file))
                .map_err(|why| NetworkFault::Bundle { variable, file: file.clone(), why })?,
        };
        Ok(Roots::with(extra, self.is_ssl_cert_file_set))
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Network").field("proxy", &self.proxy).field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

/// Whether a host is this machine by its name or address.
pub fn is_loopback(host: &Host<impl AsRef<str>>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn is_this_machine(host: &str) -> bool {
    Host::parse(host).is_ok_and(|host| is_loopback(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(variables: &[(&str, &str)]) -> Network {
        let found =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Network::from_values(found)
    }

    #[track_caller]
    fn goes(variables: &[(&str, &str)], uri: &str, expect: Way) {
        assert_eq!(network(variables).way(&uri.parse().expect("a URI")), Ok(expect), "{variables:?} {uri}");
    }

    const VENDOR: &str = "https://auth.openai.com/oauth/token";

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        let proxied = [("HTTPS_PROXY", "http://proxy.corp:3128"), ("HTTP_PROXY", "http://proxy.corp:3128")];
        goes(&proxied, "http://127.0.0.1:9/a", Way::Plain);
        goes(&proxied, "http://127.9.9.9:9/a", Way::Plain);
        goes(&proxied, "http://[::1]:9/a", Way::Plain);
        goes(&proxied, "https://localhost:9/a", Way::Near);
        goes(&[("ALL_PROXY", "http://proxy.corp:3128")], "https://127.0.0.1:9/a", Way::Near);
        goes(&proxied, "https://127.0.0.1.example.test/a", Way::Proxied);
    }

    #[test]
    fn plain_http_never_leaves_this_machine() {
        let way = network(&[]).way(&Uri::from_static("http://auth.example.test/a"));
        assert_eq!(way, Err(Failure::Unsent { why: "plain http to another machine".to_owned() }));
        assert!(network(&[]).way(&Uri::from_static("/a")).is_err());
    }

    #[test]
    fn the_first_variable_that_is_not_blank_names_the_proxy() {
        goes(&[], VENDOR, Way::Far);
        goes(&[("HTTPS_PROXY", " ")], VENDOR, Way::Far);
        goes(&[("HTTP_PROXY", "http://proxy.corp:3128")], VENDOR, Way::Far);
        goes(&[("https_proxy", "proxy.corp:3128")], VENDOR, Way::Proxied);
        let both = network(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://other:1"), ("https_proxy", "http://proxy:2")]);
        assert_eq!(both.proxy().map(ToString::to_string).as_deref(), Some("the proxy proxy:2 (https_proxy)"));
    }

    #[test]
    fn no_proxy_names_hosts_suffixes_addresses_and_networks() {
        let excepting = |list: &'static str| [("HTTPS_PROXY", "http://proxy.corp:3128"), ("NO_PROXY", list)];
        goes(&excepting("openai.com"), VENDOR, Way::Far);
        goes(&excepting("example.test, .openai.com"), VENDOR, Way::Far);
        goes(&excepting("AUTH.OpenAI.com"), VENDOR, Way::Far);
        goes(&excepting("notopenai.com,penai.com"), VENDOR, Way::Proxied);
        goes(&excepting("*"), VENDOR, Way::Far);
        goes(&excepting("10.0.0.0/8"), "https://10.1.2.3:8443/a", Way::Far);
        goes(&excepting("10.0.0.0/8"), "https://11.1.2.3:8443/a", Way::Proxied);
        goes(&excepting("192.168.1.7"), "https://192.168.1.7/a", Way::Far);
        goes(&excepting("fd00::/8"), "https://[fd00::7]/a", Way::Far);
        goes(&[("ALL_PROXY", "http://proxy.corp:3128"), ("no_proxy", "openai.com")], VENDOR, Way::Far);
    }

    #[test]
    fn a_setting_that_cannot_be_followed_stops_the_call_and_is_named() {
        let vendor = Uri::from_static(VENDOR);
        let bad = network(&[("HTTPS_PROXY", "socks5://me:CANARY@proxy.corp")]);
        let fault = bad.check(&vendor).expect_err("not supported");
        assert_eq!(fault.variable(), "HTTPS_PROXY");
        assert_eq!(bad.way(&vendor), Err(Failure::from(fault)));
        assert!(!format!("{bad:?}").contains("CANARY"), "{bad:?}");
        assert_eq!(bad.check(&Uri::from_static("http://127.0.0.1:9/a")), Ok(()), "this machine needs none of it");
        let excepted = network(&[("HTTPS_PROXY", "socks5://proxy.corp"), ("NO_PROXY", "openai.com")]);
        assert_eq!(excepted.check(&vendor), Ok(()));
    }

    #[test]
    fn codexs_own_variable_wins_and_blank_is_unset() {
        let dir = tempfile::tempdir().expect("a directory");
        let missing = dir.path().join("missing.pem").display().to_string();
        let named = |fault: NetworkFault| match fault {
            NetworkFault::Bundle { variable, file, .. } => (variable, file),
            NetworkFault::Proxy { .. } => panic!("no proxy is set"),
        };
        let both = network(&[("CODEX_CA_CERTIFICATE", &missing), ("SSL_CERT_FILE", "/elsewhere.pem")]);
        let fault = both.roots().expect_err("missing");
        assert!(
            fault.to_string().starts_with(&format!("CODEX_CA_CERTIFICATE names {missing}, which cannot be used: "))
        );
        assert_eq!(named(fault), ("CODEX_CA_CERTIFICATE", missing.clone()));
        let blank = network(&[("CODEX_CA_CERTIFICATE", " "), ("SSL_CERT_FILE", &missing)]);
        assert_eq!(blank.roots().map_err(named), Err(("SSL_CERT_FILE", missing)));
        assert_eq!(network(&[("SSL_CERT_FILE", "")]).roots(), Ok(Roots::PlatformAnd(Vec::new())));
    }
}
