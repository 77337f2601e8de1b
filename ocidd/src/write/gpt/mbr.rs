//! Distinguishes an MBR with own partitions from one that protects a GPT. Pure.

use crate::write::gpt::{
    header::{Partition, u32_at},
    put,
};

/// Offsets and values (UEFI 2.10, 5.2.1 to 5.2.3).
const RECORDS: usize = 446;
const RECORD_BYTES: usize = 16;
const SIGNATURE: usize = 510;
const PROTECTIVE: u8 = 0xEE;
const KIND: usize = 4;
const LAST_CHS: usize = 5;
const FIRST_LBA: usize = 8;
const SECTORS: usize = 12;

/// The partition table in the first sector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Mbr {
    /// No signature, no used record, or the boot sector of a file system (same signature).
    None,
    /// Own partitions and no protective record.
    Own(Vec<Partition>),
    /// A single, protective record at this offset.
    Protective(usize),
    /// Partitions next to a protective record.
    Hybrid,
}

impl Mbr {
    pub(super) fn parse(start: &[u8]) -> Self {
        let signed = start.get(SIGNATURE..).is_some_and(|rest| rest.starts_with(&[0x55, 0xAA]));
        let records = start.get(RECORDS..SIGNATURE).unwrap_or_default();
        let (records, _) = records.as_chunks::<RECORD_BYTES>();
        // A boot indicator is 0 or 0x80 (UEFI 2.10, table 5-2). Boot sectors have code here.
        let plausible = records.iter().all(|[indicator, ..]| matches!(indicator, 0 | 0x80));
        if !signed || !plausible {
            return Self::None;
        }
        let kind = |record: &[u8]| record.get(KIND).copied().unwrap_or_default();
        let numbered = (1..).zip(records);
        let used: Vec<_> = numbered.filter(|(_, record)| kind(*record) != 0).collect();
        let protecting = used.iter().find(|(_, record)| kind(*record) == PROTECTIVE);
        match (used.as_slice(), protecting) {
            ([], _) => Self::None,
            ([(number, _)], Some(_)) => Self::Protective(RECORDS + (number - 1) * RECORD_BYTES),
            (_, Some(_)) => Self::Hybrid,
            (_, None) => {
                Self::Own(used.iter().map(|(number, record)| read(*number, *record)).collect())
            }
        }
    }
}

/// Extends the protective record at offset `record` to `last_lba` (UEFI 2.10, table 5-4).
pub(super) fn protect(start: &mut [u8], record: usize, last_lba: u64) {
    let sectors = u32::try_from(last_lba).unwrap_or(u32::MAX);
    put(start, record + SECTORS, &sectors.to_le_bytes());
    // "Cannot be represented".
    put(start, record + LAST_CHS, &[0xFF; 3]);
}

fn read(number: usize, record: &[u8]) -> Partition {
    let first_lba = u64::from(u32_at(record, FIRST_LBA));
    let sectors = u64::from(u32_at(record, SECTORS));
    Partition { number, first_lba, last_lba: (first_lba + sectors).saturating_sub(1) }
}
