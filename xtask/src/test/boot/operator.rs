//! Boots in operators' environments: overlays, signatures, several disks, clocks and consoles,
//! failing networks and power.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ::registry::{auth::Access, copy, copy::CopyScope, location::Location, own::Own, sign::sign};
use anyhow::{Context as _, Result, ensure};
use oci::{layout::Store, signing_key::SigningKey};
use rcgen::KeyPair;
use serde_json::json;
use xshell::{Shell, cmd};

use super::{
    lab::{Case, DISK_BYTES, INSTALL, Lab, SHELL, Trial, case, summary},
    relay::Relay,
};
use crate::testbed::{
    qemu::Hardware,
    registry,
    registry::{Registry, Serve},
    sample,
    sample::{Expected, SECTOR},
};

pub const CASES: [Case; 15] = [
    case("installs_signed_image", installs_signed_image),
    case("rejects_unsigned_image", rejects_unsigned_image),
    case("rejects_image_signed_by_unknown_key", rejects_image_signed_by_unknown_key),
    case("installs_from_private_registry_by_overlay", installs_from_private_registry_by_overlay),
    case("selects_disk_by_serial", selects_disk_by_serial),
    case("ambiguous_selector_writes_nothing", ambiguous_selector_writes_nothing),
    case("corrects_clock_of_1990", corrects_clock_of_1990),
    case("prints_on_every_console", prints_on_every_console),
    case("resumes_after_registry_restart", resumes_after_registry_restart),
    case("power_cut_leaves_no_bootable_disk", power_cut_leaves_no_bootable_disk),
    case("second_boot_does_not_reinstall", second_boot_does_not_reinstall),
    case("on_error_reboots", on_error_reboots),
    case("after_poweroff", after_poweroff),
    case("dry_run_writes_nothing", dry_run_writes_nothing),
    case("moves_backup_gpt_to_end_of_disk", moves_backup_gpt_to_end_of_disk),
];

/// The kernel's last line: a reboot or a power-off, even with `quiet`.
const RESTARTED: &str = "reboot: Restarting system";
const POWERED_OFF: &str = "reboot: Power down";

/// Part of the progress line. Tests wait for it before they wait for a relay, to notice a failure.
const PROGRESS: &str = " fetched, ";

fn installs_signed_image(lab: &Lab, case: &Case) -> Result<()> {
    let site = KeyPair::generate()?;
    push_signed(lab, case, Some(&site))?;
    let mut trial = boot_trusting(lab, case, &site)?;
    trial.guest.expect_unless("is good: key /etc/ocidd/keys.d/site.pub (sha256:", SHELL)?;
    trial.expect_installed(lab)
}

fn rejects_unsigned_image(lab: &Lab, case: &Case) -> Result<()> {
    push_signed(lab, case, None)?;
    boot_trusting(lab, case, &KeyPair::generate()?)?.expect_failed(
        "is not signed; trusted are /etc/ocidd/keys.d/site.pub (sha256:",
        8,
        Expected::Untouched,
    )
}

fn rejects_image_signed_by_unknown_key(lab: &Lab, case: &Case) -> Result<()> {
    push_signed(lab, case, Some(&KeyPair::generate()?))?;
    boot_trusting(lab, case, &KeyPair::generate()?)?.expect_failed(
        "it was not made by a trusted key",
        8,
        Expected::Untouched,
    )
}

/// Pushes the lab's image to a repository of this case, signed like `ocidd image push --sign`.
fn push_signed(lab: &Lab, case: &Case, signer: Option<&KeyPair>) -> Result<()> {
    let name = format!("{}:1", case.name);
    lab.plain.push_disk(&name, &lab.compressed)?;
    let Some(signer) = signer else { return Ok(()) };
    let key = lab.path(case, "key.pem");
    fs::write(&key, signer.serialize_pem()).context("writing a signing key")?;
    let session = lab.plain.session();
    let to = format!("{}/{name}", lab.plain.local());
    let mut location = Location::open(&session, &to, Access::Push)?;
    // Only local images are signed.
    let layout = lab.path(case, "layout");
    let copy = format!("oci:{}:1", layout.display());
    let mut local = Location::open(&session, &copy, Access::Push)?;
    copy::copy(&mut location, &mut local, CopyScope::Image)?;
    let image = Own::read(&Store::open_existing(&layout)?, "1")?;
    // The installer does not compare the name.
    let signed_name = format!("registry.example/{}", case.name);
    sign(&location, &image, &signed_name, &SigningKey::read(&key, None)?)?;
    Ok(())
}

/// Boots the installer for the case's repository, with the site's key in an overlay.
fn boot_trusting(lab: &Lab, case: &Case, site: &KeyPair) -> Result<Trial> {
    let initramfs = lab.initramfs_with(case, &[("keys.d/site.pub", &site.public_key_pem())])?;
    let parameters = format!("oci.tag=PLAIN/{}:1 oci.allow_no_tls dd.of=/dev/vda", case.name);
    lab.boot_with(case, &parameters, &initramfs, Hardware::default())
}

