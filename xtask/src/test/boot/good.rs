//! Boots that end with an installed disk, and the questions of the installer.

use std::{fs, os::unix::fs::symlink};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use super::lab::{Case, DISK_BYTES, INSTALL, Lab, SHELL, Trial, case, summary};
use crate::{
    host::{arch::Arch, project},
    testbed::{
        console::Guest,
        qemu,
        qemu::{Boot, Firmware, Hardware, Machine},
        sample,
        sample::Expected,
    },
};

/// QEMU's network cards have boot code for PCs only.
pub fn cases(lab: &Lab) -> Vec<Case> {
    let mut cases = vec![
        case("installs_by_tag", installs_by_tag),
        case("installs_by_blob", installs_by_blob),
        case("installs_over_https", installs_over_https),
        case("installs_when_started_by_uefi", installs_when_started_by_uefi),
        case("asks_for_missing_parameters", asks_for_missing_parameters),
        case("wait_answered_yes_installs", wait_answered_yes_installs),
        case("wait_answered_otherwise_writes_nothing", wait_answered_otherwise_writes_nothing),
        case("installs_image_pushed_by_skopeo", installs_image_pushed_by_skopeo),
        case("ocidd_runs_again_from_shell", ocidd_runs_again_from_shell),
    ];
    if lab.built.arch == Arch::X86_64 {
        cases.extend([
            case("ipxe_boots_and_installs", |lab, case| boots_ipxe(lab, case, Firmware::Plain)),
            case("ipxe_of_uefi_boots_and_installs", |lab, case| {
                boots_ipxe(lab, case, Firmware::Uefi)
            }),
        ]);
    }
    cases
}

/// The installed disk boots.
fn installs_by_tag(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial = lab.boot(case, &format!("{INSTALL} dd.bs=64k"))?;
    trial.expect_installed(lab)?;
    lab.expect_greeting(lab.disk_firmware(), case, &trial.disk)
}

fn installs_by_blob(lab: &Lab, case: &Case) -> Result<()> {
    let blob = format!("oci.blob=PLAIN/os@{}", lab.digest);
    lab.boot(case, &format!("{blob} oci.allow_no_tls dd.of=/dev/vda dd.bs=1M"))?
        .expect_installed(lab)
}

fn installs_over_https(lab: &Lab, case: &Case) -> Result<()> {
    let parameters = "oci.tag=TLS/os:1 dd.of=/dev/vda";
    let initramfs = lab.initramfs_with_authority(case)?;
    lab.boot_with(case, parameters, &initramfs, Hardware::default())?.expect_installed(lab)
}

/// The installed disk boots by UEFI, too.
fn installs_when_started_by_uefi(lab: &Lab, case: &Case) -> Result<()> {
    const STARTED: &str = "the firmware is UEFI";
    let hook = format!("#!/bin/sh\n[ -d /sys/firmware/efi ] && echo {STARTED}\n");
    let initramfs = lab.initramfs_with(case, &[("hooks/before", &hook)])?;
    let hardware = Hardware { firmware: Firmware::Uefi, ..Hardware::default() };
    let parameters = "oci.tag=PLAIN/os:uefi oci.allow_no_tls dd.of=/dev/vda";
    let mut trial = lab.boot_with(case, parameters, &initramfs, hardware)?;
    trial.guest.expect_unless(STARTED, SHELL)?;
    trial.expect_success(&summary(lab.uefi_image.len()))?;
    sample::verify_disk(&trial.disk, Expected::Installed(&lab.uefi_image))?;
    lab.expect_greeting(Firmware::Uefi, case, &trial.disk)
}

fn asks_for_missing_parameters(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial = lab.boot(case, "oci.allow_no_tls")?;
    trial.guest.expect("Image, as")?;
    trial.guest.type_line(&format!("{}/os:1", lab.plain.guest()))?;
    trial.guest.expect("1) /dev/vda  16 MiB")?;
    trial.guest.expect("Disk, by number or path: ")?;
    trial.guest.type_line("1")?;
    trial.guest.expect("Everything on /dev/vda will be overwritten")?;
    trial.guest.type_line("yes")?;
    trial.expect_installed(lab)
}

