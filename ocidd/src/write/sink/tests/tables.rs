//! Images with partition tables: moved GPTs, the marker, errors and warnings.

use oci::digest::Digest;

use super::*;
use crate::write::{
    gpt::{Layout, Table, relocate, tests::sample::Sample},
    marker,
    marker::Marker,
};

const MOVE: Finish = Finish { gpt: Gpt::Move, marker: None };
const KEEP: Finish = Finish { gpt: Gpt::Keep, marker: None };

/// An image made for a disk of 4 MiB, with one partition of 1 to 3 MiB.
fn sample(sector: u64) -> Sample {
    Sample::new(sector, 4 * MIB, 3 * MIB)
}

fn marked(gpt: Gpt) -> Finish {
    Finish { gpt, marker: Some(Digest::of(b"layer")) }
}

fn install(disk: &mut MemoryDisk, image: &[u8], finish: &Finish) -> Result<Committed, SinkError> {
    let mut sink = Sink::new(disk, 2 << 20, Verify::ReadBack);
    write_all(&mut sink, image, 700_000)?;
    sink.commit(&Verified::unproven(), finish)
}

fn disk_of(size: u64, sector: u64) -> MemoryDisk {
    MemoryDisk { sector_bytes: Some(sector), ..MemoryDisk::new(size) }
}

/// The marker on such a disk.
fn read_marker(disk: &mut MemoryDisk) -> Option<Marker> {
    let size = disk.size_bytes();
    let at = marker::offset(size)?;
    marker::decode(disk.at(at..at + 4096), size)
}

#[test]
fn the_backup_gpt_lies_at_the_end_of_the_disk() {
    for sector in [512, 4096] {
        for size in [8 * MIB, 6 * MIB + sector, 4 * MIB + sector, 4 * MIB + 20 * sector] {
            let image = sample(sector).image();
            let mut disk = disk_of(size, sector);
            let done = install(&mut disk, &image, &MOVE).unwrap();
            let layout = Layout { partitions: 1, end_bytes: 3 * MIB, problems: vec![] };
            let table = gpt::inspect(&image[..1 << 20], sector, size, done.image_bytes);
            assert_eq!(table, Table::Gpt(layout), "{sector} {size}");
            assert_eq!((done.image_bytes, done.notes), (4 * MIB, vec![]), "{sector} {size}");

            let mut start = image[..1 << 20].to_vec();
            let backup = relocate(&mut start, sector, size, 0).unwrap();
            assert!(start != image[..1 << 20]);
            assert!(disk.bytes.starts_with(&start), "{sector} {size}");
            let at = usize::try_from(backup.offset).unwrap();
            assert!(disk.bytes[at..] == backup.bytes, "{sector} {size}");
            // Between the two is the image, as far as it reaches.
            let image_end = image.len().min(at);
            assert!(disk.bytes[1 << 20..image_end] == image[1 << 20..image_end]);
        }
    }
}

#[test]
fn keeps_the_gpt_of_the_image_on_request() {
    let image = sample(512).image();
    let mut disk = disk_of(8 * MIB, 512);
    let done = install(&mut disk, &image, &KEEP).unwrap();
    assert_eq!(done.notes, Vec::<String>::new());
    assert!(disk.bytes == installed(&image, 8 * MIB));
}

#[test]
fn an_image_as_large_as_the_disk_is_written_as_it_is() {
    for sector in [512, 4096] {
        let image = sample(sector).image();
        let mut disk = disk_of(4 * MIB, sector);
        let done = install(&mut disk, &image, &marked(Gpt::Move)).unwrap();
        assert!(disk.bytes == image);
        assert!(matches!(&*done.notes, [note] if note.starts_with("no space for the marker")));
    }
}

#[test]
fn an_image_cut_off_before_its_backup_gets_one() {
    let image = sample(512).image();
    let mut disk = disk_of(4 * MIB, 512);
    install(&mut disk, &image[..3 << 20], &MOVE).unwrap();
    let (at, backup) = sample(512).backup();
    assert!(disk.bytes.starts_with(&image[..3 << 20]));
    assert!(disk.at(at..4 * MIB) == backup);
}

#[test]
fn rejects_a_gpt_for_another_sector_size_before_the_first_write() {
    for (made_for, disk_has, length) in
        [(512, 4096, 4 << 20), (4096, 512, 4 << 20), (512, 4096, 1 << 20), (4096, 512, 90_000)]
    {
        for finish in [&MOVE, &KEEP] {
            let mut disk = disk_of(8 * MIB, disk_has);
            let mut sink = Sink::new(&mut disk, 2 << 20, Verify::Nothing);
            let image = &sample(made_for).image()[..length];
            let error = write_all(&mut sink, image, 1000)
                .and_then(|()| sink.commit(&Verified::unproven(), finish))
                .unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the GPT of the image is for sectors of {made_for} bytes, the disk has sectors of {disk_has} bytes"
                )
            );
            assert_eq!(sink.abandon("disk"), DiskState::Untouched);
            assert_eq!(disk.steps, []);
        }
    }
}

