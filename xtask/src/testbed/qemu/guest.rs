//! A running QEMU machine with its consoles. Dropping the [`Guest`] ends it.

use crate::host::cmd::Background;
use crate::testbed::qemu;
use crate::testbed::qemu::Machine;
use crate::testbed::qemu::console::Console;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::process::Stdio;
use xshell::Shell;

/// A running machine and what its consoles have said.
#[derive(Debug)]
pub struct Guest {
    qemu: Background,
    keyboard: ChildStdin,
    console: Console,
    second: Option<Console>,
}

impl Guest {
    /// Starts `machine`; what its console says is also put behind what `log` holds, and what the second one says
    /// into a file beside it.
    pub fn start(machine: &Machine<'_>, log: &Path) -> Result<Self> {
        let second = match machine.hardware.second_console {
            Some(socket) => {
                let listener = UnixListener::bind(socket)
                    .with_context(|| format!("listening on {}", socket.display()))?;
                Some(Console::listening(listener, &Self::second_log(log))?)
            }
            None => None,
        };
        let shell = Shell::new()?;
        let (program, words) = (qemu::program(machine.arch), machine.command_line());
        let mut qemu = Background::start(xshell::cmd!(shell, "{program} {words...}"), |command| {
            // Errors of QEMU itself belong on the console: that is where a reader of the log looks.
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        })?;
        let keyboard = qemu.child.stdin.take().context("opening the guest's keyboard")?;
        let stdout = qemu.child.stdout.take().context("opening the guest's console")?;
        Ok(Self { qemu, keyboard, console: Console::on(stdout, log)?, second })
    }

    /// The file beside `log` for what the second console says.
    pub fn second_log(log: &Path) -> PathBuf {
        log.with_extension("second.log")
    }

    /// [`Console::expect`] on the first console.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.console.expect(text).map_err(|fault| self.with_end(fault))
    }

    /// [`Console::expect_unless`] on the first console.
    pub fn expect_unless(&mut self, text: &str, alarm: &str) -> Result<String> {
        self.console.expect_unless(text, alarm).map_err(|fault| self.with_end(fault))
    }

    /// The second console.
    pub fn second_console(&mut self) -> Result<&mut Console> {
        self.second.as_mut().context("the machine has one console")
    }

    /// Types a line on the first console and presses return.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.keyboard, "{line}").with_context(|| format!("typing '{line}'"))?;
        self.keyboard.flush().context("typing")
    }

    /// Waits until the machine reboots or powers off. Returns the output of the first console.
    pub fn wait_end(mut self) -> Result<String> {
        self.console.hear_out()?;
        let status = self.qemu.child.wait().context("waiting for QEMU's end")?;
        if !status.success() {
            bail!("QEMU ended with {status}; {}", self.console.shown());
        }
        Ok(self.console.said().to_owned())
    }

    /// Adds QEMU's exit status to the error of an expectation if QEMU itself failed.
    fn with_end(&mut self, fault: anyhow::Error) -> anyhow::Error {
        if !self.console.has_ended() {
            return fault;
        }
        match self.qemu.child.wait() {
            Ok(status) if !status.success() => fault.context(format!("QEMU ended with {status}")),
            // The guest has rebooted or powered off.
            Ok(_) | Err(_) => fault,
        }
    }

    /// Cuts the power without a warning. Returns the output of the first console.
    pub fn cut_power(mut self) -> Result<String> {
        self.qemu.child.kill().context("killing QEMU")?;
        self.console.hear_out()?;
        self.qemu.child.wait().context("waiting for QEMU's end")?;
        Ok(self.console.said().to_owned())
    }
}
