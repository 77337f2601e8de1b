//! The sink with real devices: direct I/O, the page cache and zeroing by the kernel, in both sector
//! sizes. sgdisk verifies the result.

use std::{os::unix::fs::FileExt as _, path::Path};

use oci::digest::Digest;
use tempfile::NamedTempFile;

use super::*;
use crate::{
    disk::{
        buffer::AlignedBuffer,
        device::Device,
        reread::reread,
        tests::loop_device::{LoopDevice, run},
    },
    write::{gpt::tests::sample::Sample, marker},
};

const DISK: u64 = 12 * MIB;

/// Installs `image` with marker and reading back.
fn install(path: &Path, image: &[u8]) {
    let mut device = Device::open(path, Path::new("/sys"), Path::new("/proc")).unwrap();
    let mut sink = Sink::new(&mut device, 2 << 20, Verify::ReadBack);
    // Aligned, as the pipeline hands them over.
    for piece in image.chunks(2 << 20) {
        let mut buffer = AlignedBuffer::new(2 << 20);
        buffer.unfilled()[..piece.len()].copy_from_slice(piece);
        buffer.advance(piece.len());
        sink.write(buffer.filled()).unwrap();
    }
    let finish = Finish { gpt: Gpt::Move, marker: Some(Digest::of(b"layer")) };
    let done = sink.commit(&Verified::unproven(), &finish).unwrap();
    assert_eq!(done.notes, Vec::<String>::new());
}

#[test]
fn a_real_disk_holds_image_moved_gpt_and_marker() {
    for sector in [512, 4096] {
        let mut image = Sample::new(sector, 8 * MIB, 6 * MIB).image();
        image[3 << 20..5 << 20].fill(0);
        let file = NamedTempFile::new().unwrap();
        file.as_file().write_all_at(&vec![0xAA; 12 << 20], 0).unwrap();
        let disk = LoopDevice::new(file.path(), sector);
        let path = disk.as_ref().map_or(file.path(), |disk| Path::new(&disk.path));
        install(path, &image);
        let found = std::fs::read(path).unwrap();
        assert!(found[1 << 20..8 << 20] == image[1 << 20..8 << 20], "{sector}");
        let at = usize::try_from(marker::offset(DISK).unwrap()).unwrap();
        let marker = marker::decode(&found[at..], DISK).unwrap();
        assert_eq!((marker.layer, marker.image_bytes), (Digest::of(b"layer"), 8 * MIB));
        let Some(disk) = &disk else { continue };
        // The sink has let go of the disk.
        reread(path, Path::new("/sys")).unwrap();
        if let Some(found) = run(&["sgdisk", "--verify", &disk.path]) {
            assert!(found.contains("No problems found"), "{sector}: {found}");
        }
    }
}
