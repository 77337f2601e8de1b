//! Valid, invalid and hostile tables.

mod chance;
mod foreign;
pub(crate) mod sample;

use sample::{Sample, seal};

use super::*;

const MIB: u64 = 1 << 20;

fn problems(table: &Table) -> &[TableError] {
    &table.layout().unwrap().problems
}

/// A sample of 8 MiB with one partition of 1 to 6 MiB, in either sector size.
fn samples() -> [Sample; 2] {
    [512, 4096].map(|sector| Sample::new(sector, 8 * MIB, 6 * MIB))
}

/// The header's field at `at` becomes `bytes`, and its checksum right again.
fn with_field(sample: &Sample, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut start = sample.start();
    let sector = usize::try_from(sample.sector).unwrap();
    start[sector + at..sector + at + bytes.len()].copy_from_slice(bytes);
    seal(&mut start[sector..]);
    start
}

#[test]
fn a_valid_gpt_has_no_problem() {
    for sample in samples() {
        let table = inspect(&sample.start(), sample.sector, 8 * MIB, 8 * MIB);
        let layout = Layout { partitions: 1, end_bytes: 6 * MIB, problems: vec![] };
        assert_eq!(table, Table::Gpt(layout));
        assert_eq!(table.warning(), None);
    }
}

#[test]
fn detects_problems_that_prevent_booting() {
    for sample in samples() {
        let sector = usize::try_from(sample.sector).unwrap();
        let changed = |at: usize| {
            let mut start = sample.start();
            start[at] ^= 1;
            start
        };
        let lba = |lba: u64| with_field(&sample, 72, &lba.to_le_bytes());
        for (rule, start, wanted) in [
            ("header", changed(sector + 40), "the GPT header's CRC is "),
            ("entries", changed(2 * sector + 500), "the CRC of the GPT's entries is "),
            ("no signature", changed(sector), "no GPT header in sector 1 of "),
            ("no MBR", changed(510), "no protective MBR before the GPT"),
            ("place", with_field(&sample, 24, &[2]), "says that it lies in sector 2"),
            ("size", with_field(&sample, 12, &[91]), "the GPT header's size is 91, 92 to "),
            ("large", with_field(&sample, 12, &[255; 4]), "the GPT header's size is 4294967295"),
            ("entry", with_field(&sample, 84, &[96]), "the size of a GPT entry is 96, 128, "),
            ("no entry", with_field(&sample, 84, &[0]), "the size of a GPT entry is 0, 128, "),
            ("count", with_field(&sample, 80, &[255; 4]), "are not within the first 1048576"),
            ("over the header", lba(1), "from sector 1, are not within the first"),
            ("far", lba(u64::MAX), "from sector 18446744073709551615, are not within"),
            ("just outside", lba((MIB - 16384) / sample.sector + 1), "are not within the first"),
        ] {
            let table = inspect(&start, sample.sector, 8 * MIB, 8 * MIB);
            let [problem] = problems(&table) else { panic!("{rule}: {table:?}") };
            assert!(problem.to_string().contains(wanted), "{rule}: {problem}");
            let warning = table.warning().unwrap();
            assert!(warning.starts_with("no partition table the firmware could boot from: "));
        }
    }
}

#[test]
fn partitions_that_do_not_fit_are_found() {
    let sample = Sample::new(512, 8 * MIB, 6 * MIB);
    let start = sample.start();
    let inspected = |disk, image| problems(&inspect(&start, 512, disk, image)).to_vec();
    assert_eq!(inspected(6 * MIB, 6 * MIB), []);
    let end = 6 * MIB;
    let disk = end - 1;
    assert_eq!(inspected(disk, disk), [TableError::BeyondDisk { number: 1, end, disk }]);
    let image = disk;
    assert_eq!(inspected(8 * MIB, image), [TableError::BeyondImage { number: 1, end, image }]);
    let with = |partitions| {
        let start = Sample { partitions, ..sample.clone() }.start();
        problems(&inspect(&start, 512, 8 * MIB, 8 * MIB)).to_vec()
    };
    assert_eq!(with(vec![]), [TableError::NoPartition]);
    assert_eq!(with(vec![(2048, 2048), (3000, 2999)]), [TableError::Reversed { number: 2 }]);
    let end = u64::MAX;
    assert_eq!(
        with(vec![(2048, u64::MAX)]),
        [TableError::BeyondDisk { number: 1, end, disk: 8 * MIB }]
    );
}

