//! Boots that end with an installed disk.

use super::lab::Case;
use super::lab::DISK_BYTES;
use super::lab::Lab;
use super::lab::SHELL;
use super::lab::Trial;
use super::lab::summary;
use crate::host::project;
use crate::testbed::qemu::Drive;
use crate::testbed::qemu::Firmware;
use crate::testbed::qemu::Hardware;
use crate::testbed::sample;
use crate::testbed::sample::Expected;
use anyhow::Context as _;
use anyhow::Result;
use std::fs;
use xshell::Shell;
use xshell::cmd;

pub const CASES: [Case; 9] = [
    Case { name: "installs_by_tag", run: installs_by_tag },
    Case { name: "installs_by_blob", run: installs_by_blob },
    Case { name: "installs_over_https", run: installs_over_https },
    Case {
        name: "installs_when_uefi_starts_the_kernel",
        run: installs_when_uefi_starts_the_kernel,
    },
    Case { name: "asks_for_what_is_missing", run: asks_for_what_is_missing },
    Case { name: "wait_answered_yes_installs", run: wait_answered_yes_installs },
    Case {
        name: "wait_answered_otherwise_writes_nothing",
        run: wait_answered_otherwise_writes_nothing,
    },
    Case {
        name: "installs_what_skopeo_pushed_as_readme_says",
        run: installs_what_skopeo_pushed_as_readme_says,
    },
    Case {
        name: "ocidd_can_be_run_again_from_the_shell",
        run: ocidd_can_be_run_again_from_the_shell,
    },
];

/// And the installed disk boots, where the machine has a firmware that boots the sample's boot sector.
fn installs_by_tag(lab: &Lab, case: &Case) -> Result<()> {
    let trial = lab.boot(
        case,
        &format!("oci.tag={}/os:1 oci.allow_no_tls dd.of=/dev/vda dd.bs=64k", lab.plain.guest()),
    )?;
    let disk = trial.disk.clone();
    trial.expect_installed(lab)?;
    lab.expect_greeting(case, &disk)
}

fn installs_by_blob(lab: &Lab, case: &Case) -> Result<()> {
    let words = format!(
        "oci.blob={}/os@{} oci.allow_no_tls dd.of=/dev/vda dd.bs=1M",
        lab.plain.guest(),
        lab.blob.digest
    );
    lab.boot(case, &words)?.expect_installed(lab)
}

fn installs_over_https(lab: &Lab, case: &Case) -> Result<()> {
    lab.boot_trusting(case, &format!("oci.tag={}/os:1 dd.of=/dev/vda", lab.tls.guest()))?
        .expect_installed(lab)
}

/// And the installed disk boots by UEFI too.
fn installs_when_uefi_starts_the_kernel(lab: &Lab, case: &Case) -> Result<()> {
    const STARTED: &str = "the firmware is UEFI";
    let hook = format!("#!/bin/sh\n[ -d /sys/firmware/efi ] && echo {STARTED}\n");
    let initramfs = lab.initramfs_with(case, &[("hooks/before", &hook)])?;
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware {
        firmware: Firmware::Uefi,
        drives: &[Drive::plain(&disk)],
        ..Hardware::default()
    };
    let words = format!("oci.tag={}/os:uefi oci.allow_no_tls dd.of=/dev/vda", lab.plain.guest());
    let mut guest = lab.start(case, &words, &initramfs, hardware)?;
    guest.expect_unless(STARTED, SHELL)?;
    Trial { guest, disk: disk.clone() }.expect_success(&summary(lab.uefi_image.len()))?;
    sample::verify_disk(&disk, Expected::Installed(&lab.uefi_image))?;
    lab.expect_greeting_by(Firmware::Uefi, case, &disk)
}

fn asks_for_what_is_missing(lab: &Lab, case: &Case) -> Result<()> {
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
    let mut trial = lab.boot(
        case,
        &format!("oci.tag={}/os:1 oci.allow_no_tls dd.of=/dev/vda wait", lab.plain.guest()),
    )?;
    trial.guest.expect("Type 'yes' to continue: ")?;
    sample::verify_disk(&trial.disk, Expected::Untouched)?;
    trial.guest.type_line("yes")?;
    trial.expect_installed(lab)
}

fn wait_answered_otherwise_writes_nothing(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial = lab.boot(
        case,
        &format!("oci.tag={}/os:1 oci.allow_no_tls dd.of=/dev/vda wait", lab.plain.guest()),
    )?;
    trial.guest.expect("Type 'yes' to continue: ")?;
    trial.guest.type_line("y")?;
    trial.expect_failed("ocidd: not confirmed; nothing was written", 3, Expected::Untouched)
}

fn ocidd_can_be_run_again_from_the_shell(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial =
        lab.boot(case, "oci.tag=10.0.2.2:1/os:1 oci.allow_no_tls oci.retries=0 dd.of=/dev/vda")?;
    trial.guest.expect("init: starting the emergency shell on")?;
    trial.guest.expect("# ")?;
    trial.guest.type_line(&format!(
        "ocidd oci.tag={}/os:1 oci.allow_no_tls dd.of=/dev/vda && sync && echo again-$((1 + 1))",
        lab.plain.guest()
    ))?;
    trial.guest.expect("again-2")?;
    trial.guest.type_line("exit")?;
    trial.guest.wait_end()?;
    anyhow::ensure!(
        trial.disk.metadata()?.len() == u64::try_from(DISK_BYTES)?,
        "the disk has changed its size"
    );
    sample::verify_disk(&trial.disk, Expected::Installed(&lab.image))
}

fn installs_what_skopeo_pushed_as_readme_says(lab: &Lab, case: &Case) -> Result<()> {
    let readme = fs::read_to_string(project::root().join("docs/reference.md"))
        .context("reading docs/reference.md")?;
    let script = readme
        .split("```sh\n# skopeo\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .context("docs/reference.md has no block for skopeo")?;
    // A registry on loopback has no certificate, and a test machine no policy of its own.
    let script =
        script.replace("skopeo copy", "skopeo --insecure-policy copy --dest-tls-verify=false");
    let script = script.replace("REGISTRY/os:1", &format!("{}/by-skopeo:1", lab.plain.local()));
    let folder = tempfile::tempdir().context("making a folder for skopeo")?;
    fs::write(folder.path().join("disk.raw"), &lab.image).context("writing a disk image")?;
    let shell = Shell::new()?;
    shell.change_dir(folder.path());
    cmd!(shell, "sh -euc {script}")
        .quiet()
        .ignore_stdout()
        .read_stderr()
        .context("pushing with skopeo")?;
    let words =
        format!("oci.tag={}/by-skopeo:1 oci.allow_no_tls dd.of=/dev/vda", lab.plain.guest());
    lab.boot(case, &words)?.expect_installed(lab)
}
