//! Runs the kernel's make: in an environment of a few fixed words, with a full log, progress on a terminal, and the telling lines where it fails.

use crate::cmd;
use crate::kernel::Plan;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::fs::File;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use xshell::Cmd;
use xshell::Shell;

/// Flags for compiler and assembler, so that neither folder shows in the kernel. Of several that fit, gcc takes the last.
pub(super) const FLAGS: &str = "-ffile-prefix-map={build}=. -ffile-prefix-map={source}=. -ffile-prefix-map={build}/= -ffile-prefix-map={source}/=";

/// Tools the configuration would note the versions of where the host happens to have them, and that no image needs.
pub(super) const ABSENT: [&str; 3] = ["RUSTC=none", "BINDGEN=none", "PAHOLE=none"];

/// Lines of the log in the error of a failed command.
const SHOWN_LINES: usize = 25;

/// Room for the object files of a dozen kernels.
const CCACHE_SIZE: &str = "5G";

/// What goes on around a build, and must not show in the kernel.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// How many files are made at once.
    pub jobs: usize,
    /// What goes before the words of each command: programs that run the rest of their arguments.
    pub wrapper: Vec<String>,
    /// Variables of the caller, besides those of this process.
    pub variables: Vec<(String, String)>,
}

impl Default for Surroundings {
    /// This process's own, one job for each processor.
    fn default() -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { jobs, wrapper: Vec::new(), variables: Vec::new() }
    }
}

/// Where a kernel is built, and in what surroundings. None of it may show in the kernel.
#[derive(Clone, Debug)]
pub struct Place {
    /// An empty folder for the source, and one for what is made of it; neither in the other.
    pub source: PathBuf,
    pub objects: PathBuf,
    pub log: PathBuf,
    /// Where ccache keeps object files. `None`: each file is compiled.
    pub compiler_cache: Option<PathBuf>,
    pub surroundings: Surroundings,
}

/// A source tree and a build folder, with a log of all that is done in them.
#[derive(Debug)]
pub(super) struct Make<'a> {
    plan: &'a Plan<'a>,
    pub(super) source: PathBuf,
    pub(super) build: PathBuf,
    log_path: PathBuf,
    log: File,
    shell: Shell,
    /// Where ccache keeps object files, where there is ccache.
    compiler_cache: Option<PathBuf>,
    surroundings: Surroundings,
}

