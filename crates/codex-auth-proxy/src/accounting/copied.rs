//! A bounded copy of a document on its way to the client: its beginning and its end, where its name and its usage stand.

use http::{HeaderMap, header};

/// What is copied from the beginning.
const BEGINNING: usize = 8 * 1024;
/// What is copied from the end.
const END: usize = 24 * 1024;

/// A copy of a JSON document; nothing of anything else.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    is_wanted: bool,
    bytes: Vec<u8>,
}

impl Copied {
    /// Copies an answer with this head, if it is a document that we can read.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_json = text(header::CONTENT_TYPE).is_some_and(|kind| kind.trim_start().starts_with("application/json"));
        let is_packed = text(header::CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        Self { is_wanted: is_json && !is_packed, bytes: Vec::new() }
    }

    /// Copies the next bytes.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        if !self.is_wanted {
            return;
        }
        // Of one long piece only the end can matter once the beginning is full.
        let room = BEGINNING.saturating_sub(self.bytes.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(&rest[rest.len().saturating_sub(2 * END)..]);
        if self.bytes.len() > BEGINNING + 2 * END {
            self.bytes.drain(BEGINNING..self.bytes.len() - END);
        }
    }

    /// What was copied; `None` where nothing was to be.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.is_wanted.then(|| std::mem::take(&mut self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept_and_no_more() {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for piece in [1, 1000, 100_000, 400_000] {
            let whole: Vec<u8> = (0..400_000_u32).map(|at| at.to_le_bytes()[1]).collect();
            let mut copied = Copied::of(&headers);
            whole.chunks(piece).for_each(|bytes| {
                copied.see(bytes);
                assert!(copied.bytes.len() <= BEGINNING + 2 * END);
            });
            let kept = copied.take().expect("a document");
            assert!(kept.starts_with(&whole[..BEGINNING]) && kept.ends_with(&whole[whole.len() - END..]), "{piece}");
        }
        let mut short = Copied::of(&headers);
        short.see(b"{\"a\":");
        short.see(b"1}");
        assert_eq!(short.take().as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(Copied::default().take(), None);
    }
}
