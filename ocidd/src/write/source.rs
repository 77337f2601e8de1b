//! The compressed stream between the fetching thread and the decoder. It ends with the digest of
//! every byte, including those that the decoder did not read.

use oci::digest::Digest;
use oci::size::Bytes;
use oci::size::length_of;
use std::io;
use std::io::BufRead;
use std::io::Read;
use std::sync::mpsc::Receiver;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum SourceError {
    #[error(transparent)]
    Fetch(registry::Error),
    #[error("the fetching thread is gone")]
    Gone,
    #[error("layer ends after {}, its declared size is {}", Bytes(*.found), Bytes(*.wanted))]
    Short { found: u64, wanted: u64 },
    #[error("layer is larger than its declared size of {}", Bytes(*.wanted))]
    Long { wanted: u64 },
}

/// A message of the fetching thread.
#[derive(Debug)]
pub(super) enum Chunk {
    Bytes(Vec<u8>),
    /// The last one of an interrupted stream.
    Broken(registry::Error),
    /// The last one of a complete stream: the digest of all bytes.
    End(Digest),
}

/// Chunks of another thread, read as one stream.
#[derive(Debug)]
pub(super) struct Source {
    chunks: Receiver<Chunk>,
    chunk: Vec<u8>,
    used: usize,
    received: u64,
    size_bytes: Option<u64>,
    digest: Option<Digest>,
    /// Why the stream ended early. The decoder gets a stand-in.
    failure: Option<SourceError>,
}

impl Source {
    pub(super) fn new(chunks: Receiver<Chunk>, size_bytes: Option<u64>) -> Self {
        Self {
            chunks,
            chunk: Vec::new(),
            used: 0,
            received: 0,
            size_bytes,
            digest: None,
            failure: None,
        }
    }

    /// Reads the rest and returns the digest of the whole stream, or why it is incomplete.
    pub(super) fn finish(mut self) -> Result<Digest, SourceError> {
        while self.receive() {}
        match (self.failure, self.digest) {
            (Some(failure), _) => Err(failure),
            (None, Some(digest)) => Ok(digest),
            (None, None) => Err(SourceError::Gone),
        }
    }

    /// Receives the next chunk. Returns false if there is none.
    fn receive(&mut self) -> bool {
        if self.failure.is_some() || self.digest.is_some() {
            return false;
        }
        match self.chunks.recv() {
            Ok(Chunk::Bytes(chunk)) => {
                self.received += length_of(&chunk);
                (self.chunk, self.used) = (chunk, 0);
                self.failure = self
                    .size_bytes
                    .filter(|wanted| self.received > *wanted)
                    .map(|wanted| SourceError::Long { wanted });
            }
            Ok(Chunk::End(digest)) => {
                self.digest = Some(digest);
                let found = self.received;
                self.failure = self
                    .size_bytes
                    .filter(|wanted| found < *wanted)
                    .map(|wanted| SourceError::Short { found, wanted });
                return false;
            }
            Ok(Chunk::Broken(error)) => self.failure = Some(SourceError::Fetch(error)),
            Err(_gone) => return false,
        }
        self.failure.is_none()
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.chunk.len() && self.receive() {}
        if self.failure.is_some() {
            return Err(io::Error::other("the layer is incomplete"));
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

    fn source(chunks: Vec<Chunk>, size_bytes: Option<u64>) -> Source {
        let (sender, receiver) = channel();
        for chunk in chunks {
            sender.send(chunk).unwrap();
        }
        Source::new(receiver, size_bytes)
    }

    #[test]
    fn the_digest_comes_at_the_end_however_much_was_read() {
        let digest = Digest::of(b"abcdef");
        for read in [0, 1, 3, 5, 6] {
            let bytes = |text: &[u8]| Chunk::Bytes(text.to_vec());
            let mut source =
                source(vec![bytes(b"abc"), bytes(b"def"), Chunk::End(digest)], Some(6));
            let mut taken = vec![0; read];
            source.read_exact(&mut taken).unwrap();
            assert_eq!(taken, b"abcdef"[..read]);
            assert_eq!(source.finish().unwrap(), digest);
        }
    }

    #[test]
    fn explains_why_a_layer_is_incomplete() {
        let broken = || Chunk::Broken(registry::Error::Interrupted("the cable is out".to_owned()));
        let bytes = || Chunk::Bytes(vec![1; 5]);
        let end = || Chunk::End(Digest::of(b""));
        for (chunks, size, fault) in [
            (
                vec![bytes(), end()],
                Some(6),
                "layer ends after 5 bytes, its declared size is 6 bytes",
            ),
            (vec![end()], Some(6), "layer ends after 0 bytes, its declared size is 6 bytes"),
            (vec![bytes(), bytes()], Some(6), "layer is larger than its declared size of 6 bytes"),
            (vec![bytes(), broken()], None, "the cable is out"),
            (vec![bytes()], None, "the fetching thread is gone"),
        ] {
            let mut source = source(chunks, size);
            source.read_to_end(&mut Vec::new()).ok();
            assert_eq!(source.finish().unwrap_err().to_string(), fault);
        }
    }
}
