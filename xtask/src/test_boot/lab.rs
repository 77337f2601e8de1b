//! What the boot tests share: the files under test, two registries with images in them, and guests with a used disk.

use crate::arch::Arch;
use crate::authority::ServerFiles;
use crate::build::Built;
use crate::gzip;
use crate::newc;
use crate::project;
use crate::qemu::Boot;
use crate::qemu::Guest;
use crate::qemu::Machine;
use crate::registry::Blob;
use crate::registry::DISK_LAYER;
use crate::registry::Registry;
use crate::registry::Serve;
use crate::sample;
use crate::sample::Expected;
use crate::tree::Entry;
use crate::tree::Tree;
use anyhow::Context as _;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// One boot test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) run: fn(&Lab, &Case) -> Result<()>,
}

/// Large enough for both held back ends and something between, small enough to boot often.
const IMAGE_BYTES: usize = (5 << 20) + 512 * 3;
pub(super) const DISK_BYTES: usize = 16 << 20;
const SMALL_DISK_BYTES: usize = 4 << 20;

/// What the disk says when it is booted.
pub(super) const GREETING: &str = "hello from the installed disk";

/// init's line before the shell that a failed install ends in.
const SHELL: &str = "init: starting the emergency shell on";
/// init's line when all went well.
const SUCCESS: &str = "init: ocidd succeeded";

#[derive(Debug)]
pub(super) struct Lab {
    pub(super) arch: Arch,
    kernel: PathBuf,
    initramfs: PathBuf,
    /// The initramfs, with the test's certificate authority in an archive behind it.
    initramfs_with_authority: PathBuf,
    pub(super) plain: Registry,
    pub(super) tls: Registry,
    pub(super) image: Vec<u8>,
    pub(super) blob: Blob,
    folder: TempDir,
}

/// A machine in the middle of a case, and its disk.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) guest: Guest,
    pub(super) disk: PathBuf,
}

impl Case {
    /// Where the guest's console is logged.
    pub(super) fn log(&self) -> PathBuf {
        project::logs().join(format!("boot-{}.log", self.name))
    }
}

impl Lab {
    /// Starts the registries and pushes `os:1`, a good image, to both; and to the plain one `os:two-layers`, `os:truncated` and `os:flipped`.
    pub(super) fn open(arch: Arch, built: Built) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for disks")?;
        fs::create_dir_all(project::logs()).context("making the folder for logs")?;
        let files = ServerFiles::make()?;
        let (plain, tls) = (Registry::start(Serve::Plain)?, Registry::start(Serve::Tls(&files))?);
        let image = sample::greeting_image(&format!("{GREETING}\r\n"), IMAGE_BYTES);
        let compressed = sample::gzip(&image)?;
        tls.push_disk("os", "1", &compressed)?;
        let blob = plain.push_disk("os", "1", &compressed)?;
        push_broken(&plain, &compressed, &blob)?;
        let initramfs_with_authority = folder.path().join("initramfs-with-authority.gz");
        fs::write(&initramfs_with_authority, append_authority(&built.initramfs, &files)?)
            .context("writing an initramfs")?;
        Ok(Self {
            arch,
            kernel: built.kernel,
            initramfs: built.initramfs,
            initramfs_with_authority,
            plain,
            tls,
            image,
            blob,
            folder,
        })
    }

    /// Boots the installer with these words and a used disk.
    pub(super) fn boot(&self, case: &Case, words: &str) -> Result<Trial> {
        self.boot_with(case, words, &self.initramfs, DISK_BYTES)
    }

    /// The same, with a disk that is smaller than the image.
    pub(super) fn boot_small(&self, case: &Case, words: &str) -> Result<Trial> {
        self.boot_with(case, words, &self.initramfs, SMALL_DISK_BYTES)
    }

    /// The same, with the test's certificate authority in `/etc/ocidd/ca.d`.
    pub(super) fn boot_trusting(&self, case: &Case, words: &str) -> Result<Trial> {
        self.boot_with(case, words, &self.initramfs_with_authority, DISK_BYTES)
    }

    /// Boots from the disk that an install has left.
    pub(super) fn boot_disk(&self, case: &Case, disk: &Path) -> Result<Guest> {
        Guest::start(&Machine { arch: self.arch, boot: Boot::Disk, disk: Some(disk) }, &case.log())
    }

    fn boot_with(
        &self,
        case: &Case,
        words: &str,
        initramfs: &Path,
        disk_bytes: usize,
    ) -> Result<Trial> {
        let disk = self.folder.path().join(format!("{}.raw", case.name));
        sample::write_used_disk(&disk, disk_bytes)?;
        let boot =
            Boot::Installer { kernel: &self.kernel, initramfs, words: &format!("quiet {words}") };
        let machine = Machine { arch: self.arch, boot, disk: Some(&disk) };
        Ok(Trial { guest: Guest::start(&machine, &case.log())?, disk })
    }
}

impl Trial {
    /// Waits for a good install: the summary, the reboot, and the image on the disk.
    pub(super) fn expect_installed(mut self, lab: &Lab) -> Result<()> {
        let summary = format!("ocidd: installed {} bytes", lab.image.len());
        self.guest.expect_unless(&summary, SHELL)?;
        self.guest.expect(SUCCESS)?;
        self.guest.wait_end()?;
        sample::verify_disk(&self.disk, Expected::Installed(&lab.image))
    }

    /// Waits for a failed install: what it said, its exit code, an emergency shell that answers and reboots, and the disk's state.
    pub(super) fn expect_failed(mut self, said: &str, code: u8, disk: Expected<'_>) -> Result<()> {
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

fn push_broken(registry: &Registry, compressed: &[u8], good: &Blob) -> Result<()> {
    registry.push_manifest("os", "two-layers", &[(DISK_LAYER, good), (DISK_LAYER, good)])?;
    registry.push_disk(
        "os",
        "truncated",
        compressed.get(..compressed.len() - 9).unwrap_or_default(),
    )?;
    // A second member makes another digest; one bit of it is then turned over where the registry keeps it.
    let twice = [compressed, compressed].concat();
    let flipped = registry.push_disk("os", "flipped", &twice)?;
    let file = registry.blob_file(&flipped);
    let mut bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    if let Some(byte) = bytes.last_mut() {
        *byte ^= 1;
    }
    fs::write(&file, bytes).with_context(|| format!("damaging {}", file.display()))
}

/// An initramfs may be several archives (kernel: Documentation/driver-api/early-userspace/buffer-format.rst). One that is not compressed would
/// have to begin at a multiple of four.
fn append_authority(initramfs: &Path, files: &ServerFiles) -> Result<Vec<u8>> {
    let tree = Tree::new([(
        "etc/ocidd/ca.d/test.pem".to_owned(),
        Entry::file(0o644, files.authority.clone().into_bytes()),
    )])?;
    let mut bytes =
        fs::read(initramfs).with_context(|| format!("reading {}", initramfs.display()))?;
    bytes.extend(gzip::compress(&newc::write(&tree, 0)?)?);
    Ok(bytes)
}
