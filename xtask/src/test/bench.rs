//! `cargo xtask bench`: compares an install with a pipe of standard tools, from a registry on
//! loopback.

use std::{
    collections::BTreeSet,
    fs,
    fs::{File, Permissions},
    io,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, write::GzEncoder};
use walkdir::WalkDir;
use xshell::{Shell, cmd};

use crate::{
    host::{arch::Arch, report, setup, setup::Need},
    initramfs::{binaries, toolchain},
    testbed::registry::{Registry, Serve},
};

/// Files begin at multiples of this, like on a file system.
const BLOCK: usize = 4096;
/// Half of each extent is data, half is free space.
const EXTENT: usize = 64 << 20;

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
    let registry = Registry::start(Serve::Plain)?;
    let digest = registry.push_disk("bench:1", &compressed_image(size)?)?;
    let (host, ocidd) = (registry.local(), ocidd.display());
    // The second is the pipe of the original installer's shell script.
    let scripts = |target: &Path| {
        let target = target.display();
        [
            format!("exec {ocidd} oci.tag={host}/bench:1 oci.allow_no_tls dd.of={target}"),
            format!(
                "curl -fsS http://{host}/v2/bench/blobs/{digest} | busybox gunzip -c | busybox dd \
                 of={target} bs=64k conv=fsync,notrunc"
            ),
        ]
    };

    let file = folder.path().join("disk.raw");
    create_target(&file, size)?;
    compare("a file", args.runs, &scripts(&file))?;
    match LoopDevice::over(Path::new("/dev/shm/ocidd-bench.raw"), size) {
        Ok(device) => compare("a loop device over memory", args.runs, &scripts(&device.path))?,
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

/// A gzip-compressed image of `size` bytes, half zeroes, half files of /usr.
fn compressed_image(size: usize) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    let mut files = WalkDir::new("/usr").sort_by_file_name().into_iter().flatten();
    let mut done = 0;
    while done < size {
        let extent = EXTENT.min(size - done);
        let mut data = Vec::with_capacity(extent);
        while data.len() < extent / 2
            && let Some(entry) = files.find(|entry| entry.file_type().is_file())
        {
            let room = u64::try_from(extent / 2 - data.len())?;
            match File::open(entry.path()).and_then(|file| file.take(room).read_to_end(&mut data)) {
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                    let path = entry.path().display();
                    return Err(error).with_context(|| format!("reading {path}"));
                }
                Ok(_) | Err(_) => data.resize(data.len().next_multiple_of(BLOCK), 0),
            }
        }
        data.resize(extent, 0);
        encoder.write_all(&data).context("compressing a disk image")?;
        done += extent;
    }
    encoder.finish().context("compressing a disk image")
}

/// Runs both scripts in turn and prints medians and ratios.
fn compare(target: &str, runs: usize, scripts: &[String; 2]) -> Result<()> {
    let mut measured = [Vec::new(), Vec::new()];
    let progress = report::progress_line();
    for run in 0..=runs {
        progress.0.set_message(format!("{target}: run {run} of {runs}"));
        for (script, measured) in scripts.iter().zip(&mut measured) {
            let figures = measure(script)?;
            if run > 0 {
                measured.push(figures);
            }
        }
    }
    drop(progress);
    report::result(format_args!("onto {target}, medians of {runs} runs:"));
    let [ours, pipe] = measured.map(|figures| median(&figures));
    for (name, figures) in [("ocidd", ours), ("curl | busybox gunzip | busybox dd", pipe)] {
        let [user, system, wall, peak_kib] = figures;
        report::result(format_args!(
            "  {name:<38} user {user:6.2} s  system {system:6.2} s  wall {wall:6.2} s  \
             peak {:6.1} MiB",
            peak_kib / 1024.0
        ));
    }
    report::result(format_args!(
        "  the pipe needs {:.1} times the CPU time and {:.1} times the wall time",
        (pipe[0] + pipe[1]) / (ours[0] + ours[1]),
        pipe[2] / ours[2]
    ));
    Ok(())
}

/// User, system and wall time in seconds, and the peak memory of the largest process in KiB.
type Figures = [f64; 4];

/// Runs a script under GNU time. Fails with its standard error if it fails.
fn measure(script: &str) -> Result<Figures> {
    let shell = Shell::new()?;
    let file = tempfile::NamedTempFile::new().context("creating a file for GNU time")?;
    let path = file.path();
    let timed = cmd!(shell, "time --format=%U,%S,%e,%M --output={path} sh -c {script}");
    let output = timed.quiet().ignore_status().output().context("running GNU time")?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{script}` ended with {}: {}", output.status, stderr.trim());
    }
    let text = shell.read_file(path)?;
    let figures: Result<Vec<f64>, _> = text.trim().split(',').map(str::parse).collect();
    let figures = figures.ok().and_then(|figures| figures.try_into().ok());
    figures.with_context(|| format!("reading '{}' from GNU time", text.trim()))
}

/// The median of each figure.
fn median(runs: &[Figures]) -> Figures {
    std::array::from_fn(|index| {
        let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(index).copied()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    })
}

/// A loop device; dropping it detaches it and removes its file.
#[derive(Debug)]
struct LoopDevice {
    path: PathBuf,
    file: PathBuf,
}

impl LoopDevice {
    fn over(file: &Path, size: usize) -> Result<Self> {
        create_target(file, size)?;
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
fn create_target(file: &Path, size: usize) -> Result<()> {
    let creating = || format!("creating {}", file.display());
    let target = File::create(file).with_context(creating)?;
    let length = u64::try_from(size)?;
    rustix::fs::fallocate(&target, rustix::fs::FallocateFlags::empty(), 0, length)
        .with_context(creating)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::cmd;

    /// `cargo xtask setup` installs GNU time.
    #[test]
    fn measures_script_and_reports_its_errors() {
        if cmd::find("time").is_none() {
            return;
        }
        let [user, system, wall, peak_kib] = measure("sleep 0.1; echo ignored").unwrap();
        assert!(user + system < wall && wall >= 0.1 && peak_kib > 100.0);
        let error = measure("echo reason >&2; exit 3").unwrap_err().to_string();
        assert!(error.contains("exit status: 3: reason"), "{error}");
    }

    #[test]
    fn takes_median_of_each_figure() {
        let runs = [[1.0, 9.0, 0.0, 4.0], [3.0, 7.0, 0.0, 5.0], [2.0, 8.0, 0.0, 6.0]];
        assert_eq!(median(&runs).map(|figure| figure.to_string()), ["2", "8", "0", "5"]);
    }
}
