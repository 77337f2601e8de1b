//! Boots as operators meet them: sites with their own files, machines with several disks, clocks and consoles, networks and power that fail.

use super::lab::Case;
use super::lab::DISK_BYTES;
use super::lab::Lab;
use super::lab::SHELL;
use super::lab::Trial;
use super::lab::summary;
use super::relay::Relay;
use crate::testbed::qemu::Drive;
use crate::testbed::qemu::Hardware;
use crate::testbed::registry;
use crate::testbed::registry::Registry;
use crate::testbed::registry::Serve;
use crate::testbed::sample;
use crate::testbed::sample::Expected;
use crate::testbed::sample::SECTOR;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::ensure;
use serde_json::json;
use std::fs;
use std::path::Path;
use xshell::Shell;
use xshell::cmd;

pub const CASES: [Case; 12] = [
    Case {
        name: "installs_from_a_private_registry_by_overlay",
        run: installs_from_a_private_registry_by_overlay,
    },
    Case { name: "picks_the_disk_by_serial", run: picks_the_disk_by_serial },
    Case {
        name: "an_ambiguous_selector_writes_nothing",
        run: an_ambiguous_selector_writes_nothing,
    },
    Case { name: "a_clock_at_1990_is_set_right", run: a_clock_at_1990_is_set_right },
    Case { name: "every_console_tells", run: every_console_tells },
    Case { name: "resumes_across_a_registry_restart", run: resumes_across_a_registry_restart },
    Case {
        name: "a_power_cut_leaves_no_bootable_disk_and_a_second_install_succeeds",
        run: a_power_cut_leaves_no_bootable_disk_and_a_second_install_succeeds,
    },
    Case { name: "a_second_boot_does_not_reinstall", run: a_second_boot_does_not_reinstall },
    Case { name: "on_error_reboots_by_itself", run: on_error_reboots_by_itself },
    Case { name: "after_poweroff", run: after_poweroff },
    Case { name: "a_dry_run_writes_nothing", run: a_dry_run_writes_nothing },
    Case { name: "the_backup_gpt_is_at_the_end", run: the_backup_gpt_is_at_the_end },
];

/// The kernel's last line shows whether a machine reboots or powers off, even with `quiet`.
const RESTARTED: &str = "reboot: Restarting system";
const POWERED_OFF: &str = "reboot: Power down";

/// In the line that tells every few seconds how far an install has come. A test waits for it before it waits for a relay, to see an early end.
const PROGRESS: &str = " fetched, ";

fn tag(host: &str) -> String {
    format!("oci.tag={host}/os:1 oci.allow_no_tls dd.of=/dev/vda")
}

/// Words, login and trust come from the overlay; and the login stays where it is.
fn installs_from_a_private_registry_by_overlay(lab: &Lab, case: &Case) -> Result<()> {
    let private = Registry::start(Serve::Private(&lab.server_files))?;
    private.push_disk("os", "1", &lab.compressed)?;
    let logins = json!({ "auths": { private.guest(): { "auth": registry::LOGIN } } }).to_string();
    let words = format!("# the site's image\noci.tag={}/os:1\n", private.guest());
    let initramfs = lab.initramfs_with(
        case,
        &[
            ("parameters", &words),
            ("auth.json", &logins),
            ("ca.d/site.pem", &lab.server_files.authority),
        ],
    )?;
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware { drives: &[Drive::plain(&disk)], ..Hardware::default() };
    let guest = lab.start(case, "dd.of=/dev/vda", &initramfs, hardware)?;
    let console = Trial { guest, disk: disk.clone() }.expect_success(&summary(lab.image.len()))?;
    for secret in [registry::PASSWORD, registry::LOGIN] {
        ensure!(!console.contains(secret), "the console shows '{secret}'");
    }
    sample::verify_disk(&disk, Expected::Installed(&lab.image))
}

fn picks_the_disk_by_serial(lab: &Lab, case: &Case) -> Result<()> {
    let (other, disk) =
        (lab.used_disk(case, "other", DISK_BYTES)?, lab.used_disk(case, "disk", DISK_BYTES)?);
    let words =
        format!("oci.tag={}/os:1 oci.allow_no_tls dd.of=serial:TARGET01", lab.plain.guest());
    let drives = [
        Drive { file: &other, serial: Some("TARGET02") },
        Drive { file: &disk, serial: Some("TARGET01") },
    ];
    let hardware = Hardware { drives: &drives, ..Hardware::default() };
    let guest = lab.start(case, &words, &lab.initramfs, hardware)?;
    Trial { guest, disk }.expect_installed(lab)?;
    sample::verify_disk(&other, Expected::Untouched)
}

