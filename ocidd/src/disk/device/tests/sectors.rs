//! A device over a loop device, where we may make one: sectors of both sizes, and what lies below the page cache.

use std::{os::unix::fs::FileExt as _, path::Path};

use crate::disk::{
    buffer::AlignedBuffer,
    device::{Device, Medium as _},
    tests::loop_device::LoopDevice,
};

#[test]
fn writes_and_reads_a_disk_in_its_sector_size() {
    for sector_bytes in [512, 4096] {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4 << 20).unwrap();
        let Some(disk) = LoopDevice::new(file.path(), sector_bytes) else { return };
        let mut device =
            Device::open(Path::new(&disk.path), Path::new("/sys"), Path::new("/proc")).unwrap();
        assert_eq!(device.sector_bytes(), Some(sector_bytes));
        let mut buffer = AlignedBuffer::new(2 << 20);
        buffer.unfilled().fill(5);
        buffer.advance(2 << 20);
        device.write_all_at(buffer.filled(), 1 << 20).unwrap();
        device.sync().unwrap();
        // Directly, then through the page cache: there an unaligned write has to be dropped from the cache first.
        for offset in [1 << 20, 700] {
            let mut found = AlignedBuffer::new(1 << 20);
            device.read_exact_at(found.unfilled(), (1 << 20) + offset).unwrap();
            assert!(found.unfilled().iter().all(|byte| *byte == 5), "{sector_bytes} {offset}");
            device.write_all_at(&[6; 100], 17).unwrap();
            device.sync().unwrap();
            let mut small = [0; 102];
            device.read_exact_at(&mut small, 16).unwrap();
            assert_eq!((small[0], small[1], small[100], small[101]), (0, 6, 6, 0));
        }
    }
}

#[test]
fn reading_back_sees_what_is_below_the_page_cache() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(4 << 20).unwrap();
    let Some(disk) = LoopDevice::new(file.path(), 512) else { return };
    let mut device =
        Device::open(Path::new(&disk.path), Path::new("/sys"), Path::new("/proc")).unwrap();
    device.write_all_at(&[1; 5000], 1).unwrap();
    device.sync().unwrap();
    // What lies below changes without the device's knowledge, as on a disk that forgets.
    file.as_file().write_all_at(&[9; 5000], 1).unwrap();
    file.as_file().sync_all().unwrap();
    let mut found = [0; 5000];
    device.read_exact_at(&mut found, 1).unwrap();
    assert!(found.iter().all(|byte| *byte == 9));
}
