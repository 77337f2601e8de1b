//! Brings each line to every console, once, and to the kernel's log. Goes in: lines and the beginnings of lines. Which way a line takes to
//! the consoles, through the kernel or past it, is decided here; nothing here waits long for a console.

use crate::kmsg::KernelLog;
use crate::lines::Level;
use crate::lines::Line;
use crate::writer::ConsoleWriter;
use crate::writer::drain_all;
use std::io;
use std::io::Write as _;
use std::mem::take;
use std::time::Duration;

/// How long a line waits for those before it, so that the kernel does not overtake them.
const ORDER_LIMIT: Duration = Duration::from_millis(200);

/// Who prints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Speaker {
    Init,
    /// A program whose output is relayed, and that may be asking a person at the active console.
    Program,
}

/// All the places a line goes to.
#[derive(Debug)]
pub(crate) struct Log {
    /// The active one is the last. Where there is none, the standard error output takes its place.
    consoles: Vec<ConsoleWriter>,
    kernel: Option<KernelLog>,
    /// The consoles show the beginning of a line.
    is_unfinished: bool,
}

impl Log {
    pub(crate) fn new(consoles: Vec<ConsoleWriter>, kernel: Option<KernelLog>) -> Self {
        Self { consoles, kernel, is_unfinished: false }
    }

    /// Shows a line and notes it in the kernel's log.
    pub(crate) fn line(&mut self, by: Speaker, line: &Line) {
        let Line { level, text } = line;
        if take(&mut self.is_unfinished) {
            self.end_unfinished(by, text);
            if text.is_empty() {
                return;
            }
        }
        let hidden = self.kernel.as_ref().is_none_or(|log| level.number() >= log.first_hidden());
        // The kernel shows no line without text.
        if hidden || text.is_empty() {
            self.show(&[text, b"\n".as_slice()].concat());
            self.note(*level, text).ok();
            return;
        }
        drain_all(self.consoles.iter().filter(|console| !console.is_stuck()), ORDER_LIMIT);
        if self.note(*level, text).is_err() {
            self.show(&[text, b"\n".as_slice()].concat());
        }
    }

    /// Shows the beginning of a line at once: a person may be asked for the rest of it.
    pub(crate) fn unfinished(&mut self, line: &Line) {
        self.show(&line.text);
        self.is_unfinished = true;
        // It stands on the consoles already, so it is noted at a level that the kernel does not show there, or not at all.
        let first_hidden = self.kernel.as_ref().map_or(0, KernelLog::first_hidden);
        if let Some(level) = Level::new(first_hidden.max(line.level.number())) {
            self.note(level, &line.text).ok();
        }
    }

    /// Waits until the consoles have shown everything, at most for so long.
    pub(crate) fn drain(&self, limit: Duration) {
        drain_all(&self.consoles, limit);
    }

    /// On the active console the person who answered has ended the line; a program that goes on without an answer goes on in that line.
    fn end_unfinished(&self, by: Speaker, next: &[u8]) {
        let Some((active, others)) = self.consoles.split_last() else { return };
        for console in others {
            console.push(b"\n".to_vec());
        }
        if by == Speaker::Init || next.is_empty() {
            active.push(b"\n".to_vec());
        }
    }

    fn show(&self, bytes: &[u8]) {
        for console in &self.consoles {
            console.push(bytes.to_vec());
        }
        if self.consoles.is_empty() {
            io::stderr().write_all(bytes).ok();
        }
    }

    fn note(&mut self, level: Level, text: &[u8]) -> io::Result<()> {
        match &mut self.kernel {
            Some(log) => log.write(level, text),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
