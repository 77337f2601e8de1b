//! Prints lines of init and of its programs. No other module prints.

use std::{
    fmt::Display,
    io,
    io::Write as _,
    mem::take,
    path::Path,
    sync::{Mutex, TryLockError},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    console,
    console::Console,
    log::{
        kmsg,
        kmsg::KernelLog,
        relay::{Line, Piece},
    },
};

/// None before `start`: lines then go to standard error.
static LOG: Mutex<Option<Log>> = Mutex::new(None);

/// Longer than a line takes, even at 9600 baud. Only a panicked thread holds the log for longer.
const LOCK_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Log {
    /// The last one is the active one.
    consoles: Vec<Console>,
    kernel: Option<KernelLog>,
    /// The consoles show the start of a line.
    is_unfinished: bool,
}

/// Who prints a line. A program may have asked a person at the active console.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    Init,
    Program,
}

impl Log {
    fn line(&mut self, origin: Origin, Line { level, text }: &Line) {
        if take(&mut self.is_unfinished) {
            self.end_unfinished(origin, text);
            if text.is_empty() {
                return;
            }
        }
        if self.kernel.as_mut().is_none_or(|kernel| kernel.print(*level, text).is_err()) {
            show(&self.consoles, &[text, b"\n".as_slice()].concat());
        }
    }

    /// Shows the start of a line at once, because a program may wait for the answer.
    fn unfinished(&mut self, line: &Line) {
        show(&self.consoles, &line.text);
        self.is_unfinished = true;
        if let Some(kernel) = &mut self.kernel {
            kernel.write_hidden(line.level, &line.text).ok();
        }
    }

    /// On the active console, the person's answer has ended the line of a program.
    fn end_unfinished(&self, origin: Origin, next: &[u8]) {
        let answered = usize::from(origin == Origin::Program && !next.is_empty());
        let count = self.consoles.len().saturating_sub(answered);
        show(self.consoles.get(..count).unwrap_or_default(), b"\n");
    }
}

/// Writes to the consoles themselves: the kernel prints whole lines only.
fn show(consoles: &[Console], bytes: &[u8]) {
    for console in consoles {
        // An error cannot be reported anywhere.
        console::write_briefly(&console.device, bytes).ok();
    }
}

/// Starts printing on these consoles and in the kernel's log.
pub(crate) fn start(consoles: &[Console]) {
    let kernel = KernelLog::open(Path::new("/")).context("opening the kernel's log");
    let (kernel, error) = match kernel {
        Ok(kernel) => (Some(kernel), None),
        Err(error) => (None, Some(error)),
    };
    if let Ok(mut log) = LOG.lock() {
        *log = Some(Log { consoles: consoles.to_vec(), kernel, is_unfinished: false });
    }
    error.iter().for_each(warn_error);
}

pub(crate) fn info(line: impl Display) {
    print(kmsg::INFO, line);
}

/// Prints a problem after which init continues.
pub(crate) fn warn(line: impl Display) {
    print(kmsg::WARNING, line);
}

/// Prints the outcome of something that failed.
pub(crate) fn error(line: impl Display) {
    print(kmsg::ERROR, line);
}

/// Warns of an error with all its causes.
pub(crate) fn warn_error(error: &anyhow::Error) {
    warn(format_args!("{error:#}"));
}

/// Prints output of a program.
pub(crate) fn print_piece(piece: &Piece) {
    with_log(|log| match piece {
        Piece::Line(line) => log.line(Origin::Program, line),
        Piece::Unfinished(line) => log.unfinished(line),
    });
}

fn print(level: u8, line: impl Display) {
    let text = format!("init: {line}");
    let line = Line { level, text: text.clone().into_bytes() };
    if with_log(|log| log.line(Origin::Init, &line)).is_none() {
        // A single write, which the kernel does not interrupt. eprintln! would panic on an error.
        io::stderr().write_all(format!("{text}\n").as_bytes()).ok();
    }
}

/// None if there is no log, or if it stays locked: a panicking thread also prints.
fn with_log<T>(act: impl FnOnce(&mut Log) -> T) -> Option<T> {
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match LOG.try_lock() {
            Ok(mut log) => return log.as_mut().map(act),
            Err(TryLockError::Poisoned(log)) => return log.into_inner().as_mut().map(act),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

#[cfg(test)]
mod tests;
