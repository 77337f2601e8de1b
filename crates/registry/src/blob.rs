//! The bytes of one blob, whatever happens to the connections they come by: a broken transfer goes on at the next byte, at the next host if need
//! be. Hashes what it gives out. What comes is not verified yet: the digest at the end tells.

pub mod content_range;

use crate::endpoint::Endpoint;
use crate::error::HttpError;
use crate::http::Response;
use crate::observer::Observer;
use crate::retry::Backoff;
use anyhow::Context as _;
use anyhow::Result;
use oci::digest::Digest;
use oci::digest::Digested;
use oci::digest::Hasher;
use oci::manifest::Layer;
use oci::size::Bytes;
use oci::size::length_of;
use std::collections::VecDeque;
use std::io;
use std::io::Read;
use ureq::BodyReader;

/// So much has to come before earlier trouble is forgotten, lest a host that sends a byte at a time is asked for ever.
const FORGIVE_BYTES: u64 = 1 << 20;

/// A blob on its way.
pub struct Blob<'a> {
    /// Mirrors, then the image's own registry.
    endpoints: Vec<Endpoint>,
    /// The one in use.
    current: usize,
    layer: Layer,
    size_bytes: Option<u64>,
    body: Option<BodyReader<'static>>,
    /// Fetched to be looked at, and not yet given out.
    ahead: VecDeque<u8>,
    /// Bytes fetched so far, and their hash.
    at: u64,
    hasher: Hasher,
    tries: Backoff,
    /// Where the last trouble was.
    trouble_at: u64,
    observer: &'a dyn Observer,
}

impl<'a> Blob<'a> {
    /// Asks for the blob; returns when the first host has begun to send it.
    pub fn open(
        endpoints: Vec<Endpoint>,
        layer: &Layer,
        tries: Backoff,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        Self::open_after(endpoints, layer, tries, observer, (0, Hasher::default()))
    }

    /// The same, where an earlier transfer has left so many bytes, and their hash.
    pub fn open_after(
        endpoints: Vec<Endpoint>,
        layer: &Layer,
        tries: Backoff,
        observer: &'a dyn Observer,
        (at, hasher): (u64, Hasher),
    ) -> Result<Self> {
        let mut blob = Self {
            endpoints,
            current: 0,
            layer: layer.clone(),
            size_bytes: layer.size_bytes,
            body: None,
            ahead: VecDeque::new(),
            at,
            hasher,
            tries,
            trouble_at: at,
            observer,
        };
        blob.connect()?;
        Ok(blob)
    }

    /// Of the whole blob, where it is known.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The first bytes, up to `length` of them, without taking them away. To be called before anything is read.
    pub fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
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

    /// The last `length` bytes, where the host gives them; they are a hint and nothing more.
    pub fn read_tail(&self, length: u64) -> Option<Vec<u8>> {
        let endpoint = self.endpoints.get(self.current)?;
        let range = format!("bytes=-{length}");
        let path = format!("blobs/{}", self.layer.digest);
        let response = endpoint.probe(&path, &[("range", &range)])?;
        let is_part = response.status() == 206;
        let tail = response.into_body().into_with_config().limit(length + 1).read_to_vec().ok()?;
        (is_part && length_of(&tail) == length).then_some(tail)
    }

    /// The next bytes, from whatever connection they come by.
    fn fetch(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(body) = &mut self.body else {
                self.connect().map_err(io::Error::other)?;
                continue;
            };
            let fault = match body.read(into) {
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
            self.take_in(HttpError::broken(fault).into()).map_err(io::Error::other)?;
        }
    }

    /// Gets a body that goes on at `self.at`, or tells why no host gives one.
    fn connect(&mut self) -> Result<()> {
        loop {
            match self.request() {
                Ok(body) => {
                    self.body = Some(body);
                    return Ok(());
                }
                Err(error) => self.take_in(error)?,
            }
        }
    }

    /// Decides what follows an error: the next host, or a wait and another try. Returns the error when it is the end.
    fn take_in(&mut self, error: anyhow::Error) -> Result<()> {
        let doing = self.doing();
        self.body = None;
        if self.current + 1 < self.endpoints.len() {
            self.observer.warn(format!("mirror: {doing}: {error:#}; asking the next registry"));
            self.current += 1;
            if self.at == 0 {
                // What a host said that gave nothing counts for nothing.
                self.size_bytes = self.layer.size_bytes;
            }
            return Ok(());
        }
        if self.at >= self.trouble_at + FORGIVE_BYTES {
            self.tries.forget();
        }
        self.trouble_at = self.at;
        self.tries.wait(error, &doing, self.observer).context(doing)
    }

