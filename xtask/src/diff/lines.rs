//! The lines in which two short texts differ, a few of them. Bytes in, lines for people out; none where either is no text or a long one. Pure.

use archive::read::printable;

/// The longest text, in bytes, whose lines are worth looking at.
const LONGEST: usize = 64 * 1024;
/// Lines of each text that are shown.
const SHOWN: usize = 5;

/// `- ` and a line of `one`, `+ ` and a line of `other`, between the lines that both begin and end with.
pub(super) fn differences(one: &[u8], other: &[u8]) -> Vec<String> {
    let (Some(one), Some(other)) = (text(one), text(other)) else { return Vec::new() };
    let (one, other): (Vec<&str>, Vec<&str>) =
        (one.split_inclusive('\n').collect(), other.split_inclusive('\n').collect());
    let before = equal(one.iter(), other.iter());
    let (one, other) =
        (one.get(before..).unwrap_or_default(), other.get(before..).unwrap_or_default());
    let behind = equal(one.iter().rev(), other.iter().rev());
    let mut shown = Vec::new();
    for (mark, lines) in [('-', one), ('+', other)] {
        let lines = lines.get(..lines.len() - behind).unwrap_or_default();
        for line in lines.iter().take(SHOWN) {
            shown.push(format!("{mark} {}", printable(line.trim_end_matches('\n'))));
            if !line.ends_with('\n') {
                shown.push("  (no line end)".to_owned());
            }
        }
        if lines.len() > SHOWN {
            shown.push(format!("{mark} … and {} lines more", lines.len() - SHOWN));
        }
    }
    shown
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (bytes.len() <= LONGEST && !text.contains('\0')).then_some(text)
}

/// How many lines are equal from the start on.
fn equal<'a>(
    one: impl Iterator<Item = &'a &'a str>,
    other: impl Iterator<Item = &'a &'a str>,
) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_lies_between_equal_starts_and_ends() {
        let seven = "1\n2\n3\n4\n5\n6\n7\n";
        for (one, other, wanted) in [
            ("a\nb\nc\n", "a\nx\ny\nc\n", &["- b", "+ x", "+ y"][..]),
            ("a\n", "a\nb\n", &["+ b"]),
            ("a\nb\n", "b\n", &["- a"]),
            ("a\na\n", "a\n", &["- a"]),
            ("a\n", "a", &["- a", "+ a", "  (no line end)"]),
            ("", seven, &["+ 1", "+ 2", "+ 3", "+ 4", "+ 5", "+ … and 2 lines more"]),
            ("\x1b[m\n", "", &["- \\u{1b}[m"]),
            ("\0\n", "a\n", &[]),
        ] {
            assert_eq!(differences(one.as_bytes(), other.as_bytes()), wanted, "{one:?} {other:?}");
        }
        assert!(differences(b"\xff", b"a").is_empty());
        assert!(differences("x\n".repeat(LONGEST).as_bytes(), b"a").is_empty());
    }
}
