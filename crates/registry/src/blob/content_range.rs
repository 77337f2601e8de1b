//! `Content-Range` headers, taken apart (RFC 9110, 14.4). Pure.

/// Where a part lies in the whole, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    pub first: u64,
    pub last: u64,
    /// Of the whole, where the server knows it.
    pub size: Option<u64>,
}

/// Parses `bytes FIRST-LAST/SIZE`, where SIZE may be `*`. `None` for everything else, also for a range that contradicts itself.
pub fn parse(text: &str) -> Option<ContentRange> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, size) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let size = if size == "*" { None } else { Some(number(size)?) };
    let range = ContentRange { first: number(first)?, last: number(last)?, size };
    let is_sound = range.first <= range.last && size.is_none_or(|size| range.last < size);
    (unit.eq_ignore_ascii_case("bytes") && is_sound).then_some(range)
}

/// Digits only: `parse` would take a sign, too.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_rfc_allows_and_nothing_else() {
        let range = |first, last, size| Some(ContentRange { first, last, size });
        for (text, wanted) in [
            ("bytes 0-0/1", range(0, 0, Some(1))),
            ("bytes 100-199/200", range(100, 199, Some(200))),
            ("Bytes 100-199/*", range(100, 199, None)),
            (" bytes 5-9/10 ", range(5, 9, Some(10))),
            ("bytes */200", None),
            ("bytes 5-4/10", None),
            ("bytes 5-10/10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-/10", None),
            ("bytes=5-9/10", None),
            ("items 5-9/10", None),
            ("bytes 5-9", None),
            ("bytes 99999999999999999999-99999999999999999999/*", None),
            ("", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }
}
