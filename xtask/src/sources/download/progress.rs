//! The line on the terminal while something is fetched. Bytes counted so far go in; it never fetches.

use crate::host::report;
use std::time::Duration;
use std::time::Instant;

/// A line on the terminal: how much of something has come, and how fast.
#[derive(Debug)]
pub struct Progress<'a> {
    what: &'a str,
    wanted: Option<u64>,
    started: Instant,
    shown: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub fn new(what: &'a str, wanted: Option<u64>) -> Self {
        Self { what, wanted, started: Instant::now(), shown: None }
    }

    /// Shows the state, a few times a second at most.
    pub fn at(&mut self, found: u64) {
        if self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_millis(200)) {
            return;
        }
        self.shown = Some(Instant::now());
        report::live(progress_line(self.what, found, self.wanted, self.started.elapsed()));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        report::live_end();
    }
}

fn progress_line(what: &str, found: u64, wanted: Option<u64>, elapsed: Duration) -> String {
    let tenths = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000);
    let rate =
        u64::try_from(u128::from(found) * 1000 / elapsed.as_millis().max(1)).unwrap_or(u64::MAX);
    let share = match wanted {
        Some(wanted) if wanted > 0 => {
            format!(" of {} MB, {} %", tenths(wanted), found.saturating_mul(100) / wanted)
        }
        _ => " MB".to_owned(),
    };
    format!("fetching {what}: {}{share}, {} MB/s", tenths(found), tenths(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_line_tells_share_and_rate() {
        let second = Duration::from_secs(1);
        assert_eq!(
            progress_line("linux", 1_500_000, Some(3_000_000), second),
            "fetching linux: 1.5 of 3.0 MB, 50 %, 1.5 MB/s"
        );
        assert_eq!(
            progress_line("linux", 1_500_000, None, second),
            "fetching linux: 1.5 MB, 1.5 MB/s"
        );
        assert_eq!(
            progress_line("linux", 0, Some(0), Duration::ZERO),
            "fetching linux: 0.0 MB, 0.0 MB/s"
        );
    }
}
