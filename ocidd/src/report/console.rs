//! Prints events and progress on the console.

use std::{fmt, io, io::Write as _, time::Duration};

use oci::size::Rounded;
use registry::observer::Retry;

use crate::report::{
    diagnostic::Diagnostic,
    event::{Done, Event, Listener, RateLimit, Snapshot},
    failure::Cause,
};

/// Style of the progress display.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// One line that is redrawn, for a screen.
    Live,
    /// A line every few seconds, for a log or a serial console.
    Plain,
    /// Like `Plain`, but lines begin with their level like `<3>` (sd-daemon(3)). `init` requests
    /// and removes it.
    Levels,
}

impl Style {
    /// A live line needs a terminal with escape codes. `init` sets `TERM=dumb` on a serial console.
    pub fn for_terminal(is_terminal: bool, term: Option<&str>) -> Self {
        let capable = term.is_some_and(|term| !term.is_empty() && term != "dumb");
        if is_terminal && capable { Self::Live } else { Self::Plain }
    }
}

/// Level of a line, in the numbers of syslog(3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Level {
    Error = 3,
    Warning = 4,
    Info = 6,
    Progress = 7,
}

/// Moves to the start of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[K";

const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Report {
    style: Style,
    rate_limit: RateLimit,
}

impl Report {
    pub fn new(style: Style) -> Self {
        Self { style, rate_limit: RateLimit::new(PLAIN_INTERVAL) }
    }

    fn print_lines(&self, level: Level, text: &str) {
        let start = match self.style {
            // A line replaces the live one.
            Style::Live => CLEAR_LINE.to_owned(),
            Style::Plain => String::new(),
            Style::Levels => format!("<{}>", level as u8),
        };
        text.lines().for_each(|line| print(&format!("{start}ocidd: {line}\n")));
    }

    pub fn fail(&self, diagnostic: &Diagnostic) {
        self.print_lines(Level::Error, &diagnostic.to_string());
    }

    fn show_progress(&self, elapsed: Duration, line: &str) {
        if self.style == Style::Live {
            print(&format!("{CLEAR_LINE}ocidd: {line}"));
        } else if elapsed >= PLAIN_INTERVAL && self.rate_limit.is_due() {
            // The first line is an interval after the start: short installs need none.
            self.print_lines(Level::Progress, line);
        }
    }
}

/// One write per line keeps it together. Errors of the console do not stop an install.
fn print(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok();
}

impl Listener for Report {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Started { image, disk, .. } => {
                self.print_lines(Level::Info, &format!("installing {image} to {disk}"));
            }
            Event::Note(text) => self.print_lines(Level::Info, text),
            Event::Warning(text) => self.print_lines(Level::Warning, &format!("warning: {text}")),
            Event::Retry(Retry { number, of, delay, reason }) => {
                let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
                let (seconds, tenths) = (delay.as_secs(), delay.subsec_millis() / 100);
                let text = format!("retry {number}{of} in {seconds}.{tenths} s: {reason}");
                self.print_lines(Level::Warning, &text);
            }
            Event::Progress(snapshot) => self.show_progress(snapshot.elapsed, &line(snapshot)),
            Event::Failed { cause: Cause { id, exit_code, remedy }, diagnostic, .. } => {
                self.fail(diagnostic);
                // Remedies have backquotes for the documentation.
                let remedy = remedy.replace('`', "'");
                let text = format!("error {id} (exit code {exit_code}): {remedy}");
                self.print_lines(Level::Error, &text);
            }
            Event::Done(Done { message, .. }) => self.print_lines(Level::Info, message),
        }
    }
}

/// `45%, 96.5 MiB of 214.4 MiB fetched, 512 MiB written, 128.3 MB/s, 5 s left`
fn line(snapshot: &Snapshot) -> String {
    let Snapshot { elapsed, fetched_bytes: fetched, total_bytes, written_bytes: written } =
        *snapshot;
    let rate = Rate { bytes: written, elapsed };
    let (fetched_text, written) = (Rounded(fetched), Rounded(written));
    let Some(total) = total_bytes.filter(|total| *total > 0) else {
        return format!("{fetched_text} fetched, {written} written, {rate}");
    };
    let percent = u128::from(fetched) * 100 / u128::from(total);
    let left = elapsed.as_millis() * u128::from(total.saturating_sub(fetched));
    let left = left.checked_div(u128::from(fetched) * 1000);
    let left = left.map(|seconds| format!(", {} left", clock(seconds))).unwrap_or_default();
    let total = Rounded(total);
    format!("{percent}%, {fetched_text} of {total} fetched, {written} written, {rate}{left}")
}

fn clock(seconds: u128) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Prints as `128.3 MB/s`, in millions of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub bytes: u64,
    pub elapsed: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tenths of a million bytes a second are bytes in ten microseconds, per second.
        let tenths = u128::from(self.bytes) * 10 / self.elapsed.as_micros().max(1);
        write!(f, "{}.{} MB/s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_a_live_line_only_on_capable_terminals() {
        for (is_terminal, term, style) in [
            (true, Some("linux"), Style::Live),
            (true, Some("dumb"), Style::Plain),
            (true, Some(""), Style::Plain),
            (true, None, Style::Plain),
            (false, Some("xterm"), Style::Plain),
        ] {
            assert_eq!(Style::for_terminal(is_terminal, term), style);
        }
    }

    #[test]
    fn progress_line_has_percent_bytes_rate_and_time_left() {
        let second = Duration::from_secs(1);
        for (elapsed, fetched_bytes, total_bytes, written_bytes, text) in [
            (second, 0, Some(100), 0, "0%, 0 B of 100 B fetched, 0 B written, 0.0 MB/s"),
            (
                second * 4,
                25 << 20,
                Some(100 << 20),
                50 << 20,
                "25%, 25 MiB of 100 MiB fetched, 50 MiB written, 13.1 MB/s, 12 s left",
            ),
            (
                second,
                1 << 20,
                Some(200 << 20),
                1 << 20,
                "0%, 1 MiB of 200 MiB fetched, 1 MiB written, 1.0 MB/s, 3 min 19 s left",
            ),
            (
                second,
                1 << 20,
                Some(8 << 30),
                1 << 20,
                "0%, 1 MiB of 8 GiB fetched, 1 MiB written, 1.0 MB/s, 2 h 16 min left",
            ),
            (second, 10, None, 2_500_000, "10 B fetched, 2.3 MiB written, 2.5 MB/s"),
            (Duration::ZERO, 0, Some(0), 0, "0 B fetched, 0 B written, 0.0 MB/s"),
        ] {
            let snapshot = Snapshot { elapsed, fetched_bytes, total_bytes, written_bytes };
            assert_eq!(line(&snapshot), text);
        }
    }
}
