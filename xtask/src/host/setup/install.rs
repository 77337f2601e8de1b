//! Installs packages with apt, after asking.

use crate::host::cmd;
use crate::host::report;
use crate::host::setup;
use crate::host::setup::tools::Tool;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use xshell::Shell;

const INSTALL: &str = "apt-get install --yes --no-install-recommends";

/// Installs the packages of `missing` if the user agrees; otherwise fails with the command to run.
pub fn install(missing: &[&Tool]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let facts = format!("{} missing", setup::counted(missing));
    let command = hint(missing);
    if cmd::find("apt-get").is_none() {
        bail!("{facts}  hint: {command}");
    }
    if !rustix::process::geteuid().is_root() && sudo().is_none() {
        bail!("{facts}  hint: as root, run {command}");
    }
    if !is_allowed(&command) {
        bail!("{facts}  hint: run {command}, or pass --yes");
    }
    run_apt(&packages(missing))?;
    let still: Vec<_> =
        missing.iter().filter(|tool| !tool.is_installed()).map(|tool| tool.name()).collect();
    if !still.is_empty() {
        bail!("{} still missing after {command}", still.join(", "));
    }
    Ok(())
}

/// The command that installs these tools; on systems without apt the packages.
pub fn hint(missing: &[&Tool]) -> String {
    let packages = packages(missing).into_iter().collect::<Vec<_>>().join(" ");
    if cmd::find("apt-get").is_none() {
        return format!("install what Debian has in these packages: {packages}");
    }
    let sudo = sudo().map(|sudo| format!("{sudo} ")).unwrap_or_default();
    format!("`{sudo}{INSTALL} {packages}`")
}

fn packages(missing: &[&Tool]) -> BTreeSet<&'static str> {
    missing.iter().flat_map(|tool| tool.packages.split_whitespace()).collect()
}

/// By `--yes`, an answer on the terminal, or a CI system without one.
fn is_allowed(command: &str) -> bool {
    if setup::consent_given() {
        return true;
    }
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return report::ask(format_args!("run {command}?"));
    }
    setup::is_ci()
}

fn run_apt(packages: &BTreeSet<&str>) -> Result<()> {
    if !has_lists() {
        apt(&["update"])?;
    }
    let install: Vec<&str> = INSTALL.split(' ').skip(1).chain(packages.iter().copied()).collect();
    if apt(&install).is_err() {
        // The lists may name versions that the archive no longer has.
        apt(&["update"])?;
        apt(&install)?;
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let shell = Shell::new()?;
    // `env`, because sudo does not pass variables on.
    let command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    let command: Vec<&str> =
        sudo().into_iter().chain(command).chain(arguments.iter().copied()).collect();
    let (program, arguments) = command.split_first().context("an empty command")?;
    report::step(format_args!("running `{}`", command.join(" ")));
    shell.cmd(program).args(arguments).quiet().run().context("installing packages")
}

fn has_lists() -> bool {
    let lists = std::fs::read_dir("/var/lib/apt/lists").into_iter().flatten();
    lists.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

/// For users other than root, if installed.
fn sudo() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root() && cmd::find("sudo").is_some()).then_some("sudo")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::setup::tools::TOOLS;

    #[test]
    fn hint_names_each_package_once_in_order() {
        let missing: Vec<&Tool> = TOOLS
            .iter()
            .filter(|tool| ["xz", "unshare", "taskset", "bc"].contains(&tool.name().as_str()))
            .collect();
        let names: Vec<&str> = packages(&missing).into_iter().collect();
        assert_eq!(names, ["bc", "util-linux", "xz-utils"]);
        let hint = hint(&missing);
        assert!(hint.trim_end_matches('`').ends_with(" bc util-linux xz-utils"), "{hint}");
    }
}
