//! What a request carries, such that it can be sent again from its start.

use super::Client;
use super::Headers;
use super::HttpError;
use super::Response;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use ureq::SendBody;
use ureq::http::Method;

/// A part of a file. Reading it moves nobody's place in the file.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    pub file: &'a File,
    pub at: u64,
    pub length: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Section(Section<'a>),
}

impl<'a> Payload<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }

    fn length(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) => oci::size::length_of(bytes),
            Self::Section(section) => section.length,
        }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.length).unwrap_or(usize::MAX).min(into.len());
        let length = self.file.read_at(into.get_mut(..most).unwrap_or_default(), self.at)?;
        if length == 0 && most > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file has become shorter while it was sent",
            ));
        }
        let read = oci::size::length_of(into.get(..length).unwrap_or_default());
        (self.at, self.length) = (self.at + read, self.length - read);
        Ok(length)
    }
}

impl Client {
    /// Sends one request with a body, whatever status comes back. Redirects are not followed.
    pub fn carry(
        &self,
        method: &Method,
        url: &str,
        headers: &Headers<'_>,
        payload: &Payload<'_>,
    ) -> Result<Response, HttpError> {
        let length = payload.length().to_string();
        let mut headers = headers.to_vec();
        // A length is told even of nothing: some registries answer 411 otherwise.
        if !matches!(*method, Method::GET | Method::DELETE) {
            headers.push(("content-length", &length));
        }
        match payload {
            Payload::Nothing => self.send(method, url, &headers, SendBody::none()),
            Payload::Bytes(bytes) => {
                let mut bytes = *bytes;
                self.send(method, url, &headers, SendBody::from_reader(&mut bytes))
            }
            Payload::Section(section) => {
                let mut section = *section;
                self.send(method, url, &headers, SendBody::from_reader(&mut section))
            }
        }
    }
}
