//! Parses `KERNEL_CONFIG` to arguments for the kernel's `scripts/config`.

use crate::config::unknown_name;

/// Options of `scripts/config` that change a configuration: long, short, number of values.
const OPTIONS: [(&str, &str, usize); 7] = [
    ("--enable", "-e", 1),
    ("--disable", "-d", 1),
    ("--module", "-m", 1),
    ("--set-str", "", 2),
    ("--set-val", "", 2),
    ("--undefine", "-u", 1),
    ("--keep-case", "-k", 0),
];

/// Splits `text` at white space outside quotes. Rejects what the script would misread.
pub fn parse(text: &str) -> Result<Vec<String>, String> {
    let words = split(text)?;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (_, _, values) = OPTIONS
            .iter()
            .find(|(long, short, _)| word == long || (!short.is_empty() && word == short))
            .ok_or_else(|| unknown_name(word, &OPTIONS.map(|(long, ..)| long)))?;
        if *values == 0 {
            continue;
        }
        let option =
            rest.next().ok_or_else(|| format!("missing name of an option after '{word}'"))?;
        if option.is_empty()
            || !option.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(format!(
                "invalid kernel option in '{word} {option}': expected one like '{word} CONFIG_NET'"
            ));
        }
        if *values == 2 {
            rest.next().ok_or_else(|| format!("missing value after '{word} {option}'"))?;
        }
    }
    Ok(words)
}

/// Splits like a shell, with quotes and without expansion.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.map_or(Ok(words), |open| Err(format!("unclosed quote {open} in '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_space_outside_quotes() {
        for (text, words) in [
            ("", &[][..]),
            ("  -e  A\n-d B ", &["-e", "A", "-d", "B"]),
            ("--set-str A \"x y\"", &["--set-str", "A", "x y"]),
            ("--set-str A ''", &["--set-str", "A", ""]),
            ("--set-str A a\"b c\"'d\"e'", &["--set-str", "A", "ab cd\"e"]),
            (
                "--keep-case --set-val a 0x10 -u CONFIG_B -m C",
                &["--keep-case", "--set-val", "a", "0x10", "-u", "CONFIG_B", "-m", "C"],
            ),
        ] {
            assert_eq!(parse(text).unwrap(), words, "{text}");
        }
    }

    #[test]
    fn rejects_invalid_words() {
        for (text, fact) in [
            ("--enabel A", "did you mean '--enable'"),
            ("A", "unknown 'A'"),
            ("-e", "missing name"),
            ("-e --disable A", "invalid kernel option"),
            ("-e A;reboot", "invalid kernel option"),
            ("--set-val A", "missing value"),
            ("--file /etc/passwd", "unknown '--file'"),
            ("--set-str A \"x", "unclosed quote"),
            ("''", "unknown ''"),
            ("--enable", "missing name"),
            ("--set-str NET", "missing value"),
            ("--enable-after A B", "unknown '--enable-after'"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(fact), "{text}: {error}");
        }
    }
}
