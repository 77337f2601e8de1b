//! A reader that hashes and counts what passes through it.

use crate::digest::Digest;
use crate::digest::Hasher;
use crate::disk::buffer::length_of;
use crate::progress::Counter;
use std::io;
use std::io::Read;

#[derive(Debug)]
pub(super) struct Tally<'a, R> {
    from: R,
    hasher: Hasher,
    bytes: u64,
    counter: Option<&'a Counter>,
}

impl<'a, R: Read> Tally<'a, R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, hasher: Hasher::default(), bytes: 0, counter: None }
    }

    /// The same, for somebody who wants to see how far it is.
    pub(super) fn shown(from: R, counter: &'a Counter) -> Self {
        Self { counter: Some(counter), ..Self::new(from) }
    }

    /// Reads what is left. Returns the hash and the number of all bytes.
    pub(super) fn drain(mut self) -> io::Result<(Hasher, u64)> {
        let mut buffer = vec![0; 1 << 20];
        while self.read(&mut buffer)? > 0 {}
        Ok((self.hasher, self.bytes))
    }

    /// Of what was read.
    pub(super) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for Tally<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(into)?;
        let read = into.get(..length).unwrap_or_default();
        self.hasher.update(read);
        self.bytes += length_of(read);
        if let Some(counter) = self.counter {
            counter.add(length_of(read));
        }
        Ok(length)
    }
}
