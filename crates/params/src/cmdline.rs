//! Splits the kernel command line by the rules of the kernel's `next_arg` (lib/cmdline.c).
//!
//! - White space separates parameters, double quotes protect it. An open quote extends to the end.
//! - Quotes around a parameter, or around the value after its first `=`, are removed. Others stay.
//!   There is no escape character.
//! - A leading `=` belongs to the key: `=x` has no value.
//! - `--`, after which parameters are for init, is dropped. The following ones are treated alike.
//!
//! One deviation: the kernel treats the byte 0xA0 as white space, which splits UTF-8 characters.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

/// Splits a command line into its parameters, in order.
pub fn split(line: &[u8]) -> Vec<OsString> {
    let mut parameters = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.iter().position(|byte| !is_space(*byte)) {
        let (parameter, following) = split_at_space(rest.split_at(start).1);
        rest = following;
        let parameter = unquote(parameter);
        if parameter != b"--" {
            parameters.push(OsString::from_vec(parameter));
        }
    }
    parameters
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn split_at_space(line: &[u8]) -> (&[u8], &[u8]) {
    let mut in_quotes = false;
    let end = line.iter().position(|byte| {
        in_quotes ^= *byte == b'"';
        is_space(*byte) && !in_quotes
    });
    line.split_at(end.unwrap_or(line.len()))
}

fn unquote(parameter: &[u8]) -> Vec<u8> {
    let (parameter, is_quoted) = strip_quote(parameter);
    let value_start = parameter.iter().skip(1).position(|byte| *byte == b'=').map(|at| at + 2);
    let (key, value) = parameter.split_at(value_start.unwrap_or(parameter.len()));
    let (value, is_value_quoted) = strip_quote(value);
    let mut parameter = [key, value].concat();
    if (is_quoted || is_value_quoted) && parameter.ends_with(b"\"") {
        parameter.pop();
    }
    parameter
}

fn strip_quote(text: &[u8]) -> (&[u8], bool) {
    text.strip_prefix(b"\"").map_or((text, false), |inside| (inside, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_split(table: &[(&[u8], &[&[u8]])]) {
        for (line, expected) in table {
            let found: Vec<_> = split(line).into_iter().map(OsString::into_vec).collect();
            assert_eq!(found, *expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn white_space_separates_parameters() {
        assert_split(&[
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
    fn quotes_protect_white_space_and_are_removed() {
        assert_split(&[
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
    fn an_open_quote_extends_to_the_end() {
        assert_split(&[
            (b"x=\"a b c", &[b"x=a b c"]),
            (b"\"x=a b", &[b"x=a b"]),
            (b"y x=\"", &[b"y", b"x="]),
            (b"\"", &[b""]),
            (b"\"x=\"y\" z", &[b"x=y\" z"]),
        ]);
    }

    #[test]
    fn other_quotes_stay() {
        assert_split(&[
            (b"a\"b c\"d e", &[b"a\"b c\"d", b"e"]),
            (b"x=a\"b c\" y", &[b"x=a\"b c\"", b"y"]),
            (b"x=\"a b\"c y", &[b"x=a b\"c", b"y"]),
            (b"x=\"\"a\"\"", &[b"x=\"a\""]),
            (b"\"x=\"a b\"\"", &[b"x=a", b"b\"\""]),
            (b"x='a b'", &[b"x='a", b"b'"]),
        ]);
    }

    #[test]
    fn only_the_first_equals_sign_starts_a_value() {
        assert_split(&[
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
        assert_split(&[(b"x=* $y `z` a\\ b #c", &[b"x=*", b"$y", b"`z`", b"a\\", b"b", b"#c"])]);
    }

    #[test]
    fn parameters_after_two_dashes_are_split_too() {
        assert_split(&[
            (b"a -- wait x=--", &[b"a", b"wait", b"x=--"]),
            (b"-- --help ---", &[b"--help", b"---"]),
            (b"\"--\" a", &[b"a"]),
        ]);
    }

    #[test]
    fn keeps_bytes_that_are_not_utf8() {
        assert_split(&[
            (b"x=\xff\xfe y", &[b"x=\xff\xfe", b"y"]),
            ("oci.tag=r/\u{e0}:1 b".as_bytes(), &["oci.tag=r/\u{e0}:1".as_bytes(), b"b"]),
        ]);
    }
}
