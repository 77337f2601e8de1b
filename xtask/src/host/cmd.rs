//! Finds and runs programs, on top of `xshell`.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

use anyhow::{Context as _, Result};
use xshell::{Cmd, Shell, cmd};

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

/// Ends a program when xtask ends, also if that is killed: otherwise a build would go on writing.
/// busybox has another `setpriv`.
static BOUND: LazyLock<&[&str]> = LazyLock::new(|| {
    let check = |shell: Shell| cmd!(shell, "setpriv --pdeathsig TERM true").quiet().run().is_ok();
    let works = find("setpriv").is_some() && Shell::new().is_ok_and(check);
    if works { &["setpriv", "--pdeathsig", "TERM"] } else { &[] }
});

/// A command that runs `program` after `wrapper`: programs that run the rest of their arguments.
/// It ends with this process.
pub fn behind<'a>(shell: &'a Shell, wrapper: &[String], program: impl AsRef<Path>) -> Cmd<'a> {
    let wrapper = BOUND.iter().copied().chain(wrapper.iter().map(String::as_str));
    let mut words = wrapper.map(Path::new).chain([program.as_ref()]);
    shell.cmd(words.next().unwrap_or(program.as_ref())).args(words)
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
    use std::{io::Read as _, os::unix::process::ExitStatusExt as _};

    use super::*;

    #[test]
    fn a_program_ends_with_the_thread_that_started_it() {
        if BOUND.is_empty() {
            return;
        }
        let start = || {
            let shell = Shell::new().unwrap();
            let script = "echo started; exec sleep 1000";
            let mut command = Command::from(behind(&shell, &[], "sh").args(["-c", script]));
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            // The signal is set before the program starts.
            let mut line = [0; 8];
            child.stdout.take().unwrap().read_exact(&mut line).unwrap();
            child
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    }

    #[test]
    fn quotes_for_the_shell() {
        let shell = Shell::new().unwrap();
        let word = "it's $HOME \"so\"";
        let said = shell.cmd("sh").arg("-c").arg(format!("printf %s {}", quoted(word)));
        assert_eq!(said.quiet().read().unwrap(), word);
    }
}
