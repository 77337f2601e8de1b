//! What disks this machine has, read from sysfs. Opens no device, so a broken disk cannot hang it.

use std::fs;
use std::path::Path;

/// A whole disk that could be installed to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundDisk {
    /// `/dev/…`
    pub path: String,
    pub size_bytes: u64,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Partition {
    pub name: String,
    pub size_bytes: u64,
}

/// sysfs counts in 512-byte sectors whatever the disk's own are (Documentation/ABI/stable/sysfs-block, "size").
const SYSFS_SECTOR_BYTES: u64 = 512;

/// Kinds of block devices that are no disk to install to: memory, loops, mapped devices, optical and floppy drives.
const NO_DISKS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];

/// The disks below `sys`, a mounted sysfs, by name. What cannot be read is left out: the list only helps a person to choose.
pub fn read_disks(sys: &Path) -> Vec<FoundDisk> {
    let names = read_names(&sys.join("block"));
    let wanted = names.iter().filter(|name| !NO_DISKS.iter().any(|kind| name.starts_with(kind)));
    wanted.filter_map(|name| read_disk(&sys.join("block").join(name), name)).collect()
}

/// The disk that the block device called `name` is a partition of, if it is one.
pub fn read_parent(sys: &Path, name: &str) -> Option<String> {
    let device = sys.join("class/block").join(name);
    if !device.join("partition").exists() {
        return None;
    }
    // The device's real folder lies inside its disk's.
    let real = device.canonicalize().ok()?;
    real.parent()?.file_name()?.to_str().map(str::to_owned)
}

/// Whether the kernel takes no writes for the block device called `name`. Opening it for writing may succeed all the same.
pub fn is_read_only(sys: &Path, name: &str) -> bool {
    read_line(&sys.join("class/block").join(name).join("ro")).is_some_and(|text| text != "0")
}

fn read_disk(folder: &Path, name: &str) -> Option<FoundDisk> {
    let size_bytes = read_size(folder)?;
    if size_bytes == 0 {
        return None; // A card reader without a card.
    }
    let partitions = read_names(folder)
        .into_iter()
        .filter(|part| folder.join(part).join("partition").exists())
        .filter_map(|part| {
            Some(Partition { size_bytes: read_size(&folder.join(&part))?, name: part })
        })
        .collect();
    Some(FoundDisk {
        path: format!("/dev/{}", name.replace('!', "/")), // sysfs writes the slash of cciss/c0d0 as '!'.
        size_bytes,
        model: read_line(&folder.join("device/model")),
        serial: read_line(&folder.join("serial"))
            .or_else(|| read_line(&folder.join("device/serial"))),
        partitions,
    })
}

fn read_size(folder: &Path) -> Option<u64> {
    read_line(&folder.join("size"))?.parse::<u64>().ok()?.checked_mul(SYSFS_SECTOR_BYTES)
}

fn read_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn read_line(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn fake_sysfs() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("block/vda/size", "8192\n"),
            ("block/vda/serial", "V1\n"),
            ("block/vda/vda2/size", "4096\n"),
            ("block/vda/vda2/partition", "2\n"),
            ("block/vda/vda1/size", "2048\n"),
            ("block/vda/vda1/partition", "1\n"),
            ("block/nvme0n1/size", "2048\n"),
            ("block/nvme0n1/device/model", "FAST DISK   \n"),
            ("block/nvme0n1/device/serial", " N1\n"),
            ("block/sdb/size", "0\n"),
            ("block/loop0/size", "2048\n"),
            ("block/sr0/size", "2048\n"),
            ("block/cciss!c0d0/size", "2\n"),
        ] {
            write(root.path(), file, text);
        }
        root
    }

    #[test]
    fn lists_disks_with_their_partitions_and_nothing_else() {
        let disks = read_disks(fake_sysfs().path());
        let paths: Vec<&str> = disks.iter().map(|disk| disk.path.as_str()).collect();
        assert_eq!(paths, ["/dev/cciss/c0d0", "/dev/nvme0n1", "/dev/vda"]);
        assert_eq!(disks[1].model.as_deref(), Some("FAST DISK"));
        assert_eq!(disks[1].serial.as_deref(), Some("N1"));
        assert_eq!(disks[2].size_bytes, 4 << 20);
        let partitions: Vec<(&str, u64)> =
            disks[2].partitions.iter().map(|p| (p.name.as_str(), p.size_bytes)).collect();
        assert_eq!(partitions, [("vda1", 1 << 20), ("vda2", 2 << 20)]);
    }

    #[test]
    fn knows_a_disk_that_takes_no_writes() {
        let root = fake_sysfs();
        write(root.path(), "class/block/sda/ro", "1\n");
        write(root.path(), "class/block/sdb/ro", "0\n");
        let read_only = ["sda", "sdb", "nosuch"].map(|name| is_read_only(root.path(), name));
        assert_eq!(read_only, [true, false, false]);
    }

    #[test]
    fn knows_a_partition_from_a_disk() {
        let root = fake_sysfs();
        fs::create_dir_all(root.path().join("class/block")).unwrap();
        for (link, target) in [("vda", "../../block/vda"), ("vda1", "../../block/vda/vda1")] {
            std::os::unix::fs::symlink(target, root.path().join("class/block").join(link)).unwrap();
        }
        assert_eq!(read_parent(root.path(), "vda1").as_deref(), Some("vda"));
        assert_eq!(read_parent(root.path(), "vda"), None);
        assert_eq!(read_parent(root.path(), "nosuch"), None);
    }
}
