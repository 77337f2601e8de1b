//! What init tells, and what it passes on from the programs it runs: to every console and to the kernel's log. Nothing else in init prints.

use crate::console;
use crate::console::Console;
use crate::kmsg::KernelLog;
use crate::lines::Level;
use crate::lines::Line;
use crate::log::Log;
use crate::log::Speaker;
use crate::writer::ConsoleWriter;
use anyhow::Context as _;
use std::fmt::Display;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::TryLockError;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

/// None before `start`: lines then go to the standard error output.
static LOG: Mutex<Option<Log>> = Mutex::new(None);

/// Longer than a line takes, even by way of a serial console at 9600 baud. Only a thread that has panicked holds the log for longer.
const LOCK_LIMIT: Duration = Duration::from_secs(3);

/// How long the way out of init is held up by consoles that have not shown everything yet.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// Lets lines reach these consoles and the kernel's log. Tells what of that cannot be had.
pub(crate) fn start(consoles: &[Console]) {
    let mut faults = Vec::new();
    let mut writers = Vec::new();
    for console in consoles {
        let device = console.device.clone();
        match ConsoleWriter::start(move || console::open_output(&device)) {
            Ok(writer) => writers.push(writer),
            Err(fault) => faults.push(fault),
        }
    }
    let kernel = KernelLog::open(Path::new("/")).context("leaving out the kernel's log");
    let kernel = kernel.map_err(|fault| faults.push(fault)).ok();
    if let Ok(mut log) = LOG.lock() {
        *log = Some(Log::new(writers, kernel));
    }
    faults.iter().for_each(tell);
}

/// Tells a line.
pub(crate) fn say(line: impl Display) {
    print(Level::INFO, line);
}

/// Tells what went wrong and does not stop the way on.
pub(crate) fn warn(line: impl Display) {
    print(Level::WARNING, line);
}

/// Tells what did stop it.
pub(crate) fn error(line: impl Display) {
    print(Level::ERROR, line);
}

/// `warn`, with the whole chain of causes.
pub(crate) fn tell(fault: &anyhow::Error) {
    warn(format_args!("{fault:#}"));
}

/// Passes on a program's line.
pub(crate) fn pass_line(line: &Line) {
    with_log(|log| log.line(Speaker::Program, line));
}

/// Passes on the beginning of a program's line.
pub(crate) fn pass_unfinished(line: &Line) {
    with_log(|log| log.unfinished(line));
}

/// Waits until everything is shown, for a second at most: before a shell has the console, and before the machine stops.
pub(crate) fn drain() {
    with_log(|log| log.drain(DRAIN_LIMIT));
}

fn print(level: Level, line: impl Display) {
    let text = format!("init: {line}");
    let line = Line { level, text: text.clone().into_bytes() };
    if with_log(|log| log.line(Speaker::Init, &line)).is_none() {
        // One write for a line, or messages of the kernel come between its parts. And not eprintln, which panics when the console is gone.
        io::stderr().write_all(format!("{text}\n").as_bytes()).ok();
    }
}

/// None where there is no log, or where it cannot be had: this also runs in a thread that has panicked, perhaps within the log.
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
