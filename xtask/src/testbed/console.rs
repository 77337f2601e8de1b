//! A running QEMU machine and its consoles: waits for output, with a time limit, and types.

use std::{
    fs::File,
    io,
    io::{Read, Write as _},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{ChildStdin, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use xshell::Shell;

use crate::{
    host::cmd::Background,
    testbed::{qemu, qemu::Machine},
};

/// Time limit of one wait. Emulation takes seconds; a busy host may take much longer.
const TIMEOUT: Duration = Duration::from_mins(4);

/// The last output that any test could expect.
const PANIC: &str = "Kernel panic";

/// Lines of a console in an error. The log may be lost with the machine that ran the test.
const LINES_SHOWN: usize = 20;

/// A running machine. Dropping it ends it.
#[derive(Debug)]
pub struct Guest {
    qemu: Background,
    keyboard: ChildStdin,
    console: Console,
    second: Option<Console>,
}

impl Guest {
    /// Starts `machine`. Appends the output of its console to `log`, that of a second console to
    /// [`Self::second_log`].
    pub fn start(machine: &Machine<'_>, log: &Path) -> Result<Self> {
        let mut second = None;
        if let Some(socket) = machine.hardware.second_console {
            let listener = UnixListener::bind(socket)
                .with_context(|| format!("listening on {}", socket.display()))?;
            let connection = move || listener.accept().map(|(stream, _)| stream);
            second = Some(Console::start(&Self::second_log(log), connection)?);
        }
        let shell = Shell::new()?;
        let (program, words) = (qemu::program(machine.arch), machine.command_line());
        let mut qemu = Background::start(xshell::cmd!(shell, "{program} {words...}"), |command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        })?;
        let keyboard = qemu.child.stdin.take().context("opening the guest's keyboard")?;
        let stdout = qemu.child.stdout.take().context("opening the guest's console")?;
        Ok(Self { qemu, keyboard, console: Console::start(log, || Ok(stdout))?, second })
    }

    /// The log of the second console.
    pub fn second_log(log: &Path) -> PathBuf {
        log.with_extension("second.log")
    }

    /// [`Console::expect`] on the first console.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.expect_unless(text, PANIC)
    }

    /// [`Console::expect_unless`] on the first console. If QEMU itself failed, the error contains
    /// its exit status.
    pub fn expect_unless(&mut self, text: &str, alarm: &str) -> Result<String> {
        let found = self.console.expect_unless(text, alarm);
        if found.is_err()
            && self.console.has_ended
            && let Ok(status) = self.qemu.child.wait()
            && !status.success()
        {
            return found.with_context(|| format!("QEMU ended with {status}"));
        }
        found
    }

    pub fn second_console(&mut self) -> Result<&mut Console> {
        self.second.as_mut().context("the machine has one console")
    }

    /// Types a line on the first console and presses return.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.keyboard, "{line}").with_context(|| format!("typing '{line}'"))?;
        self.keyboard.flush().context("typing")
    }

    /// Waits until the machine reboots or powers off. Returns the output of the first console.
    pub fn wait_end(&mut self) -> Result<&str> {
        self.console.read_to_end()?;
        let status = self.qemu.child.wait().context("waiting for QEMU's end")?;
        if !status.success() {
            bail!("QEMU ended with {status}; {}", self.console.excerpt());
        }
        Ok(&self.console.output)
    }

    /// Cuts the power without a warning. Returns the output of the first console.
    pub fn cut_power(&mut self) -> Result<&str> {
        self.qemu.child.kill().context("killing QEMU")?;
        self.console.read_to_end()?;
        self.qemu.child.wait().context("waiting for QEMU's end")?;
        Ok(&self.console.output)
    }
}

#[derive(Debug)]
pub struct Console {
    incoming: Receiver<Vec<u8>>,
    log_path: PathBuf,
    output: String,
    /// How much of `output` earlier expectations have consumed.
    seen: usize,
    /// QEMU has ended.
    has_ended: bool,
}

