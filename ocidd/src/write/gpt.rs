//! Partition tables in the first MiB of a disk image: detect them, find what prevents booting, and
//! adapt a GPT to a larger disk. Pure, and never panics. Sections are those of UEFI 2.10.

mod header;
mod mbr;

use oci::size::{Bytes, length_of};
use thiserror::Error;

use crate::write::gpt::{
    header::{
        ALTERNATE_LBA, ENTRIES_LBA, FIRST_USABLE_LBA, Header, LAST_USABLE_LBA, OWN_LBA, Partition,
    },
    mbr::Mbr,
};

/// Sector sizes of GPTs.
const SECTOR_SIZES: [u64; 2] = [512, 4096];

/// Minimum space for the array of entries (5.3.1).
const ENTRIES_ROOM_BYTES: u64 = 16384;

/// The partition table of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Table {
    Gpt(Layout),
    Mbr(Layout),
    None,
}

/// Content of a partition table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    pub partitions: usize,
    /// The byte after the last partition; 0 if no partition can be read.
    pub end_bytes: u64,
    /// What may prevent a boot.
    pub problems: Vec<TableError>,
}

/// A problem of a partition table.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TableError {
    #[error("no GPT header in sector 1 of {sector} bytes, which the MBR promises")]
    NoHeader { sector: u64 },
    #[error("no protective MBR before the GPT")]
    NoProtectiveMbr,
    #[error("the GPT is made for sectors of {image} bytes, the disk has sectors of {disk} bytes")]
    SectorSize { image: u64, disk: u64 },
    #[error("the GPT header's size is {found}, 92 to {sector} are possible")]
    HeaderSize { found: u32, sector: u64 },
    #[error("the GPT header's CRC is {found:#010x}, its bytes give {wanted:#010x}")]
    HeaderCrc { found: u32, wanted: u32 },
    #[error("the GPT header in sector 1 says that it lies in sector {found}")]
    HeaderLocation { found: u64 },
    #[error("the size of a GPT entry is {found}, 128, 256, 512 and so on are possible")]
    EntrySize { found: u32 },
    #[error(
        "the GPT's entries, {} from sector {lba}, are not within the first {}",
        Bytes(*.length), Bytes(*.held)
    )]
    EntriesLocation { lba: u64, length: u64, held: u64 },
    #[error("the CRC of the GPT's entries is {found:#010x}, their bytes give {wanted:#010x}")]
    EntriesCrc { found: u32, wanted: u32 },
    #[error("the partition table has no partition")]
    NoPartition,
    #[error("partition {number} ends before it begins")]
    Reversed { number: usize },
    #[error("partition {number} ends at byte {end}, the disk has {}", Bytes(*.disk))]
    BeyondDisk { number: usize, end: u64, disk: u64 },
    #[error("partition {number} ends at byte {end}, the image has {}", Bytes(*.image))]
    BeyondImage { number: usize, end: u64, image: u64 },
    #[error("a disk of {} has no room for a backup GPT after byte {end}", Bytes(*.disk))]
    NoRoom { end: u64, disk: u64 },
}

impl Table {
    pub fn layout(&self) -> Option<&Layout> {
        match self {
            Self::Gpt(layout) | Self::Mbr(layout) => Some(layout),
            Self::None => None,
        }
    }

    /// A warning if firmware may not boot from it.
    pub fn warning(&self) -> Option<String> {
        let problems = match self.layout() {
            Some(layout) if layout.problems.is_empty() => return None,
            Some(layout) => first_of(&layout.problems),
            None => "the image begins with neither a GPT nor an MBR".to_owned(),
        };
        Some(format!("no partition table the firmware could boot from: {problems}"))
    }
}

