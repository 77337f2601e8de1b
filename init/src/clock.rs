//! Sets a clock that is certainly wrong: the system cannot run before it was built. Never turns a clock back.

use anyhow::Context as _;
use rustix::time::ClockId;
use rustix::time::Timespec;
use rustix::time::clock_gettime;
use rustix::time::clock_settime;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;

/// Our own file; the kernel gives it the time noted in the initramfs.
const PROGRAM: &str = "/proc/self/exe";

/// Sets the clock to the time of our own file when it is earlier. With a clock at 1970 no certificate is valid yet.
pub(crate) fn raise_to_floor() -> anyhow::Result<Option<Raise>> {
    let floor = std::fs::metadata(PROGRAM)
        .with_context(|| format!("reading the time of {PROGRAM}"))?
        .mtime();
    let raise = find_raise(clock_gettime(ClockId::Realtime).tv_sec, floor);
    if let Some(Raise { to, .. }) = raise {
        clock_settime(ClockId::Realtime, Timespec { tv_sec: to, tv_nsec: 0 })
            .with_context(|| format!("setting the clock to {}", Utc(to)))?;
    }
    Ok(raise)
}

fn find_raise(now: i64, floor: i64) -> Option<Raise> {
    (now < floor).then_some(Raise { from: now, to: floor })
}

/// A change of the clock, in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Raise {
    from: i64,
    to: i64,
}

impl fmt::Display for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = *self;
        write!(f, "the clock said {}, set it to {}, the time of this initramfs", Utc(from), Utc(to))
    }
}

/// Seconds since 1970, printed as `2026-01-31T23:59:59Z`; earlier ones as 1970.
struct Utc(i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.max(0);
        let (mut year, mut month, mut days) = (1970, 1, seconds / 86_400);
        while days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        while days >= days_of_month(year, month) {
            days -= days_of_month(year, month);
            month += 1;
        }
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
    }
}

fn days_of_year(year: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if is_leap { 366 } else { 365 }
}

fn days_of_month(year: i64, month: u8) -> i64 {
    match month {
        2 => days_of_year(year) - 337,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_clock_is_set() {
        for (now, floor, raise) in [
            (0, 1_767_225_600, Some(Raise { from: 0, to: 1_767_225_600 })),
            (99, 100, Some(Raise { from: 99, to: 100 })),
            (100, 100, None),
            (101, 100, None),
            (0, 0, None),
        ] {
            assert_eq!(find_raise(now, floor), raise, "{now} {floor}");
        }
    }

    #[test]
    fn times_are_printed_as_dates() {
        for (seconds, text) in [
            (-1, "1970-01-01T00:00:00Z"),
            (0, "1970-01-01T00:00:00Z"),
            (86_399, "1970-01-01T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (631_152_000, "1990-01-01T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_785_542_399, "2026-07-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_294_967_295, "2106-02-07T06:28:15Z"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text, "{seconds}");
        }
    }

    #[test]
    fn both_times_are_told() {
        let line = Raise { from: 0, to: 86_400 }.to_string();
        let wanted = "the clock said 1970-01-01T00:00:00Z, set it to 1970-01-02T00:00:00Z";
        assert!(line.starts_with(wanted), "{line}");
    }
}
