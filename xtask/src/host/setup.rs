//! `cargo xtask setup`: lists the tools of all subcommands and installs missing ones. Subcommands
//! call [`require`] for their own; it starts no program, so it is fast.

mod install;
mod tools;

use crate::host::arch::Arch;
use crate::host::cmd;
use crate::host::report;
use crate::host::setup::tools::TOOLS;
use crate::host::setup::tools::Tool;
use anyhow::Result;
use anyhow::bail;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// List required tools and install missing ones
///
/// Lists every program and header that subcommands use. Missing ones are installed with apt, after
/// asking; on systems without apt the package names are printed. Optional: every subcommand checks
/// for its own tools.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask setup --check
      Only list. Exits with 1 if a tool is missing
  cargo xtask setup --yes
      Install without asking. Also the default with CI=true and no terminal
  cargo xtask build --yes
      Let a subcommand install what it needs")]
pub struct Args {
    /// Install nothing; exit with 1 if a tool is missing
    #[arg(long)]
    check: bool,
}

/// What a subcommand needs on this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// The static binaries of the initramfs.
    Binaries,
    Kernel,
    /// A cross compiler for this architecture.
    Compiler(Arch),
    /// The registry server that guests install from.
    Boot,
    /// QEMU for this architecture, with UEFI firmware.
    Emulator(Arch),
    Lint,
    /// Third-party tools that the tests compare outputs with.
    Test,
    /// The pipe of standard tools that installs are compared with.
    Bench,
}

impl Need {
    fn subcommands(self) -> &'static str {
        match self {
            Self::Binaries => "build-initramfs",
            Self::Kernel => "build-kernel",
            Self::Compiler(_) => "builds for that architecture",
            Self::Boot | Self::Emulator(_) => "demo, test-boot",
            Self::Lint => "lint",
            Self::Test => "test",
            Self::Bench => "bench",
        }
    }
}

static CONSENT: AtomicBool = AtomicBool::new(false);

/// Remembers `--yes` for the rest of the run.
pub fn set_consent(yes: bool) {
    CONSENT.store(yes, Ordering::Relaxed);
}

fn consent_given() -> bool {
    CONSENT.load(Ordering::Relaxed)
}

pub fn run(args: &Args) -> Result<()> {
    let mut missing = Vec::new();
    for tool in TOOLS.iter().filter(|tool| !tool.is_for_host()) {
        let is_installed = tool.is_installed();
        let state = if is_installed { "found" } else { "missing" };
        missing.extend((!is_installed).then_some(tool));
        let needed_by: Vec<_> = tool.needs.iter().map(|need| need.subcommands()).collect();
        report::result(format_args!(
            "{state:<8} {:<38} {} ({})",
            tool.name(),
            tool.reason,
            needed_by.join(", ")
        ));
    }
    if args.check && !missing.is_empty() {
        bail!("{} missing  hint: {}", counted(&missing), install::hint(&missing));
    }
    install::install(&missing)
}

/// Installs the missing tools for `needs`, after asking.
pub fn require(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Tool> = TOOLS
        .iter()
        .filter(|tool| tool.needs.iter().any(|need| needs.contains(need)))
        .filter(|tool| !tool.is_for_host() && !tool.is_installed())
        .collect();
    for tool in &missing {
        report::step(format_args!("{} is missing: {}", tool.name(), tool.reason));
    }
    install::install(&missing)
}

/// Like [`require`], with compilers for `archs`.
pub fn require_for(archs: &[Arch], needs: &[Need]) -> Result<()> {
    let compilers = archs.iter().map(|arch| Need::Compiler(*arch));
    require(&needs.iter().copied().chain(compilers).collect::<Vec<_>>())
}

/// Whether a CI system runs this, which cannot answer questions.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// The compose program, if installed.
pub fn compose() -> Option<PathBuf> {
    tools::COMPOSE.iter().find_map(|name| cmd::find(name))
}

fn counted(missing: &[&Tool]) -> String {
    match missing.len() {
        1 => "1 tool is".to_owned(),
        count => format!("{count} tools are"),
    }
}
