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
const TIMEOUT: Duration = Duration::from_mins(4);

/// After this a guest says nothing more that anyone waits for.
const PANIC: &str = "Kernel panic";

/// How much of a console an error shows. The log may be gone with the machine that ran the test.
const LINES_SHOWN: usize = 20;

#[derive(Debug)]
pub struct Console {
    incoming: Receiver<Vec<u8>>,
    log_path: PathBuf,
    said: String,
    /// How much of `said` earlier expectations have used up.
    seen: usize,
    has_ended: bool,
}

impl Console {
    /// A console that is read from `output` and also written to the end of `log`.
    pub fn on(output: impl Read + Send + 'static, log: &Path) -> Result<Self> {
        Self::start(log, |file, sender| pass_on(output, file, sender))
    }

    /// The same for the first connection to `listener`.
    pub fn listening(listener: UnixListener, log: &Path) -> Result<Self> {
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
        let log_path = log.to_owned();
        Ok(Self { incoming, log_path, said: String::new(), seen: 0, has_ended: false })
    }

    /// Waits until the console says `text` after what was expected before; returns the whole line up to there.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.expect_unless(text, PANIC)
    }

    /// The same, but gives up as soon as the console says `alarm` without it.
    pub fn expect_unless(&mut self, text: &str, alarm: &str) -> Result<String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let new = self.said.get(self.seen..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                let before = self.said.get(..self.seen + at).unwrap_or_default();
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                self.seen += at + text.len();
                return Ok(self.said.get(line_start..self.seen).unwrap_or_default().to_owned());
            }
            if let Some(alarm) = [alarm, PANIC].into_iter().find(|alarm| new.contains(alarm)) {
                if alarm == PANIC {
                    // Its reason follows, and then nothing.
                    self.hear_out()?;
                }
                bail!("the guest said '{alarm}' and not '{text}'; {}", self.shown());
            }
            if !self.listen(deadline).with_context(|| format!("waiting for '{text}'"))? {
                bail!("the guest ended before it said '{text}'; {}", self.shown());
            }
        }
    }

    /// Takes in everything until the console's end.
    pub fn hear_out(&mut self) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.listen(deadline).context("waiting for the guest's end")? {}
        Ok(())
    }

    /// Everything said so far.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// True once it will say nothing more: the guest's program has ended.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Where all of it is, and its last lines, for an error.
    pub fn shown(&self) -> String {
        let lines: Vec<&str> = self.said.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default();
        let (log, last) = (self.log_path.display(), last.join("\n    "));
        format!("its console is in {log}, and its last lines are\n    {last}")
    }

    /// Takes in what the console says next. False when it will say nothing more.
    fn listen(&mut self, deadline: Instant) -> Result<bool> {
        match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => {
                self.said.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.has_ended = true;
                Ok(false)
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("the guest did not print it within {} s; {}", TIMEOUT.as_secs(), self.shown())
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

    fn console(said: &str) -> (tempfile::NamedTempFile, Console) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let console = Console::on(std::io::Cursor::new(said.to_owned()), log.path()).unwrap();
        (log, console)
    }

    #[test]
    fn what_was_expected_is_not_found_again() {
        let (log, mut console) = console("one\r\ntwo one\r\n");
        assert_eq!(console.expect("one").unwrap(), "one");
        assert_eq!(console.expect("one").unwrap(), "two one");
        let error = console.expect("one").unwrap_err().to_string();
        assert!(error.contains("ended before it said 'one'"), "{error}");
        assert!(error.ends_with("its last lines are\n    one\n    two one"), "{error}");
        assert!(console.has_ended());
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "one\r\ntwo one\r\n");
    }

    #[test]
    fn an_alarm_ends_the_wait() {
        for (said, alarm) in [("oh no\nmore\n", "oh no"), ("Kernel panic: \nwhy\n", PANIC)] {
            let (_log, mut console) = console(said);
            let error = console.expect_unless("hello", "oh no").unwrap_err().to_string();
            assert!(error.contains(&format!("said '{alarm}' and not 'hello'")), "{error}");
        }
    }

    #[test]
    fn an_error_shows_the_last_lines() {
        let (_log, mut console) = console(&"a line\n".repeat(LINES_SHOWN + 5));
        console.hear_out().unwrap();
        assert_eq!(console.shown().matches("\n    a line").count(), LINES_SHOWN);
    }
}