/// The overlay contains parameters, login and trusted authority. The login is not printed.
fn installs_from_private_registry_by_overlay(lab: &Lab, case: &Case) -> Result<()> {
    let private = Registry::start(Serve::Private(&lab.server_files))?;
    private.push_disk("os:1", &lab.compressed)?;
    let logins = json!({ "auths": { private.guest(): { "auth": registry::LOGIN } } }).to_string();
    let parameters = format!("# the site's image\noci.tag={}/os:1\n", private.guest());
    let site = [
        ("parameters", parameters.as_str()),
        ("auth.json", &logins),
        ("ca.d/site.pem", &lab.server_files.authority),
    ];
    let initramfs = lab.initramfs_with(case, &site)?;
    let mut trial = lab.boot_with(case, "dd.of=/dev/vda", &initramfs, Hardware::default())?;
    let console = trial.expect_success(&summary(lab.image.len()))?;
    for secret in [registry::PASSWORD, registry::LOGIN] {
        ensure!(!console.contains(secret), "the console shows '{secret}'");
    }
    sample::verify_disk(&trial.disk, Expected::Installed(&lab.image))
}

fn selects_disk_by_serial(lab: &Lab, case: &Case) -> Result<()> {
    let (mut trial, other) = boot_with_two_disks(lab, case, "serial:TARGET01")?;
    trial.expect_installed(lab)?;
    sample::verify_disk(&other, Expected::Untouched)
}

fn ambiguous_selector_writes_nothing(lab: &Lab, case: &Case) -> Result<()> {
    let (mut trial, other) = boot_with_two_disks(lab, case, "transport:virtio")?;
    // The message lists the matching disks.
    trial.expect_failed("/dev/vdb", 5, Expected::Untouched)?;
    sample::verify_disk(&other, Expected::Untouched)
}

/// Boots with the disks TARGET02 and TARGET01. The trial is about the second, the path is that of
/// the first.
fn boot_with_two_disks(lab: &Lab, case: &Case, selector: &str) -> Result<(Trial, PathBuf)> {
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let other = lab.used_disk(case, "other", DISK_BYTES)?;
    let drives = [(other.as_path(), Some("TARGET02")), (disk.as_path(), Some("TARGET01"))];
    let hardware = Hardware { drives: &drives, ..Hardware::default() };
    let parameters = INSTALL.replace("/dev/vda", selector);
    let guest = lab.start(case, &parameters, &lab.built.initramfs, hardware)?;
    Ok((Trial { guest, disk }, other))
}

/// The registry's certificate is not valid in 1990.
fn corrects_clock_of_1990(lab: &Lab, case: &Case) -> Result<()> {
    let hardware = Hardware { clock: Some("1990-01-01T00:00:00"), ..Hardware::default() };
    let parameters = "oci.tag=TLS/os:1 dd.of=/dev/vda";
    let initramfs = lab.initramfs_with_authority(case)?;
    let mut trial = lab.boot_with(case, parameters, &initramfs, hardware)?;
    trial.guest.expect("init: the clock said 1990-")?;
    trial.expect_installed(lab)
}

/// The kernel prefers the last of two consoles, but a person may look at either.
fn prints_on_every_console(lab: &Lab, case: &Case) -> Result<()> {
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let socket = lab.path(case, "console");
    let boot = |parameters: &str| {
        // An earlier boot may have created it.
        fs::remove_file(&socket).ok();
        let hardware = Hardware { second_console: Some(&socket), ..Hardware::default() };
        let parameters = format!("console=hvc0 {parameters}");
        lab.boot_on(disk.clone(), case, &parameters, &lab.built.initramfs, hardware)
    };

    let mut guest = boot(&INSTALL.replace("os:1", "os:nosuch"))?.guest;
    for line in ["404 Not Found (MANIFEST_UNKNOWN: ", "init: ocidd ended with exit code 4"] {
        guest.second_console()?.expect(line)?;
        guest.expect(line)?;
    }
    guest.cut_power()?;
    sample::verify_disk(&disk, Expected::Untouched)?;

    let mut trial = boot(INSTALL)?;
    trial.guest.second_console()?.expect_unless(&summary(lab.image.len()), SHELL)?;
    trial.expect_installed(lab)
}

fn resumes_after_registry_restart(lab: &Lab, case: &Case) -> Result<()> {
    let mut registry = Registry::start(Serve::Plain)?;
    registry.push_disk("os:1", &lab.compressed)?;
    let relay = Relay::start(registry.port, lab.compressed.len() / 3 * 2)?;
    let mut trial = lab.boot(case, &INSTALL.replace("PLAIN", &relay.guest()))?;
    trial.guest.expect_unless(PROGRESS, SHELL)?;
    relay.wait_held()?;
    registry.stop();
    relay.cut_and_open();
    // The registry is down until the installer has noticed.
    trial.guest.expect_unless("retry 1 of", SHELL)?;
    registry.restart()?;
    trial.expect_installed(lab)
}

