//! Starts programs and reaps children: the installer to its end, and on the way every orphan that became ours. Starts nothing twice.

use crate::console::Kind;
use anyhow::Context as _;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::process::WaitOptions;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::process::ExitStatus;

const INSTALLER: &str = "/bin/ocidd";

/// Boot tests wait for this text and the number behind it.
const ENDED: &str = "ocidd ended with exit code";

/// What became of the installer.
#[derive(Debug)]
pub(crate) enum Outcome {
    Succeeded,
    Ended(i32),
    Killed(i32),
    NotStarted(anyhow::Error),
}

impl From<anyhow::Result<ExitStatus>> for Outcome {
    fn from(result: anyhow::Result<ExitStatus>) -> Self {
        match result.map(|status| (status.code(), status.signal())) {
            Ok((Some(0), _)) => Self::Succeeded,
            Ok((Some(code), _)) => Self::Ended(code),
            Ok((None, signal)) => Self::Killed(signal.unwrap_or_default()),
            Err(error) => Self::NotStarted(error),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => write!(f, "ocidd succeeded"),
            Self::Ended(code) => write!(f, "{ENDED} {code}"),
            Self::Killed(signal) => write!(f, "ocidd was killed by signal {signal}"),
            Self::NotStarted(error) => write!(f, "ocidd could not be started: {error:#}"),
        }
    }
}

/// Runs the installer on our own standard input and output, and waits for its end.
pub(crate) fn run_installer(words: &[OsString], console: Kind) -> Outcome {
    let term = match console {
        Kind::Screen => "linux",
        // The installer then prints lines that can be read in a log, too.
        Kind::Line => "dumb",
    };
    run(command(INSTALLER, term).args(words)).into()
}

/// A command in the environment all our programs share; what the kernel put into ours stays behind.
#[expect(clippy::disallowed_methods, reason = "the one place where init names a program to start")]
pub(crate) fn command(program: &str, term: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin")
        .env("HOME", "/root")
        .env("TERM", term);
    command
}

/// Runs a command to its end. Children of others that were left to us are reaped meanwhile, or they would stay as zombies.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let program = command.get_program().display().to_string();
    let child = command.spawn().with_context(|| format!("starting {program}"))?;
    let pid = Pid::from_child(&child);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).with_context(|| format!("waiting for {program}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn the_end_of_the_installer_is_told_by_its_status() {
        for (raw, text) in [
            (0, "ocidd succeeded"),
            (4 << 8, "ocidd ended with exit code 4"),
            (255 << 8, "ocidd ended with exit code 255"),
            (9, "ocidd was killed by signal 9"),
            // With a core dump.
            (0x8b, "ocidd was killed by signal 11"),
        ] {
            let outcome = Outcome::from(Ok(ExitStatus::from_raw(raw)));
            assert_eq!(outcome.to_string(), text);
            assert_eq!(matches!(outcome, Outcome::Succeeded), raw == 0, "{raw}");
        }
    }

    #[test]
    fn an_installer_that_did_not_start_tells_why() {
        let error = anyhow!("permission denied").context("starting /bin/ocidd");
        let text = "ocidd could not be started: starting /bin/ocidd: permission denied";
        assert_eq!(Outcome::from(Err(error)).to_string(), text);
    }
}