impl Console {
    /// Reads from what `open` returns in a thread, and appends it to `log`.
    fn start<R: Read>(
        log: &Path,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let mut file = file.with_context(|| format!("opening {}", log.display()))?;
        // Unbounded: a guest stops while nothing reads its second console, and a test waits for one
        // console at a time.
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let Ok(mut console) = open() else { return };
            let mut buffer = vec![0; 4096];
            while let Ok(length @ 1..) = console.read(&mut buffer) {
                let bytes = buffer.get(..length).unwrap_or_default();
                // The test does not need the log.
                file.write_all(bytes).ok();
                if sender.send(bytes.to_vec()).is_err() {
                    break;
                }
            }
        });
        let log_path = log.to_owned();
        Ok(Self { incoming, log_path, output: String::new(), seen: 0, has_ended: false })
    }

    /// Waits for `text` after the text expected before. Returns the line up to its end.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.expect_unless(text, PANIC)
    }

    /// Like [`Self::expect`], but fails as soon as the console prints `alarm` before `text`.
    pub fn expect_unless(&mut self, text: &str, alarm: &str) -> Result<String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let new = self.output.get(self.seen..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                let before = self.output.get(..self.seen + at).unwrap_or_default();
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                self.seen += at + text.len();
                return Ok(self.output.get(line_start..self.seen).unwrap_or_default().to_owned());
            }
            if let Some(alarm) = [alarm, PANIC].into_iter().find(|alarm| new.contains(alarm)) {
                if alarm == PANIC {
                    // The reason follows.
                    self.read_to_end()?;
                }
                bail!("the guest printed '{alarm}' instead of '{text}'; {}", self.excerpt());
            }
            if !self.read(deadline).with_context(|| format!("waiting for '{text}'"))? {
                bail!("the guest ended before it printed '{text}'; {}", self.excerpt());
            }
        }
    }

    /// Reads until QEMU ends.
    fn read_to_end(&mut self) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.read(deadline).context("waiting for the guest's end")? {}
        Ok(())
    }

    /// The log's path and the last lines, for an error.
    fn excerpt(&self) -> String {
        let lines: Vec<&str> = self.output.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default();
        let (log, last) = (self.log_path.display(), last.join("\n    "));
        format!("its console is in {log}, the last lines are\n    {last}")
    }

    /// Reads the next output. Returns false at the end.
    fn read(&mut self, deadline: Instant) -> Result<bool> {
        match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => self.output.push_str(&String::from_utf8_lossy(&bytes).replace('\r', "")),
            Err(RecvTimeoutError::Disconnected) => self.has_ended = true,
            Err(RecvTimeoutError::Timeout) => {
                bail!("nothing within {} s; {}", TIMEOUT.as_secs(), self.excerpt())
            }
        }
        Ok(!self.has_ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(output: &str) -> (tempfile::NamedTempFile, Console) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let output = output.to_owned();
        let console = Console::start(log.path(), || Ok(io::Cursor::new(output))).unwrap();
        (log, console)
    }

    #[test]
    fn finds_each_text_once() {
        let (log, mut console) = console("one\r\ntwo one\r\n");
        assert_eq!(console.expect("one").unwrap(), "one");
        assert_eq!(console.expect("one").unwrap(), "two one");
        let error = console.expect("one").unwrap_err().to_string();
        assert!(error.contains("ended before it printed 'one'"), "{error}");
        assert!(error.ends_with("the last lines are\n    one\n    two one"), "{error}");
        assert!(console.has_ended);
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "one\r\ntwo one\r\n");
    }

    #[test]
    fn stops_waiting_at_alarm() {
        for (output, alarm) in [("oh no\nmore\n", "oh no"), ("Kernel panic: \nwhy\n", PANIC)] {
            let (_log, mut console) = console(output);
            let error = console.expect_unless("hello", "oh no").unwrap_err().to_string();
            assert!(error.contains(&format!("printed '{alarm}' instead of 'hello'")), "{error}");
        }
    }

    #[test]
    fn error_contains_last_lines() {
        let (_log, mut console) = console(&"a line\n".repeat(LINES_SHOWN + 5));
        console.read_to_end().unwrap();
        assert_eq!(console.excerpt().matches("\n    a line").count(), LINES_SHOWN);
    }
}
