//! `cargo xtask verify`: builds twice under varied conditions, or rebuilds a published set.

mod against;
mod conditions;
mod difference;
mod files;
mod kernel;
mod project_copy;
mod publication;
mod published;
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
    publish::Connection,
    sources::{SourceOptions, Sources},
    verify::{
        against::{Checkout, Request, Set},
        files::Files,
        kernel::First,
        publication::Publication,
    },
};

/// Build twice and compare, or rebuild a published set and compare
///
/// The second build has other paths, user, host name, umask, locale, time zone, number of jobs,
/// date and environment variables. If a byte differs, the command fails, names the first
/// difference, keeps both files in target/xtask and runs `diffoscope` on them if it is installed.
/// With --against, it rebuilds all of a published set from this checkout: boot files, manifests,
/// SBOM, provenance, and in a registry every form of them. It exits with 0 only if every byte is
/// equal, and prints the verified digests, times and options, and what it did not verify.
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
  cargo xtask verify --against oci://registry.example/ocidd:1.0 --arch all
      Compare with everything that was published in a registry
  cargo xtask verify --against /media/usb/out --anew
      Build the kernel too, instead of taking it from this machine's cache")]
pub struct Args {
    #[command(flatten)]
    arch: ArchOption,
    /// Profile of kernel/kernel.toml
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,
    /// Verify the kernel too
    #[arg(long)]
    kernel: bool,
    /// Build kernels again instead of taking those that this machine's cache stores for the inputs
    #[arg(long = "anew")]
    rebuild: bool,
    /// Build the second initramfs under Debian's reprotest, with its variations
    #[arg(long, conflicts_with_all = ["rebuild", "against", "kernel"])]
    reprotest: bool,
    #[command(flatten)]
    published: PublishedArgs,
    #[command(flatten)]
    sources: SourceOptions,
}

/// The set to compare with.
#[derive(Clone, Debug, clap::Args)]
struct PublishedArgs {
    /// Compare with a published set: a directory, a URL or `oci://REGISTRY/REPOSITORY:TAG`
    #[arg(long, value_name = "SET", conflicts_with = "kernel")]
    against: Option<String>,
    /// Build with the times and kernel options in the published manifests, not this checkout's
    #[arg(long, requires = "against")]
    with_published_options: bool,
    /// The URL that the set was published with (`publish --source`)
    #[arg(long, value_name = "URL", requires = "against")]
    source: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    fn first(&self) -> First {
        if self.rebuild { First::Rebuilt } else { First::Cached }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let archs = args.arch.chosen()?;
    if let Some(from) = &args.published.against {
        return against(args, &archs, from);
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
    kernel::check_kernel(&request, args.first())?;
    report::result(format_args!("kernel for {arch}, profile {profile}: the same bytes"));
    Ok(())
}

/// Rebuilds the set at `from`: `oci://…`, `https://…` or a directory.
fn against(args: &Args, archs: &[Arch], from: &str) -> Result<()> {
    let (profile, published) = (args.profile, &args.published);
    let set: Box<dyn Set> = match from.strip_prefix("oci://") {
        Some(reference) => {
            let session = published.connection.session();
            Box::new(Publication::open(reference, profile, session, published.source.clone())?)
        }
        None => Box::new(Files::open(from)?),
    };
    setup::require_for(archs, &[Need::Binaries, Need::Kernel])?;
    let own = (!published.with_published_options).then(Settings::read).transpose()?;
    let (config, sources) = (config::read_kernel_config()?, Sources::open(&args.sources)?);
    let (options, first) = (&args.sources, args.first());
    let checkout = Checkout { profile, options, sources, config, first };
    let out = tempfile::tempdir().context("creating a directory for a build")?;
    let request = Request { archs, profile, settings: own.as_ref(), out: out.path() };
    let lines = against::compare(set.as_ref(), &request, &checkout)
        .with_context(|| format!("comparing with {from}"))?;
    report::result(lines.join("\n"));
    report::result(format_args!("{from}: rebuilt with the same bytes"));
    Ok(())
}
