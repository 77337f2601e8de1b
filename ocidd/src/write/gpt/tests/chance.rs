//! Random tables: arbitrary bytes, hostile fields with valid checksums, and moved valid tables.

use proptest::{collection::vec, prelude::*};

use super::*;

/// A number that is small, near a border, or anything.
fn hostile() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, 2000..20_000_u64, any::<u64>(), (0..3_u64).prop_map(|n| u64::MAX - n)]
}

/// A sample with any field of its header overwritten and its checksum right.
fn hostile_start() -> impl Strategy<Value = Vec<u8>> {
    let fields = vec((prop_oneof![Just(12_usize), 20..92_usize], hostile(), 1..=8_usize), 1..4);
    let partitions = vec((hostile(), hostile()), 0..5);
    (any::<bool>(), fields, partitions).prop_map(|(large, fields, partitions)| {
        let [small, other] = samples();
        let mut sample = if large { other } else { small };
        sample.partitions = partitions;
        let mut start = sample.start();
        let sector = usize::try_from(sample.sector).unwrap();
        for (at, number, length) in fields {
            let at = sector + at.min(92 - length);
            start[at..at + length].copy_from_slice(&number.to_le_bytes()[..length]);
        }
        seal(&mut start[sector..]);
        start
    })
}

/// Whatever `start` is, nothing panics, and an error changes nothing.
fn assert_calm(start: &[u8], sector: u64, disk: u64, reserve: u64) {
    inspect(start, sector, disk, disk).warning();
    sector_size(start);
    let mut changed = start.to_vec();
    match relocate(&mut changed, sector, disk, reserve) {
        Err(_) => assert!(changed == start),
        Ok(backup) => {
            let end = backup.offset + backup.bytes.len() as u64;
            assert!(end <= disk && end > disk - sector);
            let layout = inspect(start, sector, u64::MAX, u64::MAX);
            assert!(layout.layout().unwrap().end_bytes <= backup.offset);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        mut start in vec(any::<u8>(), 0..9000),
        signed: bool,
        sector in prop_oneof![Just(512), Just(4096), hostile()],
        disk in hostile(),
        reserve in hostile(),
    ) {
        if signed {
            for (at, bytes) in [(510, &[0x55, 0xAA][..]), (512, b"EFI PART"), (4096, b"EFI PART")] {
                if let Some(place) = start.get_mut(at..at + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            }
        }
        assert_calm(&start, sector, disk, reserve);
    }

    #[test]
    fn hostile_headers_never_panic(
        start in hostile_start(),
        sector in prop_oneof![Just(512), Just(4096)],
        disk in prop_oneof![hostile(), Just(8 * MIB), Just(64 * MIB)],
        reserve in hostile(),
    ) {
        assert_calm(&start, sector, disk, reserve);
    }

    #[test]
    fn a_moved_table_is_valid_and_stays(
        large: bool,
        partitions in vec((2048..4096_u64, 0..4096_u64), 1..20),
        disk in 65 * MIB..(1 << 50),
        reserve in 0..10 * MIB,
    ) {
        let mut sample = Sample::new(if large { 4096 } else { 512 }, 64 * MIB, 6 * MIB);
        sample.partitions = partitions.iter().map(|(at, length)| (*at, at + length)).collect();
        let before = inspect(&sample.start(), sample.sector, 64 * MIB, 64 * MIB);
        let mut start = sample.start();
        let backup = relocate(&mut start, sample.sector, disk, reserve).unwrap();
        prop_assert!(backup.has_reserve);
        prop_assert_eq!(inspect(&start, sample.sector, disk, 64 * MIB), before);
        let mut again = start.clone();
        let second = relocate(&mut again, sample.sector, disk, reserve).unwrap();
        prop_assert!(again == start && second == backup);
    }
}
