//! One answer of the fake registry: status, headers, body, and how it departs from what is right. Builders can be combined; what is sent is decided
//! in `ranges.rs` (which bytes) and `delivery.rs` (how many of them, how fast).

use std::time::Duration;

use oci::digest::Digest;

use crate::fake::{http::Request, ranges::Ranges, script::Script};

/// How the end of a body is told (RFC 9112, 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// By `Content-Length`.
    Length,
    /// By a chunk of length 0.
    Chunked,
    /// By the end of the connection.
    Close,
    /// The body is all there is: no status, no headers.
    Bare,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) framing: Framing,
    /// Closes the connection after this many bytes of what is sent of the body.
    pub(crate) cut_after: Option<usize>,
    /// Says and sends nothing any more after this many bytes, until the test ends.
    pub(super) stall_after: Option<usize>,
    /// Ends the body properly after this many bytes.
    pub(super) end_after: Option<usize>,
    /// Sends so many bytes at once, and rests in between.
    pub(super) trickle: Option<(usize, Duration)>,
    pub(super) ranges: Ranges,
    /// The body is a new token under this key.
    pub(super) token_key: Option<&'static str>,
    pub(super) expires_tokens: bool,
    /// Everybody else gets a 401.
    pub(super) wanted: Option<fn(&Request) -> bool>,
}

impl Answer {
    pub(crate) fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::from([("Content-Type".to_owned(), media_type.to_owned())]),
            body: body.into(),
            framing: Framing::Length,
            cut_after: None,
            stall_after: None,
            end_after: None,
            trickle: None,
            ranges: Ranges::Ignored,
            token_key: None,
            expires_tokens: false,
            wanted: None,
        }
    }

    /// An error as the distribution spec writes it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn not_found() -> Self {
        Self::error(404, "NOT_FOUND", "nothing here")
    }

    pub(crate) fn unauthorized(challenges: &[String]) -> Self {
        let answer = Self::error(401, "UNAUTHORIZED", "authentication required");
        challenges.iter().fold(answer, |answer, text| answer.header("WWW-Authenticate", text))
    }

    /// An error that may be gone the next time: 408, 429, 500, 502, 503, 504.
    pub(crate) fn busy(status: u16) -> Self {
        Self::new(status, "text/plain", "not now")
    }

    /// What captive portals and proxies show instead.
    pub(crate) fn login_page() -> Self {
        Self::new(200, "text/html; charset=utf-8", "<!doctype html><title>Please log in</title>")
    }

    pub(crate) fn redirect(url: &str) -> Self {
        Self::new(307, "text/plain", "").header("Location", url)
    }

    /// A new numbered token in each answer; `key` is `token` or `access_token`.
    pub(crate) fn token(key: &'static str) -> Self {
        Self { token_key: Some(key), ..Self::new(200, "application/json", "") }
    }

    /// Bytes that are no HTTP.
    pub(crate) fn bare(bytes: &[u8]) -> Self {
        Self { framing: Framing::Bare, ..Self::new(200, "", bytes) }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// When to come again: seconds, or a date as RFC 9110 writes it (10.2.3).
    pub(crate) fn retry_after(self, when: &str) -> Self {
        self.header("Retry-After", when)
    }

    pub(crate) fn framed(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// Closes the connection after so many bytes.
    pub(crate) fn cut(self, after: usize) -> Self {
        Self { cut_after: Some(after), ..self }
    }

    /// Stands still after so many bytes, with the connection open, until the test ends.
    pub(crate) fn stall(self, after: usize) -> Self {
        Self { stall_after: Some(after), ..self }
    }

    /// Sends fewer bytes than there are, framed as if they were all. `Content-Range` still promises the whole.
    pub(crate) fn end(self, after: usize) -> Self {
        Self { end_after: Some(after), ..self }
    }

    pub(crate) fn trickle(self, bytes: usize, rest: Duration) -> Self {
        Self { trickle: Some((bytes, rest)), ..self }
    }

    pub(crate) fn ranges(self, ranges: Ranges) -> Self {
        Self { ranges, ..self }
    }

    /// Changes one bit of the byte at `index`.
    pub(crate) fn flip(mut self, index: usize) -> Self {
        self.body[index] ^= 0x10;
        self
    }

    /// After this answer has been chosen, no token given so far opens anything.
    pub(crate) fn expire_tokens(self) -> Self {
        Self { expires_tokens: true, ..self }
    }

    /// Is only for requests that pass; the others get a 401 and do not count.
    pub(crate) fn only_for(self, wanted: fn(&Request) -> bool) -> Self {
        Self { wanted: Some(wanted), ..self }
    }

    /// Given so many times.
    pub(crate) fn times(self, times: usize) -> Script {
        Script::of(vec![self; times])
    }

    /// Given once, and then the other.
    pub(crate) fn then(self, next: impl Into<Script>) -> Script {
        Script::from(self).then(next)
    }

    /// Instead of what that header was.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn digest(&self) -> String {
        Digest::of(&self.body).to_string()
    }

    /// Changes one bit of a byte of the body, counted from the end.
    pub(crate) fn flip_byte_from_end(&mut self, index: usize) {
        *self.body.iter_mut().nth_back(index).unwrap() ^= 0x10;
    }
}
