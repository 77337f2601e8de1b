//! Tables of third-party tools, moved and verified by the same tools.

use std::{fs, fs::File, os::unix::fs::FileExt as _};

use tempfile::NamedTempFile;

use super::*;
use crate::disk::tests::loop_device::{LoopDevice, run};

const NO_PROBLEM: &str = "No problems found";

fn file_of(bytes: u64) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    file
}

/// Installs the partition table at `image` to the disk at `disk` as an install does, and gives what was found before.
fn move_over(image: &File, disk: &File, sector: u64, disk_bytes: u64) -> Table {
    let mut start = vec![0; 1 << 20];
    image.read_exact_at(&mut start, 0).unwrap();
    assert_eq!(sector_size(&start), Some(sector));
    let table = inspect(&start, sector, 16 * MIB, 16 * MIB);
    let backup = relocate(&mut start, sector, disk_bytes, 69_632).unwrap();
    assert_eq!(backup.has_reserve, disk_bytes > 17 * MIB);
    disk.write_all_at(&start, 0).unwrap();
    disk.write_all_at(&backup.bytes, backup.offset).unwrap();
    disk.sync_all().unwrap();
    table
}

#[test]
fn sgdisk_and_sfdisk_accept_a_moved_gpt() {
    for disk_bytes in [16 * MIB + 512, 100 * MIB + 7 * 512, 5 << 40] {
        let (image, disk) = (file_of(16 * MIB), file_of(disk_bytes));
        let names = [&image, &disk].map(|file| file.path().to_str().unwrap());
        let made = ["sgdisk", "--new=1:2048:+4M", "--new=3:0:0", "--change-name=3:root", names[0]];
        if run(&made).is_none() {
            assert!(run(&["sgdisk", "--version"]).is_none(), "sgdisk is there, and makes no GPT");
            return;
        }
        let table = move_over(image.as_file(), disk.as_file(), 512, disk_bytes);
        let end_bytes = 16 * MIB - 33 * 512;
        assert_eq!(table, Table::Gpt(Layout { partitions: 2, end_bytes, problems: vec![] }));
        let found = run(&["sgdisk", "--verify", names[1]]).unwrap();
        assert!(found.contains(NO_PROBLEM), "{found}");
        if let Some(found) = run(&["sfdisk", "--verify", names[1]]) {
            assert!(found.contains("No errors detected"), "{found}");
        }
        let listed = run(&["sgdisk", "--print", names[1]]).unwrap();
        assert!(listed.contains("root"), "{listed}");
        // The tool would have said something: it does where the backup is not at the end.
        image.as_file().set_len(disk_bytes).unwrap();
        let found = run(&["sgdisk", "--verify", names[0]]).unwrap();
        assert!(!found.contains(NO_PROBLEM), "{found}");
    }
}

#[test]
fn the_backup_alone_is_enough_for_sgdisk() {
    let (image, disk) = (file_of(16 * MIB), file_of(64 * MIB));
    let names = [&image, &disk].map(|file| file.path().to_str().unwrap());
    if run(&["sgdisk", "--new=1:2048:+4M", names[0]]).is_none() {
        return;
    }
    move_over(image.as_file(), disk.as_file(), 512, 64 * MIB);
    disk.as_file().write_all_at(&[0; 512], 512).unwrap();
    let listed = run(&["sgdisk", "--print", names[1]]).unwrap();
    assert!(listed.lines().any(|line| line.trim_start().starts_with("1 ")), "{listed}");
}

#[test]
fn sgdisk_accepts_a_moved_gpt_of_large_sectors() {
    let (image, disk) = (file_of(16 * MIB), file_of(100 * MIB));
    let devices = [&image, &disk].map(|file| LoopDevice::new(file.path(), 4096));
    let [Some(from), Some(to)] = devices else { return };
    if run(&["sgdisk", "--new=1:256:+4M", "--new=2:0:0", &from.path]).is_none() {
        return;
    }
    let open = |path: &str| File::options().read(true).write(true).open(path).unwrap();
    let table = move_over(&open(&from.path), &open(&to.path), 4096, 100 * MIB);
    let end_bytes = 16 * MIB - 5 * 4096;
    assert_eq!(table, Table::Gpt(Layout { partitions: 2, end_bytes, problems: vec![] }));
    let found = run(&["sgdisk", "--verify", &to.path]).unwrap();
    assert!(found.contains(NO_PROBLEM), "{found}");
}

#[test]
fn an_mbr_by_sfdisk_is_an_mbr() {
    let image = file_of(16 * MIB);
    let script = NamedTempFile::new().unwrap();
    fs::write(script.path(), "label: dos\nsize=2MiB, type=c, bootable\nsize=4MiB, type=83\n")
        .unwrap();
    let [image, script] = [&image, &script].map(|file| file.path().to_str().unwrap());
    let command = format!("sfdisk --quiet '{image}' < '{script}'");
    if run(&["sh", "-c", &command]).is_none() {
        return;
    }
    let start = fs::read(image).unwrap();
    let layout = Layout { partitions: 2, end_bytes: 7 * MIB, problems: vec![] };
    assert_eq!(inspect(&start[..1 << 20], 512, 16 * MIB, 16 * MIB), Table::Mbr(layout));
}
