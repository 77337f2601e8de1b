//! Machines that fetch kernel and initramfs themselves, by the iPXE of their network card, as docs/booting.md has it.

use super::lab::Case;
use super::lab::DISK_BYTES;
use super::lab::Lab;
use super::lab::Trial;
use crate::host::arch::Arch;
use crate::host::output;
use crate::testbed::qemu;
use crate::testbed::qemu::Boot;
use crate::testbed::qemu::Drive;
use crate::testbed::qemu::Firmware;
use crate::testbed::qemu::Guest;
use crate::testbed::qemu::Hardware;
use crate::testbed::qemu::Machine;
use anyhow::Context as _;
use anyhow::Result;
use std::os::unix::fs::symlink;

/// The boot code of QEMU's cards is for PCs.
pub fn cases(lab: &Lab) -> Vec<Case> {
    let bios = Case {
        name: "ipxe_boots_and_installs",
        run: |lab, case| installs(lab, case, Firmware::Plain),
    };
    let uefi = Case {
        name: "ipxe_of_uefi_boots_and_installs",
        run: |lab, case| installs(lab, case, Firmware::Uefi),
    };
    if lab.arch == Arch::X86_64 { vec![bios, uefi] } else { Vec::new() }
}

fn installs(lab: &Lab, case: &Case, firmware: Firmware) -> Result<()> {
    let folder = lab.path(case, "tftp");
    std::fs::create_dir_all(&folder).context("making a folder to boot from")?;
    for (name, file) in [("vmlinuz", &lab.kernel), ("initrd.img", &lab.initramfs)] {
        symlink(file, folder.join(name)).with_context(|| format!("serving {}", file.display()))?;
    }
    let words = format!("oci.tag={}/os:1 oci.allow_no_tls dd.of=/dev/vda", lab.plain.guest());
    // The word `initrd=` is for UEFI, where the kernel asks for the file.
    let script = format!(
        "#!ipxe\nkernel vmlinuz {} quiet initrd=initrd.img {words}\ninitrd initrd.img\nboot\n",
        qemu::kernel_words(lab.arch)
    );
    output::write(&folder.join("boot.ipxe"), script.as_bytes())?;
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware { firmware, drives: &[Drive::plain(&disk)], ..Hardware::default() };
    let machine = Machine { arch: lab.arch, boot: Boot::Network(&folder), hardware };
    let guest = Guest::start(&machine, &lab.log(case))?;
    Trial { guest, disk }.expect_installed(lab)
}
