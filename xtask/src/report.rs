//! Prints steps and warnings to standard error, results to standard output. Nothing else prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the only module that prints")]

use std::io::IsTerminal;
use std::io::Write;

/// Reports the start of a step.
pub fn step(message: impl std::fmt::Display) {
    eprintln!("xtask: {message}");
}

/// Reports something unexpected.
pub fn warn(message: impl std::fmt::Display) {
    eprintln!("xtask: warning: {message}");
}

/// Prints a result.
pub fn result(message: impl std::fmt::Display) {
    println!("{message}");
}

/// Rewrites the current line of a terminal. Prints nothing to logs.
pub fn live(message: impl std::fmt::Display) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[Kxtask: {message}");
        std::io::stderr().flush().ok();
    }
}

/// Clears a line of [`live`].
pub fn live_end() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

/// Asks a question. Anything but "y" or "yes" is a no.
pub fn ask(question: impl std::fmt::Display) -> bool {
    eprint!("xtask: {question} [y/N] ");
    std::io::stderr().flush().ok();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Prints the error of a subcommand with its context.
pub fn failure(error: &anyhow::Error) {
    live_end();
    eprintln!("xtask: {error:#}");
}
