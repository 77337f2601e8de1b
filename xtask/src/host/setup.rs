//! `cargo xtask setup`: lists the tools of all subcommands and installs missing ones. Subcommands
//! call [`require`] for their own; it starts no program, so it is fast.

mod tools;

use std::{
    collections::BTreeSet,
    io::IsTerminal as _,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, bail};
use xshell::Shell;

use crate::host::{
    arch::Arch,
    cmd, report,
    report::hinted,
    setup::tools::{COMPOSE, TOOLS, Tool},
};

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

/// `--yes`, for the whole run.
pub static CONSENT: AtomicBool = AtomicBool::new(false);

pub fn run(args: &Args) -> Result<()> {
    let mut missing = Vec::new();
    for tool in TOOLS.iter().filter(|tool| !tool.is_for_host()) {
        let Tool { name, reason, needs, .. } = tool;
        let is_installed = tool.is_installed();
        let state = if is_installed { "found" } else { "missing" };
        missing.extend((!is_installed).then_some(tool));
        let needed_by: Vec<_> = needs.iter().map(|need| need.subcommands()).collect();
        let needed_by = needed_by.join(", ");
        report::result(format_args!("{state:<8} {name:<38} {reason} ({needed_by})"));
    }
    install(&missing, args.check)
}

/// Installs the missing tools for `needs`, after asking.
pub fn require(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Tool> = TOOLS
        .iter()
        .filter(|tool| tool.needs.iter().any(|need| needs.contains(need)))
        .filter(|tool| !tool.is_for_host() && !tool.is_installed())
        .collect();
    for tool in &missing {
        report::step(format_args!("{} is missing: {}", tool.name, tool.reason));
    }
    install(&missing, false)
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
    COMPOSE.split(" or ").find_map(cmd::find)
}

const INSTALL: &str = "apt-get install --yes --no-install-recommends";

/// Installs the packages of `missing` if the user agrees and this is not only a check. Otherwise
/// fails with the command to run.
fn install(missing: &[&Tool], is_check: bool) -> Result<()> {
    let fact = match missing.len() {
        0 => return Ok(()),
        1 => "1 tool is missing".to_owned(),
        count => format!("{count} tools are missing"),
    };
    let packages = packages(missing).into_iter().collect::<Vec<_>>().join(" ");
    if cmd::find("apt-get").is_none() {
        let hint = format!("install what Debian has in these packages: {packages}");
        return Err(hinted(fact, hint));
    }
    let is_root = rustix::process::geteuid().is_root();
    let sudo = if !is_root && cmd::find("sudo").is_some() { "sudo " } else { "" };
    let command = format!("{sudo}{INSTALL} {packages}");
    if !is_root && sudo.is_empty() {
        return Err(hinted(fact, format!("as root, run `{command}`")));
    }
    if is_check || !is_allowed(&command) {
        return Err(hinted(fact, format!("run `{command}`, or pass --yes to install")));
    }
    run_apt(sudo, &command)?;
    let still: Vec<_> =
        missing.iter().filter(|tool| !tool.is_installed()).map(|tool| tool.name).collect();
    if !still.is_empty() {
        bail!("{} still missing after `{command}`", still.join(", "));
    }
    Ok(())
}

fn packages(missing: &[&Tool]) -> BTreeSet<&'static str> {
    missing.iter().flat_map(|tool| tool.packages.split_whitespace()).collect()
}

/// By `--yes`, an answer on the terminal, or a CI system without one.
fn is_allowed(command: &str) -> bool {
    if CONSENT.load(Ordering::Relaxed) {
        return true;
    }
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return report::ask(format_args!("run `{command}`?"));
    }
    is_ci()
}

fn run_apt(sudo: &str, install: &str) -> Result<()> {
    let shell = Shell::new()?;
    let run = |command: &str| {
        // `env`, because sudo does not pass variables on.
        let command = command.replace("apt-get", "env DEBIAN_FRONTEND=noninteractive apt-get");
        let mut words = command.split(' ');
        report::step(format_args!("running `{command}`"));
        let program = words.next().unwrap_or_default();
        shell.cmd(program).args(words).quiet().run().context("installing packages")
    };
    let update = format!("{sudo}apt-get update");
    let mut lists = std::fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    if !lists.any(|entry| entry.file_name().to_string_lossy().contains("_Packages")) {
        run(&update)?;
    }
    if run(install).is_err() {
        // The lists may name versions that the archive no longer has.
        run(&update)?;
        run(install)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_installed_once() {
        let missing: Vec<&Tool> = TOOLS
            .iter()
            .filter(|tool| ["xz", "unshare", "taskset", "bc"].contains(&tool.name))
            .collect();
        let names: Vec<&str> = packages(&missing).into_iter().collect();
        assert_eq!(names, ["bc", "util-linux", "xz-utils"]);
        let error = report::lines(&install(&missing, true).unwrap_err());
        assert!(error.starts_with("4 tools are missing\nhint: "), "{error}");
        assert!(error.contains(" bc util-linux xz-utils"), "{error}");
    }
}
