//! A copy of the project in which this program builds the initramfs under other conditions.

use crate::config::env::Settings;
use crate::host::arch::Arch;
use crate::host::cmd;
use crate::host::project;
use crate::initramfs;
use crate::sources::SourceOptions;
use crate::verify::conditions;
use crate::verify::conditions::Conditions;
use anyhow::Context as _;
use anyhow::Result;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use xshell::Shell;
use xshell::cmd;

/// A copy of the project, with its own home and cargo directories.
pub struct ProjectCopy {
    project: PathBuf,
    home: PathBuf,
    cargo_home: PathBuf,
    /// Runs cargo on another date.
    cargo: PathBuf,
}

impl ProjectCopy {
    pub fn new(directory: &Path) -> Result<Self> {
        let copy = Self {
            project: directory.join("a project"),
            home: directory.join("home"),
            cargo_home: directory.join("cargo"),
            cargo: directory.join("cargo-on-another-day"),
        };
        for path in [&copy.home, &copy.cargo_home] {
            std::fs::create_dir(path).with_context(|| format!("creating {}", path.display()))?;
        }
        copy_project(&copy.project)?;
        // The same packages under another path. The settings may name a mirror.
        let cargo_home = home_of("CARGO_HOME", ".cargo")?;
        for name in ["registry", "config.toml", "credentials.toml"] {
            let original = cargo_home.join(name);
            if original.exists() {
                std::os::unix::fs::symlink(&original, copy.cargo_home.join(name))
                    .with_context(|| format!("linking {}", original.display()))?;
            }
        }
        Ok(copy)
    }

    /// Builds and returns the initramfs.
    pub fn build(
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
        // With one processor, jobs run in another order.
        let build = cmd::behind(&shell, &conditions.wrapper, "taskset")
            .args(["-c", &Processor::Last.find()?])
            .arg(xtask)
            .args(arguments(arch, options)?);
        let mut build = cmd::clean_env(build)
            .envs(conditions::POISON)
            .envs(variables(settings)?)
            .env("CARGO_MANIFEST_DIR", self.project.join("xtask"))
            .env("CARGO", &self.cargo)
            .env("HOME", &self.home)
            .env("CARGO_HOME", &self.cargo_home);
        for name in ["RUSTC", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(name) {
                build = build.env(name, value);
            }
        }
        build.quiet().ignore_stdout().run()?;
        let name = initramfs::output_path(arch);
        let path = self.project.join("out").join(name.file_name().unwrap_or_default());
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }
}

/// Variables with which another build uses the times, toolchain and cache of this one.
pub fn variables(settings: &Settings) -> Result<Vec<(&'static str, OsString)>> {
    Ok(vec![
        ("FS_MTIME", format!("@{}", settings.fs_mtime).into()),
        ("KERNEL_BUILD_TIMESTAMP", "@0".into()),
        ("RUSTUP_HOME", home_of("RUSTUP_HOME", ".rustup")?.into()),
        ("XDG_CACHE_HOME", home_of("XDG_CACHE_HOME", ".cache")?.into()),
    ])
}

/// Copies this program into `directory`. cargo may have replaced the file it was started from.
pub fn copy_this_program(directory: &Path) -> Result<PathBuf> {
    let copy = directory.join("xtask");
    std::fs::copy("/proc/self/exe", &copy).context("copying this program")?;
    Ok(copy)
}

/// The arguments with which this program builds the initramfs from the same sources.
pub fn arguments(arch: Arch, options: &SourceOptions) -> Result<Vec<String>> {
    let mut arguments = ["build-initramfs", "--arch", arch.kernel()].map(str::to_owned).to_vec();
    if let Some(set) = options.sources.as_ref().and_then(clap::ValueEnum::to_possible_value) {
        arguments.extend(["--sources".to_owned(), set.get_name().to_owned()]);
    }
    if options.offline {
        arguments.push("--offline".to_owned());
    }
    if options.locked {
        arguments.push("--locked".to_owned());
    }
    if let Some(directory) = &options.source_dir {
        let directory = std::path::absolute(directory).context("finding the source directory")?;
        arguments.extend(["--source-dir".to_owned(), directory.display().to_string()]);
    }
    Ok(arguments)
}

/// Writes a program that runs `original` on another date. xtask itself keeps today's date: it reads
/// no clock for its output, but would consider apt's lists outdated and temporary files abandoned.
pub fn write_on_another_day(program: &Path, original: &OsStr, day: &Path) -> Result<()> {
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

/// A processor this process may run on. Two concurrent builds use different ones.
#[derive(Clone, Copy, Debug)]
pub enum Processor {
    First,
    Last,
}

impl Processor {
    pub fn find(self) -> Result<String> {
        let status =
            std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
        Ok(self.among_allowed(&status))
    }

    /// Parses the text of `/proc/self/status`.
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

/// The directory in `variable`, else `name` in the home directory.
pub fn home_of(variable: &str, name: &str) -> Result<PathBuf> {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named
        .or_else(|| std::env::home_dir().map(|home| home.join(name)))
        .with_context(|| format!("neither {variable} nor HOME is set"))
}

/// Copies tracked and untracked files, but none that git ignores.
pub fn copy_project(to: &Path) -> Result<()> {
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
        // A deleted file stays in the index.
        if !from.is_file() {
            continue;
        }
        let copying = || format!("copying {}", from.display());
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).with_context(copying)?;
        }
        std::fs::copy(&from, &to).with_context(copying)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_allowed_processors() {
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
