//! Sizes in bytes with the suffixes of `dd`.

/// Parses `64k`, `1M`, `4096`; `None` if the text is not a size, zero, or too large.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    // Coreutils manual, "dd invocation"; busybox also accepts `k`.
    let factor = match suffix {
        "" | "c" => 1,
        "w" => 2,
        "b" => 512,
        "k" | "K" | "KiB" => 1 << 10,
        "kB" => 1000,
        "M" | "MiB" => 1 << 20,
        "MB" => 1_000_000,
        "G" | "GiB" => 1 << 30,
        "GB" => 1_000_000_000,
        "T" | "TiB" => 1 << 40,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_suffixes_of_dd() {
        for (text, bytes) in [
            ("1", Some(1)),
            ("4096", Some(4096)),
            ("3b", Some(1536)),
            ("64k", Some(65536)),
            ("64K", Some(65536)),
            ("1kB", Some(1000)),
            ("1M", Some(1_048_576)),
            ("2MiB", Some(2_097_152)),
            ("1MB", Some(1_000_000)),
            ("1G", Some(1_073_741_824)),
            ("100GB", Some(100_000_000_000)),
            ("2T", Some(2_199_023_255_552)),
            ("2TB", Some(2_000_000_000_000)),
            ("", None),
            ("k", None),
            ("0", None),
            ("1m", None),
            ("-1", None),
            ("1.5M", None),
            ("1 M", None),
            ("99999999999999999999", None),
            ("99999999999G", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }
}
