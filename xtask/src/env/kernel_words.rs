//! The text of `KERNEL_CONFIG` in, arguments for the kernel's `scripts/config` out. Nothing is passed on that the script would misread.

use crate::config::unknown_word;

/// The options of `scripts/config` that change a configuration, and how many values follow each.
const OPTIONS: [(&str, &str, usize); 7] = [
    ("--enable", "-e", 1),
    ("--disable", "-d", 1),
    ("--module", "-m", 1),
    ("--set-str", "", 2),
    ("--set-val", "", 2),
    ("--undefine", "-u", 1),
    ("--keep-case", "-k", 0),
];

/// Splits `text` at white space outside quotes and checks the words.
pub fn parse(text: &str) -> Result<Vec<String>, String> {
    let words = split(text)?;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (_, _, values) = OPTIONS
            .iter()
            .find(|(long, short, _)| word == long || (!short.is_empty() && word == short))
            .ok_or_else(|| unknown_word(word, &OPTIONS.map(|(long, ..)| long)))?;
        if *values == 0 {
            continue;
        }
        let option =
            rest.next().ok_or_else(|| format!("'{word}' lacks the name of an option after it"))?;
        if option.is_empty()
            || !option.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(format!(
                "'{word} {option}' names no option of the kernel; wanted: as in '{word} CONFIG_NET'"
            ));
        }
        if *values == 2 {
            rest.next().ok_or_else(|| format!("'{word} {option}' lacks a value after it"))?;
        }
    }
    Ok(words)
}

/// Splits as a shell would, with quotes and without any expansion.
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
    quote
        .map_or(Ok(words), |open| Err(format!("'{text}' opens a quote {open} and never closes it")))
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
    fn refuses_what_the_script_would_misread() {
        for (text, fact) in [
            ("--enabel A", "did you mean '--enable'"),
            ("A", "'A' is unknown"),
            ("-e", "lacks the name"),
            ("-e --disable A", "names no option"),
            ("-e A;reboot", "names no option"),
            ("--set-val A", "lacks a value"),
            ("--file /etc/passwd", "'--file' is unknown"),
            ("--set-str A \"x", "never closes"),
            ("''", "'' is unknown"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(fact), "{text}: {error}");
        }
    }
}
