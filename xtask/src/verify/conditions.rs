//! The conditions of a second build: everything that must not affect its bytes is changed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xshell::Shell;

use crate::host::{cmd, report};

/// Variables of another user, and some that would change the output if they reached the compilers.
pub const POISON: [(&str, &str); 16] = [
    ("USER", "another-user"),
    ("LOGNAME", "another-user"),
    ("TZ", "Pacific/Auckland"),
    ("LANG", "tr_TR.UTF-8"),
    ("LC_ALL", "tr_TR.UTF-8"),
    ("LANGUAGE", "tr_TR:tr"),
    ("RUSTFLAGS", "-Copt-level=0 -Cdebuginfo=2"),
    ("CARGO_BUILD_RUSTFLAGS", "-Copt-level=0"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CFLAGS", "-O0 -g3"),
    ("KCFLAGS", "-O1"),
    ("MAKEFLAGS", "--keep-going"),
    ("LOCALVERSION", "-poisoned"),
    ("KBUILD_BUILD_USER", "another-user"),
    ("KBUILD_BUILD_VERSION", "99"),
    ("SOURCE_DATE_EPOCH", "1"),
];

/// Another host name. Only root of a user namespace may set it.
const HOST: [&str; 8] =
    ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", SET_HOST, "sh"];
const SET_HOST: &str = "hostname another-host && exec \"$@\"";
/// Another user than that of the first build.
const USER: [&str; 4] = ["unshare", "--user", "--map-user=4321", "--map-group=4321"];
const UMASK: [&str; 4] = ["sh", "-c", "umask 077 && exec \"$@\"", "sh"];

/// A library that shows another date to programs. The file explains why libfaketime does not work.
const DAY: &str = include_str!("day.c");

#[derive(Debug)]
pub struct Conditions {
    /// Programs and arguments that run the following command under other conditions.
    pub wrapper: Vec<String>,
    /// The library for `LD_PRELOAD`.
    pub day: PathBuf,
    /// What differs from the first build.
    pub varied: Vec<&'static str>,
}

impl Conditions {
    /// Varies what this machine allows and warns about the rest. `directory` is for the library.
    pub fn detect(directory: &Path) -> Result<Self> {
        let mut varied = vec!["paths", "umask", "locale", "time zone", "date", "other variables"];
        let mut wrapper: Vec<String> = Vec::new();
        for (name, layer) in [("host name", &HOST[..]), ("user", &USER[..])] {
            let longer =
                [wrapper.clone(), layer.iter().map(ToString::to_string).collect()].concat();
            if works(&longer)? {
                wrapper = longer;
                varied.push(name);
            } else {
                report::warn(format_args!(
                    "namespaces are not permitted: both builds have the same {name}"
                ));
            }
        }
        wrapper.extend(UMASK.map(str::to_owned));
        Ok(Self { wrapper, day: compile_day(directory)?, varied })
    }
}

/// Whether this machine permits to set the host name in a namespace.
pub fn can_change_host_name() -> Result<bool> {
    works(&HOST.map(str::to_owned))
}

fn works(wrapper: &[String]) -> Result<bool> {
    let shell = Shell::new()?;
    Ok(cmd::behind(&shell, wrapper, "true").quiet().ignore_stdout().ignore_stderr().run().is_ok())
}

/// Compiles the library for another date into `directory`.
pub fn compile_day(directory: &Path) -> Result<PathBuf> {
    let library = directory.join("day.so");
    let shell = Shell::new()?;
    let compile = shell.cmd("cc").args(["-shared", "-fPIC", "-O2", "-x", "c", "-", "-o"]);
    cmd::clean_env(compile.arg(&library))
        .stdin(DAY)
        .quiet()
        .run()
        .context("compiling the library for another date")?;
    Ok(library)
}

#[cfg(test)]
mod tests {
    use xshell::Cmd;

    use super::*;

    /// User, host name and umask of a program that runs under `wrapper`.
    fn seen(wrapper: &[String]) -> String {
        let shell = Shell::new().unwrap();
        let look = "id -u; hostname; umask";
        cmd::behind(&shell, wrapper, "sh").args(["-c", look]).quiet().read().unwrap()
    }

    #[test]
    fn varies_user_host_and_umask() {
        let folder = tempfile::tempdir().unwrap();
        let conditions = Conditions::detect(folder.path()).unwrap();
        let seen = seen(&conditions.wrapper);
        for (name, line) in [("user", "4321"), ("host name", "another-host"), ("umask", "0077")] {
            // Without namespaces there is only a warning.
            assert_eq!(
                seen.lines().any(|seen| seen == line),
                conditions.varied.contains(&name),
                "{name}: {seen}"
            );
        }
    }

    #[test]
    fn shows_another_date_to_compilers() {
        let folder = tempfile::tempdir().unwrap();
        let library = compile_day(folder.path()).unwrap();
        let shell = Shell::new().unwrap();
        let date = || shell.cmd("date").arg("+%s").quiet();
        let seconds = |date: Cmd<'_>| date.read().unwrap().parse::<u64>().unwrap();
        let now = seconds(date());
        let shown = seconds(date().env("LD_PRELOAD", &library));
        assert!((0..60).contains(&(shown - now - 400 * 24 * 60 * 60)), "{now} {shown}");
        // rustc does not start under libfaketime.
        shell.cmd("rustc").arg("-vV").env("LD_PRELOAD", &library).quiet().read().unwrap();
    }
}
