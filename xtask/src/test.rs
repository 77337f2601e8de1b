//! `cargo xtask test`: everything that must be green before a change lands, from cheap to real. CI runs this and nothing else.

use crate::arch::Arch;
use crate::arch::ArchOption;
use crate::arch::Archs;
use crate::build;
use crate::build::Wanted;
use crate::cmd;
use crate::config;
use crate::config::Profile;
use crate::kernel;
use crate::lint;
use crate::project;
use crate::pypi;
use crate::report;
use crate::reproduce;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::test_boot;
use crate::test_boot::Tally;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use std::sync::mpsc;
use xshell::Shell;
use xshell::cmd;

/// Run everything a change must pass: lints, unit and integration tests, reproducibility, boots
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test --yes             all of it, installing what is missing\n  \
    cargo xtask test --profile test    the same, booting the small kernel, which builds in minutes\n  \
    cargo xtask test --arch x86_64     nothing of arm64 but its kernels' configuration\n\n\
    Parts of it by themselves: cargo xtask lint, cargo test, cargo xtask test-boot."
)]
pub struct Args {
    /// The machines to build and boot
    #[arg(long, value_enum, default_value = "all")]
    arch: Archs,
    /// Which configuration of kernel/kernel.toml to boot
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,
    #[command(flatten)]
    sources: SourceOptions,
}

pub fn run(args: &Args) -> Result<()> {
    let wanted = Wanted {
        arch: ArchOption::from(args.arch),
        profile: args.profile,
        sources: args.sources.clone(),
    };
    let archs = wanted.arch.chosen()?;
    let emulators = archs.iter().map(|arch| Need::Emulator(*arch));
    let needs = [Need::Binaries, Need::Kernel, Need::Boot, Need::Lint, Need::Test];
    setup::require_for(&Arch::ALL, &needs.into_iter().chain(emulators).collect::<Vec<_>>())?;
    lint::run(&lint::Args {})?;
    let mut tally = Tally::default();
    // Tests and boots wait more than they compute; a build has one core to itself for most of its time.
    let (tell, built) = mpsc::channel();
    both(
        || {
            check_sources(&args.sources)?;
            // Where the build failed `tell` is dropped, and its error is the other's.
            if built.recv().is_ok() {
                report::step("boot tests");
                tally = test_boot::run_cases(&test_boot::Args::built(&wanted))?;
            }
            Ok(())
        },
        || {
            let tell = tell;
            build::build(&wanted).context("building what is to be booted")?;
            tell.send(()).ok();
            archs.iter().try_for_each(|arch| reproduce_initramfs(*arch, &args.sources))
        },
    )?;
    test_boot::conclude(tally)
}

/// Runs both at once. Both come to their end, and what failed of either is told.
fn both(one: impl FnOnce() -> Result<()>, other: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(other);
        (one(), other.join())
    });
    let other = other.unwrap_or_else(|_panic| Err(anyhow!("a part of the tests panicked")));
    match (one, other) {
        (Ok(()), Ok(())) => Ok(()),
        (one, other) => Err(config::join_errors([one.err(), other.err()])),
    }
}

/// What needs no boot files.
fn check_sources(options: &SourceOptions) -> Result<()> {
    report::step("unit and integration tests, and beside them the boot files, twice");
    let shell = Shell::new()?;
    shell.change_dir(project::root());
    let cargo = cmd::cargo();
    // Lint has told where they could not be had.
    let packages = pypi::packages(&shell).unwrap_or_default();
    cmd!(shell, "{cargo} test --workspace --locked --quiet")
        .env("PYTHONPATH", packages)
        .quiet()
        .run()
        .context("running cargo test")?;
    report::step("configuring every kernel");
    kernel::check_configurations(options)
}

/// Our own variations for a foreign architecture, Debian's for this machine's: each build costs minutes, and both tools try nearly the same.
fn reproduce_initramfs(arch: Arch, options: &SourceOptions) -> Result<()> {
    let name = arch.oci();
    if Arch::host() == Some(arch) {
        report::step("building the initramfs again under reprotest");
        report::result(reproduce::reprotest(arch, options)?);
    } else {
        report::step(format_args!("building the initramfs for {name} again"));
        reproduce::check(arch, options)?;
    }
    report::result(format_args!("test reproduce::{name}::initramfs_is_the_same_bytes ... ok"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_of_both_is_told() {
        both(|| Ok(()), || Ok(())).unwrap();
        for (one, other, told) in [
            (Err(anyhow!("a")), Ok(()), "a"),
            (Ok(()), Err(anyhow!("b")), "b"),
            (Err(anyhow!("a")), Err(anyhow!("b")), "a\nb"),
        ] {
            assert_eq!(both(|| one, || other).unwrap_err().to_string(), told);
        }
    }
}
