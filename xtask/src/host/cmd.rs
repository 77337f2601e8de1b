//! Finds and runs programs, on top of `xshell`.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use xshell::{Cmd, Shell};

/// The path of `program` in `PATH`, or of an absolute path, if executable.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let is_executable = |file: &PathBuf| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(is_executable)
}

/// Removes all variables but `PATH` from the environment.
pub fn clean_env(cmd: Cmd<'_>) -> Cmd<'_> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    cmd.env_clear().env("PATH", path)
}

/// A command that runs `program` after `wrapper`: programs that run the rest of their arguments.
pub fn behind<'a>(shell: &'a Shell, wrapper: &[String], program: impl AsRef<Path>) -> Cmd<'a> {
    match wrapper.split_first() {
        Some((first, rest)) => shell.cmd(first).args(rest).arg(program.as_ref()),
        None => shell.cmd(program),
    }
}

/// Quotes an argument for a shell.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The first line of `--version`, in English.
pub fn version(program: &str) -> Result<String> {
    let shell = Shell::new()?;
    let ask = shell.cmd(program).arg("--version");
    let text = clean_env(ask).env("LC_ALL", "C").quiet().read()?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The cargo that runs xtask, otherwise the one in `PATH`.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// A running program. Dropping it kills it and waits for it.
#[derive(Debug)]
pub struct Background {
    pub child: Child,
}

impl Background {
    /// Starts `cmd` with an empty standard input. `adjust` can change pipes.
    pub fn start(cmd: Cmd<'_>, adjust: impl FnOnce(&mut Command)) -> Result<Self> {
        let name = cmd.to_string();
        let mut command = Command::from(cmd);
        command.stdin(Stdio::null());
        adjust(&mut command);
        let child = command.spawn().with_context(|| format!("starting `{name}`"))?;
        Ok(Self { child })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Both fail only if the child has already been waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_for_the_shell() {
        let shell = Shell::new().unwrap();
        let word = "it's $HOME \"so\"";
        let said = shell.cmd("sh").arg("-c").arg(format!("printf %s {}", quoted(word)));
        assert_eq!(said.quiet().read().unwrap(), word);
    }
}
