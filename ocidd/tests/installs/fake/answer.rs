//! One answer of the fake registry: status, headers, body, and how much of it is sent in which framing.

use ocidd::digest::Digest;
use std::io;
use std::io::Write;

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
    /// Closes the connection after this many bytes of the body.
    pub(crate) cut_after: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = Vec::from([("Content-Type".to_owned(), media_type.to_owned())]);
        Self { status, headers, body: body.into(), framing: Framing::Length, cut_after: None }
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

    /// Bytes that are no HTTP.
    pub(crate) fn bare(bytes: &[u8]) -> Self {
        Self { framing: Framing::Bare, ..Self::new(200, "", bytes) }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
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

    /// Whether another request may follow on the same connection.
    pub(crate) fn keeps_connection(&self) -> bool {
        matches!(self.framing, Framing::Length | Framing::Chunked) && self.cut_after.is_none()
    }

    pub(crate) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        if self.framing != Framing::Bare {
            to.write_all(self.head().as_bytes())?;
        }
        let cut = self.cut_after.unwrap_or(usize::MAX).min(self.body.len());
        let body = &self.body[..cut];
        if self.framing == Framing::Chunked {
            for chunk in body.chunks(100_000) {
                write!(to, "{:x}\r\n", chunk.len())?;
                to.write_all(chunk)?;
                to.write_all(b"\r\n")?;
            }
            if self.cut_after.is_none() {
                to.write_all(b"0\r\n\r\n")?;
            }
        } else {
            to.write_all(body)?;
        }
        to.flush()
    }

    fn head(&self) -> String {
        let framing = match self.framing {
            Framing::Length => format!("Content-Length: {}\r\n", self.body.len()),
            Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
            Framing::Close | Framing::Bare => "Connection: close\r\n".to_owned(),
        };
        let headers = self.headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat());
        let headers: String = headers.collect();
        format!("HTTP/1.1 {} \r\n{headers}{framing}\r\n", self.status)
    }
}
