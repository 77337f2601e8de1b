//! Installs onto the disks and over the network cards of real servers, as far as QEMU emulates them: what the kernel of the `hw` profile is for.

use super::lab::Case;
use super::lab::DISK_BYTES;
use super::lab::Lab;
use super::lab::SHELL;
use super::lab::Trial;
use crate::config::Profile;
use crate::host::arch::Arch;
use crate::host::report;
use crate::testbed::qemu;
use crate::testbed::qemu::Bus;
use crate::testbed::qemu::Drive;
use crate::testbed::qemu::Hardware;
use anyhow::Context as _;
use anyhow::Result;
use xshell::Shell;
use xshell::cmd;

/// A machine unlike that of the other cases in its disk or its network card.
#[derive(Clone, Copy, Debug)]
struct Server {
    name: &'static str,
    bus: Bus,
    /// What the kernel calls the disk.
    disk: &'static str,
    card: &'static str,
}

const VIRTIO_CARD: &str = "virtio-net-pci";

const fn disk(
    name: &'static str,
    controller: Option<&'static str>,
    device: &'static str,
    disk: &'static str,
) -> Server {
    Server { name, bus: Bus { controller, disk: device }, disk, card: VIRTIO_CARD }
}

const fn card(name: &'static str, card: &'static str) -> Server {
    Server { name, bus: Bus { controller: None, disk: "virtio-blk-pci" }, disk: "/dev/vda", card }
}

const SERVERS: [Server; 15] = [
    disk("installs_onto_nvme", None, "nvme,serial=NVME01", "/dev/nvme0n1"),
    disk("installs_onto_ahci", Some("ich9-ahci,id=ahci"), "ide-hd,bus=ahci.0", "/dev/sda"),
    disk("installs_onto_megasas", Some("megasas"), "scsi-hd", "/dev/sda"),
    disk("installs_onto_megasas_gen2", Some("megasas-gen2"), "scsi-hd", "/dev/sda"),
    disk("installs_onto_lsi53c895a", Some("lsi53c895a"), "scsi-hd", "/dev/sda"),
    // Without an address of its own, as every SAS disk has, the driver does not see it.
    disk(
        "installs_onto_mptsas1068",
        Some("mptsas1068"),
        "scsi-hd,wwn=0x5000c50015ea71ac",
        "/dev/sda",
    ),
    disk("installs_onto_pvscsi", Some("pvscsi"), "scsi-hd", "/dev/sda"),
    disk("installs_onto_virtio_scsi", Some("virtio-scsi-pci"), "scsi-hd", "/dev/sda"),
    disk("installs_onto_mmc", Some("sdhci-pci"), "sd-card", "/dev/mmcblk0"),
    disk("installs_onto_usb", Some("qemu-xhci"), "usb-storage", "/dev/sda"),
    card("installs_over_e1000", "e1000"),
    card("installs_over_e1000e", "e1000e"),
    card("installs_over_igb", "igb"),
    card("installs_over_rtl8139", "rtl8139"),
    card("installs_over_vmxnet3", "vmxnet3"),
];

/// This adapter and its driver exist on PCs only.
const PC_ONLY: [&str; 1] = ["installs_onto_pvscsi"];

/// The cases for which the lab's kernel has drivers and this QEMU has devices. The others are
/// reported as skipped.
pub fn cases(lab: &Lab) -> Vec<Case> {
    let mut cases = Vec::new();
    // Of the kernels here these ask for a firmware file in every machine: that of the wireless regulations.
    if lab.arch == Arch::X86_64 && lab.profile != Profile::Test {
        cases.push(Case {
            name: "firmware_of_the_overlay_reaches_the_kernel",
            run: firmware_of_the_overlay_reaches_the_kernel,
        });
    }
    if lab.profile == Profile::Hw {
        cases.extend(servers(lab));
    }
    cases
}

fn servers(lab: &Lab) -> Vec<Case> {
    let known = devices(lab).unwrap_or_default();
    let is_known = |server: &Server| {
        let model = server.bus.controller.unwrap_or(server.bus.disk);
        [model, server.card].iter().all(|device| {
            let name = device.split(',').next().unwrap_or(device);
            let there = known.contains(&format!("name \"{name}\","));
            if !there {
                report::warn(format_args!(
                    "boot::{}::{} is left out: this QEMU has no device '{name}'",
                    lab.name(),
                    server.name
                ));
            }
            there
        })
    };
    SERVERS
        .iter()
        .filter(|server| lab.arch == Arch::X86_64 || !PC_ONLY.contains(&server.name))
        .filter(|server| is_known(server))
        .map(|server| Case { name: server.name, run: installs })
        .collect()
}

/// What QEMU says of the devices it has.
fn devices(lab: &Lab) -> Result<String> {
    let shell = Shell::new()?;
    let program = qemu::program(lab.arch);
    cmd!(shell, "{program} -machine none -device help")
        .quiet()
        .read()
        .context("asking QEMU for its devices")
}

fn firmware_of_the_overlay_reaches_the_kernel(lab: &Lab, case: &Case) -> Result<()> {
    let initramfs = lab.initramfs_with(case, &[("firmware/regulatory.db", "something else")])?;
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware { drives: &[Drive::plain(&disk)], ..Hardware::default() };
    let mut guest = lab.start(case, "ocidd.after=shell ocidd.nosuch", &initramfs, hardware)?;
    guest.expect(SHELL)?;
    guest.expect("# ")?;
    guest.type_line("dmesg | grep regulatory.db")?;
    guest.expect("loaded regulatory.db is malformed")?;
    guest.cut_power().map(drop)
}

fn installs(lab: &Lab, case: &Case) -> Result<()> {
    let server =
        SERVERS.iter().find(|server| server.name == case.name).context("finding the server")?;
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware {
        drives: &[Drive::plain(&disk)],
        bus: server.bus,
        card: Some(server.card),
        ..Hardware::default()
    };
    let words =
        format!("oci.tag={}/os:1 oci.allow_no_tls dd.of={}", lab.plain.guest(), server.disk);
    let guest = lab.start(case, &words, &lab.initramfs, hardware)?;
    Trial { guest, disk }.expect_installed(lab)
}
