//! `cargo xtask verify`: builds twice under varied conditions, or rebuilds a published set.

mod against;
mod conditions;
mod difference;
pub mod fetch;
mod kernel;
mod project_copy;
pub mod published;
pub mod reprotest;
pub mod twice;

use anyhow::{Context as _, Result};

use crate::{
    config,
    config::{Profile, env::Settings},
    host::{
        arch::{Arch, ArchOption},
        report, setup,
        setup::Need,
    },
    kernel::KernelRequest,
    sources::{SourceOptions, Sources},
    verify::kernel::First,
};

/// Build twice and compare, or rebuild a published set and compare
///
/// The second build has other paths, user, host name, umask, locale, time zone, number of jobs,
/// date and environment variables. If a byte differs, the command fails, names the first
/// difference, keeps both files in target/xtask and runs `diffoscope` on them if it is installed.
/// With --against, it rebuilds a published set with the times and options of its manifest.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask verify
      Verify the initramfs for this machine's architecture
  cargo xtask verify --kernel --arch all
      Verify the kernels of both architectures too; each is built again completely
  cargo xtask verify --reprotest
      Use the variations of Debian's reprotest
  cargo xtask verify --against /media/usb/out
      Compare with a directory
  cargo xtask verify --against https://boot.example/ocidd --locked
      Compare with the files of a boot server
  cargo xtask verify --against oci://registry.example/ocidd:1.0
      Compare with a set in a registry")]
pub struct Args {
    #[command(flatten)]
    arch: ArchOption,
    /// Profile of kernel/kernel.toml
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,
    /// Verify the kernel too
    #[arg(long)]
    kernel: bool,
    /// Do not use kernels from the cache
    #[arg(long = "anew")]
    rebuild: bool,
    /// Build the second initramfs under Debian's reprotest, with its variations
    #[arg(long, conflicts_with_all = ["rebuild", "against", "kernel"])]
    reprotest: bool,
    /// Compare with a published set: a directory, a URL or `oci://REGISTRY/REPOSITORY:TAG`
    #[arg(long, value_name = "SET", conflicts_with = "kernel")]
    against: Option<String>,
    #[command(flatten)]
    sources: SourceOptions,
}

pub fn run(args: &Args) -> Result<()> {
    let archs = args.arch.chosen()?;
    if let Some(from) = &args.against {
        let set = fetch::open(from, &archs)?;
        return archs.iter().try_for_each(|arch| against(args, *arch, &set));
    }
    archs.iter().try_for_each(|arch| twice(args, *arch))
}

fn twice(args: &Args, arch: Arch) -> Result<()> {
    if args.reprotest {
        reprotest::reprotest(arch, &args.sources)?;
    } else {
        twice::check_initramfs(arch, &args.sources)?;
    }
    report::result(format_args!("initramfs for {arch}: the same bytes"));
    if !args.kernel {
        return Ok(());
    }
    setup::require(&[Need::Kernel, Need::Compiler(arch), Need::Test])?;
    let (settings, profile) = (&Settings::read()?, args.profile);
    let (config, sources) = (&config::read_kernel_config()?, &Sources::open(&args.sources)?);
    let request = KernelRequest { arch, profile, sources, settings, config };
    let first = if args.rebuild { First::Rebuilt } else { First::Cached };
    kernel::check_kernel(&request, first)?;
    report::result(format_args!("kernel for {arch}, profile {profile}: the same bytes"));
    Ok(())
}

/// Rebuilds the files of a set for `arch`.
fn against(args: &Args, arch: Arch, set: &fetch::Set) -> Result<()> {
    let profile = args.profile;
    let published = set.published(arch, profile)?;
    let settings = &published.settings;
    setup::require(&[Need::Binaries, Need::Kernel, Need::Compiler(arch)])?;
    let chosen = args.sources.sources.or(Some(published.set));
    let options = SourceOptions { sources: chosen, ..args.sources.clone() };
    let (config, sources) = (&config::read_kernel_config()?, &Sources::open(&options)?);
    let request = KernelRequest { arch, profile, sources, settings, config };
    let first = if args.rebuild { First::Rebuilt } else { First::Cached };
    let inputs = || against::own_inputs(&request, published.inputs.files.keys());
    let build = |name: &str| {
        if name.starts_with(against::INITRAMFS) {
            twice::rebuilt_initramfs(arch, settings, &options)
        } else {
            kernel::image(&request, first)
        }
    };
    against::compare(set, &published, inputs, build, difference::keep)
        .with_context(|| format!("comparing with {}", set.name))?;
    report::result(format_args!("{} for {arch}: rebuilt with the same bytes", set.name));
    Ok(())
}
