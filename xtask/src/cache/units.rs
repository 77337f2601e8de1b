//! Sizes and ages for people, and sizes from people. Pure.

use std::time::Duration;

/// The suffixes that sizes may have; the same as `dd.bs` of the installer takes.
const SUFFIXES: [(&str, u64); 5] =
    [("", 1), ("k", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

/// Reads `500M`, `5G`, `4096`; `MiB` is the same as `M`.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let suffix = suffix.strip_suffix("iB").unwrap_or(suffix);
    let factor = SUFFIXES.iter().find(|(name, _)| name.eq_ignore_ascii_case(suffix));
    factor.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor)).ok_or_else(
        || format!("'{text}' is no size; wanted: a number with k, M, G, T or nothing behind it"),
    )
}

/// A size in the unit that fits: `143.2 MiB`.
pub fn size(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        // Tenths in integers, cut off: a float would round 1023.96 KiB up to 1024.0 KiB.
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// A size exactly, and rounded.
pub(super) fn exact_size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{bytes} bytes ({})", size(bytes)) }
}

/// How long ago something was, in the largest unit that fits.
pub(super) fn ago(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match (minutes, minutes / 60, minutes / (60 * 24)) {
        (0, _, _) => "now".to_owned(),
        (minutes, 0, _) => format!("{minutes} min ago"),
        (_, hours, 0) => format!("{hours} h ago"),
        (_, _, days) => format!("{days} d ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("3k", Some(3072)),
            ("500M", Some(524_288_000)),
            ("5G", Some(5_368_709_120)),
            ("5GiB", Some(5_368_709_120)),
            ("1t", Some(1_099_511_627_776)),
            ("", None),
            ("G", None),
            ("1.5G", None),
            ("5 G", None),
            ("5GB", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("99999999T", None),
        ] {
            assert_eq!(parse_size(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn writes_sizes_and_ages() {
        for (bytes, wanted) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (150_156_083, "143.1 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), wanted);
        }
        assert_eq!(exact_size(7), "7 bytes");
        assert_eq!(exact_size(2048), "2048 bytes (2.0 KiB)");
        for (seconds, wanted) in [
            (59, "now"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (86_399, "23 h ago"),
            (86_400, "1 d ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), wanted);
        }
    }
}
