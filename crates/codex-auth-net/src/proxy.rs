//! A proxy as a variable names it. Its password is in nothing that is printed.

use std::fmt;

use url::Url;

use crate::failure::NetworkFault;

/// A usable proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// The variable it comes from.
    pub(crate) variable: &'static str,
    /// `host:port`.
    pub(crate) place: String,
    /// Whether a user is named.
    pub(crate) has_user: bool,
    address: String,
}

impl Proxy {
    /// Reads `[http[s]://][user:password@]host[:port]`.
    pub(crate) fn parse(variable: &'static str, value: &str) -> Result<Self, NetworkFault> {
        let fault = |why| NetworkFault::Proxy { variable, why };
        let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let url = Url::parse(&whole).map_err(|_| fault("it is no address such as http://proxy.example.com:3128"))?;
        let default = match url.scheme() {
            "http" => 80,
            "https" => 443,
            _ => return Err(fault("only proxies that speak http or https are supported, such as http://host:3128")),
        };
        let host = url.host_str().ok_or_else(|| fault("it names no host"))?;
        let place = format!("{host}:{}", url.port().unwrap_or(default));
        let has_user = !url.username().is_empty() || url.password().is_some();
        Ok(Self { variable, place, has_user, address: url.to_string() })
    }

    /// The address with its password, for the client and nobody else.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Proxy").field("variable", &self.variable).field("place", &self.place).finish_non_exhaustive()
    }
}

/// As an error names it.
impl fmt::Display for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the proxy {} ({})", self.place, self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expect: Result<(&str, bool), &str>) {
        let parsed = Proxy::parse("HTTPS_PROXY", value);
        match (&parsed, expect) {
            (Ok(proxy), Ok(expect)) => assert_eq!((proxy.place.as_str(), proxy.has_user), expect, "{value}"),
            (Err(fault), Err(part)) => assert!(fault.to_string().contains(part), "{value}: {fault}"),
            (_, expect) => panic!("{value}: {parsed:?}, not {expect:?}"),
        }
        let shown = format!("{parsed:?} {}", parsed.as_ref().map_or_else(ToString::to_string, ToString::to_string));
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        check("http://proxy.corp:3128", Ok(("proxy.corp:3128", false)));
        check("proxy.corp:3128", Ok(("proxy.corp:3128", false)));
        check("https://proxy.corp/", Ok(("proxy.corp:443", false)));
        check("http://[::1]:3128", Ok(("[::1]:3128", false)));
        check("http://me:CANARY%40pw@proxy.corp", Ok(("proxy.corp:80", true)));
        check("me:CANARY@proxy.corp:8080", Ok(("proxy.corp:8080", true)));
    }

    #[test]
    fn what_is_no_proxy_is_not_repeated() {
        check("socks5://me:CANARY@proxy.corp:1080", Err("only proxies that speak http"));
        check("http://me:CANARY@", Err("HTTPS_PROXY cannot be used"));
        check("http://me:CANARY@proxy.corp:port", Err("no address such as"));
    }
}
