//! The compressed bytes on their way into the decoder: counted and hashed as they pass, so that the digest covers every byte the decoder saw
//! and every byte it left.

use crate::digest::Digest;
use crate::digest::Hasher;
use crate::disk::buffer::length_of;
use crate::size::Bytes;
use std::io;
use std::io::BufRead;
use std::io::Read;
use std::sync::mpsc::Receiver;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum SourceError {
    #[error("fetching the layer, after {}", Bytes(*.at))]
    Fetch { at: u64, source: io::Error },
    #[error("layer ended after {}, it should have {}", Bytes(*.found), Bytes(*.wanted))]
    Short { found: u64, wanted: u64 },
    #[error("layer goes on after the {} it should have", Bytes(*.wanted))]
    Long { wanted: u64 },
}

/// Chunks from another thread, read as one stream.
#[derive(Debug)]
pub struct Source {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    used: usize,
    /// Bytes received and hashed so far.
    received: u64,
    size_bytes: Option<u64>,
    hasher: Hasher,
    /// Why the stream ended early. The decoder only sees that it did.
    failure: Option<SourceError>,
}

impl Source {
    pub fn new(chunks: Receiver<io::Result<Vec<u8>>>, size_bytes: Option<u64>) -> Self {
        Self {
            chunks,
            chunk: Vec::new(),
            used: 0,
            received: 0,
            size_bytes,
            hasher: Hasher::default(),
            failure: None,
        }
    }

    /// Reads what is left and gives the digest of everything; or says why not everything came.
    pub fn finish(mut self) -> Result<Digest, SourceError> {
        while self.failure.is_none() && self.receive() {}
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.hasher.finish()),
        }
    }

    /// Takes in the next chunk. False when there is none.
    fn receive(&mut self) -> bool {
        let (at, wanted) = (self.received, self.size_bytes);
        match self.chunks.recv() {
            Ok(Ok(chunk)) => {
                self.hasher.update(&chunk);
                self.received += length_of(&chunk);
                (self.chunk, self.used) = (chunk, 0);
                self.failure = wanted
                    .filter(|wanted| self.received > *wanted)
                    .map(|wanted| SourceError::Long { wanted });
            }
            Ok(Err(source)) => self.failure = Some(SourceError::Fetch { at, source }),
            Err(_all_sent) => {
                self.failure = wanted
                    .filter(|wanted| at < *wanted)
                    .map(|wanted| SourceError::Short { found: at, wanted });
                return false;
            }
        }
        self.failure.is_none()
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.chunk.len() && self.failure.is_none() {
            if !self.receive() {
                break;
            }
        }
        if self.failure.is_some() {
            return Err(io::Error::other("the layer did not arrive whole"));
        }
        Ok(self.chunk.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used = (self.used + amount).min(self.chunk.len());
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn source(chunks: Vec<io::Result<Vec<u8>>>, size_bytes: Option<u64>) -> Source {
        let (sender, receiver) = channel();
        for chunk in chunks {
            sender.send(chunk).unwrap();
        }
        Source::new(receiver, size_bytes)
    }

    #[test]
    fn digests_what_was_read_and_what_was_left() {
        for read in [0, 1, 3, 5, 6] {
            let mut source = source(vec![Ok(b"abc".to_vec()), Ok(b"def".to_vec())], Some(6));
            let mut taken = vec![0; read];
            source.read_exact(&mut taken).unwrap();
            assert_eq!(taken, b"abcdef"[..read]);
            assert_eq!(source.finish().unwrap(), Digest::of(b"abcdef"));
        }
    }

    #[test]
    fn tells_why_the_layer_is_not_whole() {
        let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
        for (chunks, size, fault) in [
            (vec![Ok(vec![1; 5])], Some(6), "layer ended after 5 bytes, it should have 6 bytes"),
            (vec![], Some(6), "layer ended after 0 bytes, it should have 6 bytes"),
            (
                vec![Ok(vec![1; 5]), Ok(vec![1; 5])],
                Some(6),
                "layer goes on after the 6 bytes it should have",
            ),
            (vec![Ok(vec![1; 5]), Err(broken())], None, "fetching the layer, after 5 bytes"),
        ] {
            let mut source = source(chunks, size);
            let read = source.read_to_end(&mut Vec::new());
            assert!(size == Some(6) || read.is_err());
            assert_eq!(source.finish().unwrap_err().to_string(), fault);
        }
    }
}