impl<'a> Make<'a> {
    /// Both folders must be there, and neither in the other: `FLAGS` could not tell their paths apart.
    pub(super) fn new(plan: &'a Plan<'a>, place: Place) -> Result<Self> {
        let Place { source, objects: build, log: log_path, compiler_cache, surroundings } = place;
        for folder in [&source, &build] {
            if folder.display().to_string().contains([' ', ':', '\t']) {
                bail!(
                    "the kernel cannot be built in {}: no space and no colon may be in the path  hint: set XDG_CACHE_HOME",
                    folder.display()
                );
            }
        }
        if let Some(parent) = log_path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("making {}", parent.display()))?;
        }
        let log =
            File::create(&log_path).with_context(|| format!("making {}", log_path.display()))?;
        let shell = Shell::new()?;
        Ok(Self { plan, source, build, log_path, log, shell, compiler_cache, surroundings })
    }

    /// The start of every call of make: in which folders, for which machine, without which tools.
    pub(super) fn call(&self) -> Cmd<'_> {
        cmd::behind(&self.shell, &self.surroundings.wrapper, "make")
            .arg("-C")
            .arg(&self.source)
            .arg(format!("O={}", self.build.display()))
            .arg(format!("ARCH={}", self.plan.arch.kernel()))
            .arg(format!("CROSS_COMPILE={}", self.plan.cross))
            .args(ABSENT)
    }

    /// Makes `target`, with these variables besides the fixed ones. `what` names it in the progress line.
    pub(super) fn make(&self, target: &str, variables: &[String], what: &str) -> Result<()> {
        let flags = FLAGS
            .replace("{build}", &self.build.display().to_string())
            .replace("{source}", &self.source.display().to_string());
        let make = self
            .call()
            .arg(format!("-j{}", self.surroundings.jobs))
            .args([&format!("KCFLAGS={flags}"), &format!("KAFLAGS={flags}")])
            .args(
                self.compiler_cache.is_some().then(|| format!("CC=ccache {}gcc", self.plan.cross)),
            )
            .args(variables)
            .arg(target);
        self.run(make, &format!("make {target}"), what)
    }

    /// Runs a program of the source tree.
    pub(super) fn script(&self, below: &str, arguments: &[String]) -> Result<()> {
        let script = self.source.join(below);
        let script = cmd::behind(&self.shell, &self.surroundings.wrapper, script).args(arguments);
        self.run(script, below, "configuring")
    }

    fn run(&self, command: Cmd<'_>, name: &str, what: &str) -> Result<()> {
        let command = self.environment(command);
        writeln!(&self.log, "$ {command}").with_context(|| self.logging())?;
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        let second = writer.try_clone().context("sharing a pipe")?;
        let mut running = cmd::Background::start(command, |command| {
            command.stdout(writer).stderr(second);
        })?;
        self.follow(reader, what)?;
        let status = running.child.wait().with_context(|| format!("waiting for `{name}`"))?;
        if !status.success() {
            let said = std::fs::read(&self.log_path).with_context(|| self.logging())?;
            let last = last_messages(&String::from_utf8_lossy(&said));
            bail!("`{name}` ended with {status}, log in {}\n{last}", self.log_path.display());
        }
        Ok(())
    }

    fn environment<'c>(&self, command: Cmd<'c>) -> Cmd<'c> {
        let variables = self.surroundings.variables.iter().map(|(name, value)| (name, value));
        let mut command = cmd::clean_env(command.envs(variables));
        if let Some(folder) = &self.compiler_cache {
            command = command.env("CCACHE_DIR", folder).env("CCACHE_MAXSIZE", CCACHE_SIZE);
        }
        command
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            // Set and empty: the version is the source's, without a mark for a changed tree.
            .env("LOCALVERSION", "")
            .env("KBUILD_BUILD_TIMESTAMP", &self.plan.timestamp)
            .env("KBUILD_BUILD_USER", "ocidd")
            .env("KBUILD_BUILD_HOST", "ocidd")
            .env("KBUILD_BUILD_VERSION", "1")
    }

    /// Copies what is said to the log, and counts the files that were made.
    fn follow(&self, said: impl std::io::Read, what: &str) -> Result<()> {
        let started = Instant::now();
        let mut shown = started;
        let mut files = 0_u32;
        let mut said = BufReader::new(said);
        let mut line = Vec::new();
        while said.read_until(b'\n', &mut line).with_context(|| self.logging())? > 0 {
            (&self.log).write_all(&line).with_context(|| self.logging())?;
            files += u32::from(is_step(&line));
            line.clear();
            if shown.elapsed() > Duration::from_millis(200) {
                shown = Instant::now();
                report::live(format_args!("{what}: {files} files, {}", minutes(started.elapsed())));
            }
        }
        report::live_end();
        Ok(())
    }

    fn logging(&self) -> String {
        format!("writing {}", self.log_path.display())
    }
}

/// Whether a line tells of a file that is being made: `  CC      init/main.o`.
fn is_step(line: &[u8]) -> bool {
    line.strip_prefix(b"  ").and_then(|rest| rest.first()).is_some_and(u8::is_ascii_uppercase)
}

/// The last lines of a log that are not build steps.
fn last_messages(log: &str) -> String {
    let mut lines: Vec<&str> = log.lines().filter(|line| !is_step(line.as_bytes())).collect();
    lines.drain(..lines.len().saturating_sub(SHOWN_LINES));
    lines.join("\n")
}

/// A time for people: `3 min 07 s`.
pub fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// Removes a folder with all it holds, where it is there.
pub(super) fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_indented_capitals() {
        for (line, wanted) in [
            ("  CC      init/main.o\n", true),
            ("  LD [M]  x.ko\n", true),
            ("make[1]: x\n", false),
            ("  cc1: x\n", false),
            ("\n", false),
        ] {
            assert_eq!(is_step(line.as_bytes()), wanted, "{line}");
        }
    }

    #[test]
    fn shows_the_last_lines_without_build_steps() {
        let lines: Vec<String> =
            (0..30).map(|number| format!("{number}\n  CC      a.o\n")).collect();
        let shown = last_messages(&lines.concat());
        assert_eq!((shown.lines().count(), shown.lines().next()), (SHOWN_LINES, Some("5")));
        assert_eq!(
            last_messages("  LD      x\nno space\nmake: *** Error 1\n"),
            "no space\nmake: *** Error 1"
        );
        assert_eq!(last_messages(""), "");
    }

    #[test]
    fn times_are_minutes_and_seconds() {
        assert_eq!(minutes(Duration::from_secs(187)), "3 min 07 s");
    }
}
