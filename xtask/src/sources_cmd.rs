//! `cargo xtask sources`: what is done to the pins themselves. Builds use them through `sources`.

use crate::alpine_sample;
use crate::arch::Arch;
use crate::cache::Cache;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::update;
use anyhow::Result;

/// Work on the pins of the upstream sources
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    Update(update::Args),
    /// Make the stand-in for Alpine's archive that boot tests use, and an initramfs of it
    #[command(hide = true)]
    AlpineSample(SampleArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct SampleArgs {
    /// The machine to build for [default: this one's]
    #[arg(long)]
    arch: Option<Arch>,
}

pub fn run(args: &Args) -> Result<()> {
    match &args.verb {
        Verb::Update(args) => update::run(args),
        Verb::AlpineSample(args) => make_sample(args),
    }
}

fn make_sample(args: &SampleArgs) -> Result<()> {
    let arch = Arch::or_host(args.arch)?;
    setup::require(&[Need::Kernel, Need::Boot, Need::Compiler(arch)])?;
    let cache = Cache::open()?;
    report::result(alpine_sample::minirootfs(arch, &cache)?.display());
    report::result(alpine_sample::initramfs(arch, &cache)?.display());
    Ok(())
}
