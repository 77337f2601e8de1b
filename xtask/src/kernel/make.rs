//! Runs the kernel's make in a fixed environment, with a log, progress on a terminal, and the last
//! lines of the log after a failure.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use xshell::{Cmd, Shell};

use crate::{
    host::{cmd, report, report::hinted},
    kernel::plan::Plan,
};

/// Flags for compiler and assembler that remove both directories from the kernel. The last match
/// wins.
pub const FLAGS: &str = "-ffile-prefix-map={build}=. \
    -ffile-prefix-map={source}=. -ffile-prefix-map={build}/= -ffile-prefix-map={source}/=";

/// Tools that the image does not need. The configuration would contain their versions if installed.
pub const ABSENT: [&str; 3] = ["RUSTC=none", "BINDGEN=none", "PAHOLE=none"];

/// Lines of the log in the error of a failed command.
const SHOWN_LINES: usize = 25;

/// Enough for the object files of a dozen kernels.
const CCACHE_SIZE: &str = "5G";

/// The environment of a build, which must not affect the kernel.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Number of parallel jobs.
    pub jobs: usize,
    /// Prefix of each command: programs that run the rest of their arguments.
    pub wrapper: Vec<String>,
    /// Variables besides those of this process.
    pub variables: Vec<(String, String)>,
}

impl Default for Surroundings {
    /// That of this process, with one job per processor.
    fn default() -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { jobs, wrapper: Vec::new(), variables: Vec::new() }
    }
}

/// Where and how a kernel is built. Must not affect the kernel.
#[derive(Clone, Debug)]
pub struct Place {
    /// Two empty directories, neither of which contains the other.
    pub source: PathBuf,
    pub objects: PathBuf,
    pub log: PathBuf,
    /// The directory of ccache; `None` disables it.
    pub compiler_cache: Option<PathBuf>,
    pub surroundings: Surroundings,
}

/// A source tree and a build directory, with a log of all commands run there.
#[derive(Debug)]
pub struct Make<'a> {
    plan: &'a Plan<'a>,
    pub place: Place,
    log: File,
    shell: Shell,
}

impl<'a> Make<'a> {
    /// Both directories must exist, neither inside the other: `FLAGS` could not distinguish them.
    pub fn new(plan: &'a Plan<'a>, place: Place) -> Result<Self> {
        for folder in [&place.source, &place.objects] {
            if folder.display().to_string().contains([' ', ':', '\t']) {
                let path = folder.display();
                let fact = format!("cannot build in {path}: the path has a space, tab or colon");
                return Err(hinted(fact, "set XDG_CACHE_HOME"));
            }
        }
        let creating = || format!("creating {}", place.log.display());
        if let Some(parent) = place.log.parent() {
            std::fs::create_dir_all(parent).with_context(creating)?;
        }
        let log = File::create(&place.log).with_context(creating)?;
        Ok(Self { plan, log, shell: Shell::new()?, place })
    }

    /// Builds `target` with additional variables. `what` describes it in the progress line.
    pub fn make(&self, target: &str, variables: &[String], what: &str) -> Result<()> {
        let place = &self.place;
        let cross = self.plan.cross;
        let flags = FLAGS
            .replace("{build}", &place.objects.display().to_string())
            .replace("{source}", &place.source.display().to_string());
        let make = cmd::behind(&self.shell, &place.surroundings.wrapper, "make")
            .arg("-C")
            .arg(&place.source)
            .arg(format!("O={}", place.objects.display()))
            .arg(format!("ARCH={}", self.plan.arch.kernel()))
            .arg(format!("CROSS_COMPILE={cross}"))
            .args(ABSENT)
            .arg(format!("-j{}", place.surroundings.jobs))
            .args([&format!("KCFLAGS={flags}"), &format!("KAFLAGS={flags}")])
            .args(place.compiler_cache.is_some().then(|| format!("CC=ccache {cross}gcc")))
            .args(variables)
            .arg(target);
        self.run(make, &format!("make {target}"), what)
    }

