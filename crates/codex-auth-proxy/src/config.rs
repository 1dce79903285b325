//! Limits, waits and addresses of the proxy, resolved once.

use std::time::Duration;

use http::Uri;

/// What the proxy is set to.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Backend, without a trailing slash; model calls go to `<it>/codex/responses`.
    pub backend: Uri,
    /// Largest request body, in bytes; more is answered with 413.
    pub largest_body: usize,
    /// How long the upstream may take to send response headers.
    pub headers_within: Duration,
    /// How long a stream may be silent before it is broken off.
    pub silence: Duration,
    /// How long one request may look for an account that serves it.
    pub search_within: Duration,
    /// Most connections at a time.
    pub most_connections: usize,
    /// Threads that serve connections, the caller's included.
    pub threads: usize,
}

impl ProxyConfig {
    /// The defaults against this backend: 64 MiB bodies, headers within 5 min, 5 min of silence, 512 connections, one thread.
    ///
    /// Long silences are normal: a model may think for minutes before its first event, and the official client
    /// itself gives up after 300 s of silence.
    pub fn against(backend: Uri) -> Self {
        Self {
            backend,
            largest_body: 64 * 1024 * 1024,
            headers_within: Duration::from_mins(5),
            silence: Duration::from_mins(5),
            search_within: Duration::from_mins(10),
            most_connections: 512,
            threads: 1,
        }
    }

    /// The address of a path below the backend; `path` begins with a slash.
    pub(crate) fn backend_url(&self, path: &str, query: Option<&str>) -> Option<Uri> {
        let base = self.backend.path().trim_end_matches('/');
        let whole = query.map_or_else(|| format!("{base}{path}"), |query| format!("{base}{path}?{query}"));
        let mut parts = self.backend.clone().into_parts();
        parts.path_and_query = Some(whole.parse().ok()?);
        Uri::from_parts(parts).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(backend: &'static str, path: &str, query: Option<&str>, expect: &str) {
        let config = ProxyConfig::against(Uri::from_static(backend));
        assert_eq!(config.backend_url(path, query).expect("an address").to_string(), expect);
    }

    #[test]
    fn paths_stand_below_the_backend() {
        check("https://a.test/backend-api", "/codex/responses", None, "https://a.test/backend-api/codex/responses");
        check("http://127.0.0.1:1/", "/codex/models", Some("v=1"), "http://127.0.0.1:1/codex/models?v=1");
        check("http://127.0.0.1:1", "/wham/usage", None, "http://127.0.0.1:1/wham/usage");
    }
}
