//! Starts programs and reaps children: each program to its end, and on the way every orphan that became ours. Starts nothing twice.

use crate::console;
use crate::console::Console;
use crate::relay;
use crate::relay::Piece;
use crate::report;
use anyhow::Context as _;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::process::WaitOptions;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::process::ExitStatus;
use std::thread::Builder;

const INSTALLER: &str = "/bin/ocidd";

/// Boot tests wait for this text and the number behind it.
const ENDED: &str = "ended with exit code";

/// Tells a program that `<0>` to `<7>` before a line is taken for its level.
const LINE_LEVELS: (&str, &str) = ("OCIDD_LINE_LEVELS", "1");

/// What became of a program.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What people call it: `ocidd`, or `the hook 'before'`.
    pub(crate) program: String,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    Succeeded,
    Exited(i32),
    Killed(i32),
    NotStarted(anyhow::Error),
}

impl Outcome {
    fn new(program: impl Into<String>, result: anyhow::Result<ExitStatus>) -> Self {
        let end = match result.map(|status| (status.code(), status.signal())) {
            Ok((Some(0), _)) => End::Succeeded,
            Ok((Some(code), _)) => End::Exited(code),
            Ok((None, signal)) => End::Killed(signal.unwrap_or_default()),
            Err(error) => End::NotStarted(error),
        };
        Self { program: program.into(), end }
    }

    pub(crate) fn is_success(&self) -> bool {
        matches!(self.end, End::Succeeded)
    }

    /// The exit code a shell would give.
    pub(crate) fn code(&self) -> i32 {
        match self.end {
            End::Succeeded => 0,
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
            End::Succeeded => write!(f, "{program} succeeded"),
            End::Exited(code) => write!(f, "{program} {ENDED} {code}"),
            End::Killed(signal) => write!(f, "{program} was killed by signal {signal}"),
            End::NotStarted(error) => write!(f, "{program} could not be started: {error:#}"),
        }
    }
}

/// Runs the installer and waits for its end.
pub(crate) fn run_installer(words: &[OsString], console: &Console) -> Outcome {
    run_relayed("ocidd", command(INSTALLER, "dumb").args(words), console)
}

/// Runs a program that reads from the active console and prints on all of them, and waits for its end.
pub(crate) fn run_relayed(
    name: impl Into<String>,
    command: &mut Command,
    console: &Console,
) -> Outcome {
    command.stdin(console::open_input(console)).env(LINE_LEVELS.0, LINE_LEVELS.1);
    let result = relay_to_end(command, |piece| match piece {
        Piece::Line(line) => report::pass_line(&line),
        Piece::Unfinished(line) => report::pass_unfinished(&line),
    });
    Outcome::new(name, result)
}

fn relay_to_end(
    command: &mut Command,
    sink: impl FnMut(Piece) + Send + 'static,
) -> anyhow::Result<ExitStatus> {
    let (output, printed) = io::pipe().context("making a pipe")?;
    let (program, running) = io::pipe().context("making a pipe")?;
    command.stdout(printed.try_clone().context("sharing a pipe")?).stderr(printed);
    let relay = Builder::new()
        .name("relay".to_owned())
        .spawn(move || relay::pass_on(output, &program, sink))
        .context("starting a thread for its output")?;
    let result = run(command);
    drop(running);
    match relay.join() {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => report::tell(&fault),
        // A panic has told itself, and it reboots the machine.
        Err(_) => report::warn("passing on output came to a sudden end"),
    }
    result
}

/// A command in the environment all our programs share; what the kernel put into ours stays behind.
#[expect(clippy::disallowed_methods, reason = "the one place where init names a program to start")]
pub(crate) fn command(program: impl AsRef<OsStr>, term: &str) -> Command {
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
pub(crate) mod tests {
    use super::*;
    use crate::lines::Level;
    use crate::lines::Line;
    use anyhow::anyhow;
    use std::sync::Mutex;
    use std::sync::MutexGuard;
    use std::sync::PoisonError;
    use std::sync::mpsc::channel;

    /// `run` reaps whatever child ends, so a process may have one test at a time that runs programs.
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
        Piece::Line(Line { level: Level::new(level).unwrap(), text: text.into() })
    }

    #[test]
    fn the_end_of_the_installer_is_told_by_its_status() {
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
    fn an_installer_that_did_not_start_tells_why() {
        let error = anyhow!("permission denied").context("starting /bin/ocidd");
        let text = "ocidd could not be started: starting /bin/ocidd: permission denied";
        assert_eq!(Outcome::new("ocidd", Err(error)).to_string(), text);
    }

    #[test]
    fn both_outputs_of_a_program_are_relayed_in_their_order() {
        let (result, pieces) =
            run_script("echo '<3>one'; echo two >&2; echo three; printf '<4>four'; exit 7");
        assert_eq!(result.unwrap().code(), Some(7));
        assert_eq!(pieces, [line(3, "one"), line(6, "two"), line(6, "three"), line(4, "four")]);
    }

    #[test]
    fn a_program_that_leaves_another_behind_has_ended_all_the_same() {
        let (result, pieces) = run_script("(exec sleep 5) & echo $!");
        assert!(result.unwrap().success());
        let [Piece::Line(line)] = &pieces[..] else { panic!("{pieces:?}") };
        let orphan: i32 = str::from_utf8(&line.text).unwrap().parse().unwrap();
        let orphan = Pid::from_raw(orphan).unwrap();
        rustix::process::kill_process(orphan, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_a_fault_and_no_hang() {
        let _alone = alone();
        let result = relay_to_end(&mut command("/nosuch", "dumb"), |_| {});
        let fault = format!("{:#}", result.unwrap_err());
        assert!(fault.starts_with("starting /nosuch: No such file"), "{fault}");
    }
}
