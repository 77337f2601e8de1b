//! Splits the kernel command line into words, by the rules of the kernel's `next_arg` (lib/cmdline.c). Knows none of the words.
//!
//! - White space separates words, double quotes protect it; a quote that is not closed reaches to the end of the line.
//! - Quotes around a whole word, or around the value behind its first `=`, are taken off; all others stay. There is no escape character.
//! - A leading `=` belongs to the key: `=x` has no value.
//! - `--` tells the kernel that the rest is for init. It is dropped, and the words behind it are words like those before it.
//!
//! One deviation: the kernel takes the byte 0xA0 for white space, which would tear many a UTF-8 character apart.

use anyhow::Context as _;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

const CMDLINE: &str = "/proc/cmdline";

/// The words the kernel was started with, in order.
pub(crate) fn read_words() -> anyhow::Result<Vec<OsString>> {
    let line = std::fs::read(CMDLINE).with_context(|| format!("reading {CMDLINE}"))?;
    Ok(split_words(&line))
}

fn split_words(line: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.iter().position(|byte| !is_space(*byte)) {
        let (word, behind) = split_at_space(rest.split_at(start).1);
        rest = behind;
        let word = unquote(word);
        if word != b"--" {
            words.push(OsString::from_vec(word));
        }
    }
    words
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The word a line begins with, and what is behind it.
fn split_at_space(line: &[u8]) -> (&[u8], &[u8]) {
    let mut in_quotes = false;
    let end = line.iter().position(|byte| {
        in_quotes ^= *byte == b'"';
        is_space(*byte) && !in_quotes
    });
    line.split_at(end.unwrap_or(line.len()))
}

fn unquote(word: &[u8]) -> Vec<u8> {
    let (word, word_quoted) = strip_quote(word);
    let value_start = word.iter().skip(1).position(|byte| *byte == b'=').map(|at| at + 2);
    let (key, value) = word.split_at(value_start.unwrap_or(word.len()));
    let (value, value_quoted) = strip_quote(value);
    let mut word = [key, value].concat();
    if (word_quoted || value_quoted) && word.ends_with(b"\"") {
        word.pop();
    }
    word
}

fn strip_quote(text: &[u8]) -> (&[u8], bool) {
    text.strip_prefix(b"\"").map_or((text, false), |inside| (inside, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_words(table: &[(&[u8], &[&[u8]])]) {
        for (line, wanted) in table {
            let found: Vec<_> = split_words(line).into_iter().map(OsString::into_vec).collect();
            assert_eq!(found, *wanted, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn white_space_separates_words() {
        assert_words(&[
            (b"", &[]),
            (b" \n", &[]),
            (
                b"ip=dhcp console=ttyS0,115200 quiet\n",
                &[b"ip=dhcp", b"console=ttyS0,115200", b"quiet"],
            ),
            (b"  a\t\tb \x0b\x0c\r c\n", &[b"a", b"b", b"c"]),
            (b"oci.tag=a oci.tag=b wait", &[b"oci.tag=a", b"oci.tag=b", b"wait"]),
        ]);
    }

    #[test]
    fn quotes_protect_white_space_and_are_taken_off() {
        assert_words(&[
            (b"oci.tag=\"a b\" y", &[b"oci.tag=a b", b"y"]),
            (b"\"oci.tag=a b\" y", &[b"oci.tag=a b", b"y"]),
            (b"x=\"a=b c\" y", &[b"x=a=b c", b"y"]),
            (b"\"quiet\" y", &[b"quiet", b"y"]),
            (b"x=\"\" y", &[b"x=", b"y"]),
            (b"\"\" y", &[b"", b"y"]),
            (b"x=\"a\tb\nc\"", &[b"x=a\tb\nc"]),
        ]);
    }

    #[test]
    fn an_open_quote_reaches_to_the_end() {
        assert_words(&[
            (b"x=\"a b c", &[b"x=a b c"]),
            (b"\"x=a b", &[b"x=a b"]),
            (b"y x=\"", &[b"y", b"x="]),
            (b"\"", &[b""]),
            (b"\"x=\"y\" z", &[b"x=y\" z"]),
        ]);
    }

    #[test]
    fn other_quotes_stay() {
        assert_words(&[
            (b"a\"b c\"d e", &[b"a\"b c\"d", b"e"]),
            (b"x=a\"b c\" y", &[b"x=a\"b c\"", b"y"]),
            (b"x=\"a b\"c y", &[b"x=a b\"c", b"y"]),
            (b"x=\"\"a\"\"", &[b"x=\"a\""]),
            (b"\"x=\"a b\"\"", &[b"x=a", b"b\"\""]),
            (b"x='a b'", &[b"x='a", b"b'"]),
        ]);
    }

    #[test]
    fn only_the_first_equals_sign_begins_a_value() {
        assert_words(&[
            (b"root=/dev/x=y", &[b"root=/dev/x=y"]),
            (b"root=UUID=\"a b\"", &[b"root=UUID=\"a b\""]),
            (b"x= y", &[b"x=", b"y"]),
            (b"=x y", &[b"=x", b"y"]),
            (b"=\"a b\"", &[b"=\"a b\""]),
            (b"==\"a b\"", &[b"==a b"]),
            (b"= ==", &[b"=", b"=="]),
        ]);
    }

    #[test]
    fn nothing_is_expanded() {
        assert_words(&[(b"x=* $y `z` a\\ b #c", &[b"x=*", b"$y", b"`z`", b"a\\", b"b", b"#c"])]);
    }

    #[test]
    fn words_behind_two_dashes_are_words_too() {
        assert_words(&[
            (b"a -- wait x=--", &[b"a", b"wait", b"x=--"]),
            (b"-- --help ---", &[b"--help", b"---"]),
            (b"\"--\" a", &[b"a"]),
        ]);
    }

    #[test]
    fn bytes_that_are_no_text_pass_unchanged() {
        assert_words(&[
            (b"x=\xff\xfe y", &[b"x=\xff\xfe", b"y"]),
            ("oci.tag=r/\u{e0}:1 b".as_bytes(), &["oci.tag=r/\u{e0}:1".as_bytes(), b"b"]),
        ]);
    }
}
