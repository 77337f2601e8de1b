//! Writes to one console from a thread of its own, since a console may block for ever. Goes in: bytes, at any rate; what a slow console has
//! no time for is left out, the oldest first, and the gap is told there.

use anyhow::Context as _;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread::Builder;
use std::time::Duration;
use std::time::Instant;

/// Bytes that may wait for a console: six seconds' worth at 115200 baud.
const MOST_WAITING: usize = 64 * 1024;

/// The end of a console that bytes are put into. Its thread stays for as long as the process does.
#[derive(Debug)]
pub(crate) struct ConsoleWriter {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// Pieces left out since the last that was written.
    left_out: usize,
    /// The thread holds a piece.
    is_writing: bool,
    /// Someone has waited in vain, and nothing was written since.
    is_stuck: bool,
}

impl ConsoleWriter {
    /// Opens a console and starts its thread. `open` is called again when writing fails: the end of a session hangs up its terminal, and
    /// whoever had it open must open it anew.
    pub(crate) fn start(
        mut open: impl FnMut() -> anyhow::Result<File> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let mut console = open()?;
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        Builder::new()
            .name("console".to_owned())
            .spawn(move || {
                loop {
                    let piece = theirs.take();
                    if write_out(&console, &piece).is_err()
                        && let Ok(reopened) = open()
                    {
                        console = reopened;
                        // A console that fails twice has lost this piece; the next one tries again.
                        write_out(&console, &piece).ok();
                    }
                    theirs.written();
                }
            })
            .context("starting a thread for a console")?;
        Ok(Self { queue })
    }

    /// Hands over a piece. Never waits.
    pub(crate) fn push(&self, piece: Vec<u8>) {
        let mut state = self.queue.lock();
        state.waiting_bytes += piece.len();
        state.waiting.push_back(piece);
        while state.waiting_bytes > MOST_WAITING && state.waiting.len() > 1 {
            let oldest = state.waiting.pop_front().unwrap_or_default();
            state.waiting_bytes -= oldest.len();
            state.left_out += 1;
        }
        self.queue.changed.notify_all();
    }

    /// Waits until everything is written, at most until then.
    pub(crate) fn drain(&self, deadline: Instant) {
        let mut state = self.queue.lock();
        while state.is_writing || !state.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.is_stuck = true;
                return;
            }
            let woken = self.queue.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// True after a `drain` in vain, until the console takes something again.
    pub(crate) fn is_stuck(&self) -> bool {
        self.queue.lock().is_stuck
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next piece, which is the thread's until it is `written`.
    fn take(&self) -> Vec<u8> {
        let mut state = self.lock();
        loop {
            if let Some(piece) = state.waiting.pop_front() {
                state.waiting_bytes -= piece.len();
                state.is_writing = true;
                return match std::mem::take(&mut state.left_out) {
                    0 => piece,
                    pieces => [told_gap(pieces).as_bytes(), &piece].concat(),
                };
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn written(&self) {
        let mut state = self.lock();
        state.is_writing = false;
        state.is_stuck = false;
        self.changed.notify_all();
    }
}

fn told_gap(pieces: usize) -> String {
    format!("\ninit: this console is slow, {pieces} lines are left out here\n")
}

/// Returns when the last bit is on the line: the kernel's own messages do not queue behind ours, they would cut a line in two.
fn write_out(mut console: &File, piece: &[u8]) -> io::Result<()> {
    console.write_all(piece)?;
    // What is no terminal has nothing to wait for.
    rustix::termios::tcdrain(console).ok();
    Ok(())
}

/// Waits for all of them together, for at most so long.
pub(crate) fn drain_all<'a>(
    consoles: impl IntoIterator<Item = &'a ConsoleWriter>,
    limit: Duration,
) {
    let deadline = Instant::now() + limit;
    consoles.into_iter().for_each(|console| console.drain(deadline));
}

#[cfg(test)]
mod tests;
