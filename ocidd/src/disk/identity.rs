//! Who a disk is: serial number, world wide name and model, as its driver shows them in sysfs. Each bus has another place for them.

use crate::sysfs::clean;
use crate::sysfs::read_subsystem;
use crate::sysfs::read_text;
use std::fs;
use std::path::Path;

/// The serial number of the disk in `folder`, its real place below `devices/`.
pub(super) fn read_serial(folder: &Path) -> Option<String> {
    read_text(&folder.join("serial")) // virtio
        .or_else(|| read_text(&folder.join("device/serial"))) // NVMe, MMC
        .or_else(|| parse_unit_serial(&fs::read(folder.join("device/vpd_pg80")).ok()?)) // SCSI, SATA
        .or_else(|| read_usb_serial(folder)) // The kernel asks few USB disks for their VPD pages.
}

/// The world wide name as the kernel writes it: `naa.…`, `eui.…`, `nvme.…`, `uuid.…`, `t10.…`.
pub(super) fn read_wwn(folder: &Path) -> Option<String> {
    read_text(&folder.join("wwid")).or_else(|| read_text(&folder.join("device/wwid")))
}

/// The model, after its vendor where the bus keeps both apart and the model does not begin with it.
pub(super) fn read_model(folder: &Path) -> Option<String> {
    let Some(model) = read_text(&folder.join("device/model")) else {
        return read_text(&folder.join("device/name")); // MMC
    };
    // NVMe and MMC have no such file.
    match read_text(&folder.join("device/vendor")) {
        Some(vendor) if !is_said_already(&vendor, &model) => Some(format!("{vendor} {model}")),
        _ => Some(model),
    }
}

/// libata puts `ATA` in the vendor's place of every SATA disk; some vendors are in the model too.
fn is_said_already(vendor: &str, model: &str) -> bool {
    let start = model.split_at_checked(vendor.len()).map(|(start, _)| start);
    vendor == "ATA" || start.is_some_and(|start| start.eq_ignore_ascii_case(vendor))
}

/// The text of a SCSI "unit serial number" page: 4 bytes of header whose last two are the length, then ASCII (SPC-4, 7.8.15).
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
        // The interface is of the same subsystem and has no vendor of its own.
        read_subsystem(parent).as_deref() == Some("usb") && parent.join("idVendor").exists()
    })?;
    read_text(&device.join("serial"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_unit_serial_page() {
        for (page, serial) in [
            (&b"\0\x80\0\x14SATA1               "[..], Some("SATA1")),
            (b"\0\x80\0\x05SCSI1 and what the length leaves out", Some("SCSI1")),
            (b"\0\x80\0\xffcut off", Some("cut off")),
            (b"\0\x80\0\0", None),
            (b"\0\x83\0\x05SCSI1", None),
            (b"\0\x80", None),
        ] {
            assert_eq!(parse_unit_serial(page).as_deref(), serial);
        }
    }
}
