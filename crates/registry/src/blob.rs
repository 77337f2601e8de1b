//! A resumable download of one blob. A broken transfer resumes at the next byte, on the next host
//! if there is one. The bytes are hashed but not verified: compare the digest at the end.

use std::{collections::VecDeque, io, io::Read, ops::RangeInclusive};

use oci::{
    digest::{Digest, Hasher, HashingReader},
    manifest::Layer,
    size::{Bytes, length_of},
};
use ureq::BodyReader;

use crate::{
    endpoint::Endpoint,
    error::{During as _, Error, Result},
    http::{Response, header},
    retry::Backoff,
};

/// Bytes that must arrive before the retry counter resets. A host that sends single bytes is not
/// asked forever.
const RESET_BYTES: u64 = 1 << 20;

/// A blob that is being downloaded.
#[expect(missing_debug_implementations, reason = "the body of an answer has none")]
pub struct Blob<'a> {
    /// The first one is in use.
    mirrors: Vec<Endpoint>,
    /// In use after all mirrors.
    own: Endpoint,
    layer: Layer,
    size_bytes: Option<u64>,
    body: Option<BodyReader<'static>>,
    /// Bytes that [`Self::peek`] fetched and `read` has not returned yet.
    ahead: VecDeque<u8>,
    /// Bytes fetched so far, and their hash.
    at: u64,
    hasher: Hasher,
    backoff: Backoff<'a>,
    /// Number of bytes fetched before the last error.
    error_at: u64,
    /// What the last `io::Error` of `read` stands for.
    failure: Option<Error>,
}

impl<'a> Blob<'a> {
    /// Requests the blob; returns when a host begins to send it. Resumes after the given number of
    /// bytes, which have the given hash.
    pub fn open(
        mirrors: Vec<Endpoint>,
        own: Endpoint,
        layer: &Layer,
        backoff: Backoff<'a>,
        (at, hasher): (u64, Hasher),
    ) -> Result<Self> {
        let mut blob = Self {
            mirrors,
            own,
            layer: layer.clone(),
            size_bytes: layer.size_bytes,
            body: None,
            ahead: VecDeque::new(),
            at,
            hasher,
            backoff,
            error_at: at,
            failure: None,
        };
        blob.connect()?;
        Ok(blob)
    }

    /// Size of the whole blob, if known.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The first bytes, at most `length`, without consuming them. Call it before reading.
    pub fn peek(&mut self, length: usize) -> Result<&[u8]> {
        let mut buffer = vec![0; length];
        while self.ahead.len() < length {
            let room = buffer.get_mut(self.ahead.len()..).unwrap_or_default();
            let fetched = self.fetch(room)?;
            if fetched == 0 {
                break;
            }
            self.ahead.extend(room.get(..fetched).unwrap_or_default());
        }
        Ok(self.ahead.make_contiguous())
    }

    /// The last `length` bytes, if the host sends them. They are not verified.
    pub fn read_tail(&self, length: u64) -> Option<Vec<u8>> {
        let endpoint = self.mirrors.first().unwrap_or(&self.own);
        let range = format!("bytes=-{length}");
        let path = format!("blobs/{}", self.layer.digest);
        let response = endpoint.probe(&path, &[("range", &range)])?;
        let is_part = response.status() == 206;
        let tail = response.into_body().into_with_config().limit(length + 1).read_to_vec().ok()?;
        (is_part && length_of(&tail) == length).then_some(tail)
    }