/// The first three problems: a table of garbage has thousands.
fn first_of(problems: &[TableError]) -> String {
    let shown: Vec<String> = problems.iter().take(3).map(TableError::to_string).collect();
    match problems.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Inspects the start of an image of `image_bytes` for a disk of `disk_bytes` with `sector_bytes`.
pub fn inspect(start: &[u8], sector_bytes: u64, disk_bytes: u64, image_bytes: u64) -> Table {
    let layout =
        |partitions: &[Partition]| read_layout(partitions, sector_bytes, disk_bytes, image_bytes);
    let mbr = Mbr::parse(start);
    if let Mbr::Own(partitions) = mbr {
        // A GPT is valid only with a protective MBR (5.2.3).
        return Table::Mbr(layout(&partitions));
    }
    let read = || {
        let header = Header::parse(start, sector_bytes)?;
        Ok(header.partitions(header.entries(start, sector_bytes)?))
    };
    let mut layout = match read() {
        Ok(partitions) => layout(&partitions),
        Err(problem) => {
            let problem = match sector_size(start) {
                Some(image) if image != sector_bytes => {
                    TableError::SectorSize { image, disk: sector_bytes }
                }
                _ => problem,
            };
            if mbr == Mbr::None && matches!(problem, TableError::NoHeader { .. }) {
                return Table::None;
            }
            Layout { partitions: 0, end_bytes: 0, problems: vec![problem] }
        }
    };
    if mbr == Mbr::None {
        layout.problems.push(TableError::NoProtectiveMbr);
    }
    Table::Gpt(layout)
}

fn read_layout(partitions: &[Partition], sector_bytes: u64, disk: u64, image: u64) -> Layout {
    let end_of = |part: &Partition| part.last_lba.saturating_add(1).saturating_mul(sector_bytes);
    let mut problems: Vec<TableError> = partitions
        .iter()
        .filter_map(|part| match (part.number, end_of(part)) {
            (number, _) if part.last_lba < part.first_lba => Some(TableError::Reversed { number }),
            (number, end) if end > disk => Some(TableError::BeyondDisk { number, end, disk }),
            (number, end) if end > image => Some(TableError::BeyondImage { number, end, image }),
            _ => None,
        })
        .collect();
    if partitions.is_empty() {
        problems.push(TableError::NoPartition);
    }
    let end_bytes = partitions.iter().map(end_of).max().unwrap_or(0);
    Layout { partitions: partitions.len(), end_bytes, problems }
}

/// The sector size of the GPT. `None` if there is no valid one, or one for each size.
pub fn sector_size(start: &[u8]) -> Option<u64> {
    if matches!(Mbr::parse(start), Mbr::Own(_)) {
        return None;
    }
    let mut found = SECTOR_SIZES.into_iter().filter(|size| Header::parse(start, *size).is_ok());
    found.next().filter(|_| found.next().is_none())
}

/// The backup GPT of a disk: the entries, then the header in the last sector (5.3.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backup {
    /// Offset on the disk.
    pub offset: u64,
    pub bytes: Vec<u8>,
    /// Whether the requested bytes before it are free of partitions. Not if a partition uses them, or
    /// if the unchanged table of the image ends with the disk.
    pub has_reserve: bool,
}

/// Adapts the GPT in `start` to a disk of `disk_bytes`, and returns its backup GPT.
///
/// `reserve_bytes`, rounded up to 4096, stay unusable before the backup GPT. A table that ends with
/// the disk is not changed, nor is `start` on an error. Only a plain protective MBR is changed: the
/// purpose of the other records of a hybrid one is unknown.
pub fn relocate(
    start: &mut [u8],
    sector_bytes: u64,
    disk_bytes: u64,
    reserve_bytes: u64,
) -> Result<Backup, TableError> {
    let mbr = Mbr::parse(start);
    if matches!(mbr, Mbr::Own(_)) {
        return Err(TableError::NoHeader { sector: sector_bytes });
    }
    let header = Header::parse(start, sector_bytes)?;
    let entries = header.entries(start, sector_bytes)?;
    let taken = header.partitions(entries).iter().map(|part| part.last_lba.saturating_add(1)).max();
    let used = header.lba(FIRST_USABLE_LBA).max(header.entries_end_lba(sector_bytes));
    let floor = taken.unwrap_or(0).max(used);
    let no_room = TableError::NoRoom { end: floor.saturating_mul(sector_bytes), disk: disk_bytes };
    let last_lba = (disk_bytes / sector_bytes).checked_sub(1).ok_or_else(|| no_room.clone())?;
    // Some tools (FreeBSD's mkimg) reserve no space for unused entries.
    let entries_lba = [length_of(entries).max(ENTRIES_ROOM_BYTES), length_of(entries)]
        .into_iter()
        .filter_map(|room| last_lba.checked_sub(room.div_ceil(sector_bytes)))
        .find(|lba| *lba >= floor)
        .ok_or(no_room)?;
    let reserved = reserve_bytes.div_ceil(4096).saturating_mul(4096).div_ceil(sector_bytes);
    let below = entries_lba.checked_sub(reserved).filter(|lba| *lba >= floor);
    let in_place = header.lba(ALTERNATE_LBA) == last_lba;
    let last_usable_lba = if in_place {
        header.lba(LAST_USABLE_LBA)
    } else {
        below.unwrap_or(entries_lba).saturating_sub(1)
    };
    let sector = usize::try_from(sector_bytes).unwrap_or(usize::MAX);
    // The entries, padded to their space, and the header in one sector.
    let room = usize::try_from((last_lba - entries_lba) * sector_bytes);
    let mut bytes = entries.to_vec();
    bytes.resize(room.unwrap_or(entries.len()), 0);
    bytes.extend_from_slice(&header.with([
        (OWN_LBA, last_lba),
        (ALTERNATE_LBA, 1),
        (LAST_USABLE_LBA, last_usable_lba),
        (ENTRIES_LBA, entries_lba),
    ]));
    bytes.resize(bytes.len().next_multiple_of(sector), 0);
    if !in_place {
        let primary = header.with([(ALTERNATE_LBA, last_lba), (LAST_USABLE_LBA, last_usable_lba)]);
        put(start, sector, &primary);
        if let Mbr::Protective(record) = mbr {
            mbr::protect(start, record, last_lba);
        }
    }
    Ok(Backup {
        offset: entries_lba.saturating_mul(sector_bytes),
        bytes,
        has_reserve: below.is_some_and(|lba| last_usable_lba < lba),
    })
}

/// Overwrites the bytes at `at` if all of them fit.
pub(super) fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    let place = into.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
    if let Some(place) = place {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
pub(crate) mod tests;
