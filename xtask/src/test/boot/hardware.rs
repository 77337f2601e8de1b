//! Installs onto the disks and over the network cards of real servers, as far as QEMU emulates
//! them, with the kernel of the `hw` profile.

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use super::lab::{Case, Lab, SHELL, case};
use crate::{
    config::Profile,
    host::{arch::Arch, report},
    testbed::{qemu, qemu::Hardware},
};

/// Name of the case, controller, disk, the kernel's path of the disk, and network card.
type Server = (&'static str, Option<&'static str>, &'static str, &'static str, &'static str);

const VIRTIO: &str = "virtio-net-pci";

/// The driver of mptsas1068 ignores a disk without the address that every SAS disk has.
const SAS_DISK: &str = "scsi-hd,wwn=0x5000c50015ea71ac";

const SERVERS: [Server; 15] = [
    ("installs_onto_nvme", None, "nvme,serial=NVME01", "/dev/nvme0n1", VIRTIO),
    ("installs_onto_ahci", Some("ich9-ahci,id=ahci"), "ide-hd,bus=ahci.0", "/dev/sda", VIRTIO),
    ("installs_onto_megasas", Some("megasas"), "scsi-hd", "/dev/sda", VIRTIO),
    ("installs_onto_megasas_gen2", Some("megasas-gen2"), "scsi-hd", "/dev/sda", VIRTIO),
    ("installs_onto_lsi53c895a", Some("lsi53c895a"), "scsi-hd", "/dev/sda", VIRTIO),
    ("installs_onto_mptsas1068", Some("mptsas1068"), SAS_DISK, "/dev/sda", VIRTIO),
    (ON_PVSCSI, Some("pvscsi"), "scsi-hd", "/dev/sda", VIRTIO),
    ("installs_onto_virtio_scsi", Some("virtio-scsi-pci"), "scsi-hd", "/dev/sda", VIRTIO),
    ("installs_onto_mmc", Some("sdhci-pci"), "sd-card", "/dev/mmcblk0", VIRTIO),
    ("installs_onto_usb", Some("qemu-xhci"), "usb-storage", "/dev/sda", VIRTIO),
    ("installs_over_e1000", None, "virtio-blk-pci", "/dev/vda", "e1000"),
    ("installs_over_e1000e", None, "virtio-blk-pci", "/dev/vda", "e1000e"),
    ("installs_over_igb", None, "virtio-blk-pci", "/dev/vda", "igb"),
    ("installs_over_rtl8139", None, "virtio-blk-pci", "/dev/vda", "rtl8139"),
    ("installs_over_vmxnet3", None, "virtio-blk-pci", "/dev/vda", "vmxnet3"),
];

/// This adapter and its driver exist on PCs only.
const ON_PVSCSI: &str = "installs_onto_pvscsi";

/// The cases for which the lab's kernel has drivers and this QEMU has devices. Prints those that
/// are skipped because of QEMU.
pub fn cases(lab: &Lab) -> Vec<Case> {
    let mut cases = Vec::new();
    let is_pc = lab.built.arch == Arch::X86_64;
    // These kernels ask for one firmware file in every machine: that of the wireless regulations.
    if is_pc && lab.profile != Profile::Test {
        cases.push(case("kernel_loads_firmware_of_overlay", kernel_loads_firmware_of_overlay));
    }
    if lab.profile == Profile::Hw {
        let known = devices(lab).unwrap_or_default();
        for (name, controller, disk, _, card) in SERVERS {
            let devices = [controller.unwrap_or(disk), card];
            let mut devices = devices.iter().filter_map(|device| device.split(',').next());
            match devices.find(|device| !known.contains(&format!("name \"{device}\","))) {
                _ if name == ON_PVSCSI && !is_pc => {}
                None => cases.push(case(name, installs)),
                Some(device) => report::warn(format_args!(
                    "boot::{}::{name} is skipped: this QEMU has no device '{device}'",
                    lab.name()
                )),
            }
        }
    }
    cases
}

/// QEMU's list of its devices.
fn devices(lab: &Lab) -> Result<String> {
    let shell = Shell::new()?;
    let program = qemu::program(lab.built.arch);
    let list = cmd!(shell, "{program} -machine none -device help");
    list.quiet().read().context("listing QEMU's devices")
}

fn kernel_loads_firmware_of_overlay(lab: &Lab, case: &Case) -> Result<()> {
    let initramfs = lab.initramfs_with(case, &[("firmware/regulatory.db", "something else")])?;
    let parameters = "ocidd.after=shell ocidd.nosuch";
    let mut guest = lab.boot_with(case, parameters, &initramfs, Hardware::default())?.guest;
    guest.expect(SHELL)?;
    guest.expect("# ")?;
    guest.type_line("dmesg | grep regulatory.db")?;
    guest.expect("loaded regulatory.db is malformed")?;
    guest.cut_power().map(drop)
}

fn installs(lab: &Lab, case: &Case) -> Result<()> {
    let server = SERVERS.into_iter().find(|(name, ..)| *name == case.name);
    let (_, controller, disk, path, card) = server.context("finding the server")?;
    let hardware =
        Hardware { controller, disk: Some(disk), card: Some(card), ..Hardware::default() };
    let parameters = format!("oci.tag=PLAIN/os:1 oci.allow_no_tls dd.of={path}");
    lab.boot_with(case, &parameters, &lab.built.initramfs, hardware)?.expect_installed(lab)
}
