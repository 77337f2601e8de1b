//! `cargo xtask build`: the kernel and the initramfs, and what says how they came about: digests and a manifest.

use crate::arch::Arch;
use crate::arch::ArchOption;
use crate::build_initramfs;
use crate::build_kernel;
use crate::config;
use crate::config::ImageConfig;
use crate::config::KernelConfig;
use crate::config::Profile;
use crate::describe;
use crate::describe::Facts;
use crate::env::Settings;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::output;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Result;
use anyhow::bail;
use std::path::PathBuf;

/// Build kernel, initramfs, digests and manifest
///
/// Writes out/vmlinuz-amd64 and out/initramfs-amd64.gz (or -arm64), which together boot into the installer, and beside them SHA256SUMS
/// and manifest-amd64.json: what went in, from where, and what came out.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build --yes
      Everything for this machine's architecture; packages that are missing are installed without asking
  cargo xtask build --arch all
      For x86_64 and arm64; what is missing to compile for the other is installed too
  cargo xtask build --profile hw
      With a kernel that has the disks and network cards of real servers: out/vmlinuz-amd64-hw
  cargo xtask build --locked
      From pinned sources only, as releases are made
  cargo xtask build --sources debian
      From Debian's archive, where kernel.org and Alpine cannot be reached
  cargo xtask build --locked --source-dir /media/usb/sources
      Without any network
  (cd out && sha256sum --check SHA256SUMS)
      Check what lies there")]
pub struct Args {
    #[command(flatten)]
    pub wanted: Wanted,
}

/// Which boot files, and from which sources; the same flags for all that build or boot them.
#[derive(Clone, Debug, clap::Args)]
pub struct Wanted {
    #[command(flatten)]
    pub arch: ArchOption,
    /// Which configuration of kernel/kernel.toml to build
    #[arg(long, value_enum, default_value = "default")]
    pub profile: Profile,
    #[command(flatten)]
    pub sources: SourceOptions,
}

/// What boots.
#[derive(Clone, Debug)]
pub struct Built {
    pub arch: Arch,
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    for built in build(&args.wanted)? {
        report::result(built.kernel.display());
        report::result(built.initramfs.display());
    }
    Ok(())
}

/// Builds everything that is wanted, or brings it up to date; an entry for each architecture.
pub fn build(wanted: &Wanted) -> Result<Vec<Built>> {
    let archs = wanted.arch.chosen()?;
    let (image_configs, kernel_config, settings) = read_inputs(&archs)?;
    setup::require_for(&archs, &[Need::Binaries, Need::Kernel])?;
    let sources = Sources::open(&wanted.sources)?;
    // An initramfs takes a minute and a kernel may take half an hour: what is wrong with the former shows first.
    let images = image_configs
        .iter()
        .map(|(arch, config)| build_initramfs::build(*arch, config, &settings, &sources))
        .collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for (arch, image) in archs.into_iter().zip(&images) {
        let kernel = kernel::build(&KernelRequest {
            arch,
            profile: wanted.profile,
            sources: &sources,
            settings: &settings,
            config: &kernel_config,
        })?;
        let built = Built {
            arch,
            kernel: build_kernel::output_path(arch, wanted.profile),
            initramfs: image.path.clone(),
        };
        output::publish(&kernel.image, &built.kernel)?;
        let outputs = [built.kernel.clone(), built.initramfs.clone()];
        describe::write(&Facts {
            arch,
            profile: wanted.profile,
            settings: &settings,
            kernel: &kernel,
            image,
            outputs: &outputs,
        })?;
        all.push(built);
    }
    output::write_sums()?;
    Ok(all)
}

/// What earlier builds left, or what was brought from elsewhere.
pub fn find(wanted: &Wanted) -> Result<Vec<Built>> {
    let find = |arch| {
        let built = Built {
            arch,
            kernel: build_kernel::output_path(arch, wanted.profile),
            initramfs: build_initramfs::output_path(arch),
        };
        for file in [&built.kernel, &built.initramfs] {
            if !file.is_file() {
                bail!("{} is not there  hint: build it by cargo xtask build", file.display());
            }
        }
        Ok(built)
    };
    wanted.arch.chosen()?.into_iter().map(find).collect()
}

type Inputs = (Vec<(Arch, ImageConfig)>, KernelConfig, Settings);

/// Reads every file that says what to build; with faults in several of them, all are told.
fn read_inputs(archs: &[Arch]) -> Result<Inputs> {
    let images: Result<Vec<_>> =
        archs.iter().map(|arch| Ok((*arch, config::read_image_config(*arch)?))).collect();
    match (images, config::read_kernel_config(), Settings::read()) {
        (Ok(images), Ok(kernel), Ok(settings)) => Ok((images, kernel, settings)),
        (images, kernel, settings) => {
            Err(config::join_errors([images.err(), kernel.err(), settings.err()]))
        }
    }
}
