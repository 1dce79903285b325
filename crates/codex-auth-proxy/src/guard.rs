//! Who may talk to us. Decided from the head alone, before any body is read, and the same way on every path.

use codex_auth_core::Timestamp;
use http::{HeaderMap, Uri, header};

use crate::{
    inbound::bearer_of,
    leases::{Caller, Leases},
    permits::Permits,
};

/// The names this machine has for itself.
const OUR_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// A request that may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied;

/// Whether a request was addressed to us by a program on this machine: a `Host` of ours, and no foreign `Origin`.
/// A web page cannot pass this even when its own name was made to resolve to loopback.
pub(crate) fn is_addressed_to_us(uri: &Uri, headers: &HeaderMap, port: u16) -> Result<(), Denied> {
    let port = port.to_string();
    let is_ours = |authority: &str| {
        authority
            .rsplit_once(':')
            .is_some_and(|(host, at)| at == port && OUR_NAMES.iter().any(|name| host.eq_ignore_ascii_case(name)))
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map_err(|_| Denied)?,
        (None | Some(_), _) => return Err(Denied),
    };
    if !is_ours(host) {
        return Err(Denied);
    }
    if uri.authority().is_some_and(|authority| !is_ours(authority.as_str())) {
        return Err(Denied);
    }
    let own_origin = |value: &header::HeaderValue| {
        value.to_str().ok().and_then(|text| text.strip_prefix("http://")).is_some_and(&is_ours)
    };
    if headers.get_all(header::ORIGIN).iter().all(own_origin) { Ok(()) } else { Err(Denied) }
}

/// The caller behind a credential. A capability is on disk, so nobody has to wait until it comes back.
pub(crate) async fn caller(headers: &HeaderMap, leases: &Leases, now: Timestamp) -> Result<Caller, Denied> {
    let bearer = bearer_of(headers).ok_or(Denied)?;
    if Permits::is_one(bearer) {
        return leases.permits().holder(bearer, now).map(Caller::Permit).ok_or(Denied);
    }
    leases.caller_soon(bearer).await.ok_or(Denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&'static str, &'static str)], expect: Result<(), Denied>) {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), header::HeaderValue::from_static(value)))
            .collect();
        assert_eq!(is_addressed_to_us(&Uri::from_static("/v1/responses"), &headers, 4000), expect);
    }

    #[test]
    fn only_our_own_names_pass() {
        check(&[("host", "127.0.0.1:4000")], Ok(()));
        check(&[("host", "localhost:4000")], Ok(()));
        check(&[("host", "[::1]:4000")], Ok(()));
        check(&[("host", "127.0.0.1:4001")], Err(Denied));
        check(&[("host", "127.0.0.1")], Err(Denied));
        check(&[("host", "evil.example:4000")], Err(Denied));
        check(&[], Err(Denied));
    }

    #[test]
    fn a_page_from_elsewhere_is_refused() {
        check(&[("host", "127.0.0.1:4000"), ("origin", "https://evil.example")], Err(Denied));
        check(&[("host", "127.0.0.1:4000"), ("origin", "null")], Err(Denied));
        check(&[("host", "127.0.0.1:4000"), ("origin", "http://127.0.0.1:4000")], Ok(()));
    }

    #[test]
    fn an_absolute_target_must_be_ours_too() {
        let headers = HeaderMap::from_iter([(header::HOST, header::HeaderValue::from_static("127.0.0.1:4000"))]);
        assert_eq!(is_addressed_to_us(&Uri::from_static("http://evil.example/x"), &headers, 4000), Err(Denied));
    }
}
