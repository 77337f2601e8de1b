//! `cargo xtask build`: the kernel and the initramfs, and what says how they came about: digests and a manifest.

use crate::arch::Arch;
use crate::build_initramfs;
use crate::build_initramfs::chosen_arch;
use crate::build_kernel;
use crate::config;
use crate::config::ImageConfig;
use crate::config::KernelConfig;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::manifest;
use crate::manifest::Facts;
use crate::output;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Result;
use std::path::PathBuf;

/// Build kernel, initramfs, digests and manifest
///
/// Writes out/vmlinuz-amd64 and out/initramfs-amd64.gz, which together boot into the installer, and beside them SHA256SUMS and
/// manifest-amd64.json: what went in, from where, and what came out.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build --yes
      Everything for this machine's architecture; packages that are missing are installed without asking
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
    /// The machine to build for [default: this one's]
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Which configuration of kernel/kernel.toml to build
    #[arg(long, value_enum, default_value = "default")]
    pub profile: Profile,
    #[command(flatten)]
    pub sources: SourceOptions,
}

/// What boots.
#[derive(Clone, Debug)]
pub struct Built {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let built = build(&args.wanted)?;
    report::result(built.kernel.display());
    report::result(built.initramfs.display());
    Ok(())
}

/// Builds everything that is wanted, or brings it up to date.
pub fn build(wanted: &Wanted) -> Result<Built> {
    let arch = chosen_arch(wanted.arch)?;
    let (image_config, kernel_config, settings) = read_inputs(arch)?;
    setup::require(&[Need::Binaries, Need::Kernel, Need::Compiler(arch)])?;
    let sources = Sources::open(&wanted.sources)?;
    // The initramfs takes a minute and the kernel may take half an hour: what is wrong with the former shows first.
    let image = build_initramfs::build(arch, &image_config, &settings, &sources)?;
    let request = KernelRequest {
        arch,
        profile: wanted.profile,
        sources: &sources,
        settings: &settings,
        config: &kernel_config,
    };
    let kernel = kernel::build(&request)?;
    let built = Built {
        kernel: build_kernel::output_path(arch, wanted.profile),
        initramfs: image.path.clone(),
    };
    output::publish(&kernel.image, &built.kernel)?;
    let outputs = [built.kernel.clone(), built.initramfs.clone()];
    manifest::write(&Facts {
        arch,
        profile: wanted.profile,
        settings: &settings,
        kernel: &kernel,
        image: &image,
        outputs: &outputs,
    })?;
    output::write_sums()?;
    Ok(built)
}

/// Reads every file that says what to build; with faults in several of them, all are told.
fn read_inputs(arch: Arch) -> Result<(ImageConfig, KernelConfig, Settings)> {
    match (config::read_image_config(arch), config::read_kernel_config(), Settings::read()) {
        (Ok(image), Ok(kernel), Ok(settings)) => Ok((image, kernel, settings)),
        (image, kernel, settings) => {
            Err(config::join_errors([image.err(), kernel.err(), settings.err()]))
        }
    }
}
