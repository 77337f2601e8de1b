//! `cargo xtask test-boot`: boots the built files in QEMU against a real registry, and looks at console and disk. Each case is one function.

mod failures;
mod good;
mod hardware;
mod installed;
mod lab;
mod network;
mod operator;
mod relay;
mod signed;

use crate::build;
use crate::build::Wanted;
use crate::host::report;
use crate::host::setup;
use crate::host::setup::Need;
use anyhow::Result;
use anyhow::bail;
use lab::Case;
use lab::Lab;
use std::sync::Mutex;
use std::time::Instant;

/// Boot kernel and initramfs in QEMU and install from a real registry
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test-boot              every case, with the default kernel\n  \
    cargo xtask test-boot wait --profile test\n                                     the cases whose name holds 'wait', with the small kernel\n  \
    cargo xtask test-boot --arch all --profile hw\n                                     \
    every case on both architectures, and installs onto the disks and over the cards of real servers\n\n\
    The console of each guest is logged to target/xtask/boot-MACHINE-CASE.log and kept where the case failed."
)]
pub struct Args {
    /// Run only the cases whose name holds this
    filter: Option<String>,
    /// Boot the files in out/ as they are, and build nothing
    #[arg(long)]
    built: bool,
    #[command(flatten)]
    wanted: Wanted,
}

impl Args {
    /// Every case, with the files that were built before.
    pub fn built(wanted: &Wanted) -> Self {
        Self { filter: None, built: true, wanted: wanted.clone() }
    }
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
}

pub fn run(args: &Args) -> Result<()> {
    conclude(run_cases(args)?)
}

/// Tells how many cases ended how; fails where one failed.
pub fn conclude(tally: Tally) -> Result<()> {
    report::result(format_args!("boot: {} passed, {} failed", tally.passed, tally.failed));
    if tally.failed > 0 || tally.passed == 0 {
        bail!("{} boot tests failed, {} passed", tally.failed, tally.passed);
    }
    Ok(())
}

/// Builds what is to be booted where it has to, then runs every case whose name holds the filter: two at a time for each core, eight at most.
pub fn run_cases(args: &Args) -> Result<Tally> {
    let emulators = args.wanted.arch.chosen()?.into_iter().map(Need::Emulator);
    setup::require(&[Need::Boot, Need::Test].into_iter().chain(emulators).collect::<Vec<_>>())?;
    let mut total = Tally::default();
    let files = if args.built { build::find(&args.wanted)? } else { build::build(&args.wanted)? };
    for built in files {
        let lab = Lab::open(built, args.wanted.profile)?;
        let tally = run_in(&lab, args.filter.as_deref().unwrap_or_default());
        total.passed += tally.passed;
        total.failed += tally.failed;
    }
    Ok(total)
}

fn run_in(lab: &Lab, filter: &str) -> Tally {
    let cases: Vec<Case> = good::CASES
        .into_iter()
        .chain(failures::CASES)
        .chain(operator::CASES)
        .chain(signed::CASES)
        .chain(network::cases(lab))
        .chain(hardware::cases(lab))
        .filter(|case| case.name.contains(filter))
        .collect();
    let queue = Mutex::new(cases.into_iter());
    let tally = Mutex::new(Tally::default());
    // A guest waits more than it computes.
    let workers = std::thread::available_parallelism().map_or(1, |cores| (cores.get() * 2).min(8));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let passed = run_case(lab, &case);
                    if let Ok(mut tally) = tally.lock() {
                        *(if passed { &mut tally.passed } else { &mut tally.failed }) += 1;
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap_or_default()
}

fn run_case(lab: &Lab, case: &Case) -> bool {
    let start = Instant::now();
    // Each boot of a case writes behind the one before.
    lab.remove_logs(case);
    let outcome = (case.run)(lab, case);
    let name = format!("boot::{}::{}", lab.name(), case.name);
    let seconds = start.elapsed().as_secs();
    match outcome {
        Ok(()) => {
            report::result(format_args!("test {name} ... ok ({seconds} s)"));
            lab.remove_logs(case);
            true
        }
        Err(error) => {
            report::result(format_args!("test {name} ... FAILED ({seconds} s): {error:#}"));
            false
        }
    }
}