#[test]
fn detects_a_gpt_for_another_sector_size() {
    let [small, large] = samples();
    for (sample, disk) in [(&small, 4096), (&large, 512)] {
        let table = inspect(&sample.start(), disk, 8 * MIB, 8 * MIB);
        assert_eq!(problems(&table), [TableError::SectorSize { image: sample.sector, disk }]);
    }
    assert_eq!(sector_size(&small.start()), Some(512));
    assert_eq!(sector_size(&large.start()), Some(4096));
    let mut broken = small.start();
    broken[512 + 30] ^= 1;
    assert_eq!(sector_size(&broken), None);
    assert_eq!(sector_size(&[]), None);
    // One header for each: such an image boots from either disk.
    let mut both = small.start();
    both[4096..4096 + 92].copy_from_slice(&large.header(1, 2047, 8));
    assert_eq!(sector_size(&both), None);
}

/// Records of kind, first sector and sectors.
fn mbr(records: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut start = vec![0; 1 << 20];
    for (place, (kind, first, sectors)) in start[446..510].chunks_mut(16).zip(records) {
        place[4] = *kind;
        place[8..12].copy_from_slice(&first.to_le_bytes());
        place[12..].copy_from_slice(&sectors.to_le_bytes());
    }
    start[510..512].copy_from_slice(&[0x55, 0xAA]);
    start
}

#[test]
fn distinguishes_an_mbr_from_a_boot_sector_and_from_nothing() {
    let own = mbr(&[(0, 0, 0), (0x83, 2048, 4096), (0, 0, 0), (0x0C, 8192, 2048)]);
    let layout = Layout { partitions: 2, end_bytes: 5 * MIB, problems: vec![] };
    assert_eq!(inspect(&own, 512, 8 * MIB, 8 * MIB), Table::Mbr(layout));
    let table = inspect(&own, 512, 8 * MIB, 5 * MIB - 1);
    let problem = TableError::BeyondImage { number: 4, end: 5 * MIB, image: 5 * MIB - 1 };
    assert_eq!(problems(&table), [problem]);
    let mut boot_sector = own.clone();
    boot_sector[446] = 0xEB;
    let mut unsigned = own.clone();
    unsigned[511] = 0;
    let empty = mbr(&[]);
    for start in [&boot_sector, &unsigned, &empty, &vec![0; 1 << 20], &vec![], &vec![0xAA; 511]] {
        let table = inspect(start, 512, 8 * MIB, 8 * MIB);
        assert_eq!(table, Table::None);
        assert!(table.warning().unwrap().ends_with("begins with neither a GPT nor an MBR"));
    }
    // A GPT's remains behind a plain MBR count for nothing.
    let mut remains = Sample::new(512, 8 * MIB, 6 * MIB).start();
    remains[446..510].copy_from_slice(&own[446..510]);
    assert!(matches!(inspect(&remains, 4096, 64 * MIB, 64 * MIB), Table::Mbr(_)));
    assert_eq!(sector_size(&remains), None);
    relocate(&mut remains, 512, 16 * MIB, 0).unwrap_err();
}

#[test]
fn the_backup_gpt_lies_at_the_end_of_the_disk() {
    for sample in samples() {
        let sector = sample.sector;
        for disk in [8 * MIB + sector, 64 * MIB, 3 << 40, 7 * MIB, 9 * MIB + sector - 1] {
            let mut start = sample.start();
            let backup = relocate(&mut start, sector, disk, 0).unwrap();
            // What a tool would have made for such a disk at once.
            let wanted = Sample { disk_bytes: disk, ..sample.clone() };
            assert!(start == wanted.start(), "{sector} {disk}");
            let (offset, bytes) = wanted.backup();
            assert_eq!(backup, Backup { offset, bytes, has_reserve: true }, "{sector} {disk}");
            let table = inspect(&start, sector, disk, 8 * MIB);
            assert_eq!(problems(&table), [], "{sector} {disk}");
        }
    }
}

#[test]
fn keeps_a_gpt_that_ends_with_the_disk() {
    for sample in samples() {
        let mut start = sample.start();
        let backup = relocate(&mut start, sample.sector, 8 * MIB, 1 << 16).unwrap();
        assert!(start == sample.start());
        let (offset, bytes) = sample.backup();
        assert_eq!(backup, Backup { offset, bytes, has_reserve: false });
    }
}

