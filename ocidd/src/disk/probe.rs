//! Lists the disks of the machine from sysfs. Opens no device, so a broken disk cannot block it.

use std::{fs, path::Path};

use crate::disk::{
    bus::{read_bus_path, transport_of},
    holders::read_holders,
    sysfs::{
        block_folder, clean, name_of, node, read_names, read_partition_names, read_subsystem,
        read_text,
    },
};

/// A whole disk that may be a target.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FoundDisk {
    /// `/dev/…`
    pub path: String,
    pub size_bytes: u64,
    /// Logical sector size.
    pub sector_bytes: u64,
    /// Texts are trimmed and printable.
    pub model: Option<String>,
    pub serial: Option<String>,
    /// World wide name as the kernel spells it: `naa.…`, `eui.…`, `nvme.…`, `uuid.…`, `t10.…`.
    pub wwn: Option<String>,
    /// Location in the machine, `pci-0000:03:00.0-nvme-1`; see [`super::bus`].
    pub bus_path: Option<String>,
    /// One of [`super::bus::TRANSPORTS`].
    pub transport: &'static str,
    pub removable: bool,
    pub read_only: bool,
    /// Names and sizes in bytes.
    pub partitions: Vec<(String, u64)>,
    /// Uses of the disk and its partitions; see [`read_holders`].
    pub holders: Vec<String>,
}

/// sysfs always counts in 512-byte sectors (Documentation/ABI/stable/sysfs-block, "size").
const SYSFS_SECTOR_BYTES: u64 = 512;

/// Prefixes of block devices that are not target disks: memory, loop and mapped devices, flash
/// chips (usually of the firmware), optical and floppy drives.
const EXCLUDED: [&str; 9] = ["loop", "ram", "zram", "dm-", "md", "mtdblock", "sr", "fd", "nbd"];

/// The disks of a machine, sorted by name. `sys` and `proc` are a mounted sysfs and procfs.
/// Unreadable disks are omitted.
pub fn read_disks(sys: &Path, proc: &Path) -> Vec<FoundDisk> {
    let names = read_names(&sys.join("block"));
    let wanted = names.iter().filter(|name| !EXCLUDED.iter().any(|kind| name.starts_with(kind)));
    wanted.filter_map(|name| read_disk(sys, proc, name)).collect()
}

/// The disk of the partition `name`; `None` if it is not a partition.
pub fn read_parent(sys: &Path, name: &str) -> Option<String> {
    let device = block_folder(sys, name);
    if !device.join("partition").exists() {
        return None;
    }
    // The real directory of a partition is inside that of its disk.
    name_of(device.canonicalize().ok()?.parent()?)
}

/// Whether the block device `name` is read-only. Opening it for writing may succeed nevertheless.
pub fn is_read_only(sys: &Path, name: &str) -> bool {
    is_set(&block_folder(sys, name), "ro")
}

fn read_disk(sys: &Path, proc: &Path, name: &str) -> Option<FoundDisk> {
    let folder = sys.join("block").join(name).canonicalize().ok()?;
    let sys = sys.canonicalize().ok()?;
    let size_bytes = read_size(&folder)?;
    // Size 0: a card reader without a card. Hidden: one of several paths to an NVMe disk. Boot
    // areas of an eMMC chip are not target disks.
    let is_boot_area = name.starts_with("mmcblk") && name.contains("boot");
    if size_bytes == 0 || is_set(&folder, "hidden") || is_boot_area {
        return None;
    }
    Some(FoundDisk {
        path: node(name),
        size_bytes,
        sector_bytes: read_number(&folder.join("queue/logical_block_size"))
            .unwrap_or(SYSFS_SECTOR_BYTES),
        model: read_model(&folder),
        serial: read_serial(&folder),
        wwn: read_text(&folder.join("wwid")).or_else(|| read_text(&folder.join("device/wwid"))),
        bus_path: read_bus_path(&sys, &folder),
        transport: transport_of(&sys, &folder),
        removable: is_set(&folder, "removable"),
        read_only: is_set(&folder, "ro"),
        partitions: read_partition_names(&folder)
            .into_iter()
            .filter_map(|part| read_size(&folder.join(&part)).map(|size| (part, size)))
            .collect(),
        holders: read_holders(&sys, proc, name),
    })
}

fn is_set(folder: &Path, attribute: &str) -> bool {
    read_text(&folder.join(attribute)).is_some_and(|text| text != "0")
}

fn read_number(file: &Path) -> Option<u64> {
    read_text(file)?.parse().ok()
}

fn read_size(folder: &Path) -> Option<u64> {
    read_number(&folder.join("size"))?.checked_mul(SYSFS_SECTOR_BYTES)
}

/// The serial number of the disk with the real directory `folder`.
fn read_serial(folder: &Path) -> Option<String> {
    read_text(&folder.join("serial")) // virtio
        .or_else(|| read_text(&folder.join("device/serial"))) // NVMe, MMC
        .or_else(|| parse_unit_serial(&fs::read(folder.join("device/vpd_pg80")).ok()?)) // SCSI
        .or_else(|| read_usb_serial(folder)) // The kernel reads VPD pages of few USB disks.
}

/// The model, with its vendor if the bus has one that is not part of the model.
fn read_model(folder: &Path) -> Option<String> {
    let Some(model) = read_text(&folder.join("device/model")) else {
        return read_text(&folder.join("device/name")); // MMC
    };
    // NVMe and MMC have no vendor file.
    match read_text(&folder.join("device/vendor")) {
        Some(vendor) if !is_redundant(&vendor, &model) => Some(format!("{vendor} {model}")),
        _ => Some(model),
    }
}

/// libata sets the vendor of every SATA disk to `ATA`; some models contain the vendor.
fn is_redundant(vendor: &str, model: &str) -> bool {
    let start = model.split_at_checked(vendor.len()).map(|(start, _)| start);
    vendor == "ATA" || start.is_some_and(|start| start.eq_ignore_ascii_case(vendor))
}

/// The text of a SCSI "unit serial number" page: a header of 4 bytes, the last two of which are the
/// length, then ASCII (SPC-4, 7.8.15).
fn parse_unit_serial(page: &[u8]) -> Option<String> {
    let (header, text) = page.split_first_chunk::<4>()?;
    let [_, 0x80, high, low] = *header else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    clean(text.get(..length).unwrap_or(text))
}

fn read_usb_serial(folder: &Path) -> Option<String> {
    let device = folder.ancestors().find(|parent| {
        // The interface has the same subsystem, but no vendor.
        read_subsystem(parent).as_deref() == Some("usb") && parent.join("idVendor").exists()
    })?;
    read_text(&device.join("serial"))
}

#[cfg(test)]
mod tests;