fn wait_answered_yes_installs(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial = lab.boot(case, &format!("{INSTALL} wait"))?;
    trial.guest.expect("Type 'yes' to continue: ")?;
    sample::verify_disk(&trial.disk, Expected::Untouched)?;
    trial.guest.type_line("yes")?;
    trial.expect_installed(lab)
}

fn wait_answered_otherwise_writes_nothing(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial = lab.boot(case, &format!("{INSTALL} wait"))?;
    trial.guest.expect("Type 'yes' to continue: ")?;
    trial.guest.type_line("y")?;
    trial.expect_failed("ocidd: not confirmed; nothing was written", 3, Expected::Untouched)
}

fn ocidd_runs_again_from_shell(lab: &Lab, case: &Case) -> Result<()> {
    let unreachable = "oci.tag=10.0.2.2:1/os:1 oci.allow_no_tls oci.retries=0 dd.of=/dev/vda";
    let mut trial = lab.boot(case, unreachable)?;
    trial.guest.expect(SHELL)?;
    trial.guest.expect("# ")?;
    let install = lab.parameters(INSTALL);
    trial.guest.type_line(&format!("ocidd {install} && sync && echo again-$((1 + 1))"))?;
    trial.guest.expect("again-2")?;
    trial.guest.type_line("exit")?;
    trial.guest.wait_end()?;
    let size = trial.disk.metadata()?.len();
    ensure!(size == u64::try_from(DISK_BYTES)?, "the size of the disk has changed");
    sample::verify_disk(&trial.disk, Expected::Installed(&lab.image))
}

/// Runs the example of docs/reference.md.
fn installs_image_pushed_by_skopeo(lab: &Lab, case: &Case) -> Result<()> {
    let reference = project::root().join("docs/reference.md");
    let reference = fs::read_to_string(reference).context("reading docs/reference.md")?;
    let script = reference
        .split("```sh\n# skopeo\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .context("docs/reference.md has no block for skopeo")?;
    // A registry on loopback has no certificate, and a test machine no policy.
    let script =
        script.replace("skopeo copy", "skopeo --insecure-policy copy --dest-tls-verify=false");
    let script = script.replace("REGISTRY/os:1", &format!("{}/by-skopeo:1", lab.plain.local()));
    let folder = tempfile::tempdir().context("creating a directory for skopeo")?;
    fs::write(folder.path().join("disk.raw"), &lab.image).context("writing a disk image")?;
    let shell = Shell::new()?;
    shell.change_dir(folder.path());
    cmd!(shell, "sh -euc {script}")
        .quiet()
        .ignore_stdout()
        .read_stderr()
        .context("pushing with skopeo")?;
    lab.boot(case, "oci.tag=PLAIN/by-skopeo:1 oci.allow_no_tls dd.of=/dev/vda")?
        .expect_installed(lab)
}

/// The machine fetches kernel and initramfs by the iPXE of its network card, like in
/// docs/booting.md.
fn boots_ipxe(lab: &Lab, case: &Case, firmware: Firmware) -> Result<()> {
    let folder = lab.path(case, "tftp");
    fs::create_dir_all(&folder).context("creating a directory for TFTP")?;
    for (name, file) in [("vmlinuz", &lab.built.kernel), ("initrd.img", &lab.built.initramfs)] {
        symlink(file, folder.join(name)).with_context(|| format!("serving {}", file.display()))?;
    }
    // With UEFI the kernel itself asks for the file `initrd=`.
    let script = format!(
        "#!ipxe\nkernel vmlinuz {} quiet initrd=initrd.img {}\ninitrd initrd.img\nboot\n",
        qemu::kernel_parameters(lab.built.arch),
        lab.parameters(INSTALL)
    );
    fs::write(folder.join("boot.ipxe"), script).context("writing boot.ipxe")?;
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware { firmware, drives: &[(disk.as_path(), None)], ..Hardware::default() };
    let machine = Machine { arch: lab.built.arch, boot: Boot::Network(&folder), hardware };
    let guest = Guest::start(&machine, &lab.log(case))?;
    Trial { guest, disk }.expect_installed(lab)
}
