//! Shows how far a transfer has come.

use crate::event;
use crate::progress::Counter;
use crate::report::Rate;
use crate::report::Report;
use crate::report::clock;
use crate::size::Rounded;
use std::time::Duration;

/// Something that takes a while, and the number of bytes it is about.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    pub(super) report: &'a Report,
    /// As `pushing disk.raw.gz`.
    pub(super) label: String,
    pub(super) total_bytes: u64,
}

impl Meter<'_> {
    /// Does `work`, which counts what it has done, and shows it meanwhile.
    pub(super) fn during<T>(&self, work: impl FnOnce(&Counter) -> T) -> T {
        let counter = Counter::default();
        let tell = |elapsed| self.report.show(elapsed, &self.line(elapsed, counter.get()));
        event::while_telling(tell, || work(&counter))
    }

    /// `pushing disk.raw.gz: 45%, 96.5 MiB of 214.4 MiB, 12.1 MB/s, 5 s left`
    fn line(&self, elapsed: Duration, bytes: u64) -> String {
        let (label, total, rate) = (&self.label, self.total_bytes, Rate { bytes, elapsed });
        let percent = u128::from(bytes) * 100 / u128::from(total.max(1));
        let left = total.saturating_sub(bytes);
        let seconds =
            (elapsed.as_millis() * u128::from(left)).checked_div(u128::from(bytes) * 1000);
        let left = seconds.map(|seconds| format!(", {} left", clock(seconds))).unwrap_or_default();
        format!("{label}: {percent}%, {} of {}, {rate}{left}", Rounded(bytes), Rounded(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Marks;
    use crate::report::Style;

    #[test]
    fn a_line_tells_percent_bytes_rate_and_time_left() {
        let report = Report::new(Style::Plain, Marks::None);
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
            let meter = Meter { report: &report, label: "pushing x".to_owned(), total_bytes };
            assert_eq!(meter.line(elapsed, bytes), wanted);
        }
    }
}