    /// Reads the next bytes like `read`, reconnecting if necessary.
    pub fn fetch(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            self.connect()?;
            let Some(body) = &mut self.body else { continue };
            let reason = match body.read(into) {
                Ok(length) if length > 0 || into.is_empty() => {
                    let read = into.get(..length).unwrap_or_default();
                    self.hasher.update(read);
                    self.at += length_of(read);
                    return Ok(length);
                }
                Ok(_) if self.size_bytes.is_none_or(|size| self.at >= size) => return Ok(0),
                Ok(_) => "the connection ended early".to_owned(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error.to_string(),
            };
            self.on_error(Error::Interrupted(reason))?;
        }
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Takes the error that an `io::Error` of `read` stands for.
    pub fn take_error(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Opens a body that continues at `self.at`.
    fn connect(&mut self) -> Result<()> {
        while self.body.is_none() {
            match self.request() {
                Ok(body) => self.body = Some(body),
                Err(error) => self.on_error(error)?,
            }
        }
        Ok(())
    }

    /// Moves to the next host, or waits before a retry. Returns the error if neither is possible.
    fn on_error(&mut self, error: Error) -> Result<()> {
        let doing = self.doing();
        self.body = None;
        if !self.mirrors.is_empty() {
            self.mirrors.remove(0);
            let error = error.to_line();
            let text = format!("mirror: {doing}: {error}; asking the next registry");
            self.backoff.observer.warn(text);
            if self.at == 0 {
                // The size announced by a host that sent nothing does not count.
                self.size_bytes = self.layer.size_bytes;
            }
            return Ok(());
        }
        if self.at >= self.error_at + RESET_BYTES {
            self.backoff.reset();
        }
        self.error_at = self.at;
        self.backoff.wait(error, &doing).during(|| doing)
    }

    fn doing(&self) -> String {
        let host = self.mirrors.first().unwrap_or(&self.own).host();
        format!("fetching layer {} from {host}{}", self.layer.digest, after(self.at))
    }

    fn request(&mut self) -> Result<BodyReader<'static>> {
        let at = self.at;
        let endpoint = self.mirrors.first_mut().unwrap_or(&mut self.own);
        let range = (at > 0 && endpoint.supports_ranges).then(|| format!("bytes={at}-"));
        let headers: Vec<(&str, &str)> =
            range.iter().map(|range| ("range", range.as_str())).collect();
        let response = endpoint.get(&format!("blobs/{}", self.layer.digest), &headers)?;
        let reason = match (response.status().as_u16(), range.is_some()) {
            (200, _) => {
                self.check_whole(&response)?;
                let mut body = response.into_body().into_reader();
                self.skip(&mut body)?;
                return Ok(body);
            }
            (206, true) => {
                let found = header(&response, "content-range").unwrap_or("nothing");
                if is_part(found, at, self.size_bytes) {
                    return Ok(response.into_body().into_reader());
                }
                format!(
                    "the registry was asked to resume at byte {at} and sends '{found}'; \
                    requesting the whole"
                )
            }
            (416, true) => format!("the registry does not resume at byte {at} (416)"),
            _ => return Err(endpoint.rejected(response)),
        };
        // The retry requests the whole blob.
        endpoint.supports_ranges = false;
        Err(Error::Interrupted(reason))
    }

    /// Checks the headers of a whole blob: the type reveals a login page, the size another blob.
    fn check_whole(&mut self, response: &Response) -> Result<()> {
        let media_type = header(response, "content-type");
        if let Some(page) = media_type.filter(|media_type| media_type.starts_with("text/html")) {
            return Err(Error::WebPage { media_type: page.to_owned() });
        }
        let offered = response.body().content_length();
        self.size_bytes = self.size_bytes.or(offered);
        match self.size_bytes.zip(offered) {
            Some((expected, offered)) if expected != offered => {
                let is_listed = self.layer.size_bytes.is_some();
                let source = if is_listed { "the manifest" } else { "the answer before" };
                Err(Error::Protocol(format!(
                    "the registry offers {offered} bytes, {source} has {expected}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Reads the bytes before `self.at` again, if a host starts at 0, and compares their hash.
    fn skip(&self, body: &mut BodyReader<'static>) -> Result<()> {
        let reread = HashingReader::new(body.take(self.at)).drain();
        let (hasher, length) = reread.map_err(|error| Error::Interrupted(error.to_string()))?;
        if length < self.at {
            let left = Bytes(self.at - length);
            return Err(Error::Interrupted(format!("the connection ended {left} before that")));
        }
        if hasher.finish() != self.digest() {
            let text = "the registry sends other bytes than it sent before";
            return Err(Error::Protocol(text.to_owned()));
        }
        Ok(())
    }
}

/// The position in a blob at which a transfer failed, for an error.
pub(crate) fn after(at: u64) -> String {
    if at == 0 { String::new() } else { format!(", after {}", Bytes(at)) }
}

/// Whether a part is the requested one.
fn is_part(content_range: &str, at: u64, size_bytes: Option<u64>) -> bool {
    parse_content_range(content_range).is_some_and(|(range, size)| {
        *range.start() == at
            && size.zip(size_bytes).is_none_or(|(found, expected)| found == expected)
    })
}

impl Read for Blob<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            return self.ahead.read(into);
        }
        self.fetch(into).map_err(|error| {
            let text = error.to_line();
            self.failure = Some(error);
            io::Error::other(text)
        })
    }
}

/// Parses `bytes FIRST-LAST/SIZE`, where SIZE may be `*` (RFC 9110, 14.4). `None` for everything
/// else and for contradictory ranges.
pub fn parse_content_range(text: &str) -> Option<(RangeInclusive<u64>, Option<u64>)> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, size) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let size = if size == "*" { None } else { Some(number(size)?) };
    let range = number(first)?..=number(last)?;
    let is_valid = !range.is_empty() && size.is_none_or(|size| *range.end() < size);
    (unit.eq_ignore_ascii_case("bytes") && is_valid).then_some((range, size))
}

/// Digits only: `parse` accepts a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_valid_content_ranges() {
        let range = |first, last, size| Some((first..=last, size));
        for (text, wanted) in [
            ("bytes 0-0/1", range(0, 0, Some(1))),
            ("bytes 100-199/200", range(100, 199, Some(200))),
            ("Bytes 100-199/*", range(100, 199, None)),
            (" bytes 5-9/10 ", range(5, 9, Some(10))),
            ("bytes */200", None),
            ("bytes 5-4/10", None),
            ("bytes 5-10/10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-/10", None),
            ("bytes=5-9/10", None),
            ("items 5-9/10", None),
            ("bytes 5-9", None),
            ("bytes 99999999999999999999-99999999999999999999/*", None),
            ("", None),
        ] {
            assert_eq!(parse_content_range(text), wanted, "{text}");
        }
    }
}
