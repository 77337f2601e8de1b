//! `cargo xtask test-boot`: boots the built files in QEMU, installs from a real registry, and
//! checks console and disk. Each case is a function or a row of a table.

mod failures;
mod good;
mod hardware;
mod lab;
mod operator;
mod relay;

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Result, bail};
use lab::{Case, Lab};

use crate::{
    build,
    build::Wanted,
    host::{report, setup, setup::Need},
};

/// Boot kernel and initramfs in QEMU and install from a real registry
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test-boot
      Every case, with the default kernel
  cargo xtask test-boot wait --profile test
      The cases whose name contains 'wait', with the small kernel
  cargo xtask test-boot --arch all --profile hw
      Every case on both architectures, and installs onto the disks and over the network cards
      of real servers

The console of each guest is logged to target/xtask/boot-MACHINE-CASE.log, which is kept if the
case failed.")]
pub struct Args {
    /// Run only the cases whose name contains this
    pub filter: Option<String>,
    /// Boot the files in out/ without building them
    #[arg(long)]
    pub built: bool,
    #[command(flatten)]
    pub wanted: Wanted,
}

/// The number of cases by outcome.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    pub passed: usize,
    pub failed: usize,
}

pub fn run(args: &Args) -> Result<()> {
    conclude(run_cases(args)?)
}

/// Prints the summary. Fails if a case failed or none passed.
pub fn conclude(summary: Summary) -> Result<()> {
    let Summary { passed, failed } = summary;
    report::result(format_args!("boot: {passed} passed, {failed} failed"));
    if failed > 0 || passed == 0 {
        bail!("{failed} boot tests failed, {passed} passed");
    }
    Ok(())
}

/// Builds the boot files if necessary and runs every case that matches the filter.
pub fn run_cases(args: &Args) -> Result<Summary> {
    let emulators = args.wanted.arch.chosen()?.into_iter().map(Need::Emulator);
    setup::require(&[Need::Boot, Need::Test].into_iter().chain(emulators).collect::<Vec<_>>())?;
    let summary = Mutex::new(Summary::default());
    let files = if args.built { build::find(&args.wanted)? } else { build::build(&args.wanted)? };
    for built in files {
        let lab = Lab::open(built, args.wanted.profile)?;
        run_in(&lab, args.filter.as_deref().unwrap_or_default(), &summary);
    }
    Ok(summary.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs two cases per core in parallel, at most eight: a guest waits more than it computes.
fn run_in(lab: &Lab, filter: &str, summary: &Mutex<Summary>) {
    let cases: Vec<Case> = good::cases(lab)
        .into_iter()
        .chain(failures::cases())
        .chain(operator::CASES)
        .chain(hardware::cases(lab))
        .filter(|case| case.name.contains(filter))
        .collect();
    let queue = Mutex::new(cases.into_iter());
    let work = || {
        while let Some(case) = queue.lock().ok().and_then(|mut queue| queue.next()) {
            let has_passed = run_case(lab, &case);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            *(if has_passed { &mut summary.passed } else { &mut summary.failed }) += 1;
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, |cores| (cores.get() * 2).min(8));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
}

fn run_case(lab: &Lab, case: &Case) -> bool {
    let start = Instant::now();
    // Each boot of a case appends to the log.
    lab.remove_logs(case);
    let outcome = (case.run)(lab, case);
    let name = format!("boot::{}::{}", lab.name(), case.name);
    let seconds = start.elapsed().as_secs();
    if let Err(error) = outcome {
        report::result(format_args!("test {name} ... FAILED ({seconds} s): {error:#}"));
        return false;
    }
    report::result(format_args!("test {name} ... ok ({seconds} s)"));
    lab.remove_logs(case);
    true
}
