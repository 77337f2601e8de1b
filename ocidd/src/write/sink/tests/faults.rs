//! Disks that fail at any step or byte, lose power or lose writes never become bootable.

use oci::digest::Digest;
use rustix::io::Errno;

use super::*;
use crate::write::{
    marker,
    sink::tests::memory_disk::{Afterwards, Tear},
};

const DISK: u64 = 4 * MIB;

/// Installs to `disk`, and abandons it where that failed.
fn install(disk: &mut MemoryDisk, image: &[u8], verify: Verify) -> Result<Committed, SinkError> {
    let mut sink = Sink::new(disk, 700_001, verify);
    let finish = Finish { marker: Some(Digest::of(b"layer")), ..Finish::default() };
    let outcome = write_all(&mut sink, image, 1 << 20)
        .and_then(|()| sink.commit(&Verified::unproven(), &finish));
    if outcome.is_err() {
        // What cannot be cleared either is told by the caller; here it is looked at.
        sink.abandon("disk");
    }
    outcome
}

/// How many bytes an install writes when all goes well.
fn bytes_of_an_install(image: &[u8]) -> u64 {
    let mut disk = MemoryDisk::new(DISK);
    install(&mut disk, image, Verify::Nothing).unwrap();
    disk.written
}

fn tears(image: &[u8]) -> impl Iterator<Item = u64> {
    let all = bytes_of_an_install(image);
    let marker = all - 4096;
    let ends = [1, 511, 512, marker - 513, marker - 512, marker - 1, marker, marker + 1, all - 1];
    (0..all).step_by(150_001).chain(ends)
}

#[test]
fn reports_every_failing_step_and_leaves_no_bootable_disk() {
    let image = image(8 * MIB, &[3 * MIB..4 * MIB]);
    let run = |fails_at| {
        let mut disk = MemoryDisk { fails_at, ..MemoryDisk::new(8 * MIB) };
        let mut sink = Sink::new(&mut disk, 4 << 20, Verify::Nothing);
        let outcome = write_all(&mut sink, &image, 2 << 20).and_then(|()| commit(&mut sink));
        let abandoned = if outcome.is_err() { Some(sink.abandon("disk")) } else { None };
        (outcome, abandoned, disk)
    };
    let (_, _, good) = run(None);
    for at in 0..good.steps.len() {
        let (outcome, abandoned, mut disk) = run(Some(at));
        assert!(outcome.is_err(), "step {at}");
        assert_eq!(abandoned.unwrap(), DiskState::Cleared { disk: "disk".to_owned() });
        assert!(is_zero(disk.at(0..MIB)) && is_zero(disk.at(7 * MIB..8 * MIB)), "step {at}");
    }
}

#[test]
fn reports_a_torn_write_at_any_byte_and_leaves_no_bootable_disk() {
    let image = image(3 * MIB + 512, &[MIB + 4096..2 * MIB]);
    for (errno, text) in
        [(Errno::IO, "Input/output error"), (Errno::NOSPC, "No space left on device")]
    {
        for after_bytes in tears(&image) {
            let mut disk = MemoryDisk::new(DISK);
            disk.tear = Some(Tear { after_bytes, errno, afterwards: Afterwards::Well });
            let error = install(&mut disk, &image, Verify::Nothing).unwrap_err();
            let told = format!("{:#}", anyhow::Error::new(error));
            assert!(told.contains(text), "byte {after_bytes}: {told}");
            let cleared = is_zero(disk.at(0..MIB)) && is_zero(disk.at(3 * MIB..DISK));
            assert!(cleared, "byte {after_bytes}");
        }
    }
}

#[test]
fn a_power_cut_at_any_byte_leaves_no_boot_sector_without_the_whole_image() {
    let image = image(3 * MIB + 512, &[MIB + 4096..2 * MIB]);
    for after_bytes in tears(&image) {
        let mut disk = MemoryDisk::new(DISK);
        disk.tear = Some(Tear { after_bytes, errno: Errno::IO, afterwards: Afterwards::Dead });
        install(&mut disk, &image, Verify::Nothing).unwrap_err();
        // Where a boot sector has its signature.
        if *disk.at(510..512) == image[510..512] {
            let same = disk.at(512..length_of(&image)) == &image[512..];
            assert!(same, "byte {after_bytes}: a boot sector, and not all of the image");
        }
        let place = marker::offset(DISK).unwrap();
        let read = marker::decode(disk.at(place..place + 4096), DISK);
        assert!(read.is_none() || disk.bytes.starts_with(&image), "byte {after_bytes}");
    }
}

#[test]
fn continues_after_short_and_interrupted_writes_and_reads() {
    let image = image(3 * MIB + 512, &[MIB + 4096..2 * MIB]);
    let mut disk = MemoryDisk::new(DISK);
    disk.nervous = true;
    install(&mut disk, &image, Verify::ReadBack).unwrap();
    assert!(disk.bytes.starts_with(&image));
}

#[test]
fn reading_back_detects_lost_writes() {
    let place = marker::offset(DISK).unwrap();
    let image = image(3 * MIB + 512, &[MIB + 4096..2 * MIB]);
    let rows = [
        ("the start", 700..701, 700..MIB),
        ("the first byte behind the start", MIB..MIB + 1, MIB..3 * MIB),
        ("zeroes that were not written", 2 * MIB - 1..2 * MIB, MIB..3 * MIB),
        ("the last byte before the end", 3 * MIB - 1..3 * MIB, MIB..3 * MIB),
        ("the end", 3 * MIB + 511..3 * MIB + 512, 3 * MIB + 511..3 * MIB + 512),
        ("the marker", place + 5..place + 6, place + 5..place + 4096),
    ];
    for (rule, forgets, told) in rows {
        let mut disk = MemoryDisk::new(DISK);
        disk.forgets = forgets.clone();
        let error = install(&mut disk, &image, Verify::ReadBack).unwrap_err();
        let SinkError::ReadBack { range } = error else { panic!("{rule}: {error}") };
        assert_eq!(range, told, "{rule}");
        disk.at(forgets.clone()).fill(0);
        let cleared = is_zero(disk.at(0..MIB)) && is_zero(disk.at(3 * MIB..DISK));
        assert!(cleared, "{rule}");
        let boot_sector = disk.steps.contains(&Step::Write(0..512));
        assert_eq!(boot_sector, told != (MIB..3 * MIB), "{rule}: it never becomes bootable");

        let mut unread = MemoryDisk::new(DISK);
        unread.forgets = forgets;
        install(&mut unread, &image, Verify::Nothing).unwrap();
    }
}

#[test]
fn reports_a_disk_that_cannot_be_read_back() {
    let image = image(2 * MIB, &[]);
    let mut disk = MemoryDisk::new(DISK);
    disk.unreadable = true;
    let error = install(&mut disk, &image, Verify::ReadBack).unwrap_err();
    assert_eq!(
        format!("{:#}", anyhow::Error::new(error)),
        "reading back 1048576 bytes (1 MiB) at byte 1048576: Input/output error (os error 5)"
    );
    assert!(is_zero(disk.at(0..MIB)) && is_zero(disk.at(3 * MIB..DISK)));
}
