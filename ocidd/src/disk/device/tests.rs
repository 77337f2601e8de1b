//! Devices on regular files, and rejections before a node is opened.

mod sectors;

use super::*;
use crate::{disk::tests::fake_machine::FakeMachine, report::classify};

fn device_of(bytes: &[u8]) -> (tempfile::NamedTempFile, Device) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let device = Device::open(file.path(), Path::new("/sys"), Path::new("/proc")).unwrap();
    (file, device)
}

#[test]
fn writes_aligned_and_unaligned_bytes_alike() {
    let (file, mut device) = device_of(&[1; 10_001]);
    let mut buffer = AlignedBuffer::new(8192);
    buffer.unfilled().fill(2);
    buffer.advance(8192);
    device.write_all_at(buffer.filled(), 0).unwrap();
    device.write_all_at(&[3; 100], 8192).unwrap();
    device.sync().unwrap();
    let wanted = [vec![2; 8192], vec![3; 100], vec![1; 1709]].concat();
    assert!(std::fs::read(file.path()).unwrap() == wanted);
}

#[test]
fn zeroes_exactly_the_range() {
    for (offset, length) in [(4096, 4096), (513, 7000), (0, 3 << 20)] {
        let (file, mut device) = device_of(&vec![9; 4 << 20]);
        device.zero_at(offset, length).unwrap();
        device.sync().unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        let nonzero = bytes.iter().filter(|byte| **byte != 0).count() as u64;
        assert_eq!(
            (bytes.len() as u64, nonzero),
            (4 << 20, (4 << 20) - length),
            "{offset} {length}"
        );
    }
}

#[test]
fn rejects_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nosuch");
    for (path, fault) in [
        (folder.path(), "neither a disk nor a regular file"),
        (Path::new("/dev/null"), "neither a disk"),
        (&missing, "opening target disk"),
    ] {
        let refusal = Device::open(path, Path::new("/sys"), Path::new("/proc")).unwrap_err();
        let error = format!("{:#}", anyhow::Error::new(refusal));
        assert!(error.contains(fault), "{error}");
    }
    assert!(!missing.exists(), "a missing target must not be created");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let refusal = Device::open(empty.path(), Path::new("/sys"), Path::new("/proc"));
    assert!(matches!(refusal, Err(DeviceError::Empty { .. })), "{refusal:?}");
}

/// What is said of a node before it is opened, with the causes.
fn refused(machine: &FakeMachine, node: &str) -> Option<String> {
    let node = Path::new(node);
    let refusal = check_sysfs(node, node, &machine.sys(), &machine.proc()).err()?;
    Some(classify::device(refusal).diagnostic().to_string())
}

#[test]
fn rejects_partitions_busy_and_read_only_disks_before_opening() {
    let machine = FakeMachine::new();
    machine.disk("pci0000:00/0000:00:03.0/virtio0/block/vda", "254:0", &[]);
    machine.partition("vda", "vda1", "254:1");
    machine.disk("pci0000:00/0000:00:04.0/virtio1/block/vdb", "254:16", &[("ro", "1\n")]);
    machine.disk("pci0000:00/0000:00:05.0/virtio2/block/vdc", "254:32", &[]);
    machine.disk("pci0000:00/0000:06:00.0/cciss0/c0d0/block/cciss!c0d0", "104:0", &[]);
    machine.partition("cciss!c0d0", "cciss!c0d0p1", "104:1");
    machine.mounts(&["30 1 254:1 / /boot rw - ext4 /dev/vda1 rw"]);
    machine.swaps(&["/dev/vda partition 16380 0 -2"]);
    for (node, message) in [
        (
            "/dev/vda1",
            Some(
                "'/dev/vda1' is a partition of '/dev/vda', not a whole disk; nothing was written\nhint: set dd.of=/dev/vda",
            ),
        ),
        (
            "/dev/cciss/c0d0p1",
            Some(
                "'/dev/cciss/c0d0p1' is a partition of '/dev/cciss/c0d0', not a whole disk; nothing was written\nhint: set dd.of=/dev/cciss/c0d0",
            ),
        ),
        (
            "/dev/vda",
            Some(
                "'/dev/vda' is in use: /dev/vda is swap, /dev/vda1 is mounted on /boot; nothing was written\nhint: stop using it, or choose another disk",
            ),
        ),
        (
            "/dev/vdb",
            Some(
                "'/dev/vdb' is read-only; nothing was written\nhint: check for a write-protect switch, or virtual media",
            ),
        ),
        ("/dev/vdc", None),
    ] {
        assert_eq!(refused(&machine, node).as_deref(), message);
    }
}

#[test]
fn reports_a_busy_disk_without_known_holders() {
    let busy = DeviceError::of(Path::new("/dev/sda"), Errno::BUSY.into());
    let text = busy.to_string();
    assert!(text.starts_with("'/dev/sda' is in use: the kernel reports it as busy"), "{text}");
    let other = DeviceError::of(Path::new("/dev/sda"), Errno::NOMEDIUM.into());
    assert!(matches!(other, DeviceError::Open { .. }), "{other:?}");
}

#[test]
fn hints_at_selectors_for_a_udev_link() {
    let path = Path::new("/dev/disk/by-id/nosuch");
    let error = Device::open(path, Path::new("/sys"), Path::new("/proc")).unwrap_err();
    let text = classify::device(error).diagnostic().to_string();
    assert!(text.starts_with("opening target disk '/dev/disk/by-id/nosuch': No such"), "{text}");
    assert!(text.contains("hint: udev may not run here"), "{text}");
    assert!(text.contains("dd.of=serial:…"), "{text}");
}

#[test]
fn reads_back_what_it_has_written_aligned_or_not() {
    let (_file, mut device) = device_of(&vec![1; 20_000]);
    device.write_all_at(&[2; 5000], 4096).unwrap();
    device.sync().unwrap();
    let wanted = [vec![1; 4096], vec![2; 5000], vec![1; 10_904]].concat();
    for (offset, length) in [(0, 8192), (4096, 4096), (0, 20_000), (9000, 11_000), (4095, 2)] {
        let mut buffer = AlignedBuffer::new(length);
        device.read_exact_at(buffer.unfilled(), offset as u64).unwrap();
        assert!(*buffer.unfilled() == wanted[offset..offset + length], "{offset} {length}");
    }
    let behind = device.read_exact_at(&mut [0; 2], 19_999).unwrap_err();
    assert_eq!(behind.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_has_no_sector_size() {
    assert_eq!(device_of(&[1; 512]).1.sector_bytes(), None);
}
