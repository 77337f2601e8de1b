//! `cargo xtask bench`: compares an install with a pipe of standard tools, from a registry on
//! loopback.

mod image;
mod meter;

use crate::host::arch::Arch;
use crate::host::report;
use crate::host::setup;
use crate::host::setup::Need;
use crate::initramfs::binaries;
use crate::initramfs::toolchain;
use crate::testbed::registry::Registry;
use crate::testbed::registry::Serve;
use anyhow::Context as _;
use anyhow::Result;
use meter::Figures;
use std::collections::BTreeSet;
use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use xshell::Cmd;
use xshell::Shell;
use xshell::cmd;

/// Measure an install against `curl | busybox gunzip | busybox dd`
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench --runs 9 --size-mib 512\n\n\
    Half of the image is zeroes, half are files of /usr. The loop device, which needs
    root and a RAM file system at /dev/shm, is skipped if it is not available."
)]
pub struct Args {
    /// Measured runs of each command, after a warm-up run
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Size of the disk image
    #[arg(long, default_value_t = 2048)]
    size_mib: usize,
}

pub fn run(args: &Args) -> Result<()> {
    setup::require(&[Need::Binaries, Need::Boot, Need::Bench])?;
    let arch = Arch::host().context("this machine's architecture is not supported")?;
    let folder = tempfile::tempdir().context("creating a directory for targets")?;
    let ocidd = folder.path().join("ocidd");
    install_binary(arch, &ocidd)?;
    let size = args.size_mib << 20;
    report::step(format_args!("creating a disk image of {} MiB", args.size_mib));
    let compressed = image::compressed(Path::new("/usr"), size)?;
    let registry = Registry::start(Serve::Plain)?;
    let blob = registry.push_disk("bench", "1", &compressed)?;
    drop(compressed);

    let file = folder.path().join("disk.raw");
    make_target(&file, size)?;
    let contest =
        Contest { ocidd: &ocidd, registry: &registry, digest: &blob.digest, runs: args.runs };
    contest.run("a file", &file)?;
    let memory_file = Path::new("/dev/shm/ocidd-bench.raw");
    match LoopDevice::over(memory_file, size) {
        Ok(device) => contest.run("a loop device over memory", &device.path)?,
        Err(error) => report::warn(format_args!("no loop device: {error:#}")),
    }
    Ok(())
}

/// Writes the installer of the initramfs to `path`.
fn install_binary(arch: Arch, path: &Path) -> Result<()> {
    let programs = binaries::build(&BTreeSet::from(["ocidd"]), arch, &toolchain::select(arch)?)?;
    let bytes = programs.get("ocidd").context("cargo built no ocidd")?;
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}

/// Two ways to write an image to a disk.
#[derive(Debug)]
struct Contest<'a> {
    ocidd: &'a Path,
    registry: &'a Registry,
    digest: &'a str,
    runs: usize,
}

impl Contest<'_> {
    /// Runs both in turn, and prints medians and ratios.
    fn run(&self, name: &str, target: &Path) -> Result<()> {
        let shell = Shell::new()?;
        let (mut ours, mut pipes) = (Vec::new(), Vec::new());
        for run in 0..=self.runs {
            report::live(format_args!("{name}: run {run} of {}", self.runs));
            let figures = (
                meter::measure(self.ocidd(&shell, target))?,
                meter::measure(self.pipe(&shell, target))?,
            );
            if run > 0 {
                ours.push(figures.0);
                pipes.push(figures.1);
            }
        }
        report::live_end();
        let (ours, pipe) = (Figures::median(&ours), Figures::median(&pipes));
        report::result(format_args!("onto {name}, medians of {} runs:", self.runs));
        report::result(format_args!("  ocidd                                  {ours}"));
        report::result(format_args!("  curl | busybox gunzip | busybox dd     {pipe}"));
        report::result(format_args!(
            "  the pipe needs {:.1} times the CPU time and {:.1} times the wall time",
            pipe.cpu() / ours.cpu(),
            pipe.wall / ours.wall
        ));
        Ok(())
    }

    fn ocidd<'s>(&self, shell: &'s Shell, target: &Path) -> Cmd<'s> {
        let ocidd = self.ocidd;
        let (tag, of) = (
            format!("oci.tag={}/bench:1", self.registry.local()),
            format!("dd.of={}", target.display()),
        );
        cmd!(shell, "{ocidd} {tag} oci.allow_no_tls {of}")
    }

    /// The pipe of the original installer's shell script.
    fn pipe<'s>(&self, shell: &'s Shell, target: &Path) -> Cmd<'s> {
        let (registry, digest, target) = (self.registry.local(), self.digest, target.display());
        let script = format!(
            "curl -fsS http://{registry}/v2/bench/blobs/{digest} | busybox gunzip -c | busybox dd \
             of={target} bs=64k conv=fsync,notrunc"
        );
        cmd!(shell, "sh -c {script}")
    }
}

/// A loop device; dropping it detaches it and removes its file.
#[derive(Debug)]
struct LoopDevice {
    path: PathBuf,
    file: PathBuf,
}

impl LoopDevice {
    fn over(file: &Path, size: usize) -> Result<Self> {
        make_target(file, size)?;
        let shell = Shell::new()?;
        let attached = cmd!(shell, "losetup --find --show {file}")
            .quiet()
            .ignore_stderr()
            .read()
            .context("attaching a loop device");
        let path = attached.inspect_err(|_| fs::remove_file(file).unwrap_or_default())?;
        Ok(Self { path: path.into(), file: file.to_owned() })
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // Drop cannot return an error. `losetup --list` shows a leftover device.
        if let Ok(shell) = Shell::new() {
            let path = &self.path;
            cmd!(shell, "losetup --detach {path}").quiet().run().ok();
        }
        fs::remove_file(&self.file).ok();
    }
}

/// Creates a file of `size` bytes with all blocks allocated.
fn make_target(file: &Path, size: usize) -> Result<()> {
    let doing = || format!("creating {}", file.display());
    let target = fs::File::create(file).with_context(doing)?;
    let length = u64::try_from(size)?;
    rustix::fs::fallocate(&target, rustix::fs::FallocateFlags::empty(), 0, length)
        .with_context(doing)
}
