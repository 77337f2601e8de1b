//! What init tells on the console: one line at a time. Nothing else in init prints.

use std::io;
use std::io::Write as _;

/// Prints one line. A console that takes none is no reason to stop.
pub(crate) fn say(line: impl std::fmt::Display) {
    // One write for a line, or messages of the kernel come between its parts. And not eprintln, which panics when the console is gone.
    io::stderr().write_all(format!("init: {line}\n").as_bytes()).ok();
}
