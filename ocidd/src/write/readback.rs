//! Reads back a disk and compares it with hashes of what was written. Never writes.

use std::ops::Range;

use oci::{
    digest::{Digest, Hasher},
    size::length_of,
};

use crate::{
    disk::{
        buffer::{AlignedBuffer, split},
        device::Medium,
    },
    write::error::SinkError,
};

/// Size of a hashed range. Errors name such a range, and each takes 32 bytes of memory: 512 KiB per
/// TiB.
const RANGE_BYTES: u64 = 64 << 20;

/// Size of one read.
const PIECE_BYTES: usize = 2 << 20;

/// Hashes of what was written from `start` to `end`.
#[derive(Debug)]
pub(super) struct WrittenHashes {
    start: u64,
    end: u64,
    range_bytes: u64,
    ranges: Vec<Digest>,
    /// Of the incomplete last range.
    hasher: Hasher,
}

impl WrittenHashes {
    pub(super) fn new(start: u64) -> Self {
        Self::in_ranges(start, RANGE_BYTES)
    }

    fn in_ranges(start: u64, range_bytes: u64) -> Self {
        Self { start, end: start, range_bytes, ranges: Vec::new(), hasher: Hasher::default() }
    }

    /// Hashes the next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let missing = self.range_bytes - (self.end - self.start) % self.range_bytes;
            let (now, later) = split(bytes, missing);
            self.hasher.update(now);
            self.end += length_of(now);
            if length_of(now) == missing {
                self.ranges.push(std::mem::take(&mut self.hasher).finish());
            }
            bytes = later;
        }
    }

    /// Reads back what was written. An error names the first different range.
    pub(super) fn verify(mut self, medium: &mut impl Medium) -> Result<(), SinkError> {
        // May be the digest of an empty range.
        self.ranges.push(self.hasher.finish());
        let mut offset = self.start;
        for wanted in &self.ranges {
            let range = offset..self.end.min(offset + self.range_bytes);
            let mut hasher = Hasher::default();
            read(medium, range.clone(), |_, bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            if hasher.finish() != *wanted {
                return Err(SinkError::ReadBack { range });
            }
            offset = range.end;
        }
        Ok(())
    }
}

/// Compares the disk at `offset` with `wanted`. An error names the range from the first difference.
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

/// Calls `found` with the content of `range`, in pieces with their offsets.
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
    fn names_the_first_wrong_range() {
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
                let mut written = WrittenHashes::in_ranges(500, 3000);
                bytes.chunks(piece).for_each(|bytes| written.update(bytes));
                let mut disk = MemoryDisk::new(11_000);
                disk.bytes[500..10_500].copy_from_slice(&bytes);
                if let Some(wrong) = wrong {
                    disk.bytes[wrong] ^= 1;
                }
                let found = match written.verify(&mut disk) {
                    Err(SinkError::ReadBack { range }) => Some(range),
                    verified => verified.map(|()| None).unwrap(),
                };
                assert_eq!(found, range, "{wrong:?} {piece}");
            }
        }
    }

    #[test]
    fn a_whole_number_of_ranges_ends_with_the_last() {
        let mut written = WrittenHashes::in_ranges(0, 1000);
        written.update(&[7; 2000]);
        let mut disk = MemoryDisk::new(2000);
        disk.bytes.fill(7);
        written.verify(&mut disk).unwrap();
        // Nothing written is nothing to read.
        WrittenHashes::new(5 << 30).verify(&mut disk).unwrap();
    }

    #[test]
    fn names_the_first_wrong_byte_of_an_end() {
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
