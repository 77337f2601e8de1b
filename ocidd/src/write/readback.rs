//! Finds out whether a disk holds what it was given: remembers hashes of what was written, reads it back and compares. Never writes.

use crate::disk::buffer::AlignedBuffer;
use crate::disk::buffer::split;
use crate::disk::device::Medium;
use crate::write::error::SinkError;
use oci::digest::Digest;
use oci::digest::Hasher;
use oci::size::length_of;
use std::ops::Range;

/// What is hashed together. An error can name no smaller range, and each takes 32 bytes of memory: 512 KiB for a TiB.
const STRETCH_BYTES: u64 = 64 << 20;

/// Read at once, as it was written.
const PIECE_BYTES: usize = 2 << 20;

/// Hashes of what was written from some byte on.
#[derive(Debug)]
pub(super) struct WrittenHashes {
    start: u64,
    stretch_bytes: u64,
    stretches: Vec<Digest>,
    /// Of the stretch that is not full yet, and how much of it there is.
    hasher: Hasher,
    hashed: u64,
}

impl WrittenHashes {
    pub(super) fn new(start: u64) -> Self {
        Self::in_stretches(start, STRETCH_BYTES)
    }

    fn in_stretches(start: u64, stretch_bytes: u64) -> Self {
        let hasher = Hasher::default();
        Self { start, stretch_bytes, stretches: Vec::new(), hasher, hashed: 0 }
    }

    /// Remembers the next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = split(bytes, self.stretch_bytes - self.hashed);
            self.hasher.update(now);
            self.hashed += length_of(now);
            if self.hashed == self.stretch_bytes {
                self.close();
            }
            bytes = later;
        }
    }

    /// Reads back what was written, and tells the first stretch that is different.
    pub(super) fn verify(mut self, medium: &mut impl Medium) -> Result<(), SinkError> {
        let full: u64 = self.stretches.iter().map(|_| self.stretch_bytes).sum();
        let end = self.start + full + self.hashed;
        if self.hashed > 0 {
            self.close();
        }
        let mut offset = self.start;
        for wanted in &self.stretches {
            let range = offset..end.min(offset + self.stretch_bytes);
            let mut hasher = Hasher::default();
            read(medium, range.clone(), |_, bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            if hasher.finish() != *wanted {
                return Err(SinkError::ReadBack { range });
            }
            offset += self.stretch_bytes;
        }
        Ok(())
    }

    fn close(&mut self) {
        self.stretches.push(std::mem::take(&mut self.hasher).finish());
        self.hashed = 0;
    }
}

/// The disk holds `wanted` at `offset`, or the error tells from where on it does not.
pub(super) fn compare(
    medium: &mut impl Medium,
    wanted: &[u8],
    offset: u64,
) -> Result<(), SinkError> {
    let end = offset + length_of(wanted);
    let mut rest = wanted;
    read(medium, offset..end, |at, found| {
        let (wanted, later) = split(rest, length_of(found));
        rest = later;
        match found.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
            None => Ok(()),
            Some(same) => {
                let same = found.get(..same).map_or(0, length_of);
                Err(SinkError::ReadBack { range: at + same..end })
            }
        }
    })
}

/// Hands on what the disk holds in `range`, in pieces with their offsets.
fn read(
    medium: &mut impl Medium,
    range: Range<u64>,
    mut found: impl FnMut(u64, &[u8]) -> Result<(), SinkError>,
) -> Result<(), SinkError> {
    let mut buffer = AlignedBuffer::new(PIECE_BYTES);
    let mut offset = range.start;
    while offset < range.end {
        let wanted = usize::try_from(range.end - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        buffer.clear();
        let piece = buffer.unfilled().get_mut(..wanted).unwrap_or_default();
        let length = length_of(piece);
        let failed = |source| SinkError::Read { offset, length, source };
        medium.read_exact_at(piece, offset).map_err(failed)?;
        found(offset, piece)?;
        offset += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::sink::tests::memory_disk::MemoryDisk;

    #[test]
    fn the_first_wrong_stretch_is_named() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for (wrong, range) in [
            (None, None),
            (Some(499), None),
            (Some(500), Some(500..3500)),
            (Some(3499), Some(500..3500)),
            (Some(3500), Some(3500..6500)),
            (Some(10_499), Some(9500..10_500)),
            (Some(10_500), None),
        ] {
            for piece in [1, 999, 3000, 10_000] {
                let mut witness = WrittenHashes::in_stretches(500, 3000);
                bytes.chunks(piece).for_each(|bytes| witness.update(bytes));
                let mut disk = MemoryDisk::new(11_000);
                disk.bytes[500..10_500].copy_from_slice(&bytes);
                if let Some(wrong) = wrong {
                    disk.bytes[wrong] ^= 1;
                }
                let found = match witness.verify(&mut disk) {
                    Err(SinkError::ReadBack { range }) => Some(range),
                    verified => verified.map(|()| None).unwrap(),
                };
                assert_eq!(found, range, "{wrong:?} {piece}");
            }
        }
    }

    #[test]
    fn a_whole_number_of_stretches_ends_with_the_last() {
        let mut witness = WrittenHashes::in_stretches(0, 1000);
        witness.update(&[7; 2000]);
        let mut disk = MemoryDisk::new(2000);
        disk.bytes.fill(7);
        witness.verify(&mut disk).unwrap();
        // Nothing written is nothing to read.
        WrittenHashes::new(5 << 30).verify(&mut disk).unwrap();
    }

    #[test]
    fn the_first_wrong_byte_of_an_end_is_named() {
        let mut disk = MemoryDisk::new(5 << 20);
        let wanted = disk.bytes[1000..4 << 20].to_vec();
        compare(&mut disk, &wanted, 1000).unwrap();
        disk.bytes[3 << 20] ^= 1;
        let error = compare(&mut disk, &wanted, 1000).unwrap_err();
        assert!(
            matches!(&error, SinkError::ReadBack { range } if *range == (3 << 20..4 << 20)),
            "{error}"
        );
    }
}
