//! The compressed stream between the fetching thread and the decoder. If fetching
//! fails, it ends like a complete one, so nothing is valid before [`Source::finish`] returns `Ok`.

use std::{
    io,
    io::{BufRead, Read},
    sync::mpsc::Receiver,
};

use oci::{
    digest::Digest,
    size::{Bytes, length_of},
};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum SourceError {
    #[error(transparent)]
    Fetch(registry::Error),
    #[error("layer ends after {}, its declared size is {}", Bytes(*.found), Bytes(*.wanted))]
    Short { found: u64, wanted: u64 },
    #[error("layer is larger than its declared size of {}", Bytes(*.wanted))]
    Long { wanted: u64 },
}

/// Chunks of the fetching thread, read as one stream.
#[derive(Debug)]
pub(super) struct Source {
    chunks: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    used: usize,
    received: u64,
    pub(super) size_bytes: Option<u64>,
}

impl Source {
    pub(super) fn new(chunks: Receiver<Vec<u8>>, size_bytes: Option<u64>) -> Self {
        Self { chunks, chunk: Vec::new(), used: 0, received: 0, size_bytes }
    }

    /// Reads the rest. Returns the digest of the whole stream, which `fetched` waits for, or why
    /// the stream is incomplete.
    pub(super) fn finish(
        mut self,
        fetched: impl FnOnce() -> Result<Digest, registry::Error>,
    ) -> Result<Digest, SourceError> {
        while self.receive() {}
        if let Some(wanted) = self.exceeded_size() {
            return Err(SourceError::Long { wanted });
        }
        let digest = fetched().map_err(SourceError::Fetch)?;
        match self.size_bytes.filter(|wanted| self.received < *wanted) {
            Some(wanted) => Err(SourceError::Short { found: self.received, wanted }),
            None => Ok(digest),
        }
    }

    /// Receives the next chunk. Returns false if there is none, or too much was received.
    fn receive(&mut self) -> bool {
        let None = self.exceeded_size() else { return false };
        let Ok(chunk) = self.chunks.recv() else { return false };
        self.received += length_of(&chunk);
        (self.chunk, self.used) = (chunk, 0);
        self.exceeded_size().is_none()
    }

    fn exceeded_size(&self) -> Option<u64> {
        self.size_bytes.filter(|wanted| self.received > *wanted)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.chunk.len() && self.receive() {}
        if self.exceeded_size().is_some() {
            return Err(io::Error::other("the layer is too large"));
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
    use std::sync::mpsc::channel;

    use super::*;

    fn source(chunks: Vec<Vec<u8>>, size_bytes: Option<u64>) -> Source {
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
            let mut source = source(vec![b"abc".to_vec(), b"def".to_vec()], Some(6));
            let mut taken = vec![0; read];
            source.read_exact(&mut taken).unwrap();
            assert_eq!(taken, b"abcdef"[..read]);
            assert_eq!(source.finish(|| Ok(digest)).unwrap(), digest);
        }
    }

    #[test]
    fn explains_why_a_layer_is_incomplete() {
        let broken = || Err(registry::Error::Interrupted("the cable is out".to_owned()));
        let end = || Ok(Digest::of(b""));
        for (chunks, size, fetched, fault) in [
            (1, Some(6), end(), "layer ends after 5 bytes, its declared size is 6 bytes"),
            (0, Some(6), end(), "layer ends after 0 bytes, its declared size is 6 bytes"),
            (2, Some(6), end(), "layer is larger than its declared size of 6 bytes"),
            (2, Some(6), broken(), "layer is larger than its declared size of 6 bytes"),
            (1, None, broken(), "the cable is out"),
            (1, Some(6), broken(), "the cable is out"),
        ] {
            let mut source = source(vec![vec![1; 5]; chunks], size);
            source.read_to_end(&mut Vec::new()).ok();
            assert_eq!(source.finish(|| fetched).unwrap_err().to_string(), fault);
        }
    }
}
