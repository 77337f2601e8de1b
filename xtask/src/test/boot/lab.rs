//! What the boot tests share: the files under test, two registries with images in them, and guests with a used disk.

use crate::build::Built;
use crate::config::Profile;
use crate::host::arch::Arch;
use crate::host::project;
use crate::overlay;
use crate::testbed::authority::ServerFiles;
use crate::testbed::qemu::Boot;
use crate::testbed::qemu::Drive;
use crate::testbed::qemu::Guest;
use crate::testbed::qemu::Hardware;
use crate::testbed::qemu::Machine;
use crate::testbed::registry::Blob;
use crate::testbed::registry::DISK_LAYER;
use crate::testbed::registry::Registry;
use crate::testbed::registry::Serve;
use crate::testbed::sample;
use crate::testbed::sample::Expected;
use anyhow::Context as _;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// One boot test.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Lab, &Case) -> Result<()>,
}

/// Large enough for both held back ends and something between, small enough to boot often.
const IMAGE_BYTES: usize = (5 << 20) + 512 * 3;
pub const DISK_BYTES: usize = 16 << 20;
const SMALL_DISK_BYTES: usize = 4 << 20;

/// What the disk says when it is booted.
pub const GREETING: &str = "hello from the installed disk";

/// init's line before the shell that a failed install ends in.
pub const SHELL: &str = "init: starting the emergency shell on";
/// init's line when all went well.
pub const SUCCESS: &str = "init: ocidd succeeded";

#[derive(Debug)]
pub struct Lab {
    pub arch: Arch,
    pub profile: Profile,
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    /// The initramfs, with the test's certificate authority in an overlay behind it.
    pub initramfs_with_authority: PathBuf,
    pub server_files: ServerFiles,
    pub plain: Registry,
    pub tls: Registry,
    /// `os:uefi`, which UEFI starts.
    pub uefi_image: Vec<u8>,
    /// `os:1`
    pub image: Vec<u8>,
    /// The image as it is pushed.
    pub compressed: Vec<u8>,
    pub blob: Blob,
    folder: TempDir,
}

/// A machine in the middle of a case, and its disk.
#[derive(Debug)]
pub struct Trial {
    pub guest: Guest,
    pub disk: PathBuf,
}

impl Lab {
    /// Starts the registries and pushes `os:1`, a good image, to both; and to the plain one `os:two-layers`, `os:truncated` and `os:flipped`.
    pub fn open(built: Built, profile: Profile) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for disks")?;
        fs::create_dir_all(project::logs()).context("making the folder for logs")?;
        let server_files = ServerFiles::make()?;
        let plain = Registry::start(Serve::Plain)?;
        let tls = Registry::start(Serve::Tls(&server_files))?;
        let greeting = format!("{GREETING}\r\n");
        let uefi_image = sample::uefi_greeting_image(built.arch, &greeting, IMAGE_BYTES)?;
        plain.push_disk("os", "uefi", &sample::gzip(&uefi_image)?)?;
        // The one that the machine starts without UEFI; arm64 has no such thing.
        let image = match built.arch {
            Arch::X86_64 => sample::greeting_image(&greeting, IMAGE_BYTES),
            Arch::Arm64 => uefi_image.clone(),
        };
        let compressed = sample::gzip(&image)?;
        tls.push_disk("os", "1", &compressed)?;
        let blob = plain.push_disk("os", "1", &compressed)?;
        push_broken(&plain, &compressed, &blob)?;
        let trust = [("ca.d/test.pem", server_files.authority.as_str())];
        let initramfs_with_authority =
            append_overlay(&built.initramfs, &folder.path().join("authority"), &trust)?;
        Ok(Self {
            arch: built.arch,
            profile,
            kernel: built.kernel,
            initramfs: built.initramfs,
            initramfs_with_authority,
            server_files,
            plain,
            tls,
            uefi_image,
            image,
            compressed,
            blob,
            folder,
        })
    }

    /// What tells this lab's machines from those of others: `amd64`, `arm64-hw`.
    pub fn name(&self) -> String {
        format!("{}{}", self.arch.oci(), self.profile.suffix())
    }

    /// Where the console of a case's guests is logged.
    pub fn log(&self, case: &Case) -> PathBuf {
        project::logs().join(format!("boot-{}-{}.log", self.name(), case.name))
    }

    /// Removes the logs of a case.
    pub fn remove_logs(&self, case: &Case) {
        for log in [self.log(case), Guest::second_log(&self.log(case))] {
            // Most cases have one log, and a first run has none.
            fs::remove_file(log).ok();
        }
    }

    /// Boots the installer with these words and a used disk.
    pub fn boot(&self, case: &Case, words: &str) -> Result<Trial> {
        self.boot_with(case, words, &self.initramfs, DISK_BYTES)
    }

    /// The same, with a disk that is smaller than the image.
    pub fn boot_small(&self, case: &Case, words: &str) -> Result<Trial> {
        self.boot_with(case, words, &self.initramfs, SMALL_DISK_BYTES)
    }

    /// The same, with the test's certificate authority in `/etc/ocidd/ca.d`.
    pub fn boot_trusting(&self, case: &Case, words: &str) -> Result<Trial> {
        self.boot_with(case, words, &self.initramfs_with_authority, DISK_BYTES)
    }

    /// Boots the installer with these words and a disk that an earlier boot has left.
    pub fn boot_again(&self, case: &Case, words: &str, disk: PathBuf) -> Result<Trial> {
        let hardware = Hardware { drives: &[Drive::plain(&disk)], ..Hardware::default() };
        Ok(Trial { guest: self.start(case, words, &self.initramfs, hardware)?, disk })
    }

    /// Boots an installer with these words on a machine of the case's own making.
    pub fn start(
        &self,
        case: &Case,
        words: &str,
        initramfs: &Path,
        hardware: Hardware<'_>,
    ) -> Result<Guest> {
        let words = format!("quiet {words}");
        let boot = Boot::Installer { kernel: &self.kernel, initramfs, words: &words };
        Guest::start(&Machine { arch: self.arch, boot, hardware }, &self.log(case))
    }

    /// The initramfs with an overlay of a site that has these files.
    pub fn initramfs_with(&self, case: &Case, site: &[(&str, &str)]) -> Result<PathBuf> {
        append_overlay(&self.initramfs, &self.path(case, "site"), site)
    }

    /// A disk of the case's own that was in use before.
    pub fn used_disk(&self, case: &Case, name: &str, bytes: usize) -> Result<PathBuf> {
        let disk = self.path(case, &format!("{name}.raw"));
        sample::write_used_disk(&disk, bytes)?;
        Ok(disk)
    }

    /// A place for a file of the case's own; it dies with the lab.
    pub fn path(&self, case: &Case, name: &str) -> PathBuf {
        self.folder.path().join(format!("{}-{name}", case.name))
    }

    fn boot_with(
        &self,
        case: &Case,
        words: &str,
        initramfs: &Path,
        disk_bytes: usize,
    ) -> Result<Trial> {
        let disk = self.used_disk(case, "disk", disk_bytes)?;
        let hardware = Hardware { drives: &[Drive::plain(&disk)], ..Hardware::default() };
        Ok(Trial { guest: self.start(case, words, initramfs, hardware)?, disk })
    }
}

