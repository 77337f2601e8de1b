//! A reader that hashes and counts what passes through it.

use crate::digest::Digest;
use crate::digest::Hasher;
use crate::progress::Transfer;
use crate::size::length_of;
use std::io;
use std::io::Read;

#[expect(missing_debug_implementations, reason = "a reader and a callback print nothing of use")]
pub struct Tally<'a, R> {
    from: R,
    hasher: Hasher,
    bytes: u64,
    transfer: Option<&'a dyn Transfer>,
}

impl<'a, R: Read> Tally<'a, R> {
    pub fn new(from: R) -> Self {
        Self { from, hasher: Hasher::default(), bytes: 0, transfer: None }
    }

    /// The same, for somebody who wants to see how far it is.
    pub fn shown(from: R, transfer: &'a dyn Transfer) -> Self {
        Self { transfer: Some(transfer), ..Self::new(from) }
    }

    /// Reads what is left. Returns the hash and the number of all bytes.
    pub fn drain(mut self) -> io::Result<(Hasher, u64)> {
        let mut buffer = vec![0; 1 << 20];
        while self.read(&mut buffer)? > 0 {}
        Ok((self.hasher, self.bytes))
    }

    /// Of what was read.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for Tally<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(into)?;
        let read = into.get(..length).unwrap_or_default();
        self.hasher.update(read);
        self.bytes += length_of(read);
        if let Some(transfer) = self.transfer {
            transfer.add(length_of(read));
        }
        Ok(length)
    }
}
