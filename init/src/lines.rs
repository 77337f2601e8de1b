//! Makes lines of the bytes that programs print, and finds the level each is marked with. Pure; waits for nothing and prints nothing.

use std::mem::take;

/// How much a line matters, as in the kernel's log: 0 is the most urgent, 7 for those who look for a fault.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Level(u8);

impl Level {
    pub(crate) const ERROR: Self = Self(3);
    pub(crate) const WARNING: Self = Self(4);
    pub(crate) const INFO: Self = Self(6);
    const LAST: u8 = 7;

    /// None where the kernel has no such level.
    pub(crate) fn new(level: u8) -> Option<Self> {
        (level <= Self::LAST).then_some(Self(level))
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }
}

/// A line without its mark and its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) text: Vec<u8>,
}

impl Line {
    /// Takes off `<0>` to `<7>` at the beginning, by which programs give the level (sd-daemon(3)). A line without is `Level::INFO`.
    fn parse(line: &[u8]) -> Self {
        let (level, text) = match line {
            [b'<', digit @ b'0'..=b'7', b'>', text @ ..] => (Level(digit - b'0'), text),
            _ => (Level::INFO, line),
        };
        Self { level, text: text.strip_suffix(b"\r").unwrap_or(text).to_vec() }
    }
}

/// More without an end is no line; it is handed on in pieces of about this many bytes.
const LONGEST: usize = 4096;

/// What a program has printed and no line was made of yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes bytes as they come, and gives the lines that they end.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend(part);
            if let Some(line) = self.rest.strip_suffix(b"\n") {
                lines.push(Line::parse(line));
                self.rest.clear();
            } else if self.rest.len() >= LONGEST {
                lines.extend(self.take_unfinished());
            }
        }
        lines
    }

    pub(crate) fn has_unfinished(&self) -> bool {
        !self.rest.is_empty()
    }

    /// What has no end yet, such as a question. What comes later begins a line of its own.
    pub(crate) fn take_unfinished(&mut self) -> Option<Line> {
        let rest = take(&mut self.rest);
        (!rest.is_empty()).then(|| Line::parse(&rest))
    }
}

/// Cuts a text into parts of at most `longest` bytes, none of which begins within a UTF-8 character.
pub(crate) fn split_text(text: &[u8], longest: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (part, behind) = rest.split_at(char_border(rest, longest));
        rest = behind;
        Some(part)
    })
}

/// The last border between characters that is not behind `longest`. In bytes that are no text it is `longest` itself.
fn char_border(text: &[u8], longest: usize) -> usize {
    let begins_char = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    let longest = longest.clamp(1, text.len());
    let nearest = longest.saturating_sub(3).max(1);
    (nearest..=longest).rev().find(begins_char).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: u8, text: impl AsRef<[u8]>) -> Line {
        Line { level: Level::new(level).unwrap(), text: text.as_ref().to_vec() }
    }

    #[test]
    fn a_mark_gives_the_level_and_is_taken_off() {
        for (printed, wanted) in [
            ("<0>a\n", line(0, "a")),
            ("<7>a b\n", line(7, "a b")),
            ("<3><4>a\n", line(3, "<4>a")),
            ("<3>\n", line(3, "")),
            ("a\n", line(6, "a")),
            ("\n", line(6, "")),
            ("<8>a\n", line(6, "<8>a")),
            ("<10>a\n", line(6, "<10>a")),
            ("<3 a\n", line(6, "<3 a")),
            (" <3>a\n", line(6, " <3>a")),
            ("<4>a\r\n", line(4, "a")),
        ] {
            assert_eq!(Lines::default().push(printed.as_bytes()), [wanted], "{printed:?}");
        }
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_come() {
        let printed = "<4>one\ntwo \u{e0}\n\n<3>three\nrest".as_bytes();
        let wanted = [line(4, "one"), line(6, "two \u{e0}"), line(6, ""), line(3, "three")];
        for size in 1..=printed.len() {
            let mut lines = Lines::default();
            let found: Vec<_> = printed.chunks(size).flat_map(|part| lines.push(part)).collect();
            assert_eq!(found, wanted, "in parts of {size}");
            assert_eq!(lines.take_unfinished(), Some(line(6, "rest")));
            assert_eq!(lines.take_unfinished(), None);
        }
    }

    #[test]
    fn what_follows_an_unfinished_line_is_a_line_of_its_own() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"<5>Type 'yes': "), []);
        assert!(lines.has_unfinished());
        assert_eq!(lines.take_unfinished(), Some(line(5, "Type 'yes': ")));
        assert!(!lines.has_unfinished());
        assert_eq!(lines.push(b"<4>no\n"), [line(4, "no")]);
    }

    #[test]
    fn a_line_that_never_ends_comes_in_pieces() {
        let mut lines = Lines::default();
        let found: usize = (0..100).flat_map(|_| lines.push(&[b'x'; 1000])).count();
        assert_eq!(found, 20);
        assert!(lines.rest.len() < LONGEST);
    }

    #[test]
    fn text_is_cut_between_characters() {
        for (text, longest, parts) in [
            ("", 3, vec![]),
            ("abc", 3, vec!["abc"]),
            ("abcd", 3, vec!["abc", "d"]),
            ("ab\u{e0}d", 3, vec!["ab", "\u{e0}d"]),
            ("\u{20ac}\u{20ac}", 5, vec!["\u{20ac}", "\u{20ac}"]),
            ("a\u{1f980}b", 4, vec!["a", "\u{1f980}", "b"]),
        ] {
            let found: Vec<_> = split_text(text.as_bytes(), longest).collect();
            let wanted: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
            assert_eq!(found, wanted, "{text} {longest}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_anyway() {
        let bytes = [0x80; 1000];
        let parts: Vec<_> = split_text(&bytes, 300).collect();
        assert!(parts.iter().all(|part| part.len() <= 300));
        assert_eq!(parts.concat(), bytes);
    }
}
