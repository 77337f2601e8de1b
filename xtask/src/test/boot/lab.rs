//! What the boot tests share: the files under test, two registries with images, and guests with a
//! used disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    build::Built,
    config::Profile,
    describe,
    host::{arch::Arch, output, project},
    overlay,
    testbed::{
        authority::ServerFiles,
        console::Guest,
        qemu::{Boot, Firmware, Hardware, Machine},
        registry::{DISK_LAYER, Registry, Serve},
        sample,
        sample::Expected,
    },
};

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Lab, &Case) -> Result<()>,
}

pub const fn case(name: &'static str, run: fn(&Lab, &Case) -> Result<()>) -> Case {
    Case { name, run }
}

/// Large enough for both ends that are written last and data between them.
const IMAGE_BYTES: usize = (5 << 20) + 512 * 3;
pub const DISK_BYTES: usize = 16 << 20;

/// Printed by the installed disk.
const GREETING: &str = "hello from the installed disk";

/// Parameters of an unattended install, see [`Lab::parameters`].
pub const INSTALL: &str = "oci.tag=PLAIN/os:1 oci.allow_no_tls dd.of=/dev/vda";

/// Printed by init before the shell that follows a failed install.
pub const SHELL: &str = "init: starting the emergency shell on";
/// Printed by init after a successful install.
const SUCCESS: &str = "init: ocidd succeeded";

#[derive(Debug)]
pub struct Lab {
    pub built: Built,
    pub profile: Profile,
    pub server_files: ServerFiles,
    pub plain: Registry,
    pub tls: Registry,
    /// `os:uefi`, which UEFI boots.
    pub uefi_image: Vec<u8>,
    /// `os:1`
    pub image: Vec<u8>,
    /// `os:1` as pushed.
    pub compressed: Vec<u8>,
    /// The digest of `compressed`.
    pub digest: String,
    folder: TempDir,
}

#[derive(Debug)]
pub struct Trial {
    pub guest: Guest,
    pub disk: PathBuf,
}

impl Lab {
    /// Starts the registries and pushes `os:1` to both. The plain one also gets `os:uefi` and the
    /// broken images `os:two-layers`, `os:truncated` and `os:flipped`.
    pub fn open(built: Built, profile: Profile) -> Result<Self> {
        let folder = tempfile::tempdir().context("creating a directory for disks")?;
        fs::create_dir_all(project::logs()).context("creating the directory for logs")?;
        let server_files = ServerFiles::make()?;
        let plain = Registry::start(Serve::Plain)?;
        let tls = Registry::start(Serve::Tls(&server_files))?;
        let greeting = format!("{GREETING}\r\n");
        let uefi_image = sample::uefi_greeting_image(built.arch, &greeting, IMAGE_BYTES)?;
        plain.push_disk("os:uefi", &sample::gzip(&uefi_image)?)?;
        // arm64 has no firmware but UEFI.
        let image = match built.arch {
            Arch::X86_64 => sample::greeting_image(&greeting, IMAGE_BYTES),
            Arch::Arm64 => uefi_image.clone(),
        };
        let compressed = sample::gzip(&image)?;
        tls.push_disk("os:1", &compressed)?;
        let digest = plain.push_disk("os:1", &compressed)?;
        push_broken(&plain, &compressed)?;
        Ok(Self {
            built,
            profile,
            server_files,
            plain,
            tls,
            uefi_image,
            image,
            compressed,
            digest,
            folder,
        })
    }

    /// The name of this lab's machines: `amd64`, `arm64-hw`.
    pub fn name(&self) -> String {
        describe::label(self.built.arch, self.profile)
    }

    pub fn log(&self, case: &Case) -> PathBuf {
        project::logs().join(format!("boot-{}-{}.log", self.name(), case.name))
    }

    pub fn remove_logs(&self, case: &Case) {
        for log in [self.log(case), Guest::second_log(&self.log(case))] {
            // Most cases have one log, and a first run has none.
            fs::remove_file(log).ok();
        }
    }

    /// Replaces `PLAIN` and `TLS` by the addresses of the registries.
    pub fn parameters(&self, text: &str) -> String {
        text.replace("PLAIN", &self.plain.guest()).replace("TLS", &self.tls.guest())
    }

    /// Boots the installer with these parameters and a used disk.
    pub fn boot(&self, case: &Case, parameters: &str) -> Result<Trial> {
        self.boot_with(case, parameters, &self.built.initramfs, Hardware::default())
    }

    /// The same, with another initramfs and other hardware around the disk.
    pub fn boot_with(
        &self,
        case: &Case,
        parameters: &str,
        initramfs: &Path,
        hardware: Hardware<'_>,
    ) -> Result<Trial> {
        let disk = self.used_disk(case, "disk", DISK_BYTES)?;
        self.boot_on(disk, case, parameters, initramfs, hardware)
    }

    /// The same, with an existing disk.
    pub fn boot_on(
        &self,
        disk: PathBuf,
        case: &Case,
        parameters: &str,
        initramfs: &Path,
        hardware: Hardware<'_>,
    ) -> Result<Trial> {
        let hardware = Hardware { drives: &[(disk.as_path(), None)], ..hardware };
        Ok(Trial { guest: self.start(case, parameters, initramfs, hardware)?, disk })
    }

    /// Boots the installer on a machine with these disks.
    pub fn start(
        &self,
        case: &Case,
        parameters: &str,
        initramfs: &Path,
        hardware: Hardware<'_>,
    ) -> Result<Guest> {
        let parameters = format!("quiet {}", self.parameters(parameters));
        let boot =
            Boot::Installer { kernel: &self.built.kernel, initramfs, parameters: &parameters };
        Guest::start(&Machine { arch: self.built.arch, boot, hardware }, &self.log(case))
    }

