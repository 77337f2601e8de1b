//! How a disk is connected: its transport and its bus path, from its real directory in sysfs.
//!
//! The bus path is spelled like the links of udev in `/dev/disk/by-path`, so that it can be copied
//! from an installed system: `pci-0000:00:1f.2-ata-1`, `pci-0000:03:00.0-nvme-1`,
//! `pci-0000:00:04.0-scsi-0:0:1:0`, `pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0`,
//! `pci-0000:01:00.0-sas-phy3-lun-0`, `pci-0000:00:05.0` (virtio and MMC), `platform-fe310000.mmc`,
//! `xen-vbd-51712`. Network disks (iSCSI, Fibre Channel) have none.

use std::path::{Path, PathBuf};

use crate::disk::sysfs::{name_of, read_names, read_subsystem, read_text};

/// Every transport, the usual ones first. `sata` includes parallel disks of libata; `scsi` are
/// other SCSI hosts: RAID controllers, virtio-scsi, Hyper-V.
pub(super) const TRANSPORTS: [&str; 11] =
    ["nvme", "virtio", "sata", "sas", "usb", "mmc", "iscsi", "fc", "xen", "scsi", "other"];

/// Prefixes of directory names in the sysfs path of a disk that show its transport. The first match
/// of this table decides: a SATA disk at a SAS controller is below `end_device-…`, and every SCSI
/// disk of a virtual machine may be below `virtio…`.
const PREFIXES: [(&str, &str); 10] = [
    ("nvme", "nvme"),
    ("rport-", "fc"),
    ("end_device-", "sas"),
    ("session", "iscsi"),
    ("usb", "usb"),
    ("ata", "sata"),
    ("mmc", "mmc"),
    ("vbd-", "xen"),
    ("host", "scsi"),
    ("virtio", "virtio"),
];

/// The transport of the disk with the real directory `folder` below `sys`.
pub(super) fn transport_of(sys: &Path, folder: &Path) -> &'static str {
    let path = folder.strip_prefix(sys).unwrap_or(folder);
    let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
    PREFIXES
        .into_iter()
        .find(|(prefix, _)| names.iter().any(|name| is_numbered(name, prefix)))
        .map_or("other", |(_, transport)| transport)
}

/// Whether a name is the prefix and a number, which more text may follow.
fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The bus path of the disk with the real directory `folder`, if it has one.
pub(super) fn read_bus_path(sys: &Path, folder: &Path) -> Option<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut is_placed = false;
    let mut done = None;
    for parent in controller_of(folder).ancestors().take_while(|parent| *parent != sys) {
        let subsystem = read_subsystem(parent);
        // PCI bridges, USB hubs and the target and host of a SCSI device are not part of the path.
        if subsystem.is_some() && subsystem == done {
            continue;
        }
        let name = name_of(parent)?;
        match subsystem.as_deref() {
            // The device, `HOST:BUS:TARGET:LUN`. Its target and host have the same subsystem and
            // may follow directories of SAS.
            Some("scsi") if name.matches(':').count() == 3 => steps.push(scsi_step(parent, &name)?),
            Some("nvme") => {
                let number = read_text(&folder.join("nsid"));
                steps.push(format!("nvme-{}", number.as_deref().unwrap_or("1")));
            }
            Some("usb") => steps.push(format!("usb-0:{}", name.split_once('-')?.1)),
            Some(kind @ ("pci" | "platform" | "acpi" | "xen")) => {
                is_placed = true;
                steps.push(format!("{kind}-{name}"));
            }
            _ => {}
        }
        done = subsystem;
    }
    steps.reverse();
    is_placed.then(|| steps.join("-"))
}

/// Where the path to the bus begins. With native `NVMe` multipath the disk is below
/// `devices/virtual`, with links to its controllers.
fn controller_of(folder: &Path) -> PathBuf {
    let subsystem = folder.parent().unwrap_or(folder);
    if read_subsystem(subsystem).as_deref() == Some("nvme-subsystem") {
        let mut names = read_names(subsystem);
        // `nvme0` is a controller, `nvme0n1` a disk.
        names.retain(|name| {
            name.strip_prefix("nvme").is_some_and(|rest| rest.parse::<u32>().is_ok())
        });
        if let [only] = names.as_slice()
            && let Ok(controller) = subsystem.join(only).canonicalize()
        {
            return controller;
        }
    }
    subsystem.to_owned()
}

/// The part of a SCSI device. `name` is `HOST:BUS:TARGET:LUN`.
fn scsi_step(device: &Path, name: &str) -> Option<String> {
    let numbers: Vec<u64> =
        name.split(':').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [host, bus, target, lun] = *numbers.as_slice() else {
        return None;
    };
    let find = |mark: &str| {
        device
            .ancestors()
            .find(|parent| name_of(parent).is_some_and(|name| is_numbered(&name, mark)))
    };
    if find("rport-").or_else(|| find("session")).is_some() {
        return None;
    }
    if let Some(end) = find("end_device-") {
        return sas_step(end, lun);
    }
    if let Some(port) = find("ata") {
        let number = read_text(&port.join("ata_port").join(name_of(port)?).join("port_no"))?;
        // A port multiplier numbers the bus; the second drive of a parallel port is target 1.
        return Some(match (bus, target) {
            (0, 0) => format!("ata-{number}"),
            (0, target) => format!("ata-{number}.{target}"),
            (bus, _) => format!("ata-{number}.{bus}.0"),
        });
    }
    // Host numbers depend on the probe order, but not relative to the first host of a controller.
    let hosts = read_names(find("host")?.parent()?);
    let first =
        hosts.iter().filter_map(|name| name.strip_prefix("host")?.parse::<u64>().ok()).min()?;
    Some(format!("scsi-{}:{bus}:{target}:{lun}", host.checked_sub(first)?))
}

/// By phy if the disk has one of its own, otherwise by SAS address.
fn sas_step(end: &Path, lun: u64) -> Option<String> {
    let read = |folder: &Path, class: &str, attribute: &str| {
        read_text(&folder.join(class).join(name_of(folder)?).join(attribute))
    };
    let port = end.parent()?;
    if read(port, "sas_port", "num_phys").as_deref() != Some("1") {
        return Some(format!("sas-{}-lun-{lun}", read(end, "sas_device", "sas_address")?));
    }
    let phy = read(end, "sas_device", "phy_identifier")?;
    Some(match read(port.parent()?, "sas_device", "sas_address") {
        Some(expander) => format!("sas-exp{expander}-phy{phy}-lun-{lun}"),
        None => format!("sas-phy{phy}-lun-{lun}"),
    })
}

#[cfg(test)]
mod tests;