#[test]
fn a_file_accepts_a_gpt_for_any_sector_size() {
    for sector in [512, 4096] {
        let mut disk = MemoryDisk { sector_bytes: None, ..MemoryDisk::new(8 * MIB) };
        let done = install(&mut disk, &sample(sector).image(), &MOVE).unwrap();
        assert_eq!(done.notes, Vec::<String>::new());
    }
}

#[test]
fn the_marker_names_the_layer_and_is_written_last() {
    for (gpt, image) in [
        (Gpt::Move, sample(512).image()),
        (Gpt::Keep, sample(512).image()),
        (Gpt::Move, image(5 * MIB, &[])),
    ] {
        let mut disk = disk_of(8 * MIB, 512);
        install(&mut disk, &image, &marked(gpt)).unwrap();
        let image_bytes = length_of(&image);
        let wanted = Marker { layer: Digest::of(b"layer"), image_bytes, disk_bytes: 8 * MIB };
        assert_eq!(read_marker(&mut disk), Some(wanted));
        let at = 8 * MIB - 65536;
        assert!(disk.steps.ends_with(&[Step::Write(at..at + 4096), Step::Sync]));
        // No tool will make a partition over it.
        let last_usable = u64::from_le_bytes(disk.bytes[560..568].try_into().unwrap());
        assert!(
            gpt == Gpt::Keep
                || !disk.bytes[512..].starts_with(b"EFI PART")
                || last_usable * 512 + 512 <= at
        );
    }
}

#[test]
fn warns_if_there_is_no_space_for_the_marker() {
    let partition_to = |end| Sample::new(512, 8 * MIB, end).image();
    let marker_at = 8 * MIB + 512 - 65536 - 512;
    let fits = image(marker_at, &[]);
    let too_long = image(marker_at + 1, &[]);
    // Sparse images end before their last partition does.
    let cut = |end| partition_to(end)[..4 << 20].to_vec();
    for (rule, image, size, gpt, room) in [
        ("an image that just fits", fits, 8 * MIB + 512, Gpt::Move, true),
        ("an image that does not", too_long, 8 * MIB + 512, Gpt::Move, false),
        ("a partition there, kept", cut(8 * MIB - 17_408), 8 * MIB, Gpt::Keep, false),
        ("a partition there, moved", cut(8 * MIB - 17_408), 8 * MIB + 512, Gpt::Move, false),
        ("a small disk", image(100_000, &[]), 2 * MIB - 512, Gpt::Move, false),
    ] {
        let mut disk = disk_of(size, 512);
        let done = install(&mut disk, &image, &marked(gpt)).unwrap();
        assert_eq!(read_marker(&mut disk).is_some(), room, "{rule}");
        let told = done.notes.iter().any(|note| note.starts_with("no space for the marker"));
        assert_eq!(told, !room, "{rule}: {:?}", done.notes);
    }
}

#[test]
fn an_install_over_a_marked_disk_unmarks_it_first() {
    let mut disk = disk_of(8 * MIB, 512);
    install(&mut disk, &sample(512).image(), &marked(Gpt::Move)).unwrap();
    assert!(read_marker(&mut disk).is_some());
    let mut sink = Sink::new(&mut disk, 2 << 20, Verify::Nothing);
    write_all(&mut sink, &sample(512).image()[..3 << 20], 1 << 20).unwrap();
    assert_eq!(read_marker(&mut disk), None);
}

#[test]
fn warns_of_a_disk_that_may_not_boot() {
    let mut broken = sample(512).image();
    broken[600] ^= 1;
    let full = Sample::new(512, 8 * MIB, 4 * MIB).image();
    for (image, size, wanted) in [
        (
            image(3 * MIB, &[]),
            8 * MIB,
            "no partition table the firmware could boot from: the image begins with neither a GPT nor an MBR",
        ),
        (
            broken,
            8 * MIB,
            "no partition table the firmware could boot from: the GPT header's CRC is ",
        ),
        (
            full[..4 << 20].to_vec(),
            4 * MIB,
            "the backup GPT was not moved to the end of the disk: a disk of 4194304 bytes (4 MiB) has no room for a backup GPT after byte 4194304",
        ),
    ] {
        let mut disk = disk_of(size, 512);
        let done = install(&mut disk, &image, &MOVE).unwrap();
        assert!(matches!(&*done.notes, [note] if note.starts_with(wanted)), "{:?}", done.notes);
        assert!(disk.bytes == installed(&image, size));
    }
}