/// A second install succeeds.
fn power_cut_leaves_no_bootable_disk(lab: &Lab, case: &Case) -> Result<()> {
    let relay = Relay::start(lab.plain.port, lab.compressed.len() / 3 * 2)?;
    let mut trial = lab.boot(case, &INSTALL.replace("PLAIN", &relay.guest()))?;
    trial.guest.expect_unless(PROGRESS, SHELL)?;
    relay.wait_held()?;
    // The next line comes seconds later, when everything received is written.
    trial.guest.expect_unless(PROGRESS, SHELL)?;
    trial.guest.cut_power()?;
    let disk = trial.disk;
    ensure!(
        sample::verify_disk(&disk, Expected::Untouched).is_err() && has_begun(&disk, &lab.image)?,
        "the power was cut before anything was written"
    );
    sample::verify_disk(&disk, Expected::Cleared)?;

    lab.expect_no_greeting(case, &disk)?;
    lab.boot_on(disk.clone(), case, INSTALL, &lab.built.initramfs, Hardware::default())?
        .expect_installed(lab)?;
    lab.expect_greeting(lab.disk_firmware(), case, &disk)
}

/// Whether the second MiB, the first that is not written last, is the image's.
fn has_begun(disk: &Path, image: &[u8]) -> Result<bool> {
    let disk = fs::read(disk).with_context(|| format!("reading {}", disk.display()))?;
    let second = 1 << 20..2 << 20;
    Ok(disk.get(second.clone()) == image.get(second))
}

/// A byte that was changed after the install remains changed.
fn second_boot_does_not_reinstall(lab: &Lab, case: &Case) -> Result<()> {
    let parameters = format!("{INSTALL} ocidd.skip_if_installed");
    let mut first = lab.boot(case, &parameters)?;
    first.expect_success(&summary(lab.image.len()))?;
    let disk = first.disk;
    sample::verify_disk(&disk, Expected::Begins(&lab.image))?;

    let mut bytes = fs::read(&disk).context("reading the disk")?;
    *bytes.get_mut(lab.image.len() / 2).context("the disk is too small")? ^= 0xff;
    fs::write(&disk, &bytes).context("changing the disk")?;
    lab.boot_on(disk.clone(), case, &parameters, &lab.built.initramfs, Hardware::default())?
        .expect_success("already installed")?;
    ensure!(fs::read(&disk).context("reading the disk")? == bytes, "the disk was written to");
    Ok(())
}

fn on_error_reboots(lab: &Lab, case: &Case) -> Result<()> {
    let parameters = INSTALL.replace("os:1", "os:nosuch");
    let mut trial = lab.boot(case, &format!("{parameters} ocidd.on_error=reboot,1"))?;
    trial.guest.expect("init: ocidd ended with exit code 4")?;
    trial.guest.expect_unless(RESTARTED, SHELL)?;
    trial.guest.wait_end()?;
    sample::verify_disk(&trial.disk, Expected::Untouched)
}

fn after_poweroff(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial = lab.boot(case, &format!("{INSTALL} ocidd.after=poweroff"))?;
    let console = trial.expect_success(&summary(lab.image.len()))?;
    ensure!(
        console.contains(POWERED_OFF) && !console.contains(RESTARTED),
        "the machine did not power off"
    );
    sample::verify_disk(&trial.disk, Expected::Installed(&lab.image))
}

fn dry_run_writes_nothing(lab: &Lab, case: &Case) -> Result<()> {
    let mut trial = lab.boot(case, &format!("{INSTALL} ocidd.dry_run"))?;
    let console = trial.expect_success("ocidd: dry run: nothing was written")?;
    ensure!(console.contains(RESTARTED), "the machine did not reboot");
    sample::verify_disk(&trial.disk, Expected::Untouched)
}

/// The rest of the image is unchanged.
fn moves_backup_gpt_to_end_of_disk(lab: &Lab, case: &Case) -> Result<()> {
    let image = sample::partitioned_image(DISK_BYTES / SECTOR / 2)?;
    lab.plain.push_disk("partitioned:1", &sample::gzip(&image)?)?;
    let mut trial = lab.boot(case, &INSTALL.replace("os:1", "partitioned:1"))?;
    trial.expect_success(&summary(image.len()))?;

    let (shell, disk) = (Shell::new()?, &trial.disk);
    let report = cmd!(shell, "sgdisk --verify {disk}").quiet().read();
    let report = report.context("verifying the GPT")?;
    ensure!(report.contains("No problems found"), "sgdisk reports: {report}");
    let bytes = fs::read(disk).context("reading the disk")?;
    let last = bytes.len() - SECTOR;
    ensure!(
        bytes.get(last..).is_some_and(|sector| sector.starts_with(b"EFI PART")),
        "the last sector of the disk contains no GPT header"
    );
    // After the primary table and before the image's own backup.
    let between = 34 * SECTOR..image.len() - 33 * SECTOR;
    ensure!(bytes.get(between.clone()) == image.get(between), "the partition has changed");
    Ok(())
}