    /// Runs a program of the source tree.
    pub fn script(&self, below: &str, arguments: &[String]) -> Result<()> {
        let Place { source, surroundings, .. } = &self.place;
        let script = cmd::behind(&self.shell, &surroundings.wrapper, source.join(below));
        self.run(script.args(arguments), below, "configuring")
    }

    fn run(&self, command: Cmd<'_>, name: &str, what: &str) -> Result<()> {
        let command = self.environment(command);
        writeln!(&self.log, "$ {command}").with_context(|| self.logging())?;
        let (reader, writer) = std::io::pipe().context("creating a pipe")?;
        let second = writer.try_clone().context("sharing a pipe")?;
        let mut running = cmd::Background::start(command, |command| {
            command.stdout(writer).stderr(second);
        })?;
        self.follow(reader, what)?;
        let status = running.child.wait().with_context(|| format!("waiting for `{name}`"))?;
        if !status.success() {
            let log = std::fs::read(&self.place.log).with_context(|| self.logging())?;
            let last = last_messages(&String::from_utf8_lossy(&log));
            bail!("`{name}` ended with {status}, log in {}\n{last}", self.place.log.display());
        }
        Ok(())
    }

    fn environment<'c>(&self, command: Cmd<'c>) -> Cmd<'c> {
        let variables = self.place.surroundings.variables.iter().map(|(name, value)| (name, value));
        let mut command = cmd::clean_env(command.envs(variables));
        if let Some(folder) = &self.place.compiler_cache {
            command = command.env("CCACHE_DIR", folder).env("CCACHE_MAXSIZE", CCACHE_SIZE);
        }
        command
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            // Empty, not unset: the version is that of the source, without a suffix for a changed
            // tree.
            .env("LOCALVERSION", "")
            .env("KBUILD_BUILD_TIMESTAMP", &self.plan.timestamp)
            .env("KBUILD_BUILD_USER", "ocidd")
            .env("KBUILD_BUILD_HOST", "ocidd")
            .env("KBUILD_BUILD_VERSION", "1")
    }

    /// Copies the output to the log and counts build steps.
    fn follow(&self, output: impl std::io::Read, what: &str) -> Result<()> {
        let (started, progress) = (Instant::now(), report::progress_line());
        let mut files = 0_u32;
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).with_context(|| self.logging())? > 0 {
            (&self.log).write_all(&line).with_context(|| self.logging())?;
            files += u32::from(is_step(&line));
            line.clear();
            let time = minutes(started.elapsed());
            progress.0.set_message(format!("{what}: {files} files, {time}"));
        }
        Ok(())
    }

    fn logging(&self) -> String {
        format!("writing {}", self.place.log.display())
    }
}

/// Whether make prints this line for a build step: `  CC      init/main.o`.
fn is_step(line: &[u8]) -> bool {
    line.strip_prefix(b"  ").and_then(|rest| rest.first()).is_some_and(u8::is_ascii_uppercase)
}

/// The last lines of a log that are not build steps, after the errors of compilers before them.
fn last_messages(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !is_step(line.as_bytes())).collect();
    let (earlier, last) = lines.split_at(lines.len().saturating_sub(SHOWN_LINES));
    // Parallel jobs may print many lines after the error of another one.
    let errors = earlier.iter().filter(|line| line.contains("error:")).take(SHOWN_LINES);
    errors.chain(last).copied().collect::<Vec<_>>().join("\n")
}

/// Formats a duration: `3 min 07 s`.
pub fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
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
        let shown = last_messages(&format!("a.c:1:2: error: b\n{}", lines.concat()));
        assert!(shown.starts_with("a.c:1:2: error: b\n5\n"), "{shown}");
    }

    #[test]
    fn times_are_minutes_and_seconds() {
        assert_eq!(minutes(Duration::from_secs(187)), "3 min 07 s");
    }
}