    /// Writes the initramfs, followed by an overlay of a site with these files.
    ///
    /// An initramfs can consist of several archives (kernel:
    /// Documentation/driver-api/early-userspace/buffer-format.rst).
    pub fn initramfs_with(&self, case: &Case, site_files: &[(&str, &str)]) -> Result<PathBuf> {
        let (site, initramfs) = (self.path(case, "site"), &self.built.initramfs);
        for (name, text) in site_files {
            output::write(&site.join(name), text.as_bytes())?;
        }
        let mut bytes =
            fs::read(initramfs).with_context(|| format!("reading {}", initramfs.display()))?;
        bytes.extend(overlay::pack(&site)?.bytes);
        let with_overlay = site.with_extension("initramfs.gz");
        fs::write(&with_overlay, bytes).context("writing an initramfs")?;
        Ok(with_overlay)
    }

    /// Writes the initramfs, followed by an overlay with the test's certificate authority.
    pub fn initramfs_with_authority(&self, case: &Case) -> Result<PathBuf> {
        self.initramfs_with(case, &[("ca.d/test.pem", &self.server_files.authority)])
    }

    /// Creates a disk with old data.
    pub fn used_disk(&self, case: &Case, name: &str, size_bytes: usize) -> Result<PathBuf> {
        let disk = self.path(case, &format!("{name}.raw"));
        sample::write_used_disk(&disk, size_bytes)?;
        Ok(disk)
    }

    /// The path of a file of this case. It is removed with the lab.
    pub fn path(&self, case: &Case, name: &str) -> PathBuf {
        self.folder.path().join(format!("{}-{name}", case.name))
    }

    /// Boots from an installed disk and waits for its greeting.
    pub fn expect_greeting(&self, firmware: Firmware, case: &Case, disk: &Path) -> Result<()> {
        let mut guest = self.boot_disk(firmware, case, disk)?;
        guest.expect(GREETING)?;
        guest.wait_end().map(drop)
    }

    /// Boots from a disk that must not boot.
    pub fn expect_no_greeting(&self, case: &Case, disk: &Path) -> Result<()> {
        let mut guest = self.boot_disk(self.disk_firmware(), case, disk)?;
        let output = match self.disk_firmware() {
            // The BIOS reboots, which ends QEMU.
            Firmware::Plain => guest.wait_end()?,
            Firmware::Uefi => {
                guest.expect("UEFI Interactive Shell")?;
                guest.cut_power()?
            }
        };
        ensure!(!output.contains(GREETING), "an incomplete image has booted");
        Ok(())
    }

    /// The firmware that boots `os:1`.
    pub fn disk_firmware(&self) -> Firmware {
        match self.built.arch {
            Arch::X86_64 => Firmware::Plain,
            Arch::Arm64 => Firmware::Uefi,
        }
    }

    fn boot_disk(&self, firmware: Firmware, case: &Case, disk: &Path) -> Result<Guest> {
        let hardware = Hardware { firmware, drives: &[(disk, None)], ..Hardware::default() };
        Guest::start(
            &Machine { arch: self.built.arch, boot: Boot::Disk, hardware },
            &self.log(case),
        )
    }
}

impl Trial {
    /// Waits for a successful install of `os:1`, and compares the disk.
    pub fn expect_installed(&mut self, lab: &Lab) -> Result<()> {
        self.expect_success(&summary(lab.image.len()))?;
        sample::verify_disk(&self.disk, Expected::Installed(&lab.image))
    }

    /// Waits for `text`, init's success message and the end. Returns the console's output.
    pub fn expect_success(&mut self, text: &str) -> Result<&str> {
        self.guest.expect_unless(text, SHELL)?;
        self.guest.expect_unless(SUCCESS, SHELL)?;
        self.guest.wait_end()
    }

    /// Waits for a failed install: a message, the exit code, an emergency shell that answers, and a
    /// reboot. Compares the disk.
    pub fn expect_failed(&mut self, text: &str, code: u8, disk: Expected<'_>) -> Result<()> {
        self.guest.expect(text)?;
        self.guest.expect(&format!("init: ocidd ended with exit code {code}"))?;
        self.guest.expect(SHELL)?;
        self.guest.expect("# ")?;
        // The answer differs from the input, which the terminal echoes.
        self.guest.type_line("echo answer $((6 * 7)) from $(basename $(readlink /proc/$$/exe))")?;
        self.guest.expect("answer 42 from busybox")?;
        self.guest.type_line("exit")?;
        let console = self.guest.wait_end()?;
        ensure!(!console.contains(SUCCESS), "init reported success after a failed install");
        sample::verify_disk(&self.disk, disk)
    }
}

/// The start of the installer's last line.
pub fn summary(image_bytes: usize) -> String {
    format!("ocidd: installed {image_bytes} bytes")
}

fn push_broken(registry: &Registry, compressed: &[u8]) -> Result<()> {
    registry.push("os:two-layers", &[(DISK_LAYER, compressed), (DISK_LAYER, compressed)])?;
    // Not as gzip: its last bytes would be read as the size of the image.
    let truncated = compressed.get(..compressed.len() - 9).unwrap_or_default();
    registry.push("os:truncated", &[("application/octet-stream", truncated)])?;
    // A second member gives another digest. One bit of it is inverted in the registry's storage.
    let flipped = registry.push_disk("os:flipped", &[compressed, compressed].concat())?;
    let file = registry.blob_file(&flipped);
    let mut bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    // In the checksum: the last four bytes are the size, which is checked first.
    if let Some(byte) = bytes.iter_mut().nth_back(4) {
        *byte ^= 1;
    }
    fs::write(&file, bytes).with_context(|| format!("damaging {}", file.display()))
}
