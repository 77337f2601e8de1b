//! `cargo xtask setup`: finds what this machine lacks, tells why it is needed, and installs it where the user agrees.
//! The other subcommands call [`require`] for just what they need. Looking starts no program, so that it costs a build nothing.

mod install;
mod tool;
mod tools;

use crate::arch::Arch;
use crate::cmd;
use crate::report;
use crate::setup::install::Manager;
use crate::setup::tool::Tool;
use anyhow::Result;
use anyhow::bail;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Find what this machine lacks, and install it
///
/// Lists every program and header that some subcommand uses, and who that is. What is missing is installed through apt after asking; for other package
/// managers the exact command is printed. Subcommands look for their own needs themselves, so this one never has to be run.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask setup --check
      Only look. Exits with 1 when something is missing
  cargo xtask setup --yes
      Install without asking, as in a container. CI=true does the same where there is no terminal
  cargo xtask build --yes
      Or let a subcommand install just what it needs")]
pub struct Args {
    /// Only look, install nothing; exit with 1 when something is missing
    #[arg(long)]
    check: bool,
}

/// What a subcommand needs on this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// `git`, `cc` and the Rust targets: the static binaries of the initramfs.
    Binaries,
    /// What the kernel's build uses.
    Kernel,
    /// The C compiler for this architecture, where it is not the host's own.
    Compiler(Arch),
    /// What the menu of the kernel's options is drawn with.
    Menuconfig,
    /// The registry server that booted machines install from.
    Boot,
    /// QEMU for this architecture, with a UEFI firmware.
    Emulator(Arch),
    /// What fetches the tools that look at workflows.
    Lint,
    /// Other people's tools that the tests hold our outputs against.
    Test,
    /// The pipe of standard tools that an install is measured against.
    Bench,
}

impl Need {
    fn subcommands(self) -> &'static str {
        match self {
            Self::Binaries => "build-initramfs",
            Self::Kernel => "build-kernel",
            Self::Compiler(_) => "builds for that machine",
            Self::Menuconfig => "menuconfig",
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
    for tool in tools::TOOLS.iter().filter(|tool| !is_for_own_compiler(tool)) {
        let state = match (tool.is_there(), is_rarely_used(tool)) {
            (true, _) => "found",
            (false, true) => "absent",
            (false, false) => {
                missing.push(tool);
                "missing"
            }
        };
        let needed_by: Vec<_> = tool.needs.iter().map(|need| need.subcommands()).collect();
        report::result(format_args!(
            "{state:<8} {:<38} {} ({})",
            tool.name(),
            tool.reason,
            needed_by.join(", ")
        ));
    }
    match (missing.is_empty(), args.check) {
        (true, _) => Ok(()),
        (false, true) => bail!("{} missing  hint: {}", counted(&missing), remedy(&missing)),
        (false, false) => install::install(&missing),
    }
}

/// Checks for what `needs` name, and installs what is missing after asking.
pub fn require(needs: &[Need]) -> Result<()> {
    let is_needed = |tool: &Tool| {
        tool.needs.iter().any(|need| needs.contains(need)) && !is_for_own_compiler(tool)
    };
    let missing: Vec<&Tool> =
        tools::TOOLS.iter().filter(|tool| is_needed(tool) && !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for tool in &missing {
        report::step(format_args!("{} is missing: {}", tool.name(), tool.reason));
    }
    install::install(&missing)
}

/// The same for what `needs` name, and compilers for `archs`.
pub fn require_for(archs: &[Arch], needs: &[Need]) -> Result<()> {
    let compilers = archs.iter().map(|arch| Need::Compiler(*arch));
    require(&needs.iter().copied().chain(compilers).collect::<Vec<_>>())
}

/// Whether a CI system runs this, and nobody is there to ask.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// What reads `compose.yaml`, where this machine has it.
pub fn compose() -> Option<PathBuf> {
    tools::COMPOSE.iter().find_map(|name| cmd::find(name))
}

/// Whether a cross compiler builds for this very machine, which needs none.
fn is_for_own_compiler(tool: &Tool) -> bool {
    tool.needs
        .iter()
        .any(|need| matches!(need, Need::Compiler(arch) if Arch::host() == Some(*arch)))
}

/// Whether only a subcommand uses it that most people never call. It asks for it by itself.
fn is_rarely_used(tool: &Tool) -> bool {
    tool.needs.iter().all(|need| *need == Need::Menuconfig)
}

fn counted(missing: &[&Tool]) -> String {
    match missing.len() {
        1 => "1 tool is".to_owned(),
        count => format!("{count} tools are"),
    }
}

/// The command that would install them.
fn remedy(missing: &[&Tool]) -> String {
    Manager::of_host().map_or_else(|| install::by_hand(missing), |manager| manager.command(missing))
}
