//! `cargo xtask build-kernel`: from `kernel/kernel.toml` and `KERNEL_CONFIG` to a bootable kernel in `out/`.

use crate::arch::Arch;
use crate::build::Wanted;
use crate::config;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::output;
use crate::project;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::Sources;
use anyhow::Result;
use std::path::PathBuf;

/// Build the Linux kernel
///
/// Writes out/vmlinuz-amd64 or out/vmlinuz-arm64: the kernel's own default configuration, plus what the profile lays over it and what
/// `KERNEL_CONFIG` asks for. Built once, it comes from the cache until its source, its configuration, the time it claims or the compiler changes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build-kernel
      The default kernel for this machine. Takes twenty minutes on two processors, a second from then on
  cargo xtask build-kernel --profile hw --arch all
      out/vmlinuz-amd64-hw and out/vmlinuz-arm64-hw: with the disks and network cards of real servers built in
  cargo xtask build-kernel --profile test
      out/vmlinuz-amd64-test: a small one for boot tests, built in minutes
  KERNEL_CONFIG='--enable BLK_DEV_NVME --set-val NR_CPUS 512' cargo xtask build-kernel
      With options of your own, in the words of the kernel's scripts/config
  cargo xtask build-kernel --locked --source-dir /media/usb/sources
      From the pinned tarball in that folder, without any network")]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

pub fn run(args: &Args) -> Result<()> {
    let Wanted { arch, profile, sources } = &args.wanted;
    let (archs, profile) = (arch.chosen()?, *profile);
    let config = config::read_kernel_config()?;
    let settings = Settings::read()?;
    setup::require_for(&archs, &[Need::Kernel])?;
    let sources = Sources::open(sources)?;
    for arch in archs {
        let built = kernel::build(&KernelRequest {
            arch,
            profile,
            sources: &sources,
            settings: &settings,
            config: &config,
        })?;
        let place = output_path(arch, profile);
        output::publish(&built.image, &place)?;
        report::result(place.display());
    }
    output::write_sums()
}

/// Where the kernel of a profile goes.
pub fn output_path(arch: Arch, profile: Profile) -> PathBuf {
    project::out().join(format!("vmlinuz-{}{}", arch.oci(), profile.suffix()))
}