fn an_ambiguous_selector_writes_nothing(lab: &Lab, case: &Case) -> Result<()> {
    let (other, disk) =
        (lab.used_disk(case, "other", DISK_BYTES)?, lab.used_disk(case, "disk", DISK_BYTES)?);
    let words =
        format!("oci.tag={}/os:1 oci.allow_no_tls dd.of=transport:virtio", lab.plain.guest());
    let drives = [Drive::plain(&other), Drive::plain(&disk)];
    let hardware = Hardware { drives: &drives, ..Hardware::default() };
    let guest = lab.start(case, &words, &lab.initramfs, hardware)?;
    // The disks it could be are listed.
    Trial { guest, disk }.expect_failed("/dev/vdb", 5, Expected::Untouched)?;
    sample::verify_disk(&other, Expected::Untouched)
}

/// The registry's certificate is not valid in 1990.
fn a_clock_at_1990_is_set_right(lab: &Lab, case: &Case) -> Result<()> {
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware {
        drives: &[Drive::plain(&disk)],
        clock: Some("1990-01-01T00:00:00"),
        ..Hardware::default()
    };
    let words = format!("oci.tag={}/os:1 dd.of=/dev/vda", lab.tls.guest());
    let mut guest = lab.start(case, &words, &lab.initramfs_with_authority, hardware)?;
    guest.expect("init: the clock said 1990-")?;
    Trial { guest, disk }.expect_installed(lab)
}

/// Of two consoles the kernel prefers the last one, and a person may look at either.
fn every_console_tells(lab: &Lab, case: &Case) -> Result<()> {
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let socket = lab.path(case, "console");
    let boot = |words: &str| {
        // Of an earlier boot, where there was one.
        fs::remove_file(&socket).ok();
        let drives = [Drive::plain(&disk)];
        let hardware =
            Hardware { drives: &drives, second_console: Some(&socket), ..Hardware::default() };
        lab.start(case, &format!("console=hvc0 {words}"), &lab.initramfs, hardware)
    };

    let mut guest = boot(&tag(&lab.plain.guest()).replace("os:1", "os:nosuch"))?;
    for line in ["404 Not Found (MANIFEST_UNKNOWN: ", "init: ocidd ended with exit code 4"] {
        guest.second_console()?.expect(line)?;
        guest.expect(line)?;
    }
    guest.cut_power()?;
    sample::verify_disk(&disk, Expected::Untouched)?;

    let mut guest = boot(&tag(&lab.plain.guest()))?;
    guest.second_console()?.expect_unless(&summary(lab.image.len()), SHELL)?;
    Trial { guest, disk: disk.clone() }.expect_installed(lab)
}

fn resumes_across_a_registry_restart(lab: &Lab, case: &Case) -> Result<()> {
    let mut registry = Registry::start(Serve::Plain)?;
    registry.push_disk("os", "1", &lab.compressed)?;
    let relay = Relay::start(registry.port(), lab.compressed.len() / 3 * 2)?;
    let mut trial = lab.boot(case, &tag(&relay.guest()))?;
    trial.guest.expect_unless(PROGRESS, SHELL)?;
    relay.wait_held()?;
    registry.stop();
    relay.cut_and_open();
    // The registry stays away until the installer has noticed.
    trial.guest.expect_unless("retry 1 of", SHELL)?;
    registry.restart()?;
    trial.expect_installed(lab)
}

fn a_power_cut_leaves_no_bootable_disk_and_a_second_install_succeeds(
    lab: &Lab,
    case: &Case,
) -> Result<()> {
    let relay = Relay::start(lab.plain.port(), lab.compressed.len() / 3 * 2)?;
    let mut trial = lab.boot(case, &tag(&relay.guest()))?;
    trial.guest.expect_unless(PROGRESS, SHELL)?;
    relay.wait_held()?;
    // Seconds later everything that has come and can be written is written.
    trial.guest.expect_unless(PROGRESS, SHELL)?;
    trial.guest.cut_power()?;
    let disk = trial.disk;
    ensure!(
        sample::verify_disk(&disk, Expected::Untouched).is_err() && has_begun(&disk, &lab.image)?,
        "the power was cut before anything was written"
    );
    sample::verify_disk(&disk, Expected::Cleared)?;

    lab.expect_no_greeting(case, &disk)?;
    lab.boot_again(case, &tag(&lab.plain.guest()), disk.clone())?.expect_installed(lab)?;
    lab.expect_greeting(case, &disk)
}

