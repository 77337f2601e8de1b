//! The header of a GPT, its entries and their checksums. Every field is checked.
//! gptman 3.1 rejects headers over 92 bytes and aborts on entries over 128, which are valid.

use flate2::Crc;
use oci::size::length_of;

use crate::write::gpt::{TableError, put};

const SIGNATURE: &[u8] = b"EFI PART";
/// Minimum size of a header, which may fill its sector (UEFI 2.10, table 5-5).
const HEADER_BYTES: usize = 92;
/// Minimum size of an entry; others are 128 × 2ⁿ (UEFI 2.10, table 5-5, `SizeOfPartitionEntry`).
const ENTRY_BYTES: u32 = 128;

// Offsets of fields (UEFI 2.10, tables 5-5 and 5-6).
const HEADER_SIZE: usize = 12;
const HEADER_CRC: usize = 16;
pub(super) const OWN_LBA: usize = 24;
pub(super) const ALTERNATE_LBA: usize = 32;
pub(super) const FIRST_USABLE_LBA: usize = 40;
pub(super) const LAST_USABLE_LBA: usize = 48;
pub(super) const ENTRIES_LBA: usize = 72;
const ENTRY_COUNT: usize = 80;
const ENTRY_SIZE: usize = 84;
const ENTRIES_CRC: usize = 88;
const ENTRY_FIRST_LBA: usize = 32;
const ENTRY_LAST_LBA: usize = 40;

/// The bytes of the primary header, with verified checksum and plausible sizes, without the rest of
/// its sector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header(Vec<u8>);

/// A used entry, or a record of an MBR. Both sectors belong to the partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Partition {
    /// From 1, like in the kernel.
    pub(super) number: usize,
    pub(super) first_lba: u64,
    pub(super) last_lba: u64,
}

impl Header {
    /// Parses the primary header in sector 1 (UEFI 2.10, 5.3.1).
    pub(super) fn parse(start: &[u8], sector_bytes: u64) -> Result<Self, TableError> {
        let missing = TableError::NoHeader { sector: sector_bytes };
        let sector = usize::try_from(sector_bytes).unwrap_or(usize::MAX);
        let bytes = start.get(sector..).filter(|bytes| bytes.starts_with(SIGNATURE));
        let bytes = bytes.ok_or(missing)?;
        let size = u32_at(bytes, HEADER_SIZE);
        let possible = |size: &usize| (HEADER_BYTES..=sector).contains(size);
        let bytes = usize::try_from(size).ok().filter(possible).and_then(|size| bytes.get(..size));
        let bytes = bytes.ok_or(TableError::HeaderSize { found: size, sector: sector_bytes })?;
        let header = Self(bytes.to_vec());
        let (found, wanted) = (u32_at(bytes, HEADER_CRC), u32_at(&header.with([]), HEADER_CRC));
        if found != wanted {
            return Err(TableError::HeaderCrc { found, wanted });
        }
        if header.lba(OWN_LBA) != 1 {
            return Err(TableError::HeaderLocation { found: header.lba(OWN_LBA) });
        }
        let entry_size = u32_at(bytes, ENTRY_SIZE);
        if entry_size < ENTRY_BYTES || !entry_size.is_power_of_two() {
            return Err(TableError::EntrySize { found: entry_size });
        }
        Ok(header)
    }

    pub(super) fn lba(&self, field: usize) -> u64 {
        u64_at(&self.0, field)
    }

    fn entries_bytes(&self) -> u64 {
        // Cannot overflow: a product of two 32-bit numbers.
        u64::from(u32_at(&self.0, ENTRY_COUNT)) * u64::from(u32_at(&self.0, ENTRY_SIZE))
    }

    /// The array of entries, if it is inside `start` and its checksum matches.
    pub(super) fn entries<'a>(
        &self,
        start: &'a [u8],
        sector_bytes: u64,
    ) -> Result<&'a [u8], TableError> {
        let (lba, length) = (self.lba(ENTRIES_LBA), self.entries_bytes());
        let outside = TableError::EntriesLocation { lba, length, held: length_of(start) };
        let range = || {
            // Sectors 0 and 1 contain MBR and header.
            let from = Some(lba).filter(|lba| *lba >= 2)?.checked_mul(sector_bytes)?;
            let to = from.checked_add(length)?;
            start.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
        };
        let entries = range().ok_or(outside)?;
        let (found, wanted) = (u32_at(&self.0, ENTRIES_CRC), crc(entries));
        if found != wanted {
            return Err(TableError::EntriesCrc { found, wanted });
        }
        Ok(entries)
    }

    /// The first sector after the array of entries.
    pub(super) fn entries_end_lba(&self, sector_bytes: u64) -> u64 {
        self.lba(ENTRIES_LBA).saturating_add(self.entries_bytes().div_ceil(sector_bytes))
    }

    /// Used entries: their type is not zero (UEFI 2.10, table 5-6).
    pub(super) fn partitions(&self, entries: &[u8]) -> Vec<Partition> {
        let size = usize::try_from(u32_at(&self.0, ENTRY_SIZE)).unwrap_or(usize::MAX);
        let numbered = entries.chunks_exact(size).zip(1..);
        let used =
            numbered.filter(|(entry, _)| entry.first_chunk::<16>().is_some_and(|t| *t != [0; 16]));
        used.map(|(entry, number)| Partition {
            number,
            first_lba: u64_at(entry, ENTRY_FIRST_LBA),
            last_lba: u64_at(entry, ENTRY_LAST_LBA),
        })
        .collect()
    }

    /// The same header with other values of these fields, and its checksum: that of the header with
    /// a checksum of zero (UEFI 2.10, table 5-5, `HeaderCRC32`).
    pub(super) fn with<const N: usize>(&self, fields: [(usize, u64); N]) -> Vec<u8> {
        let mut bytes = self.0.clone();
        for (field, lba) in fields {
            put(&mut bytes, field, &lba.to_le_bytes());
        }
        put(&mut bytes, HEADER_CRC, &[0; 4]);
        let crc = crc(&bytes);
        put(&mut bytes, HEADER_CRC, &crc.to_le_bytes());
        bytes
    }
}

/// A little-endian number; 0 after the end.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let chunk = bytes.get(at..).and_then(<[u8]>::first_chunk);
    chunk.copied().map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let chunk = bytes.get(at..).and_then(<[u8]>::first_chunk);
    chunk.copied().map_or(0, u64::from_le_bytes)
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
