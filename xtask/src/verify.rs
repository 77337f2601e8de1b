//! `cargo xtask verify`: whether this checkout gives the same bytes whatever surrounds the build, and whether it gives the bytes that somebody published.

mod against;
pub mod fetch;
mod inputs;
pub mod published;

use crate::arch::Arch;
use crate::arch::ArchOption;
use crate::config;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel::KernelRequest;
use crate::report;
use crate::reproduce;
use crate::reproduce::First;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;

/// Build twice and compare, or rebuild what somebody published
///
/// The second build differs from the first in everything that must not matter: folders, user, host name, umask, locale, time zone, number of
/// jobs, day, the caller's variables. Where one byte differs it fails, names the entry, section or part, and keeps both files in target/xtask.
/// With --against it compares what this checkout gives with a published set, whose manifest says which times and options to build with.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask verify
      The initramfs, for this machine's architecture
  cargo xtask verify --kernel --arch all
      The kernels too, of both architectures; each is built again from nothing
  cargo xtask verify --kernel --anew --profile test
      Build both kernels for this, to learn which object file differs first
  cargo xtask verify --reprotest --kernel --profile test
      With the variations of Debian's reprotest
  cargo xtask verify --against /media/usb/out
      What somebody brought, in a folder
  cargo xtask verify --against https://boot.example/ocidd --locked
      What a boot server serves
  cargo xtask verify --against oci://registry.example/ocidd:1.0
      What was published in a registry")]
pub struct Args {
    #[command(flatten)]
    arch: ArchOption,
    /// Which configuration of kernel/kernel.toml
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,
    /// Verify the kernel too
    #[arg(long)]
    kernel: bool,
    /// Take no kernel from the cache
    #[arg(long)]
    anew: bool,
    /// Let Debian's reprotest make the second build, with its variations
    #[arg(long, conflicts_with_all = ["anew", "against"])]
    reprotest: bool,
    /// Compare with a published set: a folder as out/, its URL, or `oci://REGISTRY/REPOSITORY:TAG`
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

/// Builds twice.
fn twice(args: &Args, arch: Arch) -> Result<()> {
    if args.reprotest {
        report::result(reproduce::reprotest(arch, &args.sources)?);
    } else {
        reproduce::check(arch, &args.sources)?;
    }
    report::result(format_args!("initramfs for {arch}: the same bytes"));
    if !args.kernel {
        return Ok(());
    }
    setup::require(&[Need::Kernel, Need::Compiler(arch), Need::Test])?;
    let (config, settings) = (config::read_kernel_config()?, Settings::read()?);
    let sources = Sources::open(&args.sources)?;
    let request = KernelRequest {
        arch,
        profile: args.profile,
        sources: &sources,
        settings: &settings,
        config: &config,
    };
    if args.reprotest {
        report::result(reproduce::reprotest_kernel(&request, &args.sources)?);
    } else {
        let first = if args.anew { First::Anew } else { First::Ordinary };
        reproduce::check_kernel(&request, first)?;
    }
    report::result(format_args!("kernel for {arch}, profile {}: the same bytes", args.profile));
    Ok(())
}

/// Rebuilds what a set holds for `arch`.
fn against(args: &Args, arch: Arch, set: &fetch::Set) -> Result<()> {
    let published = set.published(arch, args.profile)?;
    setup::require(&[Need::Binaries, Need::Kernel, Need::Compiler(arch)])?;
    let rebuild = inputs::Rebuild {
        arch,
        profile: args.profile,
        settings: published.settings.clone(),
        options: SourceOptions {
            sources: args.sources.sources.or(Some(published.set)),
            ..args.sources.clone()
        },
        anew: args.anew,
    };
    let mismatch = against::compare(set, &published, &rebuild)
        .with_context(|| format!("comparing with {}", set.name()))?;
    if let Some(mismatch) = mismatch {
        let kept = reproduce::keep(&mismatch.name, &mismatch.ours, &mismatch.theirs)?;
        bail!("{}; {kept}", mismatch.told);
    }
    report::result(format_args!("{} for {arch}: this checkout gives the same bytes", set.name()));
    Ok(())
}
