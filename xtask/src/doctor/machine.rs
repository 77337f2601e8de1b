//! The project, the machine it is built on, and the cache.

use crate::cache;
use crate::cache::Cache;
use crate::doctor::Section;
use crate::doctor::Trouble;
use crate::project;
use anyhow::Context as _;
use anyhow::Result;
use std::path::Path;
use xshell::Shell;
use xshell::cmd;

/// What a kernel's source and object files take on a disk while it is built. Seen with arm64's default configuration, shortly before its end: 2.0 GiB.
const BUILD_BYTES: u64 = 5 << 29;

/// Version, commit and folder.
pub(super) fn project() -> Section {
    let commit = commit().unwrap_or_else(|error| format!("no commit is known ({error:#})"));
    let lines = vec![
        format!("version {}, {commit}", env!("CARGO_PKG_VERSION")),
        format!("in {}", project::root().display()),
    ];
    Section { title: "ocidd", lines, ..Section::default() }
}

fn commit() -> Result<String> {
    let shell = Shell::new()?;
    shell.change_dir(project::root());
    let log = cmd!(shell, "git log -1 --format='%h of %cI'").quiet().ignore_stderr().read()?;
    // Without optional locks git does not write down what it has found out.
    let status = cmd!(shell, "git --no-optional-locks status --porcelain").quiet().read()?;
    let changed = match status.lines().count() {
        0 => "nothing changed since".to_owned(),
        count => format!("{count} files changed since"),
    };
    Ok(format!("commit {log}, {changed}"))
}

/// Architecture, distribution and size.
pub(super) fn host() -> Section {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = cache::size(rustix::system::sysinfo().totalram);
    let lines = vec![
        format!("{}, {}, Linux {kernel}", std::env::consts::ARCH, distribution(&release)),
        format!("{processors} processors, {memory} of memory"),
    ];
    Section { title: "this machine", lines, ..Section::default() }
}

/// The name that os-release gives for people.
fn distribution(os_release: &str) -> &str {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("an unknown distribution", |name| name.trim_matches(['"', '\'']))
}

/// Folder, contents and free space.
pub(super) fn cache(cache: &Cache) -> Section {
    let entries = cache::list(cache.root());
    let bytes = entries.iter().map(|entry| entry.bytes).sum();
    let mut lines = vec![format!("{}: {}", cache.root().display(), cache::size(bytes))];
    lines.extend(cache::totals(&entries));
    let mut troubles = Vec::new();
    match free_bytes(cache.root()) {
        Ok(free) => {
            let enough = if free < BUILD_BYTES { ", which is more than that" } else { "" };
            lines.push(format!(
                "{} are free; building a kernel takes {} while it lasts{enough}",
                cache::size(free),
                cache::size(BUILD_BYTES)
            ));
            troubles.extend((free == 0).then(|| Trouble {
                fact: format!("nothing is free where {} lies", cache.root().display()),
                remedy: "make room, as by cargo xtask cache gc, or set XDG_CACHE_HOME".to_owned(),
            }));
        }
        Err(error) => lines.push(format!("how much is free is not known: {error:#}")),
    }
    Section { title: "cache", lines, troubles }
}

/// What a user may still write where `path` lies, or will lie.
fn free_bytes(path: &Path) -> Result<u64> {
    let there = path.ancestors().find(|path| path.exists()).context("no folder of it exists")?;
    let found = rustix::fs::statvfs(there)
        .with_context(|| format!("asking for the file system of {}", there.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_what_it_calls_itself() {
        for (text, wanted) in [
            (
                "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
                "Debian GNU/Linux 12 (bookworm)",
            ),
            ("PRETTY_NAME=Alpine\n", "Alpine"),
            ("", "an unknown distribution"),
        ] {
            assert_eq!(distribution(text), wanted);
        }
    }

    #[test]
    fn tells_the_free_space_of_a_folder_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(&folder.path().join("not/yet")).unwrap() > 0);
    }
}
