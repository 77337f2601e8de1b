//! Runs programs and reaps all children, including orphans.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus},
    thread::Builder,
};

use anyhow::Context as _;
use rustix::{
    io::Errno,
    process::{Pid, WaitOptions},
};

use crate::{
    console,
    console::Console,
    log::{
        relay::{Piece, relay},
        report,
    },
};

const INSTALLER: &str = "/bin/ocidd";

/// Boot tests wait for this text and the following number.
const ENDED: &str = "ended with exit code";

/// Set if `<0>` to `<7>` at the start of a line is its level.
const LINE_LEVELS: &str = "OCIDD_LINE_LEVELS";

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `ocidd`, or `the hook 'before'`.
    program: String,
    end: End,
}

#[derive(Debug)]
enum End {
    Exited(i32),
    Killed(i32),
    NotStarted(anyhow::Error),
}

impl Outcome {
    fn new(program: impl Into<String>, result: anyhow::Result<ExitStatus>) -> Self {
        let end = match result.map(|status| (status.code(), status.signal())) {
            Ok((Some(code), _)) => End::Exited(code),
            Ok((None, signal)) => End::Killed(signal.unwrap_or_default()),
            Err(error) => End::NotStarted(error),
        };
        Self { program: program.into(), end }
    }

    pub(crate) fn is_success(&self) -> bool {
        matches!(self.end, End::Exited(0))
    }

    /// The exit code that a shell would report.
    pub(crate) fn code(&self) -> i32 {
        match self.end {
            End::Exited(code) => code,
            End::Killed(signal) => 128 + signal,
            End::NotStarted(_) => 127,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, end } = self;
        match end {
            End::Exited(0) => write!(f, "{program} succeeded"),
            End::Exited(code) => write!(f, "{program} {ENDED} {code}"),
            End::Killed(signal) => write!(f, "{program} was killed by signal {signal}"),
            End::NotStarted(error) => write!(f, "{program} could not be started: {error:#}"),
        }
    }
}

pub(crate) fn run_installer(parameters: &[OsString], console: &Console) -> Outcome {
    run_relayed("ocidd", command(INSTALLER, "dumb").args(parameters), console)
}

/// Runs a program that reads from the active console and prints on all of them.
pub(crate) fn run_relayed(
    name: impl Into<String>,
    command: &mut Command,
    console: &Console,
) -> Outcome {
    command.stdin(console::open_input(console)).env(LINE_LEVELS, "1");
    Outcome::new(name, relay_to_end(command, |piece| report::print_piece(&piece)))
}

fn relay_to_end(
    command: &mut Command,
    sink: impl FnMut(Piece) + Send + 'static,
) -> anyhow::Result<ExitStatus> {
    let (output, printed) = io::pipe().context("making a pipe")?;
    let (program, running) = io::pipe().context("making a pipe")?;
    command.stdout(printed.try_clone().context("sharing a pipe")?).stderr(printed);
    let relaying = Builder::new()
        .name("relay".to_owned())
        .spawn(move || relay(output, &program, sink))
        .context("starting a thread for its output")?;
    let result = run(command);
    drop(running);
    match relaying.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => report::warn_error(&error),
        // The panic hook has reported it and reboots the machine.
        Err(_) => report::warn("relaying output has panicked"),
    }
    result
}

/// A command in the environment of all programs, without the variables from the kernel.
#[expect(clippy::disallowed_methods, reason = "the only place where init creates commands")]
pub(crate) fn command(program: impl AsRef<OsStr>, term: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin")
        .env("HOME", "/root")
        .env("TERM", term);
    command
}

/// Runs a command until it ends, and reaps orphans meanwhile.
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
pub(crate) mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError, mpsc::channel};

    use anyhow::anyhow;

    use super::*;
    use crate::log::relay::Line;

    /// `run` reaps every child, so only one test at a time can run programs.
    pub(crate) fn alone() -> MutexGuard<'static, ()> {
        static CHILDREN: Mutex<()> = Mutex::new(());
        CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_script(script: &str) -> (anyhow::Result<ExitStatus>, Vec<Piece>) {
        let _alone = alone();
        let (sender, pieces) = channel();
        let mut command = command("/bin/sh", "dumb");
        command.args(["-c", script]);
        let result = relay_to_end(&mut command, move |piece| sender.send(piece).unwrap());
        (result, pieces.iter().collect())
    }

    fn line(level: u8, text: &str) -> Piece {
        Piece::Line(Line { level, text: text.into() })
    }

    #[test]
    fn displays_how_the_installer_ended() {
        for (raw, text, code) in [
            (0, "ocidd succeeded", 0),
            (4 << 8, "ocidd ended with exit code 4", 4),
            (255 << 8, "ocidd ended with exit code 255", 255),
            (9, "ocidd was killed by signal 9", 137),
            // With a core dump.
            (0x8b, "ocidd was killed by signal 11", 139),
        ] {
            let outcome = Outcome::new("ocidd", Ok(ExitStatus::from_raw(raw)));
            assert_eq!((outcome.to_string().as_str(), outcome.code()), (text, code));
            assert_eq!(outcome.is_success(), raw == 0, "{raw}");
        }
    }

    #[test]
    fn displays_why_the_installer_did_not_start() {
        let error = anyhow!("permission denied").context("starting /bin/ocidd");
        let text = "ocidd could not be started: starting /bin/ocidd: permission denied";
        assert_eq!(Outcome::new("ocidd", Err(error)).to_string(), text);
    }

    #[test]
    fn relays_both_outputs_of_a_program_in_order() {
        let (result, pieces) =
            run_script("echo '<3>one'; echo two >&2; echo three; printf '<4>four'; exit 7");
        assert_eq!(result.unwrap().code(), Some(7));
        assert_eq!(pieces, [line(3, "one"), line(6, "two"), line(6, "three"), line(4, "four")]);
    }

    #[test]
    fn does_not_wait_for_children_of_a_program() {
        let (result, pieces) = run_script("(exec sleep 5) & echo $!");
        assert!(result.unwrap().success());
        let [Piece::Line(line)] = &pieces[..] else { panic!("{pieces:?}") };
        let orphan: i32 = str::from_utf8(&line.text).unwrap().parse().unwrap();
        let orphan = Pid::from_raw(orphan).unwrap();
        rustix::process::kill_process(orphan, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn a_missing_program_is_an_error_and_does_not_hang() {
        let _alone = alone();
        let result = relay_to_end(&mut command("/nosuch", "dumb"), |_| {});
        let error = format!("{:#}", result.unwrap_err());
        assert!(error.starts_with("starting /nosuch: No such file"), "{error}");
    }
}
