//! Installs packages, or tells the command that does. apt is run, after asking; of other package managers only the command is printed.

use crate::cmd;
use crate::report;
use crate::setup;
use crate::setup::tool::Tool;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use xshell::Shell;

/// The package managers we know the packages of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manager {
    Apt,
    Dnf,
    Apk,
    Pacman,
}

impl Manager {
    const ALL: [Self; 4] = [Self::Apt, Self::Dnf, Self::Apk, Self::Pacman];

    pub(super) fn of_host() -> Option<Self> {
        Self::ALL.into_iter().find(|manager| {
            cmd::find(manager.words().first().copied().unwrap_or_default()).is_some()
        })
    }

    /// The words before the packages.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["apt-get", "install", "--yes", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "--setopt=install_weak_deps=False"],
            Self::Apk => &["apk", "add"],
            Self::Pacman => &["pacman", "-S", "--needed"],
        }
    }

    fn packages(self, missing: &[&Tool]) -> BTreeSet<&'static str> {
        let of = |tool: &&Tool| match self {
            Self::Apt => tool.packages.apt,
            Self::Dnf => tool.packages.dnf,
            Self::Apk => tool.packages.apk,
            Self::Pacman => tool.packages.pacman,
        };
        missing.iter().map(of).flat_map(str::split_whitespace).collect()
    }

    /// The exact command for these tools, for a person to run.
    pub(super) fn command(self, missing: &[&Tool]) -> String {
        let packages = self.packages(missing);
        let words: Vec<&str> =
            become_root().into_iter().chain(self.words().iter().copied()).chain(packages).collect();
        words.join(" ")
    }
}

/// Installs the packages of `missing` through apt, where the user agrees; else fails with the command to run.
pub(super) fn install(missing: &[&Tool]) -> Result<()> {
    let Some(manager) = Manager::of_host() else {
        bail!("{} missing  hint: {}", setup::counted(missing), by_hand(missing));
    };
    let command = manager.command(missing);
    let facts = format!("{} missing", setup::counted(missing));
    if !may_install() {
        bail!("{facts}  hint: as root, run `{command}`");
    }
    if manager != Manager::Apt {
        bail!("{facts}  hint: run `{command}`");
    }
    if !agreed(&command) {
        bail!("{facts}  hint: run `{command}`, or pass --yes");
    }
    run_apt(&manager.packages(missing))?;
    let still: Vec<_> = missing.iter().copied().filter(|tool| !tool.is_there()).collect();
    if !still.is_empty() {
        let names: Vec<_> = still.iter().map(|tool| tool.name()).collect();
        bail!("{} still missing after `{command}`", names.join(", "));
    }
    Ok(())
}

/// For hosts whose package manager we do not know.
pub(super) fn by_hand(missing: &[&Tool]) -> String {
    let names: Vec<_> = missing.iter().map(|tool| tool.name()).collect();
    format!("install by hand: {}", names.join(", "))
}

/// `--yes`, an answer on the terminal, or a CI system where nobody could answer.
fn agreed(command: &str) -> bool {
    if setup::consent_given() {
        return true;
    }
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return report::ask(format_args!("run `{command}`?"));
    }
    setup::is_ci()
}

fn run_apt(packages: &BTreeSet<&str>) -> Result<()> {
    if !has_lists() {
        apt(&["update"])?;
    }
    let mut words = Manager::Apt.words().get(1..).unwrap_or_default().to_vec();
    words.extend(packages);
    if apt(&words).is_err() {
        // Lists may name versions that the archive no longer has.
        apt(&["update"])?;
        apt(&words)?;
    }
    Ok(())
}

fn apt(words: &[&str]) -> Result<()> {
    let shell = Shell::new()?;
    let mut command: Vec<&str> = become_root().into_iter().collect();
    // Through env, because sudo passes no variables on.
    command.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    command.extend(words);
    let (program, arguments) = command.split_first().context("an empty command")?;
    report::step(format_args!("running `{}`", command.join(" ")));
    shell.cmd(program).args(arguments).quiet().run().context("installing packages")
}

fn has_lists() -> bool {
    let lists = std::fs::read_dir("/var/lib/apt/lists");
    lists.is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().display().to_string().contains("_Packages"))
        })
    })
}

/// `sudo` for those who are not root already and have it.
fn become_root() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root() && cmd::find("sudo").is_some()).then_some("sudo")
}

fn may_install() -> bool {
    rustix::process::geteuid().is_root() || become_root().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tools::TOOLS;

    #[test]
    fn commands_name_each_package_once_in_order() {
        let missing: Vec<&Tool> = TOOLS
            .iter()
            .filter(|tool| ["xz", "unshare", "taskset", "bc"].contains(&tool.name().as_str()))
            .collect();
        for (manager, wanted) in [
            (Manager::Apt, "apt-get install --yes --no-install-recommends bc util-linux xz-utils"),
            (Manager::Dnf, "dnf install --setopt=install_weak_deps=False bc util-linux xz"),
            (Manager::Apk, "apk add bc util-linux-misc xz"),
            (Manager::Pacman, "pacman -S --needed bc util-linux xz"),
        ] {
            let command = manager.command(&missing);
            assert_eq!(command.strip_prefix("sudo ").unwrap_or(&command), wanted);
        }
    }
}
