//! The sink with a disk in memory: content of the disk after an install, and order of the writes.
#![expect(clippy::single_range_in_vec_init, reason = "lists of ranges, some of them short")]

mod faults;
pub(crate) mod memory_disk;
mod real;
mod tables;

use super::*;
use crate::write::{
    ends::Gpt,
    pipeline::verified::Verified,
    sink::tests::memory_disk::{MemoryDisk, OLD, Step},
};

const MIB: u64 = 1 << 20;

/// An image of `size` bytes without zero pieces, but for the ranges of `zeroes`.
fn image(size: u64, zeroes: &[Range<u64>]) -> Vec<u8> {
    let pattern: Vec<u8> = (1..=251).collect();
    let mut image = pattern.repeat(usize::try_from(size).unwrap() / pattern.len() + 1);
    image.truncate(usize::try_from(size).unwrap());
    for range in zeroes {
        let (start, end) = (range.start.min(size), range.end.min(size));
        image[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].fill(0);
    }
    image
}

/// What a disk of `size` bytes has to hold after `image` was installed: the image, then what was there before, but for a cleared end.
fn installed(image: &[u8], size: u64) -> Vec<u8> {
    let mut disk = MemoryDisk::new(size);
    let end_start = (size.saturating_sub(MIB) / 4096 * 4096).max(MIB.min(size));
    disk.at(0..MIB.min(size)).fill(0);
    disk.at(end_start..size).fill(0);
    disk.at(0..length_of(image)).copy_from_slice(image);
    disk.bytes
}

fn write_all(
    sink: &mut Sink<'_, MemoryDisk>,
    image: &[u8],
    buffer: usize,
) -> Result<(), SinkError> {
    image.chunks(buffer).try_for_each(|bytes| sink.write(bytes))
}

/// Commits as an install without further words does.
fn commit(sink: &mut Sink<'_, MemoryDisk>) -> Result<Committed, SinkError> {
    sink.commit(&Verified::unproven(), &Finish::default())
}

#[test]
fn the_disk_holds_the_image_and_nothing_else_changes_but_the_cleared_end() {
    let sizes = [
        (1, 8 * MIB),
        (MIB - 1, 8 * MIB),
        (MIB, 8 * MIB),
        (3 * MIB + 513, 8 * MIB),
        (7 * MIB + 5, 8 * MIB),
        (8 * MIB, 8 * MIB),
    ];
    let small_disks = [(100, 100), (MIB, MIB), (2 * MIB, 2 * MIB), (MIB + 700, 2 * MIB - 512)];
    for (size, disk_size) in sizes.into_iter().chain(small_disks) {
        for zeroes in [
            vec![],
            Vec::from([0..size]),
            vec![MIB..2 * MIB, 5 * MIB..7 * MIB + 3],
            Vec::from([size / 2..size]),
        ] {
            for (buffer, transfer) in [(2 << 20, 2 << 20), (700, 65536), (1 << 20, 1000)] {
                let image = image(size, &zeroes);
                let mut disk = MemoryDisk::new(disk_size);
                let mut sink = Sink::new(&mut disk, transfer, Verify::Nothing);
                write_all(&mut sink, &image, buffer).unwrap();
                assert_eq!(commit(&mut sink).unwrap().image_bytes, size);
                assert!(
                    disk.bytes == installed(&image, disk_size),
                    "image {size}, disk {disk_size}, zeroes {zeroes:?}, buffer {buffer}"
                );
            }
        }
    }
}

#[test]
fn both_ends_are_cleared_and_flushed_first_and_written_last() {
    let mut disk = MemoryDisk::new(8 * MIB);
    let mut sink = Sink::new(&mut disk, 4 << 20, Verify::Nothing);
    write_all(&mut sink, &image(8 * MIB, &[3 * MIB..5 * MIB]), 2 << 20).unwrap();
    commit(&mut sink).unwrap();
    let (first, last) = (0..MIB, 7 * MIB..8 * MIB);
    let wanted = [
        Step::Zero(first.clone()),
        Step::Zero(last.clone()),
        Step::Sync,
        Step::Write(MIB..2 * MIB),
        Step::Write(2 * MIB..3 * MIB),
        Step::Zero(3 * MIB..5 * MIB),
        Step::Write(5 * MIB..6 * MIB),
        Step::Write(6 * MIB..7 * MIB),
        Step::Sync,
        Step::Write(last),
        Step::Write(512..MIB),
        Step::Sync,
        Step::Write(0..512),
        Step::Sync,
    ];
    assert_eq!(disk.steps, wanted);
}

#[test]
fn no_write_is_larger_than_the_transfer_size() {
    let mut disk = MemoryDisk::new(8 * MIB);
    let mut sink = Sink::new(&mut disk, 65536, Verify::Nothing);
    write_all(&mut sink, &image(5 * MIB, &[]), 2 << 20).unwrap();
    let too_large = disk
        .steps
        .iter()
        .find(|step| matches!(step, Step::Write(range) if range.end - range.start > 65536));
    assert_eq!(too_large, None);
}

#[test]
fn keeps_the_disk_untouched_by_an_image_within_the_held_back_start() {
    let mut disk = MemoryDisk::new(8 * MIB);
    let mut sink = Sink::new(&mut disk, 65536, Verify::Nothing);
    write_all(&mut sink, &image(MIB, &[]), 65536).unwrap();
    assert_eq!(sink.abandon("disk"), DiskState::Untouched);
    assert_eq!(disk.steps, []);
}

#[test]
fn an_abandoned_disk_has_cleared_ends() {
    let mut disk = MemoryDisk::new(8 * MIB);
    let mut sink = Sink::new(&mut disk, 65536, Verify::Nothing);
    write_all(&mut sink, &image(8 * MIB, &[]), 65536).unwrap();
    assert_eq!(sink.abandon("disk"), DiskState::Cleared { disk: "disk".to_owned() });
    assert!(is_zero(disk.at(0..MIB)) && is_zero(disk.at(7 * MIB..8 * MIB)));
    assert_eq!(disk.steps.last(), Some(&Step::Sync));
}

#[test]
fn rejects_an_image_larger_than_the_disk() {
    for (disk_size, buffer) in [(4 * MIB, 65536), (4 * MIB - 512, 1 << 20), (512, 513)] {
        let mut disk = MemoryDisk::new(disk_size);
        let mut sink = Sink::new(&mut disk, 65536, Verify::Nothing);
        let error = write_all(&mut sink, &image(disk_size + 1, &[]), buffer).unwrap_err();
        assert!(matches!(error, SinkError::TooSmall { disk, .. } if disk == disk_size), "{error}");
        assert!(!matches!(sink.abandon("disk"), DiskState::Unknown { .. }));
        assert!(
            disk.at(0..512).iter().all(|byte| *byte == 0 || (*byte == OLD && disk_size == 512))
        );
    }
}
