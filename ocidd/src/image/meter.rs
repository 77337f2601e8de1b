//! What `ocidd image` shows on its console.

use crate::report::console::Marks;
use crate::report::console::Rate;
use crate::report::console::Report;
use crate::report::console::Style;
use crate::report::console::clock;
use crate::report::diagnostic::Diagnostic;
use crate::report::event::Event;
use crate::report::event::Listener as _;
use crate::report::event::RateLimit;
use oci::size::Counter;
use oci::size::Rounded;
use oci::size::Transfer;
use registry::observer::Observer;
use registry::observer::Retry;
use std::env;
use std::io;
use std::io::IsTerminal as _;
use std::time::Duration;
use std::time::Instant;

/// The console of an author.
#[derive(Debug)]
pub(super) struct Console(Report);

impl Console {
    pub(super) fn new() -> Self {
        let term = env::var("TERM").ok();
        let style = Style::for_terminal(io::stderr().is_terminal(), term.as_deref());
        Self(Report::new(style, Marks::None))
    }

    pub(super) fn fail(&self, diagnostic: &Diagnostic) {
        self.0.fail(diagnostic);
    }
}

impl Observer for Console {
    fn retry(&self, retry: Retry) {
        self.0.on_event(&Event::Retry(retry));
    }

    fn warn(&self, text: String) {
        self.0.on_event(&Event::Warning(text));
    }

    fn note(&self, text: String) {
        self.0.on_event(&Event::Note(text));
    }

    fn transfer(&self, label: &str, total_bytes: u64) -> Box<dyn Transfer + '_> {
        let label = label.to_owned();
        let (counter, rate_limit) = (Counter::default(), RateLimit::new(INTERVAL));
        Box::new(Meter {
            report: &self.0,
            label,
            total_bytes,
            counter,
            start: Instant::now(),
            rate_limit,
        })
    }
}

/// How often progress is shown.
const INTERVAL: Duration = Duration::from_millis(250);

/// Something that takes a while, and the number of bytes it is about.
struct Meter<'a> {
    report: &'a Report,
    /// As `pushing disk.raw.gz`.
    label: String,
    total_bytes: u64,
    counter: Counter,
    start: Instant,
    rate_limit: RateLimit,
}

impl Transfer for Meter<'_> {
    fn add(&self, bytes: u64) {
        self.counter.add(bytes);
        if self.rate_limit.is_due() {
            let elapsed = self.start.elapsed();
            self.report
                .show(elapsed, &line(&self.label, self.total_bytes, elapsed, self.counter.get()));
        }
    }
}

/// `pushing disk.raw.gz: 45%, 96.5 MiB of 214.4 MiB, 12.1 MB/s, 5 s left`
fn line(label: &str, total: u64, elapsed: Duration, bytes: u64) -> String {
    let rate = Rate { bytes, elapsed };
    let percent = u128::from(bytes) * 100 / u128::from(total.max(1));
    let left = total.saturating_sub(bytes);
    let seconds = (elapsed.as_millis() * u128::from(left)).checked_div(u128::from(bytes) * 1000);
    let left = seconds.map(|seconds| format!(", {} left", clock(seconds))).unwrap_or_default();
    format!("{label}: {percent}%, {} of {}, {rate}{left}", Rounded(bytes), Rounded(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_percent_bytes_rate_and_time_left() {
        let second = Duration::from_secs(1);
        for (total_bytes, elapsed, bytes, wanted) in [
            (100, second, 0, "pushing x: 0%, 0 B of 100 B, 0.0 MB/s"),
            (
                100 << 20,
                second * 4,
                25 << 20,
                "pushing x: 25%, 25 MiB of 100 MiB, 6.5 MB/s, 12 s left",
            ),
            (1 << 20, second, 1 << 20, "pushing x: 100%, 1 MiB of 1 MiB, 1.0 MB/s, 0 s left"),
            (0, Duration::ZERO, 0, "pushing x: 0%, 0 B of 0 B, 0.0 MB/s"),
        ] {
            assert_eq!(line("pushing x", total_bytes, elapsed, bytes), wanted);
        }
    }
}