/// Whether the second MiB, the first that is not held back, is the image's.
fn has_begun(disk: &Path, image: &[u8]) -> Result<bool> {
    let disk = fs::read(disk).with_context(|| format!("reading {}", disk.display()))?;
    let second = 1 << 20..2 << 20;
    Ok(disk.get(second.clone()) == image.get(second))
}

/// A byte that was changed since stays changed.
fn a_second_boot_does_not_reinstall(lab: &Lab, case: &Case) -> Result<()> {
    let words = format!("{} ocidd.skip_if_installed", tag(&lab.plain.guest()));
    let first = lab.boot(case, &words)?;
    let disk = first.disk.clone();
    first.expect_success(&summary(lab.image.len()))?;
    sample::verify_disk(&disk, Expected::Begins(&lab.image))?;

    let mut bytes = fs::read(&disk).context("reading the disk")?;
    *bytes.get_mut(lab.image.len() / 2).context("the disk is too small")? ^= 0xff;
    fs::write(&disk, &bytes).context("changing the disk")?;
    lab.boot_again(case, &words, disk.clone())?.expect_success("already installed")?;
    ensure!(fs::read(&disk).context("reading the disk")? == bytes, "the disk was written to");
    Ok(())
}

fn on_error_reboots_by_itself(lab: &Lab, case: &Case) -> Result<()> {
    let words = tag(&lab.plain.guest()).replace("os:1", "os:nosuch");
    let mut trial = lab.boot(case, &format!("{words} ocidd.on_error=reboot,1"))?;
    trial.guest.expect("init: ocidd ended with exit code 4")?;
    trial.guest.expect_unless(RESTARTED, SHELL)?;
    trial.guest.wait_end()?;
    sample::verify_disk(&trial.disk, Expected::Untouched)
}

fn after_poweroff(lab: &Lab, case: &Case) -> Result<()> {
    let words = format!("{} ocidd.after=poweroff", tag(&lab.plain.guest()));
    let trial = lab.boot(case, &words)?;
    let disk = trial.disk.clone();
    let console = trial.expect_success(&summary(lab.image.len()))?;
    ensure!(
        console.contains(POWERED_OFF) && !console.contains(RESTARTED),
        "the machine did not power off"
    );
    sample::verify_disk(&disk, Expected::Installed(&lab.image))
}

fn a_dry_run_writes_nothing(lab: &Lab, case: &Case) -> Result<()> {
    let trial = lab.boot(case, &format!("{} ocidd.dry_run", tag(&lab.plain.guest())))?;
    let disk = trial.disk.clone();
    let console = trial.expect_success("ocidd: dry run: nothing was written")?;
    ensure!(console.contains(RESTARTED), "the machine did not reboot");
    sample::verify_disk(&disk, Expected::Untouched)
}

/// And nothing else of the image is changed.
fn the_backup_gpt_is_at_the_end(lab: &Lab, case: &Case) -> Result<()> {
    let image = sample::partitioned_image(DISK_BYTES / SECTOR / 2);
    lab.plain.push_disk("partitioned", "1", &sample::gzip(&image)?)?;
    let words = tag(&format!("{}/partitioned", lab.plain.guest())).replace("/os:1", ":1");
    let trial = lab.boot(case, &words)?;
    let disk = trial.disk.clone();
    trial.expect_success(&summary(image.len()))?;

    let shell = Shell::new()?;
    let said = cmd!(shell, "sgdisk --verify {disk}").quiet().read().context("verifying the GPT")?;
    ensure!(said.contains("No problems found"), "sgdisk says: {said}");
    let bytes = fs::read(&disk).context("reading the disk")?;
    let last = bytes.len() - SECTOR;
    ensure!(
        bytes.get(last..).is_some_and(|sector| sector.starts_with(b"EFI PART")),
        "the disk's last sector holds no GPT header"
    );
    // Behind the primary table and before the image's own backup.
    let between = 34 * SECTOR..image.len() - 33 * SECTOR;
    ensure!(bytes.get(between.clone()) == image.get(between), "the partition is not the image's");
    Ok(())
}
