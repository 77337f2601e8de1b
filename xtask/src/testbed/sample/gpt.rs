//! An image with a GUID partition table (UEFI specification, chapter 5): one partition, filled with data, and the backup at the image's end.

use crate::testbed::sample::patterned_image;
use flate2::Crc;

pub const SECTOR: usize = 512;

/// 128 entries of 128 bytes, as every partitioning tool makes them.
const ENTRIES: u32 = 128;
const ENTRY_BYTES: u32 = 128;
const TABLE_SECTORS: u64 = 32;
/// Where partitioning tools let the first partition begin.
const FIRST_PARTITION: u64 = 2048;

const HEADER_BYTES: u32 = 92;
/// "Linux filesystem data", 0FC63DAF-8483-4772-8E79-3D69D8477DE4, in the byte order of the specification.
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// An image of `sectors` sectors with one partition. At least 3 MiB, so that there is room for one.
pub fn partitioned_image(sectors: usize) -> Vec<u8> {
    let mut image = patterned_image(sectors * SECTOR);
    let last = (sectors as u64).saturating_sub(1);
    let usable = TABLE_SECTORS + 2..=last.saturating_sub(TABLE_SECTORS + 1);

    let table = table(FIRST_PARTITION, *usable.end());
    let header = |own, other, table_at| header([own, other], &usable, table_at, &table);
    let (primary, backup) = (header(1, last, 2), header(last, 1, usable.end() + 1));
    // A boot loader's gap as a new disk has it: nothing in it.
    put(&mut image, 0, &vec![0; usize::try_from(FIRST_PARTITION).unwrap_or(0) * SECTOR]);
    put(&mut image, 0, &protective_mbr(last));
    put(&mut image, 1, &primary);
    put(&mut image, 2, &table);
    put(&mut image, usable.end() + 1, &table);
    put(&mut image, last, &backup);
    image
}

fn put(image: &mut [u8], sector: u64, bytes: &[u8]) {
    let start = usize::try_from(sector).unwrap_or(usize::MAX).saturating_mul(SECTOR);
    for (to, from) in image.iter_mut().skip(start).zip(bytes) {
        *to = *from;
    }
}

/// One partition of type 0xEE over the whole disk, which keeps tools that know no GPT away.
fn protective_mbr(last: u64) -> Vec<u8> {
    let mut sector = vec![0; 446];
    sector.extend([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    sector.extend(1_u32.to_le_bytes());
    sector.extend(u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

fn table(first: u64, last: u64) -> Vec<u8> {
    let mut table = Vec::new();
    table.extend(LINUX);
    table.extend([0x11; 16]);
    table.extend(first.to_le_bytes());
    table.extend(last.to_le_bytes());
    table.extend(0_u64.to_le_bytes());
    table.extend("root".encode_utf16().flat_map(u16::to_le_bytes));
    table.resize((ENTRIES * ENTRY_BYTES) as usize, 0);
    table
}

fn header(
    [own, other]: [u64; 2],
    usable: &std::ops::RangeInclusive<u64>,
    table_at: u64,
    table: &[u8],
) -> Vec<u8> {
    let with_checksum = |checksum: u32| {
        let mut header = b"EFI PART\0\0\x01\0".to_vec();
        header.extend(HEADER_BYTES.to_le_bytes());
        header.extend(checksum.to_le_bytes());
        header.extend([0; 4]);
        for sector in [own, other, *usable.start(), *usable.end()] {
            header.extend(sector.to_le_bytes());
        }
        header.extend([0x22; 16]);
        header.extend(table_at.to_le_bytes());
        header.extend(ENTRIES.to_le_bytes());
        header.extend(ENTRY_BYTES.to_le_bytes());
        header.extend(crc32(table).to_le_bytes());
        header
    };
    // The checksum is made with zeroes in its own place.
    with_checksum(crc32(&with_checksum(0)))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::cmd;
    use xshell::Shell;

    #[test]
    fn both_headers_name_each_other_and_their_checksums_are_right() {
        let image = partitioned_image(8192);
        for (at, own, other) in [(1, 1_u64, 8191_u64), (8191, 8191, 1)] {
            let header = &image[at * SECTOR..][..HEADER_BYTES as usize];
            assert_eq!(header[24..32], own.to_le_bytes());
            assert_eq!(header[32..40], other.to_le_bytes());
            let bare = [&header[..16], &[0; 4], &header[20..]].concat();
            assert_eq!(header[16..20], crc32(&bare).to_le_bytes());
        }
        // The check value of CRC-32.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    /// A machine without it is told by `cargo xtask setup`.
    #[test]
    fn sgdisk_finds_nothing_wrong_with_it() {
        if cmd::find("sgdisk").is_none() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), partitioned_image(8192)).unwrap();
        let (shell, path) = (Shell::new().unwrap(), file.path());
        let said = xshell::cmd!(shell, "sgdisk --verify {path}").quiet().read().unwrap();
        assert!(said.contains("No problems found"), "{said}");
    }
}
