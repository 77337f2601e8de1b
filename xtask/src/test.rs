//! `cargo xtask test`: all checks that a change must pass, from cheap to real. CI runs only this.

pub mod bench;
pub mod boot;
pub mod demo;
pub mod fuzz;
pub mod lint;

use std::{sync::mpsc, thread::ScopedJoinHandle};

use anyhow::{Context as _, Result, anyhow};
use xshell::cmd;

use crate::{
    build,
    build::Wanted,
    config::Profile,
    host::{
        arch::{Arch, ArchOption, Archs},
        cmd, project, report, setup,
        setup::Need,
    },
    kernel,
    sources::SourceOptions,
    test::boot::Summary,
    verify::{reprotest, twice},
};

/// Run all checks: lints, unit and integration tests, reproducibility, boots
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test --yes             run all, install missing tools\n  \
    cargo xtask test --profile test    boot the small kernel, which builds in minutes\n  \
    cargo xtask test --arch x86_64     for arm64, only check the kernel configurations\n\n\
    Single parts: cargo xtask lint, cargo test, cargo xtask test-boot."
)]
pub struct Args {
    /// Architectures to build and boot
    #[arg(long, value_enum, default_value = "all")]
    arch: Archs,
    /// Profile of kernel/kernel.toml to boot
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,
    #[command(flatten)]
    sources: SourceOptions,
}

pub fn run(args: &Args) -> Result<()> {
    let wanted = Wanted {
        arch: ArchOption { arch: Some(args.arch) },
        profile: args.profile,
        sources: args.sources.clone(),
    };
    let archs = wanted.arch.chosen()?;
    let emulators = archs.iter().map(|arch| Need::Emulator(*arch));
    let needs = [Need::Binaries, Need::Kernel, Need::Boot, Need::Lint, Need::Test];
    setup::require_for(&Arch::ALL, &needs.into_iter().chain(emulators).collect::<Vec<_>>())?;
    let mut summary = Summary::default();
    report::step("building the boot files twice, in parallel with the tests");
    run_beside(
        || build::build(&wanted).context("building the boot files").map(drop),
        || at_once(&archs, |arch| reproduce_initramfs(arch, &args.sources)),
        || {
            lint::run(&lint::Args {})?;
            check_sources(&args.sources)
        },
        || {
            report::step("boot tests");
            let wanted = wanted.clone();
            summary = boot::run_cases(&boot::Args { filter: None, built: true, wanted })?;
            Ok(())
        },
    )?;
    boot::conclude(summary)
}

/// Runs `tests` in parallel with `build`, then `boots` in parallel with `again`, to use both cores.
/// `boots` waits for `build` and is skipped if it or `tests` failed. Returns the errors of both
/// sides.
fn run_beside(
    build: impl FnOnce() -> Result<()> + Send,
    again: impl FnOnce() -> Result<()> + Send,
    tests: impl FnOnce() -> Result<()>,
    boots: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel();
    let builder = move || {
        build()?;
        sender.send(()).ok();
        again()
    };
    let (tested, rebuilt) = std::thread::scope(|scope| {
        let builder = scope.spawn(builder);
        // A failed build drops the sender.
        let tested = tests().and_then(|()| receiver.recv().map_or(Ok(()), |()| boots()));
        (tested, outcome(builder))
    });
    report::join_outcomes([tested, rebuilt])
}

/// Runs `act` for every architecture in parallel.
fn at_once(archs: &[Arch], act: impl Fn(Arch) -> Result<()> + Sync) -> Result<()> {
    let act = &act;
    report::join_outcomes(std::thread::scope(|scope| {
        let running: Vec<_> = archs.iter().map(|arch| scope.spawn(move || act(*arch))).collect();
        running.into_iter().map(outcome).collect::<Vec<_>>()
    }))
}

fn outcome(thread: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|_panic| Err(anyhow!("a thread of the tests panicked")))
}

/// The checks that need no boot files.
fn check_sources(options: &SourceOptions) -> Result<()> {
    report::step("unit and integration tests");
    let shell = project::shell()?;
    let cargo = cmd::cargo();
    // Lint has printed a warning if they are missing.
    let packages = lint::packages(&shell).unwrap_or_default();
    cmd!(shell, "{cargo} test --workspace --locked --quiet")
        .env("PYTHONPATH", packages)
        .quiet()
        .run()
        .context("running cargo test")?;
    report::step("configuring every kernel");
    kernel::check_configurations(options)
}

/// Varies a foreign architecture itself and uses reprotest for the host's: a build takes minutes,
/// and both vary nearly the same.
fn reproduce_initramfs(arch: Arch, options: &SourceOptions) -> Result<()> {
    let name = arch.oci();
    if Arch::host() == Some(arch) {
        report::step("building the initramfs again under reprotest");
        reprotest::reprotest(arch, options)?;
    } else {
        report::step(format_args!("building the initramfs for {name} again"));
        twice::check_initramfs(arch, options)?;
    }
    report::result(format_args!("test twice::{name}::initramfs_is_the_same_bytes ... ok"));
    Ok(())
}

/// Compares results with files that a reviewer has read. `UPDATE_GOLDEN=1 cargo test` rewrites them.
#[cfg(test)]
pub mod golden {
    use archive::newc::Record;

    use crate::host::{output, project};

    /// One line per record: `mode uid gid size path`.
    pub fn listing(records: &[Record]) -> String {
        let line = |record: &Record| {
            format!(
                "{:06o} {} {} {} {}\n",
                record.mode,
                record.uid,
                record.gid,
                record.content.len(),
                record.path
            )
        };
        records.iter().map(line).collect()
    }

    /// Compares `found` with `xtask/tests/golden/<name>`.
    pub fn check(name: &str, found: &str) {
        let path = project::root().join("xtask/tests/golden").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            output::write(&path, found.as_bytes()).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, golden, "{} is different; UPDATE_GOLDEN=1 rewrites it", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_after_build_and_reports_errors_of_both_sides() {
        let outcome = |fault: &str, name: &str| {
            if fault.contains(name) { Err(anyhow!("{name}")) } else { Ok(()) }
        };
        for (fault, booted, told) in [
            ("", true, ""),
            ("build", false, "build"),
            ("tests", false, "tests"),
            ("again", true, "again"),
            ("boots", true, "boots"),
            ("tests build", false, "tests\nbuild"),
            ("boots again", true, "boots\nagain"),
        ] {
            let mut has_booted = false;
            let boots = || {
                has_booted = true;
                outcome(fault, "boots")
            };
            let (build, again) = (|| outcome(fault, "build"), || outcome(fault, "again"));
            let ended = run_beside(build, again, || outcome(fault, "tests"), boots);
            assert_eq!(ended.map_or_else(|error| error.to_string(), |()| String::new()), told);
            assert_eq!(has_booted, booted, "{fault}");
        }
    }

    #[test]
    fn runs_every_architecture_and_reports_all_errors() {
        at_once(&Arch::ALL, |_| Ok(())).unwrap();
        let fault = at_once(&Arch::ALL, |arch| Err(anyhow!("{}", arch.oci()))).unwrap_err();
        assert_eq!(fault.to_string(), Arch::ALL.map(Arch::oci).join("\n"));
    }
}
