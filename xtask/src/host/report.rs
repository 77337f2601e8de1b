//! Prints steps and warnings to standard error, results to standard output. Nothing else prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the only module that prints")]

use std::io::Write as _;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use oci::size::Transfer;
use registry::observer::{Observer, Retry};

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

/// Asks a question. Anything but "y" or "yes" is a no.
pub fn ask(question: impl std::fmt::Display) -> bool {
    eprint!("xtask: {question} [y/N] ");
    std::io::stderr().flush().ok();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// An error with a suggested action, which is printed on a line of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Diagnostic {
    message: String,
    hint: String,
}

/// The error `message` with one suggested action.
pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Diagnostic { message: message.into(), hint: hint.into() }.into()
}

/// An error with its context, and the line of its hint.
pub fn lines(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Diagnostic>() {
        Some(Diagnostic { hint, .. }) => format!("{error:#}\nhint: {hint}"),
        None => format!("{error:#}"),
    }
}

pub fn failure(error: &anyhow::Error) {
    eprintln!("xtask: error: {}", lines(error).replace("\nhint: ", "\nxtask: hint: "));
}

/// All errors of `outcomes` as one.
pub fn join_outcomes(outcomes: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() { Ok(()) } else { Err(join_errors(errors)) }
}

/// Several errors as one, so that none hides another.
pub fn join_errors(errors: impl IntoIterator<Item = anyhow::Error>) -> anyhow::Error {
    let errors: Vec<String> = errors.into_iter().map(|error| lines(&error)).collect();
    anyhow!("{}", errors.join("\n"))
}

/// Shows what the registry client reports.
#[derive(Debug)]
pub struct Console;

impl Observer for Console {
    fn retry(&self, retry: Retry) {
        let Retry { number, delay, reason, .. } = retry;
        warn(format_args!("retry {number} in {} s: {reason}", delay.as_secs()));
    }

    fn warn(&self, text: String) {
        warn(text);
    }

    fn note(&self, text: String) {
        step(text);
    }

    fn transfer(&self, label: &str, total_bytes: u64) -> Box<dyn Transfer + '_> {
        Box::new(progress_bar(label, Some(total_bytes)))
    }
}

/// Progress on the terminal; prints nothing elsewhere, and disappears when it is dropped.
#[derive(Debug)]
pub struct Bar(pub ProgressBar);

/// The progress of a transfer.
pub fn progress_bar(label: &str, total: Option<u64>) -> Bar {
    let bar = bar(match total {
        Some(_) => "xtask: {msg}: {percent}% of {total_bytes}, {bytes_per_sec}, {eta} left",
        None => "xtask: {msg}: {bytes}, {bytes_per_sec}",
    });
    bar.0.set_length(total.unwrap_or_default());
    bar.0.set_message(label.to_owned());
    bar
}

/// A line of text, empty at first.
pub fn progress_line() -> Bar {
    bar("xtask: {msg}")
}

fn bar(template: &str) -> Bar {
    let style = ProgressStyle::with_template(template);
    Bar(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}

impl Transfer for Bar {
    fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
