//! What `ocidd` tells on its console: lines, and the progress of an install. The only part of `ocidd` that prints by itself.
#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

use crate::progress::Progress;
use crate::size::Rounded;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::time::Instant;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Report {
    /// One line that is drawn again and again, for a screen.
    Live,
    /// A line every few seconds, for a log or a serial console.
    Plain,
}

const LIVE_INTERVAL: Duration = Duration::from_millis(250);
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

impl Report {
    /// A live line needs a terminal that knows the escape codes. A serial console is a terminal too: there `init` sets `TERM=dumb`.
    pub fn for_terminal(is_terminal: bool, term: Option<&str>) -> Self {
        let capable = term.is_some_and(|term| !term.is_empty() && term != "dumb");
        if is_terminal && capable { Self::Live } else { Self::Plain }
    }

    pub fn say(self, text: impl std::fmt::Display) {
        eprintln!("ocidd: {text}");
    }

    /// Shows the progress of `work` until it ends. `total` is the number of bytes to fetch.
    pub fn follow<T>(self, progress: &Progress, total: Option<u64>, work: impl FnOnce() -> T) -> T {
        let (sender, ended) = sync_channel(0);
        std::thread::scope(|scope| {
            scope.spawn(move || self.show(progress, total, &ended));
            let outcome = work();
            drop(sender);
            outcome
        })
    }

    fn show(self, progress: &Progress, total: Option<u64>, ended: &Receiver<()>) {
        let start = Instant::now();
        let interval = if self == Self::Live { LIVE_INTERVAL } else { PLAIN_INTERVAL };
        while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let line = line(start.elapsed(), progress.fetched.get(), total, progress.written.get());
            match self {
                Self::Live => eprint!("\r\x1b[Kocidd: {line}"),
                Self::Plain => self.say(line),
            }
        }
        if self == Self::Live {
            eprint!("\r\x1b[K");
        }
    }
}

/// `45%, 96.5 MiB of 214.4 MiB fetched, 512 MiB written, 128.3 MB/s, 5 s left`
fn line(elapsed: Duration, fetched: u64, total: Option<u64>, written: u64) -> String {
    let rate = Rate { bytes: written, elapsed };
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{} fetched, {} written, {rate}", Rounded(fetched), Rounded(written));
    };
    let percent = u128::from(fetched) * 100 / u128::from(total);
    let left = match fetched {
        0 => String::new(),
        _ => format!(
            ", {} left",
            clock(
                elapsed.as_millis() * u128::from(total.saturating_sub(fetched))
                    / u128::from(fetched)
                    / 1000
            )
        ),
    };
    format!(
        "{percent}%, {} of {} fetched, {} written, {rate}{left}",
        Rounded(fetched),
        Rounded(total),
        Rounded(written)
    )
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

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tenths of a million bytes a second are bytes in ten microseconds, per second.
        let tenths = u128::from(self.bytes) * 10 / self.elapsed.as_micros().max(1);
        write!(f, "{}.{} MB/s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_live_line_only_where_it_can_be_drawn() {
        for (is_terminal, term, report) in [
            (true, Some("linux"), Report::Live),
            (true, Some("dumb"), Report::Plain),
            (true, Some(""), Report::Plain),
            (true, None, Report::Plain),
            (false, Some("xterm"), Report::Plain),
        ] {
            assert_eq!(Report::for_terminal(is_terminal, term), report);
        }
    }

    #[test]
    fn a_line_tells_percent_bytes_rate_and_time_left() {
        let second = Duration::from_secs(1);
        for (elapsed, fetched, total, written, text) in [
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
            assert_eq!(line(elapsed, fetched, total, written), text);
        }
    }
}
