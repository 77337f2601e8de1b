//! One console of a guest: what it has said so far, and waiting for what it says next. Every wait has an end.

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::fs::File;
use std::io::Read;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::time::Instant;

/// How long a guest may take for one thing. Emulation takes seconds; a busy host may take much longer.
const PATIENCE: Duration = Duration::from_mins(4);

/// After this a guest says nothing more that anyone waits for.
const PANIC: &str = "Kernel panic";

#[derive(Debug)]
pub struct Console {
    incoming: Receiver<Vec<u8>>,
    log_path: PathBuf,
    said: String,
    /// How much of `said` earlier expectations have used up.
    seen: usize,
}

impl Console {
    /// A console that is read from `output` and also written to the end of `log`.
    pub(super) fn on(output: impl Read + Send + 'static, log: &Path) -> Result<Self> {
        Self::start(log, |file, sender| pass_on(output, file, sender))
    }

    /// The same, of whoever connects to `listener` first.
    pub(super) fn listening(listener: UnixListener, log: &Path) -> Result<Self> {
        Self::start(log, move |file, sender| {
            if let Ok((stream, _)) = listener.accept() {
                pass_on(stream, file, sender);
            }
        })
    }

    fn start(
        log: &Path,
        read: impl FnOnce(&mut File, &Sender<Vec<u8>>) + Send + 'static,
    ) -> Result<Self> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let (sender, incoming) = channel();
        std::thread::spawn(move || read(&mut file, &sender));
        Ok(Self { incoming, log_path: log.to_owned(), said: String::new(), seen: 0 })
    }

    /// Waits until the console says `text` after what was expected before; returns the whole line up to there.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.expect_unless(text, PANIC)
    }

    /// The same, but gives up as soon as the console says `alarm` without it.
    pub fn expect_unless(&mut self, text: &str, alarm: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let console = self.log_path.display().to_string();
        loop {
            let new = self.said.get(self.seen..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                let before = self.said.get(..self.seen + at).unwrap_or_default();
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                self.seen += at + text.len();
                return Ok(self.said.get(line_start..self.seen).unwrap_or_default().to_owned());
            }
            if new.contains(alarm) {
                bail!("the guest said '{alarm}' and not '{text}'; its console is in {console}");
            }
            if !self.listen(deadline).with_context(|| format!("waiting for '{text}'"))? {
                bail!("the guest ended before it said '{text}'; its console is in {console}");
            }
        }
    }

    /// Takes in everything until the console's end.
    pub(super) fn hear_out(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.listen(deadline).context("waiting for the guest's end")? {}
        Ok(())
    }

    /// Everything said so far.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    pub(super) fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Takes in what the console says next. False when it will say nothing more.
    fn listen(&mut self, deadline: Instant) -> Result<bool> {
        match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => {
                self.said.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    "nothing for {} s; the guest's console is in {}",
                    PATIENCE.as_secs(),
                    self.log_path.display()
                )
            }
        }
    }
}

/// Not bounded: a guest stands still when nobody takes what it says on a second console, and a test may listen to one at a time.
fn pass_on(mut output: impl Read, log: &mut File, sender: &Sender<Vec<u8>>) {
    let mut buffer = vec![0; 4096];
    while let Ok(length) = output.read(&mut buffer) {
        let bytes = buffer.get(..length).unwrap_or_default();
        // A log that cannot be written is missed by its reader; the test needs none.
        log.write_all(bytes).ok();
        if bytes.is_empty() || sender.send(bytes.to_vec()).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(said: &'static str) -> (tempfile::NamedTempFile, Console) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let console = Console::on(said.as_bytes(), log.path()).unwrap();
        (log, console)
    }

    #[test]
    fn what_was_expected_is_not_found_again() {
        let (log, mut console) = console("one\r\ntwo one\r\n");
        assert_eq!(console.expect("one").unwrap(), "one");
        assert_eq!(console.expect("one").unwrap(), "two one");
        let error = console.expect("one").unwrap_err().to_string();
        assert!(error.contains("ended before it said 'one'"), "{error}");
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "one\r\ntwo one\r\n");
    }

    #[test]
    fn an_alarm_ends_the_wait() {
        let (_log, mut console) = console("Kernel panic - not syncing\nmore\n");
        let error = console.expect("hello").unwrap_err().to_string();
        assert!(error.contains("said 'Kernel panic' and not 'hello'"), "{error}");
    }
}
