//! A copy of the project in which this program builds the initramfs under other conditions.

use std::{
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::{
    config::env::Settings,
    host::{arch::Arch, cmd, project},
    initramfs,
    sources::SourceOptions,
    verify::{conditions, conditions::Conditions},
};

/// Builds the initramfs in a copy of the project in `directory`, with its own home and cargo
/// directories, and returns it.
pub fn build(
    directory: &Path,
    arch: Arch,
    settings: &Settings,
    options: &SourceOptions,
    conditions: &Conditions,
) -> Result<Vec<u8>> {
    let (project, home) = (directory.join("a project"), directory.join("home"));
    let (cargo, cargo_home) = (directory.join("cargo-on-another-day"), directory.join("cargo"));
    for path in [&home, &cargo_home] {
        std::fs::create_dir(path).with_context(|| format!("creating {}", path.display()))?;
    }
    copy_project(&project)?;
    // The same packages under another path. The settings may name a mirror.
    let original_home = home_of("CARGO_HOME", ".cargo")?;
    for name in ["registry", "config.toml", "credentials.toml"] {
        let original = original_home.join(name);
        if original.exists() {
            std::os::unix::fs::symlink(&original, cargo_home.join(name))
                .with_context(|| format!("linking {}", original.display()))?;
        }
    }
    write_on_another_day(&cargo, &cmd::cargo(), &conditions.day)?;
    let shell = Shell::new()?;
    shell.change_dir("/");
    // With one processor, jobs run in another order.
    let [_, processor] = allowed_processors()?;
    let build = cmd::behind(&shell, &conditions.wrapper, "taskset")
        .args(["-c", &processor])
        .arg(copy_this_program(&home)?)
        .args(arguments(arch, options)?);
    let kept = ["RUSTC", "RUSTUP_TOOLCHAIN"].map(|name| Some((name, std::env::var_os(name)?)));
    cmd::clean_env(build)
        .envs(conditions::POISON)
        .envs(variables(settings)?)
        .env("CARGO_MANIFEST_DIR", project.join("xtask"))
        .env("CARGO", &cargo)
        .env("HOME", &home)
        .env("CARGO_HOME", &cargo_home)
        .envs(kept.into_iter().flatten())
        .quiet()
        .ignore_stdout()
        .run()?;
    let name = initramfs::output_path(arch);
    let path = project.join("out").join(name.file_name().unwrap_or_default());
    std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
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

/// The first and last processor this process may run on. Two concurrent builds use different ones.
pub fn allowed_processors() -> Result<[String; 2]> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    Ok(parse_allowed(&status))
}

fn parse_allowed(status: &str) -> [String; 2] {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = allowed.unwrap_or("0").trim();
    let first = allowed.split([',', '-']).next().unwrap_or_default();
    let last = allowed.rsplit([',', '-']).next().unwrap_or_default();
    [first.to_owned(), last.to_owned()]
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
    let shell = project::shell()?;
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
            assert_eq!(parse_allowed(status), [first, last], "{status}");
        }
    }
}
