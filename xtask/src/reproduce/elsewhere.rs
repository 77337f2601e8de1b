//! Another copy of the project, in which the initramfs is built under other conditions, by this very xtask. Goes in: what to build. Comes out: its bytes.

use crate::arch::Arch;
use crate::build_initramfs;
use crate::cmd;
use crate::env::Settings;
use crate::project;
use crate::reproduce::conditions;
use crate::reproduce::conditions::Conditions;
use crate::sources::SourceOptions;
use anyhow::Context as _;
use anyhow::Result;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use xshell::Cmd;
use xshell::Shell;
use xshell::cmd;

/// A copy of the project, with a home and a cargo folder of its own.
pub(super) struct Elsewhere {
    project: PathBuf,
    home: PathBuf,
    cargo_home: PathBuf,
    /// Runs cargo on another day.
    cargo: PathBuf,
}

impl Elsewhere {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let elsewhere = Self {
            project: folder.join("a project"),
            home: folder.join("home"),
            cargo_home: folder.join("cargo"),
            cargo: folder.join("cargo-on-another-day"),
        };
        for folder in [&elsewhere.project, &elsewhere.home, &elsewhere.cargo_home] {
            std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        copy_project(&elsewhere.project)?;
        // The packages are the same, and cargo reaches them by another path. Where a mirror serves them, the settings say so.
        let cargo_home = home_of("CARGO_HOME", ".cargo")?;
        for name in ["registry", "config.toml", "credentials.toml"] {
            let original = cargo_home.join(name);
            if original.exists() {
                std::os::unix::fs::symlink(&original, elsewhere.cargo_home.join(name))
                    .with_context(|| format!("linking {}", original.display()))?;
            }
        }
        Ok(elsewhere)
    }

    /// Builds, and gives the bytes.
    pub(super) fn build(
        &self,
        arch: Arch,
        settings: &Settings,
        options: &SourceOptions,
        conditions: &Conditions,
    ) -> Result<Vec<u8>> {
        write_on_another_day(&self.cargo, &cmd::cargo(), &conditions.day)?;
        let shell = Shell::new()?;
        shell.change_dir("/");
        let xtask = copy_this_program(&self.home)?;
        // One processor: other jobs at once, and in another order.
        let build = cmd::behind(&shell, &conditions.wrapper, "taskset")
            .args(["-c", &Processor::Last.find()?])
            .arg(xtask)
            .args(["build-initramfs", "--arch", arch.kernel()])
            .args(words_of(options)?);
        self.with_environment(build, settings)?.quiet().ignore_stdout().run()?;
        let name = build_initramfs::output_path(arch);
        let path = self.project.join("out").join(name.file_name().unwrap_or_default());
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    fn with_environment<'a>(&self, build: Cmd<'a>, settings: &Settings) -> Result<Cmd<'a>> {
        let mut build = cmd::clean_env(build)
            .envs(conditions::POISON)
            .env("FS_MTIME", format!("@{}", settings.fs_mtime))
            .env("KERNEL_BUILD_TIMESTAMP", "@0")
            .env("CARGO_MANIFEST_DIR", self.project.join("xtask"))
            .env("CARGO", &self.cargo)
            .env("HOME", &self.home)
            .env("CARGO_HOME", &self.cargo_home)
            .env("RUSTUP_HOME", home_of("RUSTUP_HOME", ".rustup")?)
            .env("XDG_CACHE_HOME", home_of("XDG_CACHE_HOME", ".cache")?);
        for name in ["RUSTC", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(name) {
                build = build.env(name, value);
            }
        }
        Ok(build)
    }
}

/// Copies this very program into `folder`. The file it was started from may be another one by now, since cargo replaces it when it builds the
/// workspace for tests.
pub(super) fn copy_this_program(folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("xtask");
    std::fs::copy("/proc/self/exe", &copy).context("copying this program")?;
    Ok(copy)
}

/// The words that say where sources come from, as every build subcommand takes them.
pub(super) fn words_of(options: &SourceOptions) -> Result<Vec<String>> {
    let mut words = Vec::new();
    if let Some(set) = options.sources.as_ref().and_then(clap::ValueEnum::to_possible_value) {
        words.extend(["--sources".to_owned(), set.get_name().to_owned()]);
    }
    if options.offline {
        words.push("--offline".to_owned());
    }
    if options.locked {
        words.push("--locked".to_owned());
    }
    if let Some(folder) = &options.source_dir {
        let folder = std::path::absolute(folder).context("finding the folder of sources")?;
        words.extend(["--source-dir".to_owned(), folder.display().to_string()]);
    }
    Ok(words)
}

/// Writes a program that runs `original` on another day. xtask itself stays on this one: it reads no clock for what it makes, and on another day
/// apt's lists would be out of date and the cache's temporary files abandoned.
pub(super) fn write_on_another_day(program: &Path, original: &OsStr, day: &Path) -> Result<()> {
    let text = format!(
        "#!/bin/sh\nLD_PRELOAD={} exec {} \"$@\"\n",
        cmd::quoted(&day.display().to_string()),
        cmd::quoted(&original.display().to_string())
    );
    let write = || -> std::io::Result<()> {
        std::fs::write(program, text)?;
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("writing {}", program.display()))
}

/// One of the processors this process may run on, as `taskset` takes it. Two builds at once take different ones.
#[derive(Clone, Copy, Debug)]
pub(super) enum Processor {
    First,
    Last,
}

impl Processor {
    pub(super) fn find(self) -> Result<String> {
        let status =
            std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
        Ok(self.among_allowed(&status))
    }

    /// Out of the text of `/proc/self/status`.
    fn among_allowed(self, status: &str) -> String {
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let mut bounds = list.unwrap_or_default().trim().split([',', '-']);
        let bound = match self {
            Self::First => bounds.next(),
            Self::Last => bounds.next_back(),
        };
        bound.filter(|bound| !bound.is_empty()).unwrap_or("0").to_owned()
    }
}

/// A folder that `variable` names, else the one of this name in the home folder.
pub(super) fn home_of(variable: &str, name: &str) -> Result<PathBuf> {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named
        .or_else(|| std::env::home_dir().map(|home| home.join(name)))
        .with_context(|| format!("neither {variable} nor HOME is set"))
}

/// Copies what git knows or would add: no outputs, no settings of this machine.
pub(super) fn copy_project(to: &Path) -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(project::root());
    let files = cmd!(shell, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .output()
        .context("listing the project's files")?
        .stdout;
    for name in files.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
        let (from, to) = (project::root().join(name), to.join(name));
        // Deleted, and git has not been told.
        if !from.is_file() {
            continue;
        }
        let copying = || format!("copying {}", from.display());
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).with_context(copying)?;
        }
        std::fs::copy(&from, &to).with_context(copying)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_processors_it_may_use() {
        for (status, first, last) in [
            ("Name:\tx\nCpus_allowed_list:\t0-1\nMems_allowed_list:\t0\n", "0", "1"),
            ("Cpus_allowed_list:\t12,14-15\n", "12", "15"),
            ("Cpus_allowed_list:\t3\n", "3", "3"),
            ("Cpus_allowed:\tff\n", "0", "0"),
            ("", "0", "0"),
        ] {
            assert_eq!(Processor::First.among_allowed(status), first, "{status}");
            assert_eq!(Processor::Last.among_allowed(status), last, "{status}");
        }
    }
}