impl Trial {
    /// Waits for a good install: the summary, the reboot, and the image on the disk.
    pub fn expect_installed(self, lab: &Lab) -> Result<()> {
        let disk = self.disk.clone();
        self.expect_success(&summary(lab.image.len()))?;
        sample::verify_disk(&disk, Expected::Installed(&lab.image))
    }

    /// Waits for an end that init calls a success, after a line of the installer's; returns what the console said.
    pub fn expect_success(mut self, said: &str) -> Result<String> {
        self.guest.expect_unless(said, SHELL)?;
        self.guest.expect_unless(SUCCESS, SHELL)?;
        self.guest.wait_end()
    }

    /// Waits for a failed install: what it said, its exit code, an emergency shell that answers and reboots, and the disk's state.
    pub fn expect_failed(mut self, said: &str, code: u8, disk: Expected<'_>) -> Result<()> {
        self.guest.expect(said)?;
        self.guest.expect(&format!("init: ocidd ended with exit code {code}"))?;
        self.guest.expect(SHELL)?;
        self.guest.expect("# ")?;
        // The answer differs from what is typed, so the terminal's echo is not taken for it.
        self.guest.type_line("echo answer $((6 * 7)) from $(basename $(readlink /proc/$$/exe))")?;
        self.guest.expect("answer 42 from busybox")?;
        self.guest.type_line("exit")?;
        let console = self.guest.wait_end()?;
        anyhow::ensure!(!console.contains(SUCCESS), "a failed install was called a success");
        sample::verify_disk(&self.disk, disk)
    }
}

/// How the installer's last line begins, after an image of so many bytes.
pub fn summary(image_bytes: usize) -> String {
    format!("ocidd: installed {image_bytes} bytes")
}

fn push_broken(registry: &Registry, compressed: &[u8], good: &Blob) -> Result<()> {
    registry.push_manifest("os", "two-layers", &[(DISK_LAYER, good), (DISK_LAYER, good)])?;
    // Not as gzip: of that the last bytes would be taken for the image's size.
    let truncated =
        registry.push_blob("os", compressed.get(..compressed.len() - 9).unwrap_or_default())?;
    registry.push_manifest("os", "truncated", &[("application/octet-stream", &truncated)])?;
    // A second member makes another digest; one bit of it is then turned over where the registry keeps it.
    let twice = [compressed, compressed].concat();
    let flipped = registry.push_disk("os", "flipped", &twice)?;
    let file = registry.blob_file(&flipped);
    let mut bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    // In the checksum: the four bytes behind it tell the size, and are looked at before anything else.
    if let Some(byte) = bytes.iter_mut().nth_back(4) {
        *byte ^= 1;
    }
    fs::write(&file, bytes).with_context(|| format!("damaging {}", file.display()))
}

/// Makes a site's folder, and beside it an initramfs with its overlay behind it, as `cat` makes one.
///
/// An initramfs may be several archives (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).
fn append_overlay(initramfs: &Path, site: &Path, files: &[(&str, &str)]) -> Result<PathBuf> {
    for (name, text) in files {
        let file = site.join(name);
        fs::create_dir_all(file.parent().unwrap_or(site)).context("making a site's folder")?;
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    let mut bytes =
        fs::read(initramfs).with_context(|| format!("reading {}", initramfs.display()))?;
    bytes.extend(overlay::pack(site)?.bytes);
    let with_overlay = site.with_extension("initramfs.gz");
    fs::write(&with_overlay, bytes).context("writing an initramfs")?;
    Ok(with_overlay)
}
