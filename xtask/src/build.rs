//! `cargo xtask build` and `build-kernel`: kernel, initramfs, digests and manifest.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    config,
    config::{ImageConfig, KernelConfig, Profile, env::Settings},
    describe,
    describe::Facts,
    host::{
        arch::{Arch, ArchOption},
        output, project, report,
        report::hinted,
        setup,
        setup::Need,
    },
    initramfs, kernel,
    kernel::KernelRequest,
    sources::{SourceOptions, Sources},
};

/// Build kernel, initramfs, digests and manifest
///
/// Writes out/vmlinuz-amd64 and out/initramfs-amd64.gz (or -arm64), which boot into the installer,
/// with SHA256SUMS and manifest-amd64.json, which lists all inputs and outputs.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build --yes
      For this machine's architecture; missing packages are installed without asking
  cargo xtask build --arch all
      For x86_64 and arm64; a missing cross compiler is installed too
  cargo xtask build --profile hw
      With a kernel for server hardware: out/vmlinuz-amd64-hw
  cargo xtask build --locked
      From pinned sources only, as releases are made
  cargo xtask build --sources debian
      From Debian's archive, if kernel.org and Alpine are unreachable
  cargo xtask build --locked --source-dir /media/usb/sources
      Without network
  (cd out && sha256sum --check SHA256SUMS)
      Verify the outputs")]
pub struct Args {
    #[command(flatten)]
    pub wanted: Wanted,
}

/// Which boot files, from which sources. Shared by all subcommands that build or boot them.
#[derive(Clone, Debug, clap::Args)]
pub struct Wanted {
    #[command(flatten)]
    pub arch: ArchOption,
    /// Kernel configuration, from kernel/kernel.toml
    #[arg(long, value_enum, default_value = "default")]
    pub profile: Profile,
    #[command(flatten)]
    pub sources: SourceOptions,
}

/// The files that boot.
#[derive(Clone, Debug)]
pub struct Built {
    pub arch: Arch,
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
}

/// Build the Linux kernel
///
/// Writes out/vmlinuz-amd64 or out/vmlinuz-arm64: the kernel's default configuration, changed by
/// the profile and by `KERNEL_CONFIG`. Rebuilt only if source, configuration, timestamp or compiler
/// changed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build-kernel
      The default kernel for this machine. Takes twenty minutes on two processors, then a second
  cargo xtask build-kernel --profile hw --arch all
      out/vmlinuz-amd64-hw and out/vmlinuz-arm64-hw: with drivers of server hardware
  cargo xtask build-kernel --profile test
      out/vmlinuz-amd64-test: a small kernel for boot tests, built in minutes
  KERNEL_CONFIG='--enable BLK_DEV_NVME --set-val NR_CPUS 512' cargo xtask build-kernel
      With more options, as arguments of the kernel's scripts/config
  cargo xtask build-kernel --locked --source-dir /media/usb/sources
      From the pinned tarball in that directory, without network")]
pub struct KernelArgs {
    #[command(flatten)]
    wanted: Wanted,
}

pub fn run(args: &Args) -> Result<()> {
    for built in build(&args.wanted)? {
        report::result(built.kernel.display());
        report::result(built.initramfs.display());
    }
    Ok(())
}

pub fn run_kernel(args: &KernelArgs) -> Result<()> {
    let Wanted { arch, profile, sources } = &args.wanted;
    let (archs, profile) = (arch.chosen()?, *profile);
    let config = &config::read_kernel_config()?;
    let settings = &Settings::read()?;
    setup::require_for(&archs, &[Need::Kernel])?;
    let sources = &Sources::open(sources)?;
    for arch in archs {
        let built = kernel::build(&KernelRequest { arch, profile, sources, settings, config })?;
        let path = kernel_path(arch, profile);
        output::publish(&built.image, &path)?;
        report::result(path.display());
    }
    output::write_sums(&project::out())
}

pub fn build(wanted: &Wanted) -> Result<Vec<Built>> {
    let (archs, profile) = (wanted.arch.chosen()?, wanted.profile);
    let (image_configs, config, settings) = &read_inputs(&archs)?;
    setup::require_for(&archs, &[Need::Binaries, Need::Kernel])?;
    let sources = &Sources::open(&wanted.sources)?;
    // First, because it takes a minute and a kernel up to half an hour.
    let images = image_configs
        .iter()
        .map(|(arch, config)| initramfs::build(*arch, config, settings, sources))
        .collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for (arch, image) in archs.into_iter().zip(&images) {
        let kernel = &kernel::build(&KernelRequest { arch, profile, sources, settings, config })?;
        let path = kernel_path(arch, profile);
        output::publish(&kernel.image, &path)?;
        let outputs = &[path.clone(), image.path.clone()];
        describe::write(&Facts { arch, profile, settings, kernel, image, outputs })?;
        all.push(Built { arch, kernel: path, initramfs: image.path.clone() });
    }
    output::write_sums(&project::out())?;
    Ok(all)
}

/// Existing files in `out/`.
pub fn find(wanted: &Wanted) -> Result<Vec<Built>> {
    let find = |arch| {
        let built = Built {
            arch,
            kernel: kernel_path(arch, wanted.profile),
            initramfs: initramfs::output_path(arch),
        };
        for file in [&built.kernel, &built.initramfs] {
            if !file.is_file() {
                let fact = format!("{} not found", file.display());
                return Err(hinted(fact, "run cargo xtask build"));
            }
        }
        Ok(built)
    };
    wanted.arch.chosen()?.into_iter().map(find).collect()
}

/// The output file of a kernel.
pub fn kernel_path(arch: Arch, profile: Profile) -> PathBuf {
    project::out().join(format!("vmlinuz-{}{}", arch.oci(), profile.suffix()))
}

type Inputs = (Vec<(Arch, ImageConfig)>, KernelConfig, Settings);

/// Reads all configuration files and reports the errors of all of them.
fn read_inputs(archs: &[Arch]) -> Result<Inputs> {
    let images: Result<Vec<_>> =
        archs.iter().map(|arch| Ok((*arch, config::read_image_config(*arch)?))).collect();
    match (images, config::read_kernel_config(), Settings::read()) {
        (Ok(images), Ok(kernel), Ok(settings)) => Ok((images, kernel, settings)),
        (images, kernel, settings) => {
            let errors = [images.err(), kernel.err(), settings.err()];
            Err(report::join_errors(errors.into_iter().flatten()))
        }
    }
}
