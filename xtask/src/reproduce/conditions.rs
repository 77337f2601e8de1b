//! The conditions of a second build: everything that must not matter, other than in the first. Goes in: what this machine allows. Comes out: words to go
//! before a command, a library that shows programs another day, variables to poison the environment with.

use crate::cmd;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use std::path::Path;
use std::path::PathBuf;
use xshell::Shell;

/// Variables of another user elsewhere, and some that would change what is built if they reached the compilers.
pub(super) const POISON: [(&str, &str); 16] = [
    ("USER", "somebody"),
    ("LOGNAME", "somebody"),
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
    ("KBUILD_BUILD_USER", "somebody"),
    ("KBUILD_BUILD_VERSION", "99"),
    ("SOURCE_DATE_EPOCH", "1"),
];

/// Another host's name. Only who is root of a name space may give it one.
const HOST: [&str; 8] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--uts",
    "sh",
    "-c",
    "hostname another-host && exec \"$@\"",
    "sh",
];
/// Any user but the one who builds first.
const USER: [&str; 4] = ["unshare", "--user", "--map-user=4321", "--map-group=4321"];
const UMASK: [&str; 4] = ["sh", "-c", "umask 077 && exec \"$@\"", "sh"];

/// A library that shows programs another day. What it is for, and why it is not libfaketime, stands there.
const DAY: &str = include_str!("day.c");

/// The conditions of a second build.
#[derive(Debug)]
pub(super) struct Conditions {
    /// Programs that run the rest of their arguments under other conditions.
    pub(super) wrapper: Vec<String>,
    /// What `LD_PRELOAD` takes.
    pub(super) day: PathBuf,
    varied: Vec<&'static str>,
}

impl Conditions {
    /// As many as this machine allows; of the others the user is warned. `folder` is for the library.
    pub(super) fn other(folder: &Path) -> Result<Self> {
        let mut varied = vec!["folders", "umask", "locale", "time zone", "day", "other variables"];
        let mut wrapper: Vec<String> = Vec::new();
        for (name, layer) in [("host name", &HOST[..]), ("user", &USER[..])] {
            let longer: Vec<String> = wrapper
                .iter()
                .cloned()
                .chain(layer.iter().map(|word| (*word).to_owned()))
                .collect();
            if works(&longer)? {
                wrapper = longer;
                varied.push(name);
            } else {
                report::warn(format_args!(
                    "this machine allows no name spaces that change the {name}: it is the same in both builds"
                ));
            }
        }
        wrapper.extend(UMASK.map(str::to_owned));
        Ok(Self { wrapper, day: make_day(folder)?, varied })
    }

    /// What differs from the first build, and `more`, for people.
    pub(super) fn told(&self, more: &str) -> String {
        let mut varied = self.varied.clone();
        varied.push(more);
        varied.join(", ")
    }
}

fn works(wrapper: &[String]) -> Result<bool> {
    let shell = Shell::new()?;
    Ok(cmd::behind(&shell, wrapper, "true").quiet().ignore_stdout().ignore_stderr().run().is_ok())
}

/// Compiles the library into `folder`.
pub(super) fn make_day(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("day.so");
    let shell = Shell::new()?;
    let compile = shell.cmd("cc").args(["-shared", "-fPIC", "-O2", "-x", "c", "-", "-o"]);
    cmd::clean_env(compile.arg(&library))
        .stdin(DAY)
        .quiet()
        .run()
        .context("compiling the library that shows another day")?;
    Ok(library)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xshell::Cmd;

    /// What a program behind the wrapper sees: user, host, umask.
    fn seen(wrapper: &[String]) -> String {
        let shell = Shell::new().unwrap();
        let look = "id -u; hostname; umask";
        cmd::behind(&shell, wrapper, "sh").args(["-c", look]).quiet().read().unwrap()
    }

    #[test]
    fn programs_see_what_was_varied() {
        let folder = tempfile::tempdir().unwrap();
        let conditions = Conditions::other(folder.path()).unwrap();
        let seen = seen(&conditions.wrapper);
        for (name, line) in [("user", "4321"), ("host name", "another-host"), ("umask", "0077")] {
            // A machine that allows no name spaces is told by the warning.
            assert_eq!(
                seen.lines().any(|seen| seen == line),
                conditions.varied.contains(&name),
                "{name}: {seen}"
            );
        }
        assert!(conditions.told("jobs").ends_with(", jobs"));
    }

    #[test]
    fn compilers_see_another_day() {
        let folder = tempfile::tempdir().unwrap();
        let library = make_day(folder.path()).unwrap();
        let shell = Shell::new().unwrap();
        let date = || shell.cmd("date").arg("+%s").quiet();
        let seconds = |date: Cmd<'_>| date.read().unwrap().parse::<u64>().unwrap();
        let now = seconds(date());
        let shown = seconds(date().env("LD_PRELOAD", &library));
        assert!((0..60).contains(&(shown - now - 400 * 24 * 60 * 60)), "{now} {shown}");
        // It has to start under the library, which under libfaketime it does not.
        shell.cmd("rustc").arg("-vV").env("LD_PRELOAD", &library).quiet().read().unwrap();
    }
}
