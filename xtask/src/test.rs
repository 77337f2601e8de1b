//! `cargo xtask test`: everything that must be green before a change lands, from cheap to real. CI runs this and nothing else.

use crate::build::Wanted;
use crate::cmd;
use crate::kernel;
use crate::lint;
use crate::project;
use crate::report;
use crate::reproduce;
use crate::setup;
use crate::setup::Need;
use crate::test_boot;
use anyhow::Context as _;
use anyhow::Result;
use xshell::Shell;
use xshell::cmd;

/// Run everything a change must pass: lints, unit and integration tests, reproducibility, boots
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test --yes             all of it, installing what is missing\n  \
    cargo xtask test --profile test    the same, booting the small kernel, which builds in minutes\n\n\
    Parts of it by themselves: cargo xtask lint, cargo test, cargo xtask test-boot."
)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

pub fn run(args: &Args) -> Result<()> {
    setup::require(&[Need::Binaries, Need::Kernel, Need::Boot, Need::Test])?;
    lint::run(&lint::Args {})?;
    report::step("unit and integration tests");
    let shell = Shell::new()?;
    shell.change_dir(project::root());
    let cargo = cmd::cargo();
    cmd!(shell, "{cargo} test --workspace --locked --quiet")
        .quiet()
        .run()
        .context("running cargo test")?;
    report::step("configuring every kernel");
    kernel::check_configurations(&args.wanted.sources)?;
    report::step("building the initramfs twice, with everything varied");
    for arch in args.wanted.arch.chosen()? {
        reproduce::check(arch, &args.wanted.sources)?;
        report::result(format_args!(
            "test reproduce::{}::initramfs_is_the_same_bytes ... ok",
            arch.oci()
        ));
    }
    report::step("boot tests");
    test_boot::run(&test_boot::Args::all(&args.wanted))
}