    fn doing(&self) -> String {
        let host = self.endpoints.get(self.current).map(Endpoint::host).unwrap_or_default();
        let after =
            if self.at == 0 { String::new() } else { format!(", after {}", Bytes(self.at)) };
        format!("fetching layer {} from {host}{after}", self.layer.digest)
    }

    fn request(&mut self) -> Result<BodyReader<'static>> {
        let at = self.at;
        let endpoint = self.endpoints.get_mut(self.current).context("finding a registry")?;
        let range = (at > 0 && endpoint.knows_ranges).then(|| format!("bytes={at}-"));
        let headers: Vec<(&str, &str)> =
            range.iter().map(|range| ("range", range.as_str())).collect();
        let response = endpoint.get(&format!("blobs/{}", self.layer.digest), &headers)?;
        match (response.status().as_u16(), range.is_some()) {
            (200, _) => {
                self.check_whole(&response)?;
                let mut body = response.into_body().into_reader();
                self.skip(&mut body)?;
                Ok(body)
            }
            (206, true) => match wrong_part(&response, at, self.size_bytes) {
                None => Ok(response.into_body().into_reader()),
                Some(fault) => {
                    endpoint.knows_ranges = false;
                    Err(HttpError::broken(fault).into())
                }
            },
            // "Range not satisfiable": from now on the whole is asked for.
            (416, true) => {
                endpoint.knows_ranges = false;
                Err(HttpError::broken(format!("the registry does not go on at byte {at} (416)"))
                    .into())
            }
            _ => Err(endpoint.refused(response).into()),
        }
    }

    /// Looks at the headers of a whole blob: a login page is told by its type, another blob by its size.
    fn check_whole(&mut self, response: &Response) -> Result<(), HttpError> {
        let media_type =
            response.headers().get("content-type").and_then(|value| value.to_str().ok());
        if let Some(page) = media_type.filter(|media_type| media_type.starts_with("text/html")) {
            return Err(HttpError::useless(format!(
                "the registry answered with a web page ('{page}') instead; hint: a proxy or a captive portal may be in between"
            )));
        }
        let found = response.body().content_length();
        match (self.size_bytes, found) {
            (Some(wanted), Some(found)) if wanted != found => {
                let who = if self.layer.size_bytes.is_some() {
                    "the manifest says"
                } else {
                    "before there were"
                };
                Err(HttpError::useless(format!(
                    "the registry offers {found} bytes, {who} {wanted}"
                )))
            }
            (None, found) => {
                self.size_bytes = found;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads again what was given out already, where a host begins at the start, and compares it.
    fn skip(&self, body: &mut BodyReader<'static>) -> Result<(), HttpError> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 64 << 10];
        let mut left = self.at;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let room = buffer.get_mut(..wanted).unwrap_or_default();
            let length = match body.read(room) {
                Ok(0) => Err(HttpError::broken(format!(
                    "the connection ended {} before that",
                    Bytes(left)
                ))),
                Ok(length) => Ok(length),
                Err(error) => Err(HttpError::broken(error.to_string())),
            }?;
            let read = buffer.get(..length).unwrap_or_default();
            hasher.update(read);
            left -= length_of(read);
        }
        if hasher.finish() != self.hasher.clone().finish() {
            return Err(HttpError::useless("the registry sends other bytes than it sent before"));
        }
        Ok(())
    }
}

/// Why a part is not the one that was asked for.
fn wrong_part(response: &Response, at: u64, size_bytes: Option<u64>) -> Option<String> {
    let header = response.headers().get("content-range").and_then(|value| value.to_str().ok());
    let text = header.unwrap_or("nothing");
    let range = header.and_then(content_range::parse);
    let is_right = range.is_some_and(|range| {
        range.first == at
            && range.size.zip(size_bytes).is_none_or(|(found, wanted)| found == wanted)
    });
    (!is_right).then(|| {
        format!("the registry was asked to go on at byte {at} and sends '{text}'; the whole is asked for next")
    })
}

impl Read for Blob<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() { self.fetch(into) } else { self.ahead.read(into) }
    }
}

impl Digested for Blob<'_> {
    fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }
}

impl std::fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({}, {} of {:?} bytes)", self.layer.digest, self.at, self.size_bytes)
    }
}
