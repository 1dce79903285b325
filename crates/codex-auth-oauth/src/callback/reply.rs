//! Owns the form of an answer: a page of ours, a word, or the way to another page, each with the headers that keep it
//! out of caches, frames and other programs' hands.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;

use super::page::Page;

/// Stand on every answer.
const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::PRAGMA, "no-cache"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What a caller is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A page for a person.
    Page(Page),
    /// A word for a program.
    Word(StatusCode, &'static str),
    /// The address of another page of ours.
    Elsewhere(String),
}

impl Reply {
    /// Nothing but GET is heard here.
    pub(crate) const NOT_GET: Self = Self::Word(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");

    pub(crate) fn response(self) -> Response<Full<Bytes>> {
        let (status, kind, body) = match &self {
            Self::Page(page) => (page.status(), "text/html; charset=utf-8", page.html()),
            Self::Word(status, word) => (*status, "text/plain; charset=utf-8", (*word).to_owned()),
            Self::Elsewhere(_) => (StatusCode::FOUND, "text/plain; charset=utf-8", String::new()),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in ALWAYS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        match self {
            Self::Page(_) => {
                headers.insert(header::CONTENT_SECURITY_POLICY, Page::content_policy());
            }
            Self::Elsewhere(address) => {
                let address = HeaderValue::try_from(address).expect("an address we made is printable");
                headers.insert(header::LOCATION, address);
            }
            Self::Word(..) => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_kept_framed_or_taken_for_something_else() {
        let pages =
            [Reply::Page(Page::SIGNED_IN), Reply::NOT_GET, Reply::Elsewhere("http://localhost:1/success".into())];
        for reply in pages {
            let shown = format!("{reply:?}");
            let response = reply.response();
            for (name, value) in ALWAYS {
                assert_eq!(response.headers()[&name], value, "{shown}");
            }
        }
    }
}