#[test]
fn bytes_before_the_backup_are_kept_free_unless_a_partition_is_there() {
    for (reserve, end, kept) in [
        (69_632, 6 * MIB, true),
        (69_631, 6 * MIB, true),
        (69_632, 16 * MIB - 33 * 512 - 69_632, true),
        (69_632, 16 * MIB - 33 * 512 - 69_632 + 512, false),
        (69_633, 16 * MIB - 33 * 512 - 69_632, false),
        (u64::MAX, 6 * MIB, false),
    ] {
        let sample = Sample::new(512, 32 * MIB, end);
        let mut start = sample.start();
        let backup = relocate(&mut start, 512, 16 * MIB, reserve).unwrap();
        let header = Header::parse(&start, 512).unwrap();
        let usable_end = (header.lba(LAST_USABLE_LBA) + 1) * 512;
        let free = if kept { 69_632 } else { 0 };
        assert_eq!((usable_end, backup.offset), (16 * MIB - 33 * 512 - free, 16 * MIB - 33 * 512));
        assert_eq!(backup.has_reserve, kept, "{reserve} {end}");
    }
}

#[test]
fn few_entries_fit_without_the_minimum_space() {
    let mut sample = Sample::new(512, 8 * MIB, 6 * MIB);
    sample.entry_count = 4;
    let mut start = sample.start();
    let backup = relocate(&mut start, 512, 6 * MIB + 1024, 0).unwrap();
    assert_eq!((backup.offset, backup.bytes.len()), (6 * MIB, 1024));
    let backup = relocate(&mut sample.start(), 512, 9 * MIB, 0).unwrap();
    assert_eq!((backup.offset, backup.bytes.len()), (9 * MIB - 33 * 512, 33 * 512));
}

#[test]
fn moves_a_table_with_entries_of_256_bytes() {
    let sample = Sample { entry_size: 256, ..Sample::new(512, 8 * MIB, 6 * MIB) };
    let mut start = sample.start();
    let backup = relocate(&mut start, 512, 64 * MIB, 0).unwrap();
    let wanted = Sample { disk_bytes: 64 * MIB, ..sample };
    assert!(start == wanted.start());
    assert_eq!((backup.offset, backup.bytes), wanted.backup());
}

#[test]
fn keeps_a_hybrid_mbr() {
    let mut start = Sample::new(512, 8 * MIB, 6 * MIB).start();
    let hybrid = mbr(&[(0xEE, 1, 2047), (0x83, 2048, 4096)]);
    start[446..510].copy_from_slice(&hybrid[446..510]);
    relocate(&mut start, 512, 16 * MIB, 0).unwrap();
    assert_eq!(start[446..510], hybrid[446..510]);
    assert_eq!(problems(&inspect(&start, 512, 16 * MIB, 8 * MIB)), []);
}

#[test]
fn reports_and_keeps_what_cannot_be_moved() {
    let sample = Sample::new(512, 8 * MIB, 6 * MIB);
    let mut broken = sample.start();
    broken[512 + 40] ^= 1;
    let no_room = "has no room for a backup GPT after byte 6291456";
    for (start, sector, disk, wanted) in [
        (sample.start(), 512, 6 * MIB + 32 * 512, no_room),
        (sample.start(), 512, 6 * MIB - 1, no_room),
        (sample.start(), 512, 511, no_room),
        (sample.start(), 4096, 16 * MIB, "no GPT header in sector 1 of 4096 bytes"),
        (sample.start(), 0, 16 * MIB, "no GPT header"),
        (sample.start(), u64::MAX, 16 * MIB, "no GPT header"),
        (broken, 512, 16 * MIB, "CRC"),
        (with_field(&sample, 40, &[255; 8]), 512, 16 * MIB, "no room for a backup GPT"),
        (vec![0; 600], 512, 16 * MIB, "no GPT header"),
        (vec![], 512, 0, "no GPT header"),
    ] {
        let mut changed = start.clone();
        let problem = relocate(&mut changed, sector, disk, 0).unwrap_err().to_string();
        assert!(problem.contains(wanted), "{disk}: {problem}");
        assert!(changed == start, "{disk}");
    }
}

#[test]
fn limits_the_message_for_a_table_of_garbage() {
    let mut sample = Sample::new(512, 8 * MIB, 6 * MIB);
    sample.partitions = vec![(9, 3); 100];
    let warning = inspect(&sample.start(), 512, 8 * MIB, 8 * MIB).warning().unwrap();
    assert!(warning.ends_with("partition 3 ends before it begins and 97 more"), "{warning}");
}
