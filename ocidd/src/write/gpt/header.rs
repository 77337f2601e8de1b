//! The header of a GPT, its array of entries, and their checksums. Bytes of a disk's start in, checked values out. Trusts no field.

use crate::write::gpt::Fault;
use flate2::Crc;
use oci::size::length_of;

const SIGNATURE: &[u8] = b"EFI PART";
/// What every header has (UEFI 2.10, table 5-5). It may be longer, up to a whole sector.
const HEADER_BYTES: usize = 92;
/// The smallest entry; larger ones are 128 × 2ⁿ (UEFI 2.10, table 5-5, `SizeOfPartitionEntry`).
const ENTRY_BYTES: u32 = 128;

// Offsets of fields (UEFI 2.10, tables 5-5 and 5-6).
const HEADER_SIZE: usize = 12;
const HEADER_CRC: usize = 16;
const OWN_LBA: usize = 24;
const ALTERNATE_LBA: usize = 32;
const FIRST_USABLE_LBA: usize = 40;
const LAST_USABLE_LBA: usize = 48;
const ENTRIES_LBA: usize = 72;
const ENTRY_COUNT: usize = 80;
const ENTRY_SIZE: usize = 84;
const ENTRIES_CRC: usize = 88;
const ENTRY_FIRST_LBA: usize = 32;
const ENTRY_LAST_LBA: usize = 40;

/// The primary header: its checksum was right, and its own sizes are possible.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// As it lies on the disk, without the rest of its sector.
    bytes: Vec<u8>,
    pub(super) alternate_lba: u64,
    pub(super) first_usable_lba: u64,
    pub(super) last_usable_lba: u64,
    entries_lba: u64,
    entry_count: u32,
    entry_size: u32,
    entries_crc: u32,
}

/// The sectors where a header says that things are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Places {
    pub(super) own: u64,
    pub(super) alternate: u64,
    pub(super) last_usable: u64,
    pub(super) entries: u64,
}

/// An entry in use, or a record of an MBR. Both sectors belong to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Partition {
    /// From 1, as the kernel counts.
    pub(super) number: usize,
    pub(super) first_lba: u64,
    pub(super) last_lba: u64,
}

impl Header {
    /// Reads the primary header, which lies in sector 1 (UEFI 2.10, 5.3.1).
    pub(super) fn parse(start: &[u8], sector_bytes: u64) -> Result<Self, Fault> {
        let missing = Fault::NoHeader { sector: sector_bytes };
        let sector = usize::try_from(sector_bytes).unwrap_or(usize::MAX);
        let bytes = start.get(sector..).filter(|bytes| bytes.starts_with(SIGNATURE));
        let bytes = bytes.ok_or(missing)?;
        let size = u32_at(bytes, HEADER_SIZE);
        let possible = |size: &usize| (HEADER_BYTES..=sector).contains(size);
        let bytes = usize::try_from(size).ok().filter(possible).and_then(|size| bytes.get(..size));
        let bytes = bytes.ok_or(Fault::HeaderSize { found: size, sector: sector_bytes })?;
        let (found, wanted) = (u32_at(bytes, HEADER_CRC), crc_without_itself(bytes));
        if found != wanted {
            return Err(Fault::HeaderCrc { found, wanted });
        }
        let own_lba = u64_at(bytes, OWN_LBA);
        if own_lba != 1 {
            return Err(Fault::HeaderPlace { found: own_lba });
        }
        let entry_size = u32_at(bytes, ENTRY_SIZE);
        if entry_size < ENTRY_BYTES || !entry_size.is_power_of_two() {
            return Err(Fault::EntrySize { found: entry_size });
        }
        Ok(Self {
            alternate_lba: u64_at(bytes, ALTERNATE_LBA),
            first_usable_lba: u64_at(bytes, FIRST_USABLE_LBA),
            last_usable_lba: u64_at(bytes, LAST_USABLE_LBA),
            entries_lba: u64_at(bytes, ENTRIES_LBA),
            entry_count: u32_at(bytes, ENTRY_COUNT),
            entry_size,
            entries_crc: u32_at(bytes, ENTRIES_CRC),
            bytes: bytes.to_vec(),
        })
    }

    /// The array of entries, where all of it lies in `start` and its checksum is right.
    pub(super) fn entries<'a>(
        &self,
        start: &'a [u8],
        sector_bytes: u64,
    ) -> Result<&'a [u8], Fault> {
        // Cannot overflow: a product of two 32-bit numbers.
        let length = u64::from(self.entry_count) * u64::from(self.entry_size);
        let outside = Fault::EntriesPlace { lba: self.entries_lba, length, held: length_of(start) };
        let range = || {
            // Sectors 0 and 1 hold MBR and header.
            let from = Some(self.entries_lba).filter(|lba| *lba >= 2)?.checked_mul(sector_bytes)?;
            let to = from.checked_add(length)?;
            start.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
        };
        let entries = range().ok_or(outside)?;
        let wanted = crc(entries);
        if wanted != self.entries_crc {
            return Err(Fault::EntriesCrc { found: self.entries_crc, wanted });
        }
        Ok(entries)
    }

    /// The first sector behind the array of entries.
    pub(super) fn entries_end_lba(&self, sector_bytes: u64) -> u64 {
        let length = u64::from(self.entry_count) * u64::from(self.entry_size);
        self.entries_lba.saturating_add(length.div_ceil(sector_bytes))
    }

    /// Entries in use: those whose type is not zero (UEFI 2.10, table 5-6).
    pub(super) fn partitions(&self, entries: &[u8]) -> Vec<Partition> {
        let size = usize::try_from(self.entry_size).unwrap_or(usize::MAX);
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

    /// The same header for other places, with its checksum.
    pub(super) fn at(&self, places: Places) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (field, lba) in [
            (OWN_LBA, places.own),
            (ALTERNATE_LBA, places.alternate),
            (LAST_USABLE_LBA, places.last_usable),
            (ENTRIES_LBA, places.entries),
        ] {
            put(&mut bytes, field, &lba.to_le_bytes());
        }
        let crc = crc_without_itself(&bytes);
        put(&mut bytes, HEADER_CRC, &crc.to_le_bytes());
        bytes
    }

    /// Where the primary header's own entries are.
    pub(super) fn places(&self) -> Places {
        Places {
            own: 1,
            alternate: self.alternate_lba,
            last_usable: self.last_usable_lba,
            entries: self.entries_lba,
        }
    }
}

/// Overwrites bytes from `at`, where all of them fit.
pub(super) fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    let place = into.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
    if let Some(place) = place {
        place.copy_from_slice(bytes);
    }
}

/// A little-endian number; 0 behind the end.
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

/// A header's checksum is taken with zero in its own place (UEFI 2.10, table 5-5, `HeaderCRC32`).
fn crc_without_itself(header: &[u8]) -> u32 {
    let mut header = header.to_vec();
    put(&mut header, HEADER_CRC, &[0; 4]);
    crc(&header)
}
