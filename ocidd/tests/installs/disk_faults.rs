//! Targets that cannot take an image. What can be refused before the registry is asked is refused then.

use std::{
    fs,
    fs::File,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    path::Path,
};

use ocidd::report::failure::DiskState;
use rustix::fs::{MemfdFlags, SealFlags};

use crate::{
    fake::{Fake, Framing},
    images::{Layer, MIB, gzip, image},
    run::{BOTH, By, Wanted, assert_failed, install_from},
    target::{DISK, Left, OLD, Target},
};

#[test]
fn a_target_that_is_no_disk_is_refused_before_the_registry_is_asked() {
    type Spoil = fn(&Path);
    let rows: [(&str, Spoil, &str); 4] = [
        (
            "missing",
            |path| fs::remove_file(path).unwrap(),
            "opening target disk 'DISK': No such file or directory",
        ),
        (
            "a directory",
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "'DISK' is neither a disk nor a regular file",
        ),
        ("empty", |path| drop(File::create(path).unwrap()), "'DISK' has a size of 0 bytes"),
        (
            "a device that is no disk",
            |path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("/dev/null", path).unwrap();
            },
            "'DISK' is neither a disk nor a regular file",
        ),
    ];
    for (rule, spoil, says) in rows {
        let target = Target::new(DISK);
        spoil(&target.path);
        let (outcome, requests) =
            install_from(Fake::with(&Layer::new(gzip(b"x"))), By::Tag, &target);
        let failure = outcome.expect_err(rule);
        let disk = target.path.display().to_string();
        assert!(failure.to_string().starts_with(&says.replace("DISK", &disk)), "{rule}: {failure}");
        assert_eq!((failure.cause.exit_code, failure.disk), (5, DiskState::Untouched), "{rule}");
        assert_eq!(requests.len(), 0, "{rule}");
        assert_eq!(target.path.exists(), rule != "missing", "a missing target must not be created");
        assert!(!target.path.is_file() || fs::read(&target.path).unwrap().is_empty(), "{rule}");
    }
}

#[test]
fn an_image_larger_than_the_disk_is_refused_as_early_as_its_size_is_known() {
    let rows = [
        ("by one byte, noticed before the first write", image(MIB + 1), MIB, Left::Untouched),
        ("by one byte, noticed late", image(5 * MIB + 1), 5 * MIB, Left::Cleared),
        (
            "by one sector, on a disk of no whole number of blocks",
            image(5 * MIB + 1024),
            5 * MIB + 512,
            Left::Cleared,
        ),
        ("by far", image(3 * DISK), DISK, Left::Cleared),
        ("by far, and all zeroes", vec![0; 3 * DISK], DISK, Left::Untouched),
    ];
    for (rule, image, disk, left) in rows {
        let layer = Layer::new(gzip(&image));
        for by in BOTH {
            let target = Target::new(disk);
            let (outcome, _) = install_from(Fake::with(&layer), *by, &target);
            let says = format!(", the disk has {disk} bytes (");
            let says = ["target disk is too small: the image needs at least ", &says];
            // The manifest says that it is gzip, so the end of the blob is asked for first: it tells the size.
            let left = if *by == By::Tag { Left::Untouched } else { left };
            let wanted = Wanted { code: 5, says: &says, left };
            assert_failed(rule, outcome, wanted, ("", &layer), (&target, &image));
        }
    }
}

#[test]
fn a_full_disk_is_told_even_where_the_blob_is_cut_off_later() {
    let image = image(12 * MIB);
    let layer = Layer::new(gzip(&image));
    let mut fake = Fake::with(&layer);
    fake.blob().framing = Framing::Chunked;
    fake.blob().cut_after = Some(layer.compressed.len() - 1);
    let target = Target::new(4 * MIB);
    let (outcome, _) = install_from(fake, By::Tag, &target);
    let wanted =
        Wanted { code: 5, says: &["the disk has 4194304 bytes (4 MiB)"], left: Left::Cleared };
    assert_failed("full first", outcome, wanted, ("", &layer), (&target, &image));
}

#[test]
fn a_disk_that_takes_no_writes_is_in_an_unknown_state() {
    // A file in memory that the kernel lets nobody write to any more, root or not (fcntl(2), F_SEAL_WRITE).
    let sealed = File::from(rustix::fs::memfd_create("disk", MemfdFlags::ALLOW_SEALING).unwrap());
    let old = vec![OLD; 4 * MIB];
    sealed.write_all_at(&old, 0).unwrap();
    rustix::fs::fcntl_add_seals(&sealed, SealFlags::WRITE).unwrap();
    let mut target = Target::new(DISK);
    target.path = format!("/proc/self/fd/{}", sealed.as_raw_fd()).into();
    let layer = Layer::new(gzip(&image(3 * MIB)));
    let failure = install_from(Fake::with(&layer), By::Tag, &target).0.unwrap_err();
    let text = failure.to_string();
    assert_eq!(failure.cause.exit_code, 7, "{text}");
    assert!(matches!(failure.disk, DiskState::Unknown { .. }), "{text}");
    for part in [
        "writing 1048576 bytes (1 MiB) at byte 0: Operation not permitted",
        "is in an unknown state, clearing it failed too: writing ",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(fs::read(&target.path).unwrap() == old);
}
